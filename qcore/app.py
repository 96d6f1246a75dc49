"""The App: joins configuration, connections, stores, events and clock. Concrete parts are named only here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import current
from qcore.clock import Clock, SystemClock
from qcore.codec import Codec
from qcore.config import Config
from qcore.drivers.memory import MemoryDriver
from qcore.drivers.null import NullDriver
from qcore.errors import ConfigError, JobDefinitionError, QcoreError, UnknownConnectionError
from qcore.events import Events, EventType, Listener
from qcore.failed_jobs import FailedJobs
from qcore.job import Job, Prepared
from qcore.limits import WorkerOptions
from qcore.memory import Memory
from qcore.options import UNSET, JobOptions, Name, job_options
from qcore.queue import Hooks, Queue
from qcore.redaction import Redactor
from qcore.runner import RunDefaults, Runner
from qcore.settlement import Settlement
from qcore.sql import Database
from qcore.stores.memory import MemoryFailedStore, MemoryStore
from qcore.stores.null import NullFailedStore
from qcore.sync import SyncDriver
from qcore.time_limit import TimeLimit, Unlimited
from qcore.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qcore.driver import Driver
    from qcore.failed import FailedStore
    from qcore.store import Store


class DriverRow(NamedTuple):
    """A kind of driver: the settings it takes, and how it is built from them."""

    keys: tuple[str, ...]
    build: Callable[[App, str, Mapping[str, Any]], Driver]


def _database_driver(app: App, name: str, settings: Mapping[str, Any]) -> Driver:
    from qcore.drivers.database import DatabaseDriver  # SQLAlchemy is loaded when a database is used

    return DatabaseDriver(app.database(name), app.clock, retry_after=settings.get("retry_after", 90))


DRIVERS: dict[str, DriverRow] = {
    "memory": DriverRow(
        ("retry_after",),
        lambda app, name, given: MemoryDriver(app.memory(name), app.clock, retry_after=given.get("retry_after", 90)),
    ),
    "database": DriverRow(("url", "retry_after", "synchronous"), _database_driver),
    "null": DriverRow((), lambda *_: NullDriver()),
    "sync": DriverRow((), lambda app, *_: SyncDriver(app.clock)),
}


class App:
    """Where jobs are pushed to and run from.

    One process usually has one, made from its configuration on first use; several can live side by side.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        clock: Clock | None = None,
        drivers: Mapping[str, DriverRow] | None = None,
    ) -> None:
        """Join the parts; nothing is opened before it is used.

        ``drivers`` adds kinds of drivers by name to the built-in ones.

        :raises ConfigError: for a connection with an unknown driver or setting.
        """
        self.config = config or Config()
        self.clock: Clock = clock or SystemClock()
        self.events = Events()
        self.codec = Codec(**_payload_limits(self.config))
        self.redactor = Redactor(self.config.redact.get("keys", ()))
        self.hooks = Hooks()
        self._drivers = DRIVERS | dict(drivers or {})
        self._queues: dict[str, Queue] = {}
        self._memories: dict[str, Memory] = {}
        self._databases: dict[str, Database] = {}
        self._failed: FailedStore | None = None
        self._store: Store | None = None
        self._routes: dict[type[Job], JobOptions] = {}
        self.hooks.guard = self._guard
        for name, settings in self.config.connections.items():
            self._check_connection(name, settings)
        self._settings_of(self.config.default)

    @classmethod
    def from_configuration(cls) -> App:
        """Build the App of the project in the current folder.

        :raises ConfigError: when its configuration is wrong.
        """
        return cls(Config.load())

    # Pushing.

    def push(self, job: Job, options: JobOptions = UNSET) -> str | None:
        """Push a job; what ``job.dispatch()`` comes down to.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        options = self._complete(job, options)
        return self.connection(options.connection).push(job, options)

    def dispatch(self, job: Job | Prepared, **options: Any) -> str | None:
        """Push a job and give its id; None when it was not pushed on purpose.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        return self.push(*_said(job, job_options(**options) if options else UNSET))

    def bulk(self, jobs: Iterable[Job | Prepared], **options: Any) -> list[str]:
        """Push many jobs, each connection's in one step where its driver can; give their ids.

        :raises PayloadError: when the state of any cannot be written; none of its connection is pushed then.
        """
        call = job_options(**options) if options else UNSET
        groups: dict[str, list[tuple[Job, JobOptions]]] = {}
        for each in jobs:
            job, said = _said(each, call)
            complete = self._complete(job, said)
            groups.setdefault(complete.connection or self.config.default, []).append((job, complete))
        return [job_id for name, group in groups.items() for job_id in self.connection(name).bulk(group)]

    def dispatch_sync(self, job: Job | Prepared) -> str | None:
        """Run a job here and now, payload round trip included; its exception is raised here."""
        bare, said = _said(job, UNSET)
        return self._sync_queue("sync", SyncDriver(self.clock)).push(bare, self._complete(bare, said))

    def route(self, job_class: type[Job] | Any, *, queue: Name | None = None, connection: Name | None = None) -> None:
        """Send jobs of a class, and of its subclasses, to a queue or connection.

        What the class itself or the call says beats the route.
        """
        target = getattr(job_class, "job_class", job_class)
        if not (isinstance(target, type) and issubclass(target, Job)):
            message = f"route() takes a job class or a job function, got {job_class!r}"
            raise JobDefinitionError(message)
        self._routes[target] = job_options(queue=queue, connection=connection)

    def before_push(self, hook: Callable[[Job, str, str], object]) -> None:
        """Call ``hook(job, connection, queue)`` before each push; when it returns False nothing is pushed."""
        self.hooks.before_push.append(hook)

    def payload_using(self, hook: Callable[[str, str, dict[str, Any]], dict[str, Any] | None]) -> None:
        """Add what ``hook(connection, queue, body)`` returns to the body of each payload."""
        self.hooks.payload.append(hook)

    def listen(self, event: type[EventType], listener: Listener[EventType]) -> Callable[[], None]:
        """Call ``listener`` with every event of that class; gives a function that ends it."""
        return self.events.listen(event, listener)

    def _complete(self, job: Job, call: JobOptions) -> JobOptions:
        options = call.over(type(job).__job__.options)
        if self._routes:
            for base in type(job).__mro__:
                if base in self._routes:
                    return options.over(self._routes[base])
        return options

    def _guard(self, driver: Driver) -> None:
        """Refuse a push to a real connection while a test has taken over the process."""
        override = current.overridden()
        if override is not None and override is not self and driver.shared:
            message = (
                "a test has taken over this process, and this push would reach a real connection: "
                "push through job.dispatch(), or let the connection through in the test"
            )
            raise QcoreError(message)

    # Parts.

    def connection(self, name: str | None = None) -> Queue:
        """Give the push side of a connection, the default one if none is named.

        :raises UnknownConnectionError: lists the connections that exist.
        """
        name = name or self.config.default
        queue = self._queues.get(name)
        if queue is None:
            settings = self._settings_of(name)
            driver = self._drivers[settings["driver"]].build(self, name, settings)
            if isinstance(driver, SyncDriver):
                queue = self._sync_queue(name, driver)
            else:
                queue = self._queue(name, driver, settings.get("queue", "default"))
            self._queues[name] = queue
        return queue

    def worker(
        self,
        connection: str | None = None,
        options: WorkerOptions | None = None,
        *,
        time_limit: TimeLimit | None = None,
    ) -> Worker:
        """Make a worker for the queues of a connection.

        Without a ``time_limit`` only async jobs are ended in time: taking the alarm signal is for processes
        that do nothing but work, such as ``qcore work``.

        :raises UnknownConnectionError: lists the connections that exist.
        """
        queue = self.connection(connection)
        options = options or WorkerOptions(queues=(queue.default_queue,))
        defaults = RunDefaults(options.tries, options.backoff, options.timeout)
        return Worker(
            connection=queue.name,
            driver=queue.driver,
            runner=self._runner(queue.name, queue.driver, defaults, self.failed_store, time_limit or Unlimited()),
            events=self.events,
            clock=self.clock,
            options=options,
        )

    @property
    def failed(self) -> FailedJobs:
        """The failed jobs: list, find, retry, forget, flush, prune."""
        return FailedJobs(
            self.failed_store, connection=self.connection, codec=self.codec, clock=self.clock, events=self.events
        )

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
            name = self.config.default if self.config.store == "default" else self.config.store
            if self._settings_of(name)["driver"] == "database":
                from qcore.stores.database import DatabaseStore

                self._store = DatabaseStore(self.database(name), self.clock)
            else:
                self._store = MemoryStore(self.memory(name), self.clock)
        return self._store

    def database(self, name: str) -> Database:
        """Give the database of a connection; connections with the same address share it."""
        settings = self._settings_of(name)
        url = _absolute(settings.get("url"), self.config)
        if url not in self._databases:
            extra = {"synchronous": settings["synchronous"]} if "synchronous" in settings else {}
            self._databases[url] = Database(url, **extra)
        return self._databases[url]

    def memory(self, name: str) -> Memory:
        """Give the memory of a connection."""
        return self._memories.setdefault(name, Memory())

    def close(self) -> None:
        """Close every connection of this App; the next use opens them again."""
        for database in self._databases.values():
            database.close()
        self._queues.clear()

    @contextmanager
    def activate(self) -> Iterator[App]:
        """Send every dispatch in this context (thread or coroutine) to this App."""
        token = current.active.set(self)
        try:
            yield self
        finally:
            current.active.reset(token)

    def _make_failed_store(self) -> FailedStore:
        name = self.config.default if self.config.failed == "default" else self.config.failed
        if name == "null":
            return NullFailedStore()
        if self._settings_of(name)["driver"] == "database":
            from qcore.stores.database import DatabaseFailedStore

            return DatabaseFailedStore(self.database(name))
        return MemoryFailedStore(self.memory(name))

    def _queue(self, name: str, driver: Driver, default_queue: str) -> Queue:
        return Queue(
            name,
            driver,
            default_queue=default_queue,
            codec=self.codec,
            clock=self.clock,
            events=self.events,
            hooks=self.hooks,
        )

    def _sync_queue(self, name: str, driver: SyncDriver) -> Queue:
        queue = self._queue(name, driver, self._settings_of(name).get("queue", "default"))
        # The caller hears of the error, so it is final, and kept nowhere else.
        runner = self._runner(name, driver, RunDefaults(errors_are_final=True, timeout=0), None, Unlimited())
        queue.after_push = lambda: driver.drain(runner)
        return queue

    def _runner(
        self, name: str, driver: Driver, defaults: RunDefaults, failed: FailedStore | None, time_limit: TimeLimit
    ) -> Runner:
        settlement = Settlement(
            driver=driver, failed=failed, events=self.events, clock=self.clock, redactor=self.redactor
        )
        return Runner(
            connection=name,
            driver=driver,
            codec=self.codec,
            clock=self.clock,
            events=self.events,
            store=lambda: self.store,
            settlement=settlement,
            time_limit=time_limit,
            defaults=defaults,
        )

    def _settings_of(self, name: str) -> Mapping[str, Any]:
        settings = self.config.connections.get(name)
        if settings is None:
            known = ", ".join(sorted(self.config.connections))
            message = f"there is no connection {name!r} ({self.config.source}); there are {known}"
            raise UnknownConnectionError(message)
        return settings

    def _check_connection(self, name: str, settings: Mapping[str, Any]) -> None:
        row = self._drivers.get(settings["driver"])
        if row is None:
            known = ", ".join(sorted(self._drivers))
            message = (
                f"{self.config.source}: the connection {name!r} wants the driver {settings['driver']!r}; "
                f"there are {known}"
            )
            raise ConfigError(message)
        allowed = ("driver", "queue", *row.keys)
        unknown = sorted(set(settings) - set(allowed))
        if unknown:
            message = (
                f"{self.config.source}: the connection {name!r} has no setting {', '.join(unknown)}; "
                f"the driver {settings['driver']!r} takes {', '.join(allowed)}"
            )
            raise ConfigError(message)


def _said(job: Job | Prepared, call: JobOptions) -> tuple[Job, JobOptions]:
    if isinstance(job, Prepared):
        return job.job, call.over(job.options)
    if isinstance(job, Job):
        return job, call
    hint = ": write f.job(...) for a job function" if callable(job) else ""
    message = f"a job is an instance of a class derived from Job, got {job!r}{hint}"
    raise JobDefinitionError(message)


def _payload_limits(config: Config) -> dict[str, int]:
    limits = dict(config.payload)
    wrong = {name: value for name, value in limits.items() if type(value) is not int or value < 1}
    if wrong:
        message = f"{config.source}: [payload] takes whole numbers above 0, got {wrong}"
        raise ConfigError(message)
    return limits


def _absolute(url: object, config: Config) -> str:
    """Give the address of a database; a relative SQLite file lies below the project's folder."""
    if url is None:
        return f"sqlite:///{config.root / '.qcore' / 'queue.sqlite3'}"
    if not isinstance(url, str):
        message = f"{config.source}: a url is text, such as sqlite:///queue.sqlite3, got {url!r}"
        raise ConfigError(message)
    prefix = "sqlite:///"
    path = url.removeprefix(prefix)
    if url.startswith(prefix) and path and not path.startswith(("/", ":")):
        return f"{prefix}{config.root / path}"
    return url
