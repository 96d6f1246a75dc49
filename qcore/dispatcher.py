"""The push side of all connections: which one a job goes to, and with which options."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from qcore.closures import Dispatchable, as_job
from qcore.errors import JobDefinitionError
from qcore.handlers import HandlerCall, call_of, options_of
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions, Name, checked_name, job_options, said
from qcore.queue import Hooks
from qcore.rate_limits import AsksLimiter, checked_limiter, found
from qcore.response import current_response
from qcore.sealing import NEVER_PICKLED
from qcore.transactions import Later, Transactions, both

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from qcore.batches import BatchStore
    from qcore.clock import Clock
    from qcore.codec import Codec
    from qcore.driver import Push
    from qcore.events import Events
    from qcore.failed_jobs import FailedJobs
    from qcore.injection import Provider
    from qcore.layers import Layer
    from qcore.links import Link
    from qcore.queue import Queue
    from qcore.rate_limits import Limiter
    from qcore.response import Response
    from qcore.transactions import PushSide, Transaction


class Dispatcher:
    """What an App can be asked to push."""

    clock: Clock
    events: Events
    codec: Codec
    """Keeps payloads within their limits."""
    provider: Provider
    """Gives handlers what they ask for by type."""
    middleware: list[Layer]
    takes_all = False
    """While it has taken over the process: whether a push to another App is refused although it would stay here."""

    def __init__(self) -> None:
        """Begin without routes and hooks."""
        self.hooks = Hooks()
        self._routes: dict[type[Job], JobOptions] = {}
        self._transactions = Transactions()
        self.limiters: dict[str, Limiter] = {}
        """The limiters of this App alone, by name; see ``limiter()``."""

    def equip(self, other: Dispatcher) -> None:
        """Give another one what was said to this one; from then on neither hears what is said to the other."""
        for mine, others in zip(self.said(), other.said(), strict=True):
            others.extend(mine) if isinstance(others, list) else others.update(mine)
        self.events.copy_to(other.events)

    def said(self) -> list[Any]:
        """Everything that was said to this one but listeners: the lists and tables themselves."""
        return [
            self.hooks.before_push,
            self.hooks.payload,
            self._routes,
            self.limiters,
            self._transactions.sources,
            self.middleware,
            self.provider.factories,
            self.provider.handlers,
        ]

    @contextmanager
    def taking(self, pending: object) -> Iterator[Any]:  # noqa: ARG002 - a test looks at it
        """Give who dispatches a chain or a batch: this one; a test may let some through to another."""
        yield self

    def lets_through(self, app: Dispatcher) -> bool:  # noqa: ARG002 - a test looks at it
        """Tell whether some of what is dispatched goes to ``app`` while this one has taken over the process."""
        return False

    def __reduce__(self) -> NoReturn:
        """Refuse to be captured by a closure, before something of it does that says less."""
        raise TypeError(NEVER_PICKLED)

    def connection(self, name: str | None = None) -> Queue:
        """Give the push side of a connection, the default one if none is named."""
        raise NotImplementedError

    def sync_queue(self) -> Queue:
        """Give a connection that runs in the caller what it is given."""
        raise NotImplementedError

    def batch_store(self, connection: str) -> BatchStore:
        """Give the store of the batches of a connection.

        :raises UnsupportedError: when its driver cannot have batches.
        """
        raise NotImplementedError

    @property
    def failed(self) -> FailedJobs:
        """The failed jobs."""
        raise NotImplementedError

    def push(self, job: Dispatchable, options: JobOptions = UNSET) -> str | None:
        """Push a job; what ``job.dispatch()`` comes down to.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        if not isinstance(job, Job):
            job, options = _said(job, options)
        options = self.complete(job, options)
        queue = self.connection(options.connection)
        if options.after_commit is None and options.within is None and not queue.after_commit:
            return queue.push(job, options)
        return _sent(self.side(queue, options), job, options)

    def side(self, queue: Queue, options: JobOptions, response: Response | None = None) -> PushSide:
        """Give a queue as the options want it: as it is, as part of a transaction, or waiting for one.

        :raises ConfigError, UnsupportedError: when it can be no part of that transaction.
        """
        if options.within is not None:
            return queue.joined(options.within)
        transaction = self.waited_for(queue, options, response)
        return queue if transaction is None else Later(queue, transaction, self.clock)

    def waited_for(self, queue: Queue, options: JobOptions, response: Response | None = None) -> Transaction | None:
        """Give what a push waits for: a transaction that is open, a response, or nothing.

        :raises JobDefinitionError: when it is told to wait for something that is no session.
        """
        return both(self._transactions.waited_for(_waits(queue, options)), response)

    def dispatch(self, job: Dispatchable, **options: Any) -> str | None:
        """Push a job, or a plain function, and give its id; None when it was not pushed on purpose.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        return self.push(*_said(job, said(options)))

    def push_data(self, handler: str, data: object = None, **options: Any) -> str | None:
        """Push raw data for a handler class, by its name: ``"app.jobs.Import"`` or ``"app.jobs.Import@method"``.

        :raises JobDefinitionError: when there is no such handler.
        :raises PayloadError: when the data is more than plain JSON; nothing is pushed then.
        """
        return self.push(call_of(handler, data), said(options))

    def bulk(self, jobs: Iterable[Dispatchable], **options: Any) -> list[str]:
        """Push many jobs, each connection's in one step where its driver can; give their ids.

        :raises PayloadError: when the state of any cannot be written; none is pushed then.
        """
        call, ids = said(options), []
        groups: dict[tuple[str, int, int], tuple[PushSide, list[tuple[Push, Job]]]] = {}
        for each in jobs:
            job, given = _said(each, call)
            complete = self.complete(job, given)
            queue = self.connection(complete.connection)
            key = queue.name, id(_waits(queue, complete)), id(complete.within)
            if key not in groups:
                groups[key] = self.side(queue, complete), []
            side, group = groups[key]
            push = side.prepare(job, complete)
            if push is not None:
                ids.append(push.payload.id)
                group.append((push, job))
        sent = {job_id for side, group in groups.values() if group for job_id in side.send(group)}
        return [job_id for job_id in ids if job_id in sent]

    def dispatch_sync(self, job: Dispatchable) -> str | None:
        """Run a job here and now, payload round trip included; its exception is raised here."""
        bare, options = self._in_place(job)
        return self.sync_queue().push(bare, options)

    def dispatch_after_response(self, job: Dispatchable) -> str | None:
        """Run a job in this process when the response has gone, and give its id; at once when there is no response.

        A unique job takes its lock now, and None is given when it is taken.

        :raises PayloadError: when its state cannot be written.
        """
        bare, options = self._in_place(job)
        return _sent(self.side(self.sync_queue(), options, current_response()), bare, options)

    def _in_place(self, job: Dispatchable) -> tuple[Job, JobOptions]:
        bare, given = _said(job, UNSET)
        if given.within is not None:
            message = "within= writes a job into a queue, and this one is run here: dispatch() it, or leave it away"
            raise JobDefinitionError(message)
        return bare, self.complete(bare, given)

    def transactions(self, source: Callable[[], object]) -> None:
        """Say how to find the transaction in force: ``source()`` gives a session, or None when there is none.

        ``after_commit=True`` waits for the first one that is open. Those of Django are found without a source.

        :raises ConfigError: when it cannot be called, or makes a new session whenever it is.
        """
        self._transactions.add_source(source)

    def find_transactions_with(self, found_by: Transactions) -> Transactions:
        """Let something else find what pushes wait for, as a test does; gives what has found it until now."""
        before, self._transactions = self._transactions, found_by
        return before

    def route(self, job_class: object, *, queue: Name | None = None, connection: Name | None = None) -> None:
        """Send jobs of a class, and of its subclasses, to a queue or connection.

        What the class itself or the call says beats the route.
        """
        target = getattr(job_class, "job_class", job_class)
        if not (isinstance(target, type) and issubclass(target, Job)):
            message = f"route() takes a job class or a job function, got {job_class!r}"
            raise JobDefinitionError(message)
        self._routes[target] = job_options(queue=queue, connection=connection).over(self._routes.get(target, UNSET))

    def routed(self, job: Job) -> JobOptions:
        """Give the queue and the connection that routes choose for a job, those of its own class before others."""
        options = UNSET
        for base in type(job).__mro__ if self._routes else ():
            options = options.over(self._routes.get(base, UNSET))
        return options

    def limiter(self, name: Name, rule: Limiter) -> None:
        """Make a limiter known to this App, for ``RateLimited(name)``: ``rule(job)`` gives a ``Limit`` or several.

        It beats one that was made for all Apps by ``qcore.limiter(name, rule)``.

        :raises ConfigError: when the rule is no function of the job.
        """
        self.limiters[checked_name(name, "limiter")] = checked_limiter(rule, name)

    def before_push(self, hook: Callable[[Job, str, str], object]) -> None:
        """Call ``hook(job, connection, queue)`` before each push; when it returns False nothing is pushed."""
        self.hooks.before_push.append(hook)

    def payload_using(self, hook: Callable[[str, str, dict[str, Any]], dict[str, Any] | None]) -> None:
        """Add what ``hook(connection, queue, body)`` returns to the body of each payload."""
        self.hooks.payload.append(hook)

    def link(
        self,
        job: Dispatchable,
        wide: JobOptions = UNSET,
        *,
        forced: JobOptions = UNSET,
        job_id: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> Link | None:
        """Write a job as a link of a chain, or as a callback; None when a hook or the job itself dropped it.

        ``wide`` are options for jobs that say nothing themselves, ``forced`` beat whatever a job says.

        :raises PayloadError: when its state cannot be written.
        """
        bare, call = _said(job, UNSET)
        options = self.complete(bare, forced.over(call), wide)
        return self.connection(options.connection).link(bare, options, job_id, fields=fields)

    def complete(self, job: Job, call: JobOptions, wide: JobOptions = UNSET) -> JobOptions:
        """Give the options of a push: the call's over the class's over those of many jobs over the route's."""
        options = call.over(type(job).__job__.options)
        if isinstance(job, HandlerCall):
            options = options.over(options_of(job))
        if wide is not UNSET:
            options = options.over(wide)
        if self._routes:
            options = options.over(self.routed(job))
        if options.middleware:
            self._refuse_unknown_limiters(options.middleware, options.connection)
        return options

    def _refuse_unknown_limiters(self, layers: Iterable[Layer], connection: str | None) -> None:
        # What this process runs itself it has to know; what others know is seen when they run it.
        if not self.connection(connection).driver.shared:
            for layer in layers:
                if isinstance(layer, AsksLimiter):
                    found(layer.name, self.limiters)


def _waits(queue: Queue, options: JobOptions) -> object:
    return queue.after_commit if options.after_commit is None else options.after_commit


def _sent(side: PushSide, job: Job, options: JobOptions) -> str | None:
    push = side.prepare(job, options)
    return push.payload.id if push is not None and side.send([(push, job)]) else None


def _said(job: Dispatchable, call: JobOptions) -> tuple[Job, JobOptions]:
    given = as_job(job)
    if isinstance(given, Prepared):
        return given.job, call.over(given.options)
    return given, call
