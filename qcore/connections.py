"""The connections of an App: drivers, the homes they live in, and the stores beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.drivers.memory import MemoryDriver
from qcore.drivers.null import NullDriver
from qcore.errors import ConfigError, JobDefinitionError, UnknownConnectionError
from qcore.hiding import shown
from qcore.memory import Memory
from qcore.options import checked_name
from qcore.payload import FAR
from qcore.redis import SETTINGS as REDIS_SETTINGS
from qcore.sql import Database
from qcore.stores.memory import MemoryFailedStore, MemoryStore
from qcore.stores.memory_batches import MemoryBatchStore
from qcore.stores.null import NullFailedStore
from qcore.sync import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from qcore.batches import BatchStore
    from qcore.clock import Clock
    from qcore.config import Config
    from qcore.driver import Driver
    from qcore.failed import FailedStore
    from qcore.redis.home import RedisHome
    from qcore.store import Store


class DriverRow(NamedTuple):
    """A kind of driver: the settings it takes, and how it is built from them."""

    keys: tuple[str, ...]
    build: Callable[[Connections, str, Mapping[str, Any]], Driver]
    batches: Callable[[Connections, str], BatchStore] | None = None
    """Gives the batch store with the driver's ``home``; None: the driver cannot have batches."""
    failed: Callable[[Connections, str], FailedStore] | None = None
    store: Callable[[Connections, str], Store] | None = None
    """Give the failed store and the key store with the driver's ``home``; None: they are kept in memory."""


def _memory_driver(connections: Connections, name: str, settings: Mapping[str, Any]) -> Driver:
    return MemoryDriver(connections.memory(name), connections.clock, **_lease(settings))


def _database_driver(connections: Connections, name: str, settings: Mapping[str, Any]) -> Driver:
    from qcore.drivers.database import driver_on  # SQLAlchemy is loaded when a database is used

    return driver_on(connections.database(name), connections.clock, **_lease(settings))


def _sync_batches(connections: Connections, name: str) -> BatchStore:
    driver = connections.driver(name)
    assert isinstance(driver, SyncDriver)  # noqa: S101 - its own row built it
    return driver.batches


def _memory_batches(connections: Connections, name: str) -> BatchStore:
    return MemoryBatchStore(connections.memory(name), connections.clock)


def _database_batches(connections: Connections, name: str) -> BatchStore:
    from qcore.stores.database_batches import DatabaseBatchStore

    return DatabaseBatchStore(connections.database(name), connections.clock)


def _database_failed(connections: Connections, name: str) -> FailedStore:
    from qcore.stores.database import DatabaseFailedStore

    return DatabaseFailedStore(connections.database(name))


def _database_store(connections: Connections, name: str) -> Store:
    from qcore.stores.database import DatabaseStore

    return DatabaseStore(connections.database(name), connections.clock)


def _redis_driver(connections: Connections, name: str, settings: Mapping[str, Any]) -> Driver:
    from qcore.drivers.redis import RedisDriver  # redis is loaded when a server is used

    return RedisDriver(connections.redis(name), connections.clock, **_lease(settings))


def _redis_batches(connections: Connections, name: str) -> BatchStore:
    from qcore.stores.redis_batches import RedisBatchStore

    return RedisBatchStore(connections.redis(name), connections.clock)


def _redis_failed(connections: Connections, name: str) -> FailedStore:
    from qcore.stores.redis import RedisFailedStore

    return RedisFailedStore(connections.redis(name))


def _redis_store(connections: Connections, name: str) -> Store:
    from qcore.stores.redis import RedisStore

    return RedisStore(connections.redis(name), connections.clock)


def _lease(settings: Mapping[str, Any]) -> dict[str, float]:
    return {"retry_after": settings["retry_after"]} if "retry_after" in settings else {}


DRIVERS = {
    "memory": DriverRow(("retry_after",), _memory_driver, _memory_batches),
    "database": DriverRow(
        ("url", "retry_after", "synchronous"), _database_driver, _database_batches, _database_failed, _database_store
    ),
    "redis": DriverRow(("retry_after", *REDIS_SETTINGS), _redis_driver, _redis_batches, _redis_failed, _redis_store),
    "null": DriverRow((), lambda *_: NullDriver()),
    "sync": DriverRow((), lambda connections, *_: SyncDriver(connections.clock), _sync_batches),
}


_DATABASES = {"postgres", "postgresql", "mysql", "mariadb", "sqlite"}
"""What connections to databases are often called."""


class Connections:
    """Opens what the configuration describes, each thing once and when it is first used."""

    def __init__(self, config: Config, clock: Clock, drivers: Mapping[str, DriverRow]) -> None:
        """Check every connection; ``drivers`` adds kinds of drivers to the built-in ones.

        :raises ConfigError: for an unknown driver or setting.
        """
        self.config = config
        self.clock = clock
        self._rows = DRIVERS | dict(drivers)
        self._drivers: dict[str, Driver] = {}
        self._batches: dict[str, BatchStore | None] = {}
        self._memories: dict[str, Memory] = {}
        self._databases: dict[str, Database] = {}
        self._redis: dict[Hashable, RedisHome] = {}
        self._failed: FailedStore | None = None
        self._store: Store | None = None
        for name, settings in config.connections.items():
            self._check(name, settings)
        for name in (config.default, _home_of(config.failed, config), _home_of(config.store, config)):
            self.settings(name)

    def settings(self, name: str) -> Mapping[str, Any]:
        """Give the settings of a connection.

        :raises UnknownConnectionError: lists the connections that exist.
        """
        settings = self.config.connections.get(name)
        if settings is None:
            known = ", ".join(sorted(self.config.connections))
            where = f"there is no connection {shown(name)} ({self.config.source})"
            message = f"{where}; there are {known}{self._how_to_have(name)}"
            raise UnknownConnectionError(message)
        return settings

    def _how_to_have(self, name: str) -> str:
        """Say what to configure where the name is that of a driver, or of a database."""
        if name in self._rows:
            return f'; to have it, write driver = "{name}" below [connections.{name}]'
        if name in _DATABASES:
            return f'; to have it, write driver = "database" and the url of the database below [connections.{name}]'
        return ""

    def driver(self, name: str) -> Driver:
        """Give the driver of a connection.

        :raises UnknownConnectionError: lists the connections that exist.
        """
        if name not in self._drivers:
            settings = self.settings(name)
            self._drivers[name] = self._rows[settings["driver"]].build(self, name, settings)
        return self._drivers[name]

    def batch_store(self, name: str) -> BatchStore | None:
        """Give the store of the batches whose members wait on a connection; None when its driver can have none.

        :raises UnknownConnectionError: lists the connections that exist.
        """
        if name not in self._batches:
            make = self._rows[self.settings(name)["driver"]].batches
            self._batches[name] = None if make is None else make(self, name)
        return self._batches[name]

    def waits_for_commits(self, name: str) -> bool:
        """Tell whether pushes wait for the commit of an open transaction, unless they say otherwise."""
        waits: bool = self.settings(name).get("after_commit", False)
        return waits

    def queue(self, name: str) -> str:
        """Give the queue of jobs that name none."""
        queue: str = self.settings(name).get("queue", "default")
        return queue

    @property
    def failed_store(self) -> FailedStore:
        """Where failed jobs are kept."""
        if self._failed is None:
            self._failed = self._make_failed_store()
        return self._failed

    @property
    def store(self) -> Store:
        """Where locks, counters and signals are kept."""
        if self._store is None:
            self._store = self._make_store()
        return self._store

    def _make_failed_store(self) -> FailedStore:
        name = _home_of(self.config.failed, self.config)
        if name == "null":
            return NullFailedStore()
        make = self._rows[self.settings(name)["driver"]].failed
        return MemoryFailedStore(self.memory(name)) if make is None else make(self, name)

    def _make_store(self) -> Store:
        name = _home_of(self.config.store, self.config)
        make = self._rows[self.settings(name)["driver"]].store
        return MemoryStore(self.memory(name), self.clock) if make is None else make(self, name)

    def database(self, name: str) -> Database:
        """Give the database of a connection; connections with the same address share it."""
        settings = self.settings(name)
        url = _absolute(settings.get("url"), self.config)
        if url not in self._databases:
            extra = {"synchronous": settings["synchronous"]} if "synchronous" in settings else {}
            self._databases[url] = Database(url, **extra)
        return self._databases[url]

    def redis(self, name: str) -> RedisHome:
        """Give the redis server of a connection; connections with the same address and prefix share it.

        :raises ConfigError: when its address is none.
        """
        settings = {key: value for key, value in self.settings(name).items() if key in REDIS_SETTINGS}
        where = tuple(sorted((key, id(value) if key == "client" else value) for key, value in settings.items()))
        if where not in self._redis:
            from qcore.redis.home import RedisHome

            self._redis[where] = RedisHome.at(settings, f"{self.config.source}: the connection {name!r}")
        return self._redis[where]

    def memory(self, name: str) -> Memory:
        """Give the memory of a connection."""
        return self._memories.setdefault(name, Memory())

    def close(self) -> None:
        """Close what this thread opened; the next use opens it again."""
        for database in self._databases.values():
            database.close()
        for home in self._redis.values():
            home.close()

    def _check(self, name: str, settings: Mapping[str, Any]) -> None:
        row = self._rows.get(settings["driver"])
        if row is None:
            known = ", ".join(sorted(self._rows))
            message = (
                f"{self.config.source}: the connection {name!r} wants the driver {shown(settings['driver'])}; "
                f"there are {known}"
            )
            raise ConfigError(message)
        allowed = ("driver", "queue", *row.keys, "after_commit")
        unknown = sorted(set(settings) - set(allowed))
        if unknown:
            message = (
                f"{self.config.source}: the connection {name!r} has no setting {', '.join(unknown)}; "
                f"the driver {settings['driver']!r} takes {', '.join(allowed)}"
            )
            raise ConfigError(message)
        for setting, value in settings.items():
            wrong = _CHECKS[setting](value) if setting in _CHECKS else None
            if wrong:
                message = (
                    f"{self.config.source}: {setting} of the connection {name!r} {wrong}, got {shown(value, setting)}"
                )
                raise ConfigError(message)


def _home_of(place: str, config: Config) -> str:
    """Give the connection beside which something is kept."""
    return config.default if place == "default" else place


def _wrong_seconds(value: object) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return None if is_number and 0 < value < FAR else "is a number of seconds above 0"  # type: ignore[operator]


def _wrong_pause(value: object) -> str | None:
    return None if value == 0 and not isinstance(value, bool) else _wrong_seconds(value)


def _wrong_text(value: object) -> str | None:
    return None if isinstance(value, str) and value else "is a text"


def _wrong_queue(value: object) -> str | None:
    try:
        checked_name(value, "queue")  # type: ignore[arg-type] # it says what is wrong
    except JobDefinitionError as error:
        return f"is not right: {error}"
    return None


def _wrong_flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "is true or false"


_CHECKS: dict[str, Callable[[object], str | None]] = {
    "after_commit": _wrong_flag,
    "queue": _wrong_queue,
    "retry_after": _wrong_seconds,
    "url": _wrong_text,
    "synchronous": _wrong_text,
    "prefix": _wrong_text,
    "username": _wrong_text,
    "password": _wrong_text,
    "socket_timeout": _wrong_seconds,
    "block_for": _wrong_pause,
    "cluster": _wrong_flag,
    "ssl_ca_certs": _wrong_text,
    "ssl_certfile": _wrong_text,
    "ssl_keyfile": _wrong_text,
    "ssl_check_hostname": _wrong_flag,
}


def _absolute(url: str | None, config: Config) -> str:
    """Give the address of a database; a relative SQLite file lies below the project's folder."""
    if url is None:
        return f"sqlite:///{config.root / '.qcore' / 'queue.sqlite3'}"
    scheme, parted, path = url.partition(":///")
    if scheme.partition("+")[0] == "sqlite" and path and not path.startswith(("/", ":", "file:")):
        return f"{scheme}{parted}{config.root / path}"
    return url
