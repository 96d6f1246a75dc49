"""The App: joins configuration, connections, stores, events and clock. Concrete parts are named only here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.clock import Clock, SystemClock
from qcore.codec import Codec
from qcore.config import Config
from qcore.connections import Connections
from qcore.errors import ConfigError, JobDefinitionError, QcoreError
from qcore.events import Events, EventType, Listener
from qcore.failed_jobs import FailedJobs
from qcore.jobs import Job, Prepared
from qcore.limits import WorkerOptions
from qcore.options import UNSET, JobOptions, Name, job_options, said
from qcore.queue import Hooks, Queue
from qcore.redaction import Redactor
from qcore.runner import RunDefaults, Runner
from qcore.settlement import Settlement
from qcore.sync import SyncDriver
from qcore.time_limit import TimeLimit, Unlimited
from qcore.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qcore.connections import DriverRow
    from qcore.driver import Driver, Push
    from qcore.failed import FailedStore


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
        self.redactor = Redactor(self.config.redact["keys"])
        self.hooks = Hooks()
        self.connections = Connections(self.config, self.clock, drivers or {})
        self._queues: dict[str, Queue] = {}
        self._routes: dict[type[Job], JobOptions] = {}
        self.hooks.guard = self._guard

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
        if not isinstance(job, Job):
            raise _no_job(job)
        options = self._complete(job, options)
        return self.connection(options.connection).push(job, options)

    def dispatch(self, job: Job | Prepared, **options: Any) -> str | None:
        """Push a job and give its id; None when it was not pushed on purpose.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        return self.push(*_said(job, said(options)))

    def bulk(self, jobs: Iterable[Job | Prepared], **options: Any) -> list[str]:
        """Push many jobs, each connection's in one step where its driver can; give their ids.

        :raises PayloadError: when the state of any cannot be written; none is pushed then.
        """
        call, ids = said(options), []
        groups: dict[str, list[tuple[Push, Job]]] = {}
        for each in jobs:
            job, given = _said(each, call)
            complete = self._complete(job, given)
            queue = self.connection(complete.connection)
            push = queue.prepare(job, complete)
            if push is not None:
                ids.append(push.payload.id)
                groups.setdefault(queue.name, []).append((push, job))
        for name, group in groups.items():
            self.connection(name).send(group)
        return ids

    def dispatch_sync(self, job: Job | Prepared) -> str | None:
        """Run a job here and now, payload round trip included; its exception is raised here."""
        bare, given = _said(job, UNSET)
        return self._sync_queue("sync", SyncDriver(self.clock)).push(bare, self._complete(bare, given))

    def route(self, job_class: object, *, queue: Name | None = None, connection: Name | None = None) -> None:
        """Send jobs of a class, and of its subclasses, to a queue or connection.

        What the class itself or the call says beats the route.
        """
        target = getattr(job_class, "job_class", job_class)
        if not (isinstance(target, type) and issubclass(target, Job)):
            message = f"route() takes a job class or a job function, got {job_class!r}"
            raise JobDefinitionError(message)
        self._routes[target] = job_options(queue=queue, connection=connection).over(self._routes.get(target, UNSET))

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
                options = options.over(self._routes.get(base, UNSET))
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
            driver = self.connections.driver(name)
            queue = self._sync_queue(name, driver) if isinstance(driver, SyncDriver) else self._queue(name, driver)
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
            runner=self._runner(
                queue.name, queue.driver, defaults, self.connections.failed_store, time_limit or Unlimited()
            ),
            events=self.events,
            clock=self.clock,
            options=options,
        )

    @property
    def failed(self) -> FailedJobs:
        """The failed jobs: list, find, retry, forget, flush, prune."""
        return FailedJobs(
            self.connections.failed_store,
            store=lambda: self.connections.store,
            connection=self.connection,
            codec=self.codec,
            clock=self.clock,
            events=self.events,
        )

    def close(self) -> None:
        """Close what this thread opened; the next use opens it again."""
        self.connections.close()

    @contextmanager
    def activate(self) -> Iterator[App]:
        """Send every dispatch in this context (thread or coroutine) to this App."""
        token = current.active.set(self)
        try:
            yield self
        finally:
            current.active.reset(token)

    def _queue(self, name: str, driver: Driver) -> Queue:
        return Queue(
            name,
            driver,
            default_queue=self.connections.queue(name),
            codec=self.codec,
            clock=self.clock,
            events=self.events,
            hooks=self.hooks,
        )

    def _sync_queue(self, name: str, driver: SyncDriver) -> Queue:
        queue = self._queue(name, driver)
        # The caller hears of the error, so it is final, and kept nowhere else.
        defaults = RunDefaults(errors_are_final=True, timeout=0)
        queue.after_push = lambda: driver.drain(lambda: self._runner(name, driver, defaults, None, Unlimited()))
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
            store=lambda: self.connections.store,
            settlement=settlement,
            time_limit=time_limit,
            defaults=defaults,
            enter=lambda: current.active.set(self),
        )


def _said(job: Job | Prepared, call: JobOptions) -> tuple[Job, JobOptions]:
    given: object = job
    if isinstance(given, Prepared):
        return given.job, call.over(given.options)
    if isinstance(given, Job):
        return given, call
    raise _no_job(given)


def _no_job(given: object) -> JobDefinitionError:
    hint = ": make an instance" if isinstance(given, type) else ": write f.job(...)" if callable(given) else ""
    return JobDefinitionError(f"a job is an instance of a class derived from Job, got {given!r}{hint}")


def _payload_limits(config: Config) -> dict[str, int]:
    limits = dict(config.payload)
    wrong = {name: value for name, value in limits.items() if type(value) is not int or value < 1}
    if wrong:
        message = f"{config.source}: [payload] takes whole numbers above 0, got {wrong}"
        raise ConfigError(message)
    return limits
