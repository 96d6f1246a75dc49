"""A transaction of a test: what waits for its commit is held until the test says how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.transactions import run_all

if TYPE_CHECKING:
    from collections.abc import Callable


class FakeTransaction:
    """Something that will be over when the test says so."""

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self.origin: object = self
        """It is known by nothing but itself."""
        self._waiting: list[tuple[Callable[[], object], Callable[[], object]]] = []

    def when_over(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        """Call one of the two, once."""
        self._waiting.append((commit, rollback))

    def end(self, *, commit: bool) -> None:
        """Be over."""
        waiting, self._waiting = self._waiting, []
        run_all([both[0] if commit else both[1] for both in waiting])
