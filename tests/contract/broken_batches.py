"""Drivers and stores whose batches are broken on purpose; ``test_broken_batches.py`` names what catches each."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from qcore.batches import BatchRecord, BatchStep, State
from qcore.driver import NONE, Effects, Payload, Push, Reservation, Settled
from qcore.stores.memory_batches import MemoryBatchStore
from tests.contract.broken import Broken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.memory import Batch

_REMOVED = {Settled.DONE, Settled.LATE}


class ForgetsTheBatch(Broken):
    """Deletes, and lets the batch wait for ever."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(reservation, effects=effects._replace(batch=None), only_last=only_last)


class CountsAlways(Broken):
    """Counts, then looks whether there is something to delete."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        if effects.batch is not None:
            MemoryBatchStore(self.memory, self._clock).settle(effects.batch)
        return super().delete(reservation, effects=effects, only_last=only_last)


class DeletesThenCounts(Broken):
    """In two steps: dies in between."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        settled = super().delete(reservation, effects=effects._replace(batch=None), only_last=only_last)
        if settled in _REMOVED and effects.batch is not None:
            MemoryBatchStore(self.memory, self._clock).settle(effects.batch)
        return settled


class TellsTwice(Broken):
    """Pushes a callback under a new id each time, and each twice."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        counted = effects.batch and self.memory.count(effects.batch)
        settled = super().delete(reservation, effects=effects, only_last=only_last)
        for push in counted.pushes if counted else ():
            self.push(push.queue, Payload(f"{push.payload.id} again", push.payload.body))
        return settled


class KeepsMembersOfNoBatch(Broken):
    """Will not delete what it cannot count."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        if effects.batch is not None and self.memory.count(effects.batch) is None:
            return Settled.STALE
        return super().delete(reservation, effects=effects, only_last=only_last)


class BrokenStore(MemoryBatchStore):
    def batch(self, batch_id: str) -> Batch | None:
        return self._memory().batches.get(batch_id)

    def change(self, batch_id: str, **fields: object) -> None:
        batch = self.batch(batch_id)
        if batch is not None:
            batch.record = batch.record._replace(**fields)  # type: ignore[arg-type]


class CountsKnownMembersAgain(BrokenStore):
    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        batch = self.batch(batch_id)
        if batch is not None:
            known = len(batch.members.keys() & set(members))
            batch.record = batch.record._replace(total=batch.record.total + known, pending=batch.record.pending + known)
        return super().add(batch_id, members, pushes)


class PushesKnownMembersAgain(BrokenStore):
    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        added = super().add(batch_id, members, pushes)
        for push in pushes:
            self._memory().push(push.queue, push.payload, 0)
        return added


class CountsBeforeItStores(BrokenStore):
    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        return super().add(batch_id, members, []) and super().add(batch_id, [], pushes)


class PushesForNobody(BrokenStore):
    """Pushes members of a batch that is not there."""

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        if self.batch(batch_id) is None:
            for push in pushes:
                self._memory().push(push.queue, push.payload, 0)
        return super().add(batch_id, members, pushes)


class CountsDeliveries(BrokenStore):
    """Counts how often members end, not which."""

    def settle(self, step: BatchStep) -> None:
        batch = self.batch(step.batch_id)
        if batch is not None and step.member in batch.members:
            batch.members[step.member] = State.PENDING
        super().settle(step)


class CountsStrangers(BrokenStore):
    def settle(self, step: BatchStep) -> None:
        batch = self.batch(step.batch_id)
        if batch is not None and step.member not in batch.members:
            batch.members[step.member] = State.PENDING
        super().settle(step)


class WaitsForTheDropped(BrokenStore):
    """For those behind a failed link, too."""

    def settle(self, step: BatchStep) -> None:
        super().settle(step._replace(dropped=()))


class CancelsForEveryFailure(BrokenStore):
    def settle(self, step: BatchStep) -> None:
        super().settle(step)
        if step.state is State.FAILED:
            self.change(step.batch_id, cancelled_at=step.at, cancelled_by="failure")


class FinishesTooEarly(BrokenStore):
    """Before all members were added."""

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        added = super().add(batch_id, members, pushes)
        self.change(batch_id, adding=False)
        return added


class LeavesEmptyBatchesOpen(BrokenStore):
    def close(self, batch_id: str, at: float) -> BatchRecord | None:
        self.change(batch_id, adding=False)
        return self.find(batch_id)


class TellsEveryEnd(BrokenStore):
    """Forgets what it has told when there is something new."""

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        self.change(batch_id, fired="")
        return super().add(batch_id, members, pushes)


class TellsEveryFailure(BrokenStore):
    def settle(self, step: BatchStep) -> None:
        self.change(step.batch_id, fired="")
        super().settle(step)


class IgnoresCancellation(BrokenStore):
    def settle(self, step: BatchStep) -> None:
        self.change(step.batch_id, cancelled_at=None)
        super().settle(step)


class CancelsTheFinished(BrokenStore):
    def cancel(self, batch_id: str, at: float) -> bool:
        self.change(batch_id, finished_at=None)
        return super().cancel(batch_id, at)


class RevivesTheCancelled(BrokenStore):
    def revive(self, batch_id: str, members: Sequence[str]) -> bool:
        self.change(batch_id, cancelled_by="failure")
        return super().revive(batch_id, members)


class RemembersMembersOfForgottenBatches(BrokenStore):
    def create(self, record: BatchRecord) -> bool:
        created = super().create(record)
        batch = self.batch(record.id)
        if batch is not None:
            batch.members |= getattr(self, "forgotten", {})
        return created

    def forget(self, batch_id: str) -> bool:
        batch = self.batch(batch_id)
        if batch is not None:
            self.forgotten = batch.members
        return super().forget(batch_id)


class PrunesWhatIsRunning(BrokenStore):
    def prune(
        self, *, finished: float | None = None, unfinished: float | None = None, cancelled: float | None = None
    ) -> int:
        return super().prune(finished=finished, unfinished=unfinished or finished, cancelled=cancelled)


class LosesUpdates(BrokenStore):
    """Reads, and writes later what it made of it: two at the same instant read the same."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.both = threading.Barrier(2)

    def settle(self, step: BatchStep) -> None:
        counted = self._memory().count(step)
        self.both.wait(timeout=60)
        self._keep(self._memory(), counted)
