"""One delivery of a job: what the job may ask and decide while it runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING, NoReturn

from qcore.errors import ManuallyFailedError, NotRunningError
from qcore.options import Delay, seconds_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from qcore.clock import Clock
    from qcore.driver import Reservation
    from qcore.jobs import Job
    from qcore.payload import Body


class Delivery:
    """A reserved job on its way through the runner.

    ``release``, ``fail`` and ``delete`` only note the decision; the runner carries it out, once,
    when the job has returned. ``fail`` beats the others; of the others the last call counts.
    """

    __slots__ = ("_clock", "body", "connection", "deleted", "error", "job", "release_delay", "reservation")

    def __init__(self, connection: str, reservation: Reservation, clock: Clock) -> None:
        """Begin with nothing decided."""
        self.connection = connection
        self.reservation = reservation
        self.body: Body | None = None
        """The decoded payload; None as long as, or because, it could not be read."""
        self.job: Job | None = None
        """The restored job; None until it is, or because it could not be."""
        self.release_delay: float | None = None
        self.deleted = False
        self.error: BaseException | None = None
        self._clock = clock

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

    def attempts(self) -> int:
        """How often the job was reserved, this time included."""
        return self.reservation.attempts

    def release(self, delay: Delay = 0) -> None:
        """Give the job back; it is due again after ``delay``. The attempt counts."""
        self.release_delay = seconds_until(delay, self._clock.now())
        self.deleted = False

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


def context_of(delivery: Delivery, enter: Callable[[], object]) -> Context:
    """Make the context in which code of the job runs: what it sets in context variables is gone with the delivery."""
    context = copy_context()
    context.run(_current.set, delivery)
    context.run(enter)
    return context


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
