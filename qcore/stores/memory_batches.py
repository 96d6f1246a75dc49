"""Batches in the memory of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from qcore.batches import State, after_adding, after_closing, after_giving_up, after_reopening, after_retry
from qcore.memory import Batch, timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.batches import BatchRecord, BatchStep, Counted
    from qcore.clock import Clock
    from qcore.driver import Push
    from qcore.memory import Memory


class MemoryBatchStore:
    """Keeps batches in a ``Memory``, beside its queues."""

    def __init__(self, home: object, clock: Clock, *, memory: Callable[[], Memory] | None = None) -> None:
        """Use the batches of ``home``; what it pushes is due by ``clock``.

        A ``home`` that is no ``Memory`` itself has one: ``memory`` gives it.
        """
        self.home = home
        self._memory = memory or (lambda: cast("Memory", home))
        self._clock = clock

    def create(self, record: BatchRecord) -> bool:
        """Keep a new batch; False, and nothing is changed, when there is one with its id."""
        memory = self._memory()
        with memory.lock:
            return memory.batches.setdefault(record.id, batch := Batch(record)) is batch

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        """Count new members and push their payloads, in one step. False, and nothing is done, without such a batch."""
        memory, now = self._memory(), self._clock.now()
        ready = [timed(push, now) for push in pushes]
        with memory.lock:
            batch = memory.batches.get(batch_id)
            if batch is None:
                return False
            new = [push for push in ready if push.payload.id not in batch.members]
            refused = {push.payload.id for push in new if memory.push_timed(push) is not None}
            wanted = [member for member in members if member not in refused] if refused else members
            batch.record, fresh = after_adding(batch.record, wanted, batch.members)
            batch.members.update(dict.fromkeys(fresh, State.PENDING))
            memory.wake()
            return True

    def close(self, batch_id: str, at: float) -> BatchRecord | None:
        """Say that all members it was dispatched with are there; one without pending members is finished by that."""
        memory = self._memory()
        with memory.lock:
            batch = memory.batches.get(batch_id)
            if batch is None:
                return None
            self._keep(memory, after_closing(batch.record, at))
            return batch.record

    def give_up(self, batch_id: str, at: float) -> bool:
        """Close and cancel a batch that cannot be filled; its chain hears nothing from it. False when it was closed."""
        return self._count(batch_id, lambda batch: after_giving_up(batch.record, at))

    def reopen(self, batch_id: str) -> bool:
        """Take back that a batch was given up, so that it can be filled; False when it was not."""
        return self._count(batch_id, lambda batch: after_reopening(batch.record))

    def revive(self, batch_id: str, members: Sequence[str]) -> bool:
        """Let members wait that failed, or were dropped; see ``BatchStore``."""
        return self._count(batch_id, lambda batch: after_retry(batch.record, batch.members, members))

    def _count(self, batch_id: str, find_out: Callable[[Batch], Counted | None]) -> bool:
        memory = self._memory()
        with memory.lock:
            batch = memory.batches.get(batch_id)
            counted = None if batch is None else find_out(batch)
            self._keep(memory, counted)
            return counted is not None

    def settle(self, step: BatchStep) -> None:
        """Count a member that ended, and push the callbacks that are due."""
        memory = self._memory()
        with memory.lock:
            self._keep(memory, memory.count(step))

    def _keep(self, memory: Memory, counted: Counted | None) -> None:
        if counted is None:
            return
        now = self._clock.now()
        ready = [timed(push, now) for push in counted.pushes]
        memory.keep_counted(counted)
        for push in ready:
            memory.push_timed(push)
        memory.wake()

    def find(self, batch_id: str) -> BatchRecord | None:
        """Look one up."""
        memory = self._memory()
        with memory.lock:
            batch = memory.batches.get(batch_id)
            return None if batch is None else batch.record

    def listed(self, *, limit: int = 100) -> list[BatchRecord]:
        """Show batches, the newest first; of the same age, the one with the greatest id."""
        memory = self._memory()
        with memory.lock:
            records = [batch.record for batch in memory.batches.values()]
        return sorted(records, key=lambda record: (record.created_at, record.id), reverse=True)[:limit]

    def members(self, batch_id: str, state: State, *, limit: int = 100_000) -> list[str]:
        """Give the ids of the members in a state, in the order in which they were added."""
        memory = self._memory()
        with memory.lock:
            batch = memory.batches.get(batch_id)
            found = [] if batch is None else [member for member, its in batch.members.items() if its is state]
            return found[:limit]

    def cancel(self, batch_id: str, at: float) -> bool:
        """Cancel a batch; False when there is none, or it is finished or cancelled already."""
        memory = self._memory()
        with memory.lock:
            batch = memory.batches.get(batch_id)
            if batch is None or batch.record.cancelled_at is not None or batch.record.finished_at is not None:
                return False
            batch.record = batch.record._replace(cancelled_at=at, cancelled_by="request")
            return True

    def forget(self, batch_id: str) -> bool:
        """Drop a batch and what is known of its members; their payloads stay."""
        memory = self._memory()
        with memory.lock:
            return memory.batches.pop(batch_id, None) is not None

    def prune(
        self, *, finished: float | None = None, unfinished: float | None = None, cancelled: float | None = None
    ) -> int:
        """Drop batches that are as old as that, and say how many; see ``BatchStore``."""

        def is_old(record: BatchRecord) -> bool:
            return (
                _by(record.finished_at, finished)
                or (record.finished_at is None and _by(record.created_at, unfinished))
                or (record.cancelled_at is not None and _by(record.created_at, cancelled))
            )

        memory = self._memory()
        with memory.lock:
            doomed = [batch_id for batch_id, batch in memory.batches.items() if is_old(batch.record)]
            for batch_id in doomed:
                del memory.batches[batch_id]
            return len(doomed)


def _by(instant: float | None, end: float | None) -> bool:
    return instant is not None and end is not None and instant <= end
