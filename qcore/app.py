"""The App: joins configuration, connections, stores, events and clock. Concrete parts are named only here."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from qcore import current
from qcore.callbacks import arguments
from qcore.chains import PendingChain, extend, listed
from qcore.clock import Clock, SystemClock
from qcore.codec import Codec
from qcore.config import Config
from qcore.connections import Connections
from qcore.delivery import Tools
from qcore.dispatcher import Dispatcher
from qcore.errors import ConfigError, QcoreError
from qcore.events import Events, EventType, Listener
from qcore.failed_jobs import FailedJobs
from qcore.follow_up import FollowUps
from qcore.injection import Provider
from qcore.job_codec import JobCodec
from qcore.limits import WorkerOptions
from qcore.pipeline import Pipeline
from qcore.queue import Queue
from qcore.redaction import Redactor
from qcore.runner import RunDefaults, Runner
from qcore.sealing import Keys
from qcore.settlement import Settlement
from qcore.signal_watch import SignalWatch
from qcore.signals import WorkerSignals
from qcore.sync import SyncDriver
from qcore.time_limit import TimeLimit, Unlimited
from qcore.unique_locks import UniqueLocks
from qcore.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qcore.batches import BatchStore
    from qcore.callbacks import Callback
    from qcore.chains import Linkable
    from qcore.connections import DriverRow
    from qcore.delivery import Delivery
    from qcore.dispatched_batch import Batch, Batches
    from qcore.driver import Driver
    from qcore.failed import FailedStore
    from qcore.jobs import Job
    from qcore.layers import Layer
    from qcore.pending_batch import PendingBatch


class App(Dispatcher):
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
        self.drivers = drivers or {}
        """Kinds of drivers beside the built-in ones, by name."""
        self.clock: Clock = clock or SystemClock()
        self.events = Events()
        self.codec = Codec(**_payload_limits(self.config))
        self.job_codec = JobCodec(self.codec, Keys.made_of(self.config.keys))
        self.redactor = Redactor(self.config.redact["keys"], hide=Keys.made_of(self.config.keys).hidden_in)
        super().__init__()
        self.connections = Connections(self.config, self.clock, self.drivers)
        self._signals = WorkerSignals(
            store=lambda: self.connections.store,
            connection=lambda name: self.connection(name).name,
            clock=self.clock,
            events=self.events,
        )
        self._queues: dict[str, Queue] = {}
        self.middleware: list[Layer] = []
        """Callables ``layer(job, call_next)`` around every job that this App runs, the outermost first."""
        self.provider = Provider()
        self.hooks.guard = self._guard
        self.hooks.has_handler = self.provider.handler_of

    @classmethod
    def from_configuration(cls) -> App:
        """Build the App of the project in the current folder.

        :raises ConfigError: when its configuration is wrong.
        """
        return cls(Config.load())

    def stands_for(self, app: App) -> bool:
        """Tell whether jobs of ``app`` dispatch to this one while it has taken over the process."""
        return app is self

    def provide(self, kind: type, factory: Callable[[], object]) -> None:
        """Give handlers that have a parameter of that type what ``factory()`` makes, anew for each job.

        :raises ConfigError: when the one is no class or the other cannot be called.
        """
        self.provider.provide(kind, factory)

    def map(self, handlers: Mapping[type[Job], type]) -> None:
        """Let jobs of a class be handled by ``handle(self, job)`` of another class, made anew for each job.

        :raises JobDefinitionError: when that class has no such method.
        """
        self.provider.map(handlers)

    def chain(self, *jobs: Linkable | Iterable[Linkable]) -> PendingChain:
        """Make a chain of jobs, functions and batches that is dispatched to this App.

        :raises JobDefinitionError: for what cannot be a link; says what to write instead.
        """
        return PendingChain(listed(jobs), lambda: self)

    def batch(
        self, members: object = (), *, name: str = "", allow_failures: bool | Callback | Iterable[Callback] = False
    ) -> PendingBatch:
        """Make a batch of jobs, functions and chains that is dispatched to this App; see ``qcore.batch``.

        :raises JobDefinitionError: for what cannot be a member; says what to write instead.
        """
        from qcore.pending_batch import PendingBatch

        return PendingBatch(members, name=name, app=lambda: self).allow_failures(allow_failures)

    def extend_chain(self, delivery: Delivery, jobs: tuple[object, ...], *, at_end: bool) -> None:
        """Add links to what follows a running job: see ``Job.append_to_chain``."""
        extend(self, delivery, listed(jobs), at_end=at_end)

    def listen(self, event: type[EventType], listener: Listener[EventType]) -> Callable[[], None]:
        """Call ``listener`` with every event of that class; gives a function that ends it."""
        return self.events.listen(event, listener)

    def _guard(self, driver: Driver) -> None:
        """Refuse a push to a real connection while a test has taken over the process, or tests are to do so."""
        if current.let_through.get():
            return
        override = current.overridden()
        if override is None and driver.shared and (why := current.refusal()):
            raise QcoreError(why)
        if override is not None and override is not self and (driver.shared or override.takes_all):
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

    def sync_queue(self) -> Queue:
        """Give a connection that runs in the caller what it is given."""
        return self._sync_queue("sync", SyncDriver(self.clock))

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
            watch=SignalWatch(
                self.signals,
                self.events,
                worker=options.name,
                connection=queue.name,
                queues=options.queues,
                force=options.force,
            ),
            events=self.events,
            clock=self.clock,
            options=options,
        )

    @property
    def signals(self) -> WorkerSignals:
        """What all workers are told: restart, pause and resume, maintenance."""
        return self._signals

    @property
    def failed(self) -> FailedJobs:
        """The failed jobs: list, find, retry, forget, flush, prune."""
        return FailedJobs(
            self.connections.failed_store,
            store=lambda: self.connections.store,
            connection=self.connection,
            codec=self.job_codec,
            clock=self.clock,
            events=self.events,
            batches=self.connections.batch_store,
        )

    @property
    def batches(self) -> Batches:
        """The batches: find, list, prune."""
        from qcore.dispatched_batch import Batches  # few processes ask for them

        names = (self.config.default, *self.config.connections)
        return Batches(self, names, self.connections.batch_store)

    def batch_store(self, connection: str) -> BatchStore:
        """Give the store of the batches of a connection.

        :raises UnsupportedError: when its driver cannot have batches.
        """
        return self.batches.store(connection)

    def find_batch(self, batch_id: str, *, connection: str | None = None) -> Batch | None:
        """Look a batch up by its id; without a ``connection`` on the default one, and then on the others."""
        return self.batches.find(batch_id, connection=connection)

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
        queue = Queue(
            name,
            driver,
            default_queue=self.connections.queue(name),
            codec=self.job_codec,
            clock=self.clock,
            events=self.events,
            hooks=self.hooks,
            locks=self._locks(name, driver),
        )
        queue.after_commit = self.connections.waits_for_commits(name)
        return queue

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
            driver=driver,
            failed=failed,
            follow_ups=self._follow_ups(name, driver),
            events=self.events,
            clock=self.clock,
            redactor=self.redactor,
        )
        return Runner(
            connection=name,
            driver=driver,
            codec=self.job_codec,
            tools=Tools(
                self.clock,
                self.events,
                lambda: self.connections.store,
                self.limiters,
                in_place=defaults.errors_are_final,
                driver=driver,
            ),
            pipeline=Pipeline(
                self.middleware,
                self.provider,
                self.codec,
                self._locks(name, driver),
                partial(arguments, codec=self.job_codec),
            ),
            settlement=settlement,
            time_limit=time_limit,
            defaults=defaults,
            enter=lambda: current.enter(self),
        )

    def _locks(self, name: str, driver: Driver) -> UniqueLocks:
        return UniqueLocks(name, driver, store=lambda: self.connections.store, clock=self.clock, events=self.events)

    def _follow_ups(self, name: str, driver: Driver) -> FollowUps:
        return FollowUps(
            connection=name,
            driver=driver,
            locks=self._locks(name, driver),
            clock=self.clock,
            events=self.events,
            redactor=self.redactor,
            push_elsewhere=lambda connection, push: self.connection(connection).send([(push, None)], quietly=True),
            batches=lambda: self.connections.batch_store(name),
        )


def _payload_limits(config: Config) -> dict[str, int]:
    limits = dict(config.payload)
    wrong = {name: value for name, value in limits.items() if type(value) is not int or value < 1}
    if wrong:
        message = f"{config.source}: [payload] takes whole numbers above 0, got {wrong}"
        raise ConfigError(message)
    return limits
