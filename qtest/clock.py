"""A clock that stands still until it is told to move."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from math import isfinite
from typing import TYPE_CHECKING, Protocol

from qcore.options import timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

_NANO = 1_000_000_000
_MICRO = 1_000_000
_DAY = 86_400
_LONG = 1_000_000
"""Seconds that nobody can read as seconds any more."""

_END = 253_402_300_799 * _NANO
"""The last second that a datetime can tell."""


class Alarm(Protocol):
    """What wants to hear in a job that time has gone beyond a moment."""

    at: int
    """The moment, on the clock's ``elapsed()`` nanoseconds."""
    thread: int
    """Who is to hear it."""
    is_overdue: bool
    """True when the clock went beyond it where the alarm could not ring."""

    def ring(self) -> None:
        """Raise what ends the job."""


class FrozenClock:
    """Deterministic time: sleeping moves it, nothing else does but ``advance``, ``travel_to`` and ``tick``.

    It counts whole nanoseconds, so that a thousand steps of 0.1 s are exactly 100 s.
    """

    def __init__(self, start: float | str | datetime = 1_900_000_000.0) -> None:
        """Stand at ``start``: seconds since 1970, an aware datetime, or an ISO 8601 text with an offset."""
        self._nanoseconds = instant(start)
        self._start = self._nanoseconds
        self._lock = threading.RLock()
        self._is_on_way = False
        self.alarms: list[Alarm] = []
        """The time limits of jobs that run now, the innermost last."""
        self.followers: list[Callable[[], object]] = []
        """Called after each move: other clocks that follow this one. They must not touch the queue."""
        self.leader: Callable[[], object] | None = None
        """Called before each look: takes this clock along with one that moves it (see ``follow``)."""
        self.due: Callable[[], float | None] = _nobody_knows
        """How ``next_due`` finds out; a fake queue sets it."""
        self.on_way: Callable[[float], object] | None = None
        """Called with the destination at each instant on the way at which a job falls due; a fake queue may set it."""
        self.may_go_back: Callable[[], bool] = _never
        """Whether nothing depends on this time yet, so that the clock that leads it may take it back."""

    def now(self) -> float:
        """Tell the frozen instant, in seconds since 1970."""
        if self.leader is not None:
            self.leader()
        return self._nanoseconds / _NANO

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        if self.leader is not None:
            self.leader()
        return (self._nanoseconds - self._start) / _NANO

    @property
    def nanoseconds(self) -> int:
        """Where it stands, since 1970, without asking the clock that leads it."""
        return self._nanoseconds

    def elapsed(self) -> int:
        """Nanoseconds since this clock was made."""
        if self.leader is not None:
            self.leader()
        return self._nanoseconds - self._start

    def sleep(self, seconds: float) -> None:
        """Move on by that much at once.

        A job that sleeps beyond its time limit is ended at the instant of the limit.
        """
        self._move(max(_nanoseconds(seconds), 0))

    def wait(self, condition: threading.Condition, seconds: float) -> None:  # noqa: ARG002 - nobody else can notify
        """Move on by that much: on a frozen clock nobody else could notify meanwhile."""
        self.sleep(seconds)

    def pass_by(self, seconds: float) -> None:
        """Move on by that much without ending anybody: the timers of an event loop do that themselves."""
        with self._lock:
            self._stand_at(self.elapsed() + max(_nanoseconds(seconds), 1), is_quiet=True)

    def advance(self, seconds: float | timedelta) -> None:
        """Move on by ``seconds``; time does not go back.

        A job that moves it beyond its time limit is ended there.

        :raises ValueError: for a negative number.
        """
        nanoseconds = _nanoseconds(seconds)
        if nanoseconds < 0:
            message = f"a clock moves forward only, got {nanoseconds / _NANO:g} seconds"
            raise ValueError(message)
        if self.on_way is None:
            self._move(nanoseconds)
        else:
            self._travel(self.elapsed() + nanoseconds)

    def travel_to(self, when: float | str | datetime) -> None:
        """Move on to an instant: seconds since 1970, an aware datetime, or an ISO 8601 text with an offset.

        :raises ValueError: for an instant in the past, and for one without a time zone.
        """
        elapsed, target = self.elapsed(), instant(when) - self._start
        if target < elapsed:
            message = (
                f"a clock moves forward only, {when} is {_span(elapsed - target)} ago: "
                f"start the clock there, with FrozenClock({when!r}) or the clock= of the queue marker"
            )
            raise ValueError(message)
        self._travel(target)

    def next_due(self) -> float | None:
        """When the next job of the fake queue is due, in seconds since 1970; None when nothing waits."""
        return self.due()

    def tick(self) -> float:
        """Move on to the instant at which the next job is due, and say how many seconds that was.

        :raises LookupError: when nothing waits.
        """
        due = self.due()
        if due is None:
            message = "nothing waits, so there is no next job to move on to: advance(seconds) moves on anyway"
            raise LookupError(message)
        before = self.elapsed()
        self._travel(max(instant(due) - self._start, before))
        return (self._nanoseconds - self._start - before) / _NANO

    def follow(self, seconds: float) -> None:
        """Stand where a clock stands that leads this one, in seconds since 1970.

        It is taken back only while nothing depends on the time (``may_go_back``); ``monotonic`` never goes back.
        """
        target = instant(seconds)
        if target >= self._nanoseconds:
            self._stand_at(target - self._start)
        elif self.may_go_back():
            self.start_at(seconds)

    def start_at(self, seconds: float) -> None:
        """Begin anew at an instant, also one in the past; ``monotonic`` goes on from where it is."""
        with self._lock:
            shift = instant(seconds) - self._nanoseconds
            self._nanoseconds += shift
            self._start += shift
        self._tell()

    def _travel(self, target: int) -> None:
        self._pass_dues(target)
        self._move_to(target)

    def _pass_dues(self, target: int) -> None:
        """Stand still at each instant on the way at which a job falls due, if anybody wants that."""
        if self.on_way is None or self._is_on_way or self.alarms:
            return
        self._is_on_way = True
        try:
            while (stop := self._stop_before(target)) is not None:
                self._stand_at(stop)
                self.on_way((target + self._start) / _NANO)
        finally:
            self._is_on_way = False

    def _stop_before(self, target: int) -> int | None:
        due = self.due()
        stop = None if due is None else instant(due) - self._start
        return stop if stop is not None and self.elapsed() < stop < target else None

    def _move(self, nanoseconds: int) -> None:
        with self._lock:  # two threads that move it add up
            self._move_to(self.elapsed() + nanoseconds)

    def _move_to(self, target: int) -> None:
        while (alarm := self._alarm_before(target)) is not None:
            self._stand_at(alarm.at, rings=alarm)
            alarm.ring()
        self._stand_at(target)

    def _alarm_before(self, target: int) -> Alarm | None:
        """Find the limit of the innermost job of this thread, if it is reached before."""
        if not self.alarms:
            return None
        thread = threading.get_ident()
        innermost = next((each for each in reversed(self.alarms) if each.thread == thread), None)
        return innermost if innermost is not None and innermost.at <= target else None

    def _stand_at(self, elapsed: int, *, is_quiet: bool = False, rings: Alarm | None = None) -> None:
        with self._lock:
            target = self._start + elapsed
            if target > _END:
                message = "a clock does not go beyond the year 9999"
                raise OverflowError(message)
            self._nanoseconds = max(self._nanoseconds, target)
        if not is_quiet:
            for alarm in self.alarms:
                if alarm.at <= elapsed and alarm is not rings:
                    alarm.is_overdue = True
        self._tell()

    def _tell(self) -> None:
        for follow in tuple(self.followers):
            follow()


def instant(when: float | str | datetime) -> int:
    """Give an instant in nanoseconds since 1970, to the microsecond.

    :raises ValueError: for a datetime or a text without a time zone, for a text that is no time, for inf and nan.
    :raises TypeError: for anything else.
    """
    if isinstance(when, str):
        when = _read(when)
    if not isinstance(when, datetime) and (isinstance(when, bool) or not isinstance(when, int | float)):
        message = f"an instant is seconds since 1970, an aware datetime or a text like 2030-01-31T12:00Z, got {when!r}"
        raise TypeError(message)
    # A float tells an instant of our days to a quarter of a microsecond: what lies below is noise.
    return round(_finite(timestamp(when)) * _MICRO) * (_NANO // _MICRO)


def _nanoseconds(seconds: float | timedelta) -> int:
    if isinstance(seconds, timedelta):
        return seconds // timedelta(microseconds=1) * (_NANO // _MICRO)
    return round(_finite(seconds) * _NANO)


def _read(text: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time: write it as 2030-01-31T12:00Z"
        raise ValueError(message) from None
    if when.tzinfo is None:
        message = (
            f"{text!r} has no time zone: write {when.isoformat(timespec='minutes')}Z for UTC, or an offset as +02:00"
        )
        raise ValueError(message)
    return when


def _span(nanoseconds: int) -> str:
    seconds = nanoseconds / _NANO
    return f"{seconds:g} s" if seconds < _LONG else f"{seconds / _DAY:.1f} days"


def _finite(seconds: float) -> float:
    try:
        is_finite = isfinite(seconds)
    except TypeError:
        message = f"a clock moves by a number of seconds or a timedelta, got {seconds!r:.80}"
        raise TypeError(message) from None
    if not is_finite:
        message = f"a clock moves by a number of seconds, got {seconds!r}"
        raise ValueError(message)
    return seconds


def _never() -> bool:
    return False


def _nobody_knows() -> float | None:
    message = "this clock belongs to no fake queue: qtest.fake(clock=...) makes it known to one"
    raise LookupError(message)
