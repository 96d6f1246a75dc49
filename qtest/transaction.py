"""A transaction of a test: what waits for its commit is held until the test says how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.transactions import run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from qcore.transactions import Transaction


class FakeTransaction:
    """Something that will be over when the test says so."""

    def __init__(self, outer: Transaction | None = None) -> None:
        """Begin with nobody waiting; ``outer`` is the one that was open before."""
        self._outer = outer
        self.origin: object = self
        """It is known by nothing but itself."""
        self._waiting: list[tuple[Callable[[], object], Callable[[], object]]] = []

    def when_over(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        """Call one of the two, once."""
        self._waiting.append((commit, rollback))

    def end(self, *, commit: bool, still_open: Container[Transaction] = ()) -> None:
        """Be over; a commit inside of another transaction counts only with that one's."""
        waiting, self._waiting = self._waiting, []
        if commit and self._outer is not None and self._outer in still_open:
            for both in waiting:
                self._outer.when_over(*both)
            return
        run_all([both[0] if commit else both[1] for both in waiting])
