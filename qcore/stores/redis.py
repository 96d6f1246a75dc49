"""Failed jobs and keys on a redis server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.driver import Payload
from qcore.errors import DriverError
from qcore.failed import FailedJob
from qcore.redis import store_scripts as scripts
from qcore.redis.home import stamp
from qcore.redis.keys import name
from qcore.redis.records import failed_arguments, micros
from qcore.redis.script import call_id
from qcore.store import Held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.clock import Clock
    from qcore.redis.home import RedisHome

_CHUNK = 100


class RedisFailedStore:
    """Keeps failed jobs on the server of a ``RedisHome``."""

    def __init__(self, home: RedisHome) -> None:
        """Use the records of ``home``."""
        self.home = home

    def add(self, record: FailedJob) -> None:
        """Keep the record under a new number; an older one with the same id is replaced."""
        self.home.run(scripts.KEEP_FAILED, *failed_arguments(record))

    def find(self, job_id: str) -> FailedJob | None:
        """Look one up."""
        row = self.home.run(scripts.FIND_FAILED, name(job_id, "the id of a job"))
        return None if row is None else _record(row)

    def listed(self, *, queue: str | None = None) -> list[FailedJob]:
        """Show all records, of one queue if given; the newest failure first."""
        rows = [row for ids in self._ids() for row in self.home.run(scripts.SHOW_FAILED, *ids) if row is not None]
        return [record for record in map(_record, rows) if queue is None or record.queue == queue]

    def _ids(self) -> Iterator[list[bytes]]:
        """Give them in pieces, the newest failure first; what is removed or added meanwhile does not shift them."""
        below = b"+inf"
        while found := self.home.run(scripts.FAILED_IDS, below, _CHUNK):
            yield found[::2]
            below = b"(" + found[-1]

    def forget(self, job_id: str, *, number: int | None = None) -> bool:
        """Remove one, with ``number`` only that failure of it; False when there was none."""
        wanted = b"" if number is None else number
        return bool(self.home.run(scripts.FORGET_FAILED, wanted, b"", name(job_id, "the id of a job")))

    def flush(self, *, before: float | None = None) -> int:
        """Remove all, or those that failed at or before that instant; say how many."""
        end = "" if before is None else repr(float(before))
        return sum(self.home.run(scripts.FORGET_FAILED, b"", end, *ids) for ids in self._ids())


def _record(row: list[Any]) -> FailedJob:
    job_id, body, connection, queue, exception, failed_at, number = row
    payload = Payload(job_id.decode(), body)
    return FailedJob(payload, connection.decode(), queue.decode(), exception.decode(), float(failed_at), int(number))


class RedisStore:
    """Keeps keys on the server of a ``RedisHome``."""

    shared = True

    def __init__(self, home: RedisHome, clock: Clock) -> None:
        """Use the keys of ``home``; their time is that of the server, unless ``clock`` is one of a test."""
        self.home = home
        self._clock = clock

    def get(self, key: str) -> str | None:
        """Read a value; None when there is none or its time is over."""
        held = self.held(key)
        return None if held is None else held.value

    def put(self, key: str, value: str, *, ttl: float | None = None) -> None:
        """Write a value, whatever was there."""
        self.home.run(scripts.PUT, _key(key), value, _ttl(ttl), now=stamp(self._clock))

    def add(self, key: str, value: str, *, ttl: float | None = None) -> bool:
        """Write a value only when the key is free, in one atomic step; False when it is taken."""
        return bool(self.home.run(scripts.ADD, _key(key), value, _ttl(ttl), call_id(), now=stamp(self._clock)))

    def increment(self, key: str, *, by: int = 1, ttl: float | None = None) -> int:
        """Add to a counter and return it, in one atomic step. A new counter starts at 0 and gets ``ttl``."""
        total = self.home.run(scripts.INCREMENT, _key(key), by, _ttl(ttl), call_id(), now=stamp(self._clock))
        if isinstance(total, list):
            raise DriverError(f"the key {key!r} holds {total[0].decode()!r}, which is no counter: forget it first")
        return int(total)

    def forget(self, key: str, *, value: str | None = None) -> bool:
        """Remove a key; with ``value`` only when it holds just that. False when nothing was removed."""
        wanted = (b"0", b"") if value is None else (b"1", value)
        return bool(self.home.run(scripts.FORGET, _key(key), *wanted, now=stamp(self._clock)))

    def held(self, key: str) -> Held | None:
        """Show one key; None when there is none or its time is over."""
        found = self.home.run(scripts.GET, _key(key), now=stamp(self._clock))
        return None if found is None else _held(key, *found)

    def held_below(self, prefix: str, *, limit: int = 1000) -> list[Held]:
        """Show the keys that begin with ``prefix``, in the order of their characters."""
        at, found = b"0", {}
        while True:
            at, page = self.home.run(scripts.SCAN, at, prefix, now=stamp(self._clock))
            found.update({key.decode(): rest for key, *rest in page})
            if at == b"0":
                return [_held(key, *found[key]) for key in sorted(found)[:limit]]


def _key(key: str) -> bytes:
    return name(key, "a key")


def _ttl(ttl: float | None) -> bytes | int:
    return b"" if ttl is None else micros(ttl)


def _held(key: str, value: bytes, till: bytes) -> Held:
    return Held(key, value.decode(), int(till) / 1000 if till else None)
