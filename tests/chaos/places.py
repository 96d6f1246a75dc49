"""The backends of a run: how to make a fresh one, and what its server can suffer."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from qcore.errors import DriverError
from qcore.sql import Database
from qtest.servers import MariaServer, PostgresServer, RedisCluster, RedisServer
from qtest.servers.server import wait_for
from tests.chaos.history import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from qtest.servers import Server

HARMLESS = frozenset({"flush scripts"})
"""What has to go unnoticed: it excuses nothing."""


class Place(Protocol):
    """One backend."""

    name: str
    faults: dict[str, Callable[[float], None]]
    """What its server can suffer, by name; called with seconds, and over when it returns."""

    steps: tuple[str, ...]
    """What can happen to a process of it between two steps: see ``tests.chaos.steps``."""

    def fresh(self, folder: Path) -> dict[str, Any]:
        """Make it empty, and give the settings of a connection to it."""


class SqliteFile:
    """A file. It has no server; what comes next to a server that hangs is somebody who holds its write lock."""

    name = "sqlite"
    steps: tuple[str, ...] = ("kill", "hang")

    def __init__(self) -> None:
        self.faults: dict[str, Callable[[float], None]] = {"hold the write lock": self._hold}

    def fresh(self, folder: Path) -> dict[str, Any]:
        self._path = folder / "queue.sqlite3"
        return {"driver": "database", "url": f"sqlite:///{self._path}"}

    def _hold(self, seconds: float) -> None:
        with closing(sqlite3.connect(self._path, timeout=60, isolation_level=None)) as raw:
            raw.execute("BEGIN IMMEDIATE")
            CLOCK.sleep(seconds)
            raw.execute("ROLLBACK")


class ServerPlace:
    """What all servers can suffer."""

    def __init__(self, server: Server) -> None:
        self.server: Any = server
        self.faults: dict[str, Callable[[float], None]] = {
            "restart": self._restart,
            "pause": self._pause,
            "cut connections": self._cut_all,
        }

    def _restart(self, seconds: float) -> None:
        """End it without last words, and start it again with its data."""
        self.server.kill()
        CLOCK.sleep(seconds)
        self.server.restart()

    def _pause(self, seconds: float) -> None:
        """Let it hang."""
        self.server.pause()
        try:
            CLOCK.sleep(seconds)
        finally:
            self.server.resume()

    def _cut_all(self, seconds: float) -> None:
        """Let it end every connection, again and again."""
        end = CLOCK.monotonic() + seconds
        while CLOCK.monotonic() < end:
            self.cut()
            CLOCK.sleep(0.1)

    def cut(self) -> None:
        raise NotImplementedError

    def running(self) -> None:
        """Start the server again if the run before has left it ended."""
        try:
            self.server.resume()
        except DriverError:
            self.server.restart()


class OnRedis(ServerPlace):
    """A redis-server that writes everything down before it answers."""

    name = "redis"
    steps: tuple[str, ...] = ("kill", "hang", "cut")

    def __init__(self, server: RedisServer) -> None:
        super().__init__(server)
        self.faults["flush scripts"] = self._flush

    def fresh(self, folder: Path) -> dict[str, Any]:
        self.running()
        return {"driver": "redis", "url": self.server.fresh()}

    def cut(self) -> None:
        self.server.say("CLIENT KILL TYPE normal")

    def _flush(self, seconds: float) -> None:
        end = CLOCK.monotonic() + seconds
        while CLOCK.monotonic() < end:
            self.server.say("SCRIPT FLUSH")
            CLOCK.sleep(0.05)


class OnCluster(OnRedis):
    """A redis cluster; what happens to it happens to the node that holds the keys."""

    name = "cluster"

    def __init__(self, cluster: RedisCluster) -> None:
        slot = int(cluster.nodes[0].say("CLUSTER KEYSLOT {qcore}"))
        super().__init__(cluster.nodes[slot * len(cluster.nodes) // 16_384])
        self._cluster = cluster

    def _restart(self, seconds: float) -> None:
        """The others have to let it in again before it takes commands."""
        super()._restart(seconds)
        wait_for(lambda: "cluster_state:ok" in self.server.say("CLUSTER INFO"))

    def fresh(self, folder: Path) -> dict[str, Any]:
        self.running()
        others = [node.url for node in self._cluster.nodes if node is not self.server]
        self._cluster.fresh()
        return {"driver": "redis", "url": others[0], "cluster": True}


class OnDatabase(ServerPlace):
    """A database server."""

    steps: tuple[str, ...] = ("kill", "hang", "cut", "lose")

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._database: Database

    def fresh(self, folder: Path) -> dict[str, Any]:
        self.running()
        url = self.server.fresh()
        Database(url).create_all()
        return {"driver": "database", "url": url}


class OnPostgres(OnDatabase):
    name = "postgres"

    def cut(self) -> None:
        self.server.say(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


class OnMaria(OnDatabase):
    name = "mariadb"

    def cut(self) -> None:
        for (number,) in self.server.say(
            "SELECT id FROM information_schema.processlist WHERE command <> 'Daemon' AND id <> CONNECTION_ID()"
        ):
            with suppress(Exception):  # it may have gone by itself
                self.server.say(f"KILL CONNECTION {number}")


@contextmanager
def on_sqlite() -> Iterator[Place]:
    yield SqliteFile()


@contextmanager
def on_redis() -> Iterator[Place]:
    with RedisServer(appendfsync="always") as server:
        yield OnRedis(server)


@contextmanager
def on_cluster() -> Iterator[Place]:
    with RedisCluster(appendfsync="always") as cluster:
        yield OnCluster(cluster)


@contextmanager
def on_postgres() -> Iterator[Place]:
    with PostgresServer() as server:
        yield OnPostgres(server)


@contextmanager
def on_maria() -> Iterator[Place]:
    with MariaServer() as server:
        yield OnMaria(server)


PLACES: dict[str, Callable[[], AbstractContextManager[Place]]] = {
    "sqlite": on_sqlite,
    "redis": on_redis,
    "cluster": on_cluster,
    "postgres": on_postgres,
    "mariadb": on_maria,
}
"""All backends; entering one starts its server, leaving it ends that."""
