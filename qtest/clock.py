"""A clock that stands still until it is told to move."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

_NANO = 1_000_000_000


class FrozenClock:
    """Deterministic time: sleeping moves it, nothing else does but ``advance``.

    It counts whole nanoseconds, so that a thousand steps of 0.1 s are exactly 100 s.
    """

    def __init__(self, start: float = 1_900_000_000.0) -> None:
        """Stand at ``start``, in seconds since 1970."""
        self._nanoseconds = round(start * _NANO)
        self._start = self._nanoseconds

    def now(self) -> float:
        """Tell the frozen instant, in seconds since 1970."""
        return self._nanoseconds / _NANO

    def monotonic(self) -> float:
        """Seconds since this clock was made."""
        return (self._nanoseconds - self._start) / _NANO

    def sleep(self, seconds: float) -> None:
        """Move on by that much at once."""
        self.advance(max(seconds, 0))

    def wait(self, condition: threading.Condition, seconds: float) -> None:  # noqa: ARG002 - nobody else can notify
        """Move on by that much: on a frozen clock nobody else could notify meanwhile."""
        self.advance(max(seconds, 0))

    def advance(self, seconds: float) -> None:
        """Move on by ``seconds``; a negative number is refused, time does not go back."""
        if seconds < 0:
            message = f"a clock moves forward only, got {seconds} seconds"
            raise ValueError(message)
        self._nanoseconds += round(seconds * _NANO)
