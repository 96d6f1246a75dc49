"""One delivery of a job: what the job may ask and decide while it runs."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from qcore import current
from qcore.driver import Findable
from qcore.errors import ManuallyFailedError, NotRunningError
from qcore.options import Delay, seconds_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextvars import Context

    from qcore.clock import Clock
    from qcore.dispatched_batch import Batch
    from qcore.driver import Driver, Reservation
    from qcore.events import Events
    from qcore.jobs import Job
    from qcore.links import Chain
    from qcore.payload import Body
    from qcore.store import Store


class Delivery:
    """A reserved job on its way through the runner.

    ``release``, ``fail`` and ``delete`` only note the decision; the runner carries it out, once,
    when the job has returned. ``fail`` beats the others; of the others the last call counts.
    """

    __slots__ = (
        "added",
        "blocked_by",
        "body",
        "chain",
        "connection",
        "counted",
        "deleted",
        "error",
        "has_begun",
        "in_middleware",
        "job",
        "release_delay",
        "reservation",
        "timeout",
        "tools",
    )

    def __init__(self, connection: str, reservation: Reservation, tools: Tools) -> None:
        """Begin with nothing decided."""
        self.connection = connection
        self.reservation = reservation
        self.body: Body | None = None
        """The decoded payload; None as long as, or because, it could not be read."""
        self.job: Job | None = None
        """The restored job; None until it is, or because it could not be."""
        self.tools = tools
        self.added = 0
        """How many members the job has added to batches in this attempt."""
        self.timeout: float = 0
        """Seconds that the attempt may take; 0: without limit. Known when the job is restored."""
        self.blocked_by = ""
        """Which middleware kept the job from running, as ``JobBlocked`` tells it; empty when none did."""
        self.has_begun = False
        """True from the moment at which the handler is called, behind all middleware."""
        self.in_middleware = False
        """True from the first middleware on, until the handler is called."""
        self.release_delay: float | None = None
        self.counted = True
        """False when a release gives the attempt back."""
        self.deleted = False
        self.error: BaseException | None = None
        self.chain: Chain | None = None
        """What follows the job when it has succeeded; None at the end of a chain, or without one."""

    @property
    def id(self) -> str:
        """The id of the job, the same in every attempt and after a retry."""
        return self.reservation.payload.id

    @property
    def queue(self) -> str:
        """The queue it was reserved from."""
        return self.reservation.queue

    @property
    def name(self) -> str:
        """What to call the job in front of people."""
        return self.body.display_name if self.body else "(unreadable payload)"

    @property
    def raw_body(self) -> bytes:
        """The payload, byte for byte."""
        return self.reservation.payload.body

    @property
    def batch_id(self) -> str | None:
        """The batch that the job is a member of, or whose callback it is."""
        if self.body is None:
            return None
        raw = self.body.raw
        found: str | None = raw.get("batchId") or (raw.get("callback") or {}).get("batch")
        return found

    def batch(self) -> Batch | None:
        """Give the batch that the job is a member of, or whose callback it is, as it is now; None without one."""
        batch_id = self.batch_id
        return None if batch_id is None else current.app().find_batch(batch_id, connection=self.connection)

    def prepend_to_chain(self, *jobs: object) -> None:
        """Let jobs run right after this one, before what follows it already; they keep their order.

        They are pushed when this job succeeds. A job that is released or fails leaves its chain as it was.

        :raises JobDefinitionError: for what cannot be a link.
        :raises PayloadError: when one cannot be written, or the chain is too long then.
        """
        current.app().extend_chain(self, jobs, at_end=False)

    def append_to_chain(self, *jobs: object) -> None:
        """Let jobs run after all that follows this one; see ``prepend_to_chain``."""
        current.app().extend_chain(self, jobs, at_end=True)

    # The names of think-queue for the same things.

    def get_name(self) -> str:
        """What to call the job in front of people."""
        return self.name

    def get_queue(self) -> str:
        """The queue it was reserved from."""
        return self.queue

    def get_raw_body(self) -> str:
        """The payload as JSON text."""
        return self.raw_body.decode("utf-8", "replace")

    def is_deleted(self) -> bool:
        """Whether it ends after this attempt."""
        return self.deleted

    def attempts(self) -> int:
        """How often the job was reserved, this time included."""
        return self.reservation.attempts

    def release(self, delay: Delay = 0) -> None:
        """Give the job back; it is due again after ``delay``.

        The attempt counts, but for a middleware that releases the job before its handler was called.
        """
        self.release_delay = seconds_until(delay, self.tools.clock.now())
        self.counted = not self.in_middleware
        self.deleted = False

    def block(self, by: object, delay: Delay | None) -> None:
        """Keep the job from running now, in the name of a middleware: ``JobBlocked`` tells who, and for how long.

        It is released for ``delay``, and the attempt is given back even when the handler has run; with None the job
        ends here as if it had succeeded.
        """
        if delay is None:
            self.delete()
        else:
            self.release(delay)
            self.counted = False
        self.blocked_by = by if isinstance(by, str) else type(by).__name__
        from qcore.events import JobBlocked  # 10 ms that code which only dispatches does not pay

        if self.tools.events.wants(JobBlocked):
            self.tools.events.emit(JobBlocked(self, self.blocked_by, self.release_delay))

    def delete(self) -> None:
        """End the job after this attempt, whatever happens: it is not tried again."""
        self.deleted = True
        self.release_delay = None

    def fail(self, error: BaseException | str | None = None) -> None:
        """Fail the job for good. The code after this call still runs.

        :raises TypeError: when ``error`` is neither an exception nor a text.
        """
        given: object = error
        if given is None or isinstance(given, str):
            given = ManuallyFailedError(given or f"{self.name} was failed by itself")
        if not isinstance(given, BaseException):
            message = f"fail() takes an exception, a text or nothing, got {given!r}"
            raise TypeError(message)
        self.error = given


class Tools(NamedTuple):
    """What a middleware may use beside the delivery it wraps."""

    clock: Clock
    events: Events
    store: Callable[[], Store]
    """Gives the store of locks and counters."""
    limiters: Mapping[str, Callable[[Job], object]]
    """The limiters of the App, by name: see ``App.limiter``."""
    in_place: bool = False
    """True when jobs are run by the code that dispatched them, which waits until they have ended."""
    driver: Driver | None = None
    """Where the jobs of the connection are; None outside of a worker."""

    def finder(self) -> Callable[[str], object] | None:
        """Give what looks a job up by its id, for those who see its name in the store.

        None when nothing can, or when the store lives in another backend: its names may be of jobs that are elsewhere.
        """
        driver: Any = self.driver
        if driver is None or driver.home is not self.store().home:
            return None
        return driver.find if isinstance(driver, Findable) else None


_current: ContextVar[Delivery | None] = ContextVar("qcore_delivery", default=None)


def current_delivery() -> Delivery:
    """Give the delivery that is running here: for function jobs and code called by a job.

    :raises NotRunningError: outside a running job.
    """
    delivery = _current.get()
    if delivery is None:
        message = "no job is running here: only code called by a running job can ask for its delivery"
        raise NotRunningError(message)
    return delivery


def running() -> Delivery | None:
    """Give the delivery that is running here; None outside a running job."""
    return _current.get()


def context_of(delivery: Delivery, enter: Callable[[], object]) -> Context:
    """Make the context in which code of the job runs: what it sets in context variables is gone with the delivery."""
    context = copy_context()
    context.run(_current.set, delivery)
    context.run(enter)
    return context


@contextmanager
def entered(delivery: Delivery) -> Iterator[Delivery]:
    """Let code in this context ask for the delivery as if a worker ran it."""
    token = _current.set(delivery)
    try:
        yield delivery
    finally:
        _current.reset(token)


def of(job: Job) -> Delivery | None:
    """Give the delivery of that very job, None when it is not being run."""
    delivery = _current.get()
    return delivery if delivery is not None and delivery.job is job else None


def end_forked_process() -> NoReturn:
    """End a process that the job forked, as it would have ended without us: only its parent settles the job."""
    error = sys.exception()
    code: object = 0
    if isinstance(error, SystemExit):
        code = error.code or 0
    elif error is not None:
        sys.excepthook(type(error), error, error.__traceback__)
        code = 1
    if not isinstance(code, int):
        print(code, file=sys.stderr)  # noqa: T201 - as sys.exit("text") does
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # it may be closed, or none at all
            stream.flush()
    # Not sys.exit(): what the worker registered for its own end is none of the child's business.
    os._exit(code)
