"""Counting in spans of time: a window begins with its first hit, and ends so many seconds later for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.clock import Clock
    from qcore.store import Store


MARGIN = 3
"""Seconds after the end of a window at which what waits for it comes back: clocks differ."""


class Window:
    """A counter in the store.

    One key says when the window ends, and lives as long; the count stands under a key with that end in its name. So a
    late hit or its taking back never counts in the window that follows.
    """

    def __init__(self, store: Store, clock: Clock, key: str, seconds: float) -> None:
        """Use ``key`` for a window of so many seconds."""
        self._store = store
        self._clock = clock
        self._key = key
        self._seconds = seconds
        self._end: str | None = None

    def full_for(self, most: int) -> float | None:
        """Seconds until the window ends when it has that many hits already, None when it has fewer."""
        self._end = self._store.get(self._key)
        if self._end is None or int(self._store.get(self._count_key) or 0) < most:
            return None
        return self.left()

    def left(self) -> float:
        """Seconds until the window ends, as it was last seen; never more than it lasts, whatever other clocks say."""
        return min(max(float(self._end or 0) - self._clock.now(), 0), self._seconds)

    def hit(self) -> int:
        """Count one more, in a new window if there is none, and give the count."""
        self._end = self._store.get(self._key)
        while self._end is None:
            end = f"{self._clock.now() + self._seconds:.3f}"
            # Somebody else may have begun it just now, and it may even be over already.
            self._end = end if self._store.add(self._key, end, ttl=self._seconds) else self._store.get(self._key)
        return self._store.increment(self._count_key, ttl=self._seconds)

    def take_back(self) -> None:
        """Undo the last hit."""
        self._store.increment(self._count_key, by=-1, ttl=self._seconds)

    def clear(self) -> None:
        """Begin anew with the next hit."""
        self._end = self._store.get(self._key)
        if self._end is not None:
            self._store.forget(self._key, value=self._end)
            self._store.forget(self._count_key)

    @property
    def _count_key(self) -> str:
        return f"{self._key},{self._end}"
