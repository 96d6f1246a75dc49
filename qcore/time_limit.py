"""How long a job may run: the port, and the limit that uses the alarm signal of the process."""

from __future__ import annotations

import faulthandler
import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from qcore.errors import ConfigError, TimeLimitReached

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

    from qcore.clock import Clock

REPEAT = 5.0
"""Seconds after which the exception is raised again in a job that swallowed it."""


class TimeLimit(Protocol):
    """Ends user code that runs too long."""

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:
        """Raise ``TimeLimitReached`` in the body after that many seconds; None or 0: never.

        A limit inside a limit takes its place until it is left.
        """


class Unlimited:
    """No limit: for threads and for tests, where no signal may be taken.

    Async jobs are cancelled at their deadline all the same, by their event loop.
    """

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:  # noqa: ARG002
        """Let the body run as long as it likes."""
        return nullcontext()


class AlarmLimit:
    """The limit of a worker process: SIGALRM, armed only while user code runs.

    The exception is raised again every few seconds until the job lets it through, so that a swallowed one
    does not switch the limit off. A job that never comes back is ended with its process, by a watchdog
    of the C runtime that works even when no Python code can run; the job's lease then brings it back.
    """

    def __init__(self, clock: Clock, *, grace: float = 10.0) -> None:
        """Take SIGALRM; ``grace`` is how many seconds over its limit a job may live before the process ends.

        :raises ConfigError: outside the main thread, where signals cannot be taken.
        """
        if threading.current_thread() is not threading.main_thread():
            message = "a time limit needs the main thread: run the worker there, or without a timeout"
            raise ConfigError(message)
        self._clock = clock
        self._deadline = 0.0
        self._watchdog = _Watchdog(clock, grace)
        signal.signal(signal.SIGALRM, self._ring)

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:
        """Arm the alarm around the body."""
        return _Alarm(self, seconds) if seconds else nullcontext()

    def arm(self, deadline: float) -> None:
        """Ring at ``deadline`` (monotonic); 0: never."""
        if deadline:
            remaining = max(deadline - self._clock.monotonic(), 0.000_001)
            self._watchdog.cover(remaining)
            self._deadline = deadline
            signal.setitimer(signal.ITIMER_REAL, remaining, REPEAT)
        else:
            self._deadline = 0.0
            signal.setitimer(signal.ITIMER_REAL, 0)

    def rest(self) -> None:
        """Say that no job runs for a while, so that the watchdog does not take waiting for hanging."""
        self._watchdog.stop()

    def _ring(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self._deadline:
            raise TimeLimitReached

    @property
    def deadline(self) -> float:
        """When the alarm rings (monotonic); 0: never."""
        return self._deadline


class _Alarm:
    __slots__ = ("_limit", "_outer", "_seconds")

    def __init__(self, limit: AlarmLimit, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._outer = 0.0

    def __enter__(self) -> Self:
        self._outer = self._limit.deadline
        self._limit.arm(self._limit._clock.monotonic() + self._seconds)  # noqa: SLF001 - one object in two parts
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limit._deadline = 0.0  # noqa: SLF001 - first, so that an alarm on its way is not raised from here
        self._limit.arm(self._outer)


class _Watchdog:
    """Ends the process when a job outlives its limit by the grace time.

    Starting the C runtime's timer costs a thread, so it is set for longer than needed and moved only
    when a job would reach beyond it: once in many jobs.
    """

    def __init__(self, clock: Clock, grace: float) -> None:
        self._clock = clock
        self._grace = grace
        self._fires_at = 0.0

    def cover(self, seconds: float) -> None:
        needed = self._clock.monotonic() + seconds + self._grace
        if needed > self._fires_at:
            self._fires_at = needed + max(seconds, self._grace)
            faulthandler.dump_traceback_later(self._fires_at - self._clock.monotonic(), exit=True)

    def stop(self) -> None:
        if self._fires_at:
            self._fires_at = 0.0
            faulthandler.cancel_dump_traceback_later()
