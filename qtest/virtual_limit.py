"""The time limit of jobs under a frozen clock: virtual seconds, and no signal."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qcore.delivery import running
from qcore.errors import TimeLimitReached
from qcore.time_limit import REPEAT, _in_our_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from qtest.clock import FrozenClock

_NANO = 1_000_000_000


class VirtualLimit:
    """Ends a job that lets the clock move on beyond its limit, at the very instant of the limit.

    The clock moves in a sleep of the job, or when the job moves it: then the exception is raised right there. When it
    was moved elsewhere, by another thread or through freezegun, the job is ended when it would have returned.
    A job that swallows the exception is told again, as by a real worker.
    """

    def __init__(self, clock: FrozenClock) -> None:
        """Take the clock."""
        self.clock = clock

    def enforce(self, seconds: float | None) -> AbstractContextManager[object]:
        """Raise ``TimeLimitReached`` in the body after that many seconds; None or 0: never."""
        return _Body(self, seconds or 0)

    def rest(self) -> None:
        """Do nothing: no timer runs."""

    def __repr__(self) -> str:
        """Say who raised: this is the text of the exception."""
        return "the time limit was reached on the frozen clock"


class _AtWork(threading.local):
    """On which clocks this thread runs jobs, the innermost last."""

    def __init__(self) -> None:
        self.clocks: list[FrozenClock] = []


_at_work = _AtWork()


def clock_at_work() -> FrozenClock | None:
    """Give the clock of the limit under which this thread runs user code, None when it runs none."""
    return _at_work.clocks[-1] if _at_work.clocks else None


@contextmanager
def alarm_on(clock: FrozenClock, thread: int) -> Iterator[None]:
    """Let the limit that was set here ring in another thread, in which the code runs inside of the block."""
    here = threading.get_ident()
    mine = next((each for each in reversed(clock.alarms) if isinstance(each, _Body) and each.thread == here), None)
    if mine is None:
        yield
        return
    mine.thread, mine.is_away = thread, True
    try:
        yield
    finally:
        mine.thread, mine.is_away = here, False


class _Body:
    """One piece of user code under its limit."""

    __slots__ = ("_limit", "_seconds", "at", "is_away", "is_overdue", "thread")

    def __init__(self, limit: VirtualLimit, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self.at = 0
        self.thread = 0
        self.is_away = False
        """True while the code runs in another thread, which does other things, too."""
        self.is_overdue = False

    def __enter__(self) -> Self:
        clock = self._limit.clock
        _at_work.clocks.append(clock)
        if self._seconds:
            self.thread = threading.get_ident()
            self.at = clock.elapsed() + round(self._seconds * _NANO)
            clock.alarms.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        clock = self._limit.clock
        if self._seconds:
            clock.elapsed()  # freezegun may have been moved by the last line
            clock.alarms.remove(self)
        _at_work.clocks.pop()
        if self.is_overdue and error is None:
            raise TimeLimitReached(self._limit)

    def ring(self) -> None:
        """Raise in the job, but not halfway through a driver or a store: these are none of its code."""
        self.at += round(REPEAT * _NANO)
        somebody_else = self.is_away and running() is None
        if somebody_else or _in_our_code(sys._getframe(1)):  # noqa: SLF001 - there is no other way to know
            self.is_overdue = True
            return
        self.is_overdue = False
        raise TimeLimitReached(self._limit)
