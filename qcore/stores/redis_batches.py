"""Batches on a redis server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.batches import State, after_closing, after_giving_up, after_reopening, after_retry, after_step
from qcore.redis import batch_records
from qcore.redis import batch_scripts as scripts
from qcore.redis.home import stamp
from qcore.redis.records import push_arguments
from qcore.redis.script import call_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qcore.batches import BatchRecord, BatchStep, Counted
    from qcore.clock import Clock
    from qcore.driver import Push
    from qcore.redis.batch_records import Seen
    from qcore.redis.home import RedisHome

_CHUNK = 100


class RedisBatchStore:
    """Keeps batches on the server of a ``RedisHome``, beside its queues."""

    def __init__(self, home: RedisHome, clock: Clock) -> None:
        """Use the batches of ``home``; what it pushes is due by the time of the server, or of a test's ``clock``."""
        self.home = home
        self._clock = clock

    def create(self, record: BatchRecord) -> bool:
        """Keep a new batch; False, and nothing is changed, when there is one with its id."""
        head = (record.id, call_id(), repr(float(record.created_at)))
        return bool(self.home.run(scripts.CREATE, *head, *batch_records.written(record)))

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        """Count new members and push their payloads, in one step. False, and nothing is done, without such a batch."""
        wanted = list(dict.fromkeys(members))
        written = [argument for push in pushes for argument in push_arguments(push)]
        return bool(self.home.run(scripts.ADD, batch_id, len(wanted), *wanted, *written, now=stamp(self._clock)))

    def close(self, batch_id: str, at: float) -> BatchRecord | None:
        """Say that all members it was dispatched with are there; one without pending members is finished by that."""
        seen, counted = self._count(batch_id, lambda seen: after_closing(seen.record, at))
        return counted.record if counted is not None else None if seen is None else seen.record

    def give_up(self, batch_id: str, at: float) -> bool:
        """Close and cancel a batch that cannot be filled; its chain hears nothing from it. False when it was closed."""
        return self._count(batch_id, lambda seen: after_giving_up(seen.record, at))[1] is not None

    def reopen(self, batch_id: str) -> bool:
        """Take back that a batch was given up, so that it can be filled; False when it was not."""
        return self._count(batch_id, lambda seen: after_reopening(seen.record))[1] is not None

    def revive(self, batch_id: str, members: Sequence[str]) -> bool:
        """Let members wait that failed, or were dropped; see ``BatchStore``."""
        _, counted = self._count(batch_id, lambda seen: after_retry(seen.record, seen.states, members), members)
        return counted is not None

    def settle(self, step: BatchStep) -> None:
        """Count a member that ended, and push the callbacks that are due."""
        members = (step.member, *step.dropped)
        self._count(step.batch_id, lambda seen: after_step(seen.record, seen.states, step), members)

    def _count(
        self, batch_id: str, find_out: Callable[[Seen], Counted | None], members: Sequence[str] = ()
    ) -> tuple[Seen | None, Counted | None]:
        """Read, find out, and write, unless the batch was changed meanwhile: then again."""
        while True:
            seen = batch_records.look(self.home, batch_id, members)
            counted = None if seen is None else find_out(seen)
            if seen is None or counted is None or self._keep(counted, seen.version):
                return seen, counted

    def _keep(self, counted: Counted, version: bytes) -> bool:
        pushes = [argument for push in counted.pushes for argument in push_arguments(push)]
        written = batch_records.counted_arguments(counted, version)
        said = self.home.run(scripts.KEEP, len(counted.pushes), *pushes, *written, now=stamp(self._clock))
        return bool(said == b"kept")

    def find(self, batch_id: str) -> BatchRecord | None:
        """Look one up."""
        seen = batch_records.look(self.home, batch_id)
        return None if seen is None else seen.record

    def listed(self, *, limit: int = 100) -> list[BatchRecord]:
        """Show batches, the newest first; of the same age, the one with the greatest id."""
        found: list[BatchRecord] = []
        for seen in self._newest():
            if len(found) >= limit:
                break
            found.append(seen.record)
        return found

    def _newest(self) -> Iterator[Seen]:
        first = 0
        while ids := self.home.run(scripts.NEWEST, first, first + _CHUNK - 1):
            first += _CHUNK
            for batch_id in ids:
                seen = batch_records.look(self.home, batch_id.decode())
                if seen is not None:
                    yield seen

    def members(self, batch_id: str, state: State, *, limit: int = 100_000) -> list[str]:
        """Give the ids of the members in a state, in the order in which they were added."""
        at, found = b"0", dict[bytes, bytes]()
        while True:
            at, page = self.home.run(scripts.MEMBERS, batch_id, at)
            found.update(zip(page[::2], page[1::2], strict=True))
            if at == b"0":
                break
        letter = state.value.encode()
        named = sorted((int(its[1:]), member.decode()) for member, its in found.items() if its[:1] == letter)
        return [member for _, member in named[:limit]]

    def cancel(self, batch_id: str, at: float) -> bool:
        """Cancel a batch; False when there is none, or it is finished or cancelled already."""
        return self._count(batch_id, lambda seen: _cancelled(seen.record, at))[1] is not None

    def forget(self, batch_id: str) -> bool:
        """Drop a batch and what is known of its members; their payloads stay."""
        return bool(self.home.run(scripts.FORGET, batch_id, b""))

    def prune(
        self, *, finished: float | None = None, unfinished: float | None = None, cancelled: float | None = None
    ) -> int:
        """Drop batches that are as old as that, and say how many; see ``BatchStore``. Each is a step of its own."""

        def is_old(record: BatchRecord) -> bool:
            return (
                _by(record.finished_at, finished)
                or (record.finished_at is None and _by(record.created_at, unfinished))
                or (record.cancelled_at is not None and _by(record.created_at, cancelled))
            )

        doomed = [(seen.record.id, seen.version) for seen in self._newest() if is_old(seen.record)]
        # What was changed since it was read, as by new members, stays.
        return sum(self.home.run(scripts.FORGET, batch_id, version) for batch_id, version in doomed)


def _by(instant: float | None, end: float | None) -> bool:
    return instant is not None and end is not None and instant <= end


def _cancelled(record: BatchRecord, at: float) -> Counted | None:
    from qcore.batches import Counted

    if record.cancelled_at is not None or record.finished_at is not None:
        return None
    return Counted(record._replace(cancelled_at=at, cancelled_by="request"), {}, ())
