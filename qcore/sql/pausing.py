"""Looking again after pauses that grow: where nobody tells of a push."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.clock import Clock

_FIRST = 0.02
_LAST = 0.5
_GROWTH = 1.1

_AT_WORK = 0.05
"""Seconds between two waits after which somebody was not idle, and looks often again."""


class Pausing:
    """How long one thread pauses between two looks: from one wait to the next."""

    def __init__(self) -> None:
        self._pause = _FIRST
        self._waited_at = 0.0
        self._looked = False
        self.clock: Clock

    def begin(self, clock: Clock) -> None:
        """Begin to wait."""
        self.clock = clock
        self._looked = False
        if not 0 <= clock.monotonic() - self._waited_at < _AT_WORK:
            self._pause = _FIRST

    def changed(self) -> bool:
        """Tell whether it is time to look: at first, and after each pause."""
        looked, self._looked = self._looked, True
        return not looked

    def wait(self, seconds: float) -> bool:
        """Wait a little, each time longer."""
        self._looked = False
        self.clock.sleep(min(seconds, self._pause))
        self._pause = min(self._pause * _GROWTH, _LAST)
        self._waited_at = self.clock.monotonic()
        return False

    def found(self) -> None:
        """Where one job came, more may."""
        self._pause = _FIRST
