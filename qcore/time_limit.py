"""How long a job may run: the port, and the limit that uses the alarm signal of the process."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Protocol

from qcore.errors import ConfigError, TimeLimitReached

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Self

    from qcore.clock import Clock

REPEAT = 5.0
"""Seconds after which the exception is raised again in a job that swallowed it."""

_LONGEST = 1e8
"""Three years: no timer of the system takes much more."""

_SLACK = 4
"""Times the grace that the watchdog is set for longer."""

_SHORTLY = 0.002
"""Seconds after which to try again what was not possible now."""

_OURS = ("qcore.time_limit", "qcore.drivers.", "qcore.stores.", "qcore.memory", "qcore.sql.")
"""Code that a job may call but that is none of its own: interrupted halfway, a queue would be damaged."""


class TimeLimit(Protocol):
    """Ends user code that runs too long."""

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:
        """Raise ``TimeLimitReached`` in the body after that many seconds; None or 0: never.

        A limit inside a limit takes its place until it is left. Who raises names itself as the argument of the
        exception, so that a job that runs another one in place can be told from it.
        """

    def rest(self) -> None:
        """Hear that no job runs for a while."""


class Unlimited:
    """No limit: for threads and for tests, where no signal may be taken.

    Async jobs are cancelled at their deadline all the same, by their event loop.
    """

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:  # noqa: ARG002
        """Let the body run as long as it likes."""
        return nullcontext()

    def rest(self) -> None:
        """Do nothing: nothing is armed."""


class AlarmLimit:
    """The limit of a worker process: SIGALRM, armed only while user code runs.

    The exception is raised again every few seconds until the job lets it through, so that a swallowed one
    does not switch the limit off. A job that lives on for ``grace`` seconds all the same is ended with its
    process, by a watchdog of the C runtime that works even when no Python code can run (then after five times
    that long); the job's lease brings it back.
    """

    def __init__(self, clock: Clock, *, grace: float = 10.0) -> None:
        """Take SIGALRM; ``grace`` is how many seconds over its limit a job may live before the process ends.

        :raises ConfigError: outside the main thread, where signals cannot be taken.
        """
        if threading.current_thread() is not threading.main_thread():
            message = "a time limit needs the main thread: run the worker there, or without a timeout"
            raise ConfigError(message)
        self._clock = clock
        self._watchdog = _Watchdog(clock, grace)
        self._handler = self._ring  # one object, to be known again
        self.deadline = 0.0
        """When the alarm rings (monotonic); 0: never."""
        signal.signal(signal.SIGALRM, self._handler)

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:
        """Arm the alarm around the body."""
        if seconds:
            return _Alarm(self, seconds)
        if not self.deadline:
            self._watchdog.stop()  # set for a job before this one, which has no limit
        return nullcontext()

    def arm(self, seconds: float) -> None:
        """Ring in so many seconds."""
        seconds = min(seconds, _LONGEST)
        deadline = self._clock.monotonic() + seconds
        if self._watchdog.cover(deadline):
            self._take_back()
        self.deadline = deadline
        signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT)

    def disarm(self, outer: float) -> None:
        """Ring no more, or at the deadline of the body around this one."""
        self.deadline = 0.0
        _, repeat = signal.setitimer(signal.ITIMER_REAL, 0)
        if repeat != REPEAT:
            self._take_back()  # somebody else has set this timer
        if self._watchdog.is_exact:
            self._watchdog.stop()
        if outer:
            self.arm(max(outer - self._clock.monotonic(), _SHORTLY))
            self.deadline = outer

    def rest(self) -> None:
        """Put the watchdog to sleep, so that it does not take waiting for hanging."""
        self._watchdog.stop()

    def _take_back(self) -> None:
        """Take SIGALRM again if a job took it: asking costs too much to do it for every job."""
        if signal.getsignal(signal.SIGALRM) is not self._handler:
            signal.signal(signal.SIGALRM, self._handler)

    def _ring(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if not self.deadline:
            return  # it was on its way when the limit was lifted
        early = self.deadline - self._clock.monotonic()
        if early > 0 or _in_our_code(frame):
            signal.setitimer(signal.ITIMER_REAL, max(early, _SHORTLY), REPEAT)
            return
        self._watchdog.expect_the_end()
        raise TimeLimitReached(self)

    def __repr__(self) -> str:
        """Say who raised: this is the text of the exception."""
        return "the alarm of this process rang"


def _in_our_code(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(_OURS):
            return True
        frame = frame.f_back
    return False


class _Alarm:
    __slots__ = ("_limit", "_outer", "_seconds")

    def __init__(self, limit: AlarmLimit, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._outer = 0.0

    # No alarm is raised from these two: the limit knows its own code.

    def __enter__(self) -> Self:
        self._outer = self._limit.deadline
        self._limit.arm(self._seconds)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._limit.disarm(self._outer)


class _Watchdog:
    """Ends the process when a job outlives its limit by the grace time.

    Starting the C runtime's timer costs as much as two jobs. So it is set for longer than needed, and moved when a
    job would reach beyond it: once in many jobs. What lies between two jobs, a wait for a locked database, must fit
    into the rest. Once a limit was reached the timer is set exactly.
    """

    def __init__(self, clock: Clock, grace: float) -> None:
        self.is_exact = False
        """True from the moment at which a limit was reached until it is lifted."""
        self._clock = clock
        self._grace = grace
        self._slack = _SLACK * grace
        self._fires_at = 0.0

    def cover(self, deadline: float) -> bool:
        """Give a job its time, and what follows it too; True when the timer had to be moved."""
        needed = deadline + self._slack
        if needed <= self._fires_at:
            return False
        self._fire_at(needed + self._grace)
        return True

    def expect_the_end(self) -> None:
        """Fire when the job is not over after the grace time; it was told to end."""
        if not self.is_exact:
            self._fire_at(self._clock.monotonic() + self._grace)
            self.is_exact = True

    def stop(self) -> None:
        self.is_exact = False
        if self._fires_at:
            self._fires_at = 0.0
            faulthandler.cancel_dump_traceback_later()

    def _fire_at(self, moment: float) -> None:
        self._fires_at = moment
        faulthandler.dump_traceback_later(max(moment - self._clock.monotonic(), 0.001), exit=True, file=_stderr())


@cache
def _stderr() -> int:
    """A file descriptor of our own: a job may close or replace the other, and then 2 could be anybody's file."""
    try:
        return os.dup(2)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
