"""Time. Nothing else in qcore reads the clock or waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Clock(Protocol):
    """The one source of time: what it is, and how to wait.

    All times are seconds. A clock that could tell the time but not wait would leave
    every loop untestable, so both are here.
    """

    def now(self) -> float:
        """Seconds since 1970-01-01T00:00Z."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Wait that long. Zero and negative values return at once."""

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait until the held condition is notified, at most that long."""


class SystemClock:
    """The clock of the machine."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def sleep(self, seconds: float) -> None:
        """Wait that long in real time."""
        if seconds > 0:
            time.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait for a notification in real time."""
        condition.wait(max(seconds, 0.0))


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, rounded up: what is due then is never due early.

    The unit in which drivers keep instants: integers compare the same everywhere.
    """
    # Rounding to microseconds first: 0.07 * 1000 is 70.00000000000001, and must not become 71.
    return -int(-round(seconds * 1_000_000) // 1000)
