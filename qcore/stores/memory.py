"""Failed jobs and keys in the memory of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.clock import milliseconds
from qcore.errors import DriverError
from qcore.store import Held

if TYPE_CHECKING:
    from qcore.clock import Clock
    from qcore.failed import FailedJob
    from qcore.memory import Memory


class MemoryFailedStore:
    """Keeps failed jobs in a ``Memory``."""

    def __init__(self, home: Memory) -> None:
        """Use the records of ``home``."""
        self.home = home

    def add(self, record: FailedJob) -> None:
        """Keep the record under a new number; an older one with the same id is replaced."""
        with self.home.lock:
            self.home.keep_failed(record)

    def find(self, job_id: str) -> FailedJob | None:
        """Look one up."""
        with self.home.lock:
            return self.home.failed.get(job_id)

    def listed(self, *, queue: str | None = None) -> list[FailedJob]:
        """Show all records, of one queue if given; the newest failure first."""
        with self.home.lock:
            records = reversed(self.home.failed.values())
            return [record for record in records if queue is None or record.queue == queue]

    def forget(self, job_id: str, *, number: int | None = None) -> bool:
        """Remove one, with ``number`` only that failure of it; False when there was none."""
        with self.home.lock:
            record = self.home.failed.get(job_id)
            if record is None or number not in {None, record.number}:
                return False
            del self.home.failed[job_id]
            return True

    def flush(self, *, before: float | None = None) -> int:
        """Remove all, or those that failed at or before that instant; say how many."""
        with self.home.lock:
            records = self.home.failed.values()
            doomed = [record.id for record in records if before is None or record.failed_at <= before]
            for job_id in doomed:
                del self.home.failed[job_id]
            return len(doomed)


class MemoryStore:
    """Keeps keys in a ``Memory``."""

    shared = False

    def __init__(self, home: Memory, clock: Clock) -> None:
        """Use the keys of ``home``; their time runs on ``clock``."""
        self.home = home
        self._clock = clock

    def get(self, key: str) -> str | None:
        """Read a value; None when there is none or its time is over."""
        with self.home.lock:
            found = self._alive(key)
            return None if found is None else found[0]

    def put(self, key: str, value: str, *, ttl: float | None = None) -> None:
        """Write a value, whatever was there."""
        with self.home.lock:
            self._write(key, value, self._end(ttl))

    def add(self, key: str, value: str, *, ttl: float | None = None) -> bool:
        """Write a value only when the key is free; False when it is taken."""
        with self.home.lock:
            if self._alive(key) is not None:
                return False
            self._write(key, value, self._end(ttl))
            return True

    def increment(self, key: str, *, by: int = 1, ttl: float | None = None) -> int:
        """Add to a counter and return it. A new counter starts at 0 and gets ``ttl``."""
        with self.home.lock:
            value, end = self._alive(key) or ("0", self._end(ttl))
            try:
                total = int(value) + by
            except ValueError as error:
                raise DriverError(f"the key {key!r} holds {value!r}, which is no counter: forget it first") from error
            self._write(key, str(total), end)
            return total

    def forget(self, key: str, *, value: str | None = None) -> bool:
        """Remove a key; with ``value`` only when it holds just that. False when nothing was removed."""
        with self.home.lock:
            found = self._alive(key)
            if found is None or value not in {None, found[0]}:
                return False
            del self.home.keys[key]
            return True

    def held(self, key: str) -> Held | None:
        """Show one key; None when there is none or its time is over."""
        with self.home.lock:
            found = self._alive(key)
            return None if found is None else _held(key, found)

    def held_below(self, prefix: str, *, limit: int = 1000) -> list[Held]:
        """Show the keys that begin with ``prefix``, in the order of their characters."""
        with self.home.lock:
            found = [_held(key, its) for key in self.home.keys if key.startswith(prefix) and (its := self._alive(key))]
        return sorted(found)[:limit]

    def _alive(self, key: str) -> tuple[str, int | None] | None:
        return self.home.key(key, self._now())

    def _write(self, key: str, value: str, end: int | None) -> None:
        self.home.write_key(key, value, end, self._now())

    def _now(self) -> int:
        return -milliseconds(-self._clock.now())  # rounded down: an instant has come when all of it is over

    def _end(self, ttl: float | None) -> int | None:
        return None if ttl is None else milliseconds(self._clock.now() + ttl)


def _held(key: str, found: tuple[str, int | None]) -> Held:
    value, end = found
    return Held(key, value, None if end is None else end / 1000)
