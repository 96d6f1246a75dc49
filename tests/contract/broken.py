"""Drivers that are broken on purpose, each in one way that has been seen in the wild.

A contract that passes them would be worth nothing: ``test_broken_drivers.py`` names the test that catches each.
"""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from qcore.driver import NONE, Effects, Payload, Push, Reservation, Settled
from qcore.drivers.memory import MemoryDriver
from qcore.memory import TOKEN_SHIFT, Memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Listed, QueueCounts
    from qcore.memory import Entry


class Broken(MemoryDriver):
    def __init__(self, clock: Clock, *, retry_after: float) -> None:
        self.memory = Memory()
        super().__init__(self.memory, clock, retry_after=retry_after)

    def entry(self, reservation: Reservation) -> Entry | None:
        return self.memory.entries.get(reservation.payload.id)


class LosesOnCrash(Broken):
    """Removes a payload when it hands it out."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues, wait=wait)
        if found is not None:
            super().delete(found)
        return found

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return Settled.DONE


class DeliversTwice(Broken):
    """Looks at a payload without hiding it."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues, wait=wait)
        entry = found and self.entry(found)
        if entry is not None:
            entry.queue.wait(entry, 0)
        return found


class HandsOutAgain(Broken):
    """Answers a second call with what it has answered to the first."""

    last: Reservation | None = None

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        if self.last is not None:
            again, self.last = self.last, None
            return again
        self.last = super().reserve(queues, wait=wait)
        return self.last


class TakesNoQueueForAll(Broken):
    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        return super().reserve(queues or list(self.memory.queues), wait=wait)


class IgnoresDelay(Broken):
    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        super().push(queue, payload)


class IgnoresDelayOfRelease(Broken):
    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        return super().release(reservation, count=count, verdict=verdict)


class IgnoresDelayInBulk(Broken):
    def bulk(self, pushes: Iterable[Push]) -> None:
        super().bulk(push._replace(delay=0) for push in pushes)


class ReversesBulk(Broken):
    def bulk(self, pushes: Iterable[Push]) -> None:
        super().bulk(reversed(list(pushes)))


class RoundsTimeDown(Broken):
    """Due up to a millisecond early."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        super().push(queue, payload, delay=delay - 0.000_999 if delay > 0 else 0)


class AcceptsStaleRelease(Broken):
    """Takes any reservation for the newest one."""

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        return super().release(self._newest(reservation), delay=delay, count=count, verdict=verdict)

    def _newest(self, reservation: Reservation) -> Reservation:
        entry = self.entry(reservation)
        return reservation if entry is None else reservation._replace(token=entry.token, receipt=entry.number)


class AcceptsStaleExtend(AcceptsStaleRelease):
    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        return MemoryDriver.release(self, reservation, delay=delay, count=count, verdict=verdict)

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        return super().extend(self._newest(reservation), seconds)


class AcceptsStaleFailure(Broken):
    """Takes a failure for a success: any token may bring it."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(reservation, effects=effects)


class DeletesById(AcceptsStaleRelease):
    """Does not tell the lives of an id apart."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(self._newest(reservation), effects=effects, only_last=only_last)


class RefusesLateSuccess(Broken):
    """Only the newest token may delete: what was done is done again."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(reservation, effects=effects, only_last=True)


class RestartsTokens(Broken):
    """Counts tokens from 1 with every push."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues, wait=wait)
        return found and found._replace(token=found.token & ((1 << TOKEN_SHIFT) - 1))

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        entry = self.entry(reservation)
        token = reservation.token + (0 if entry is None else entry.number << TOKEN_SHIFT)
        return super().delete(reservation._replace(token=token), effects=effects, only_last=only_last)


class ReusesTokens(Broken):
    """Gives the token of the last reservation to the next."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues, wait=wait)
        entry = found and self.entry(found)
        if found is not None and entry is not None and found.attempts > 1:
            entry.token -= 1
            return found._replace(token=entry.token)
        return found


class ChangesBytes(Broken):
    """Takes a payload for text."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        text = payload.body.decode(errors="replace")
        super().push(queue, payload._replace(body=text.encode()), delay=delay)


class StarvesLowQueues(Broken):
    """Looks at the first queue only."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        return super().reserve(queues[:1], wait=wait)


class IgnoresPriority(Broken):
    """Serves whoever waited longest."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        by_age = sorted(queues, key=lambda queue: self.next_due([queue]) or 0)
        return super().reserve(by_age, wait=wait)


class ServesTheLastFirst(Broken):
    """A stack."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        self.memory.pushed -= 2
        super().push(queue, payload, delay=delay)


class FoldsQueueNames(Broken):
    """A database that compares without case and trailing spaces."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        super().push(queue.strip().lower(), payload, delay=delay)

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        return super().reserve([queue.strip().lower() for queue in queues], wait=wait)


class CountsReleases(Broken):
    """Counts an attempt when it ends: a job that kills its worker is tried for ever."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues, wait=wait)
        entry = found and self.entry(found)
        if found is not None and entry is not None:
            entry.attempts -= 1
        return found

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        settled = super().release(reservation, delay=delay, verdict=verdict)
        entry = self.entry(reservation)
        if settled is Settled.DONE and entry is not None:
            entry.attempts += count
        return settled


class KeepsTheAttempt(Broken):
    """Does not give it back."""

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        return super().release(reservation, delay=delay, verdict=verdict)


class ForgetsTheLease(Broken):
    """What was reserved once never comes back by itself."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues, wait=wait)
        if found is not None:
            super().extend(found, 1_000_000)
        return found


class CannotExtend(Broken):
    """Says yes and does nothing."""

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        return Settled.DONE


class ForgetsTheVerdict(Broken):
    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        return super().release(reservation, delay=delay, count=count)


class OverwritesLivePayloads(Broken):
    """A second push takes the place of the first."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        entry = self.memory.entries.get(payload.id)
        if entry is not None:
            self.memory.remove(entry)
        super().push(queue, payload, delay=delay)


class OverwritesLiveEffects(OverwritesLivePayloads):
    """The same, for what follows a job."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        settled = super().delete(reservation, only_last=only_last)
        for push in effects.pushes:
            self.push(*push[:2], delay=push.delay)
        return settled


class PushesEffectsAlways(Broken):
    """Pushes what follows, then looks whether there is something to delete."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        self.bulk(effects.pushes)
        if effects.failed is not None:
            self.memory.keep_failed(effects.failed)
        return super().delete(reservation, only_last=only_last)


class LosesEffects(Broken):
    """Deletes, then pushes what follows, and dies in between."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(reservation, only_last=only_last)


class DeletesBeforeItKnows(Broken):
    """Deletes, then finds that what follows cannot be stored."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        settled = super().delete(reservation, only_last=only_last)
        if settled in {Settled.DONE, Settled.LATE}:
            for push in effects.pushes:
                self.push(*push[:2], delay=push.delay)
        return settled


class Oversleeps(Broken):
    """Waits to the end, whatever becomes due meanwhile."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        found = super().reserve(queues)
        if found is None and wait > 0:
            self._clock.sleep(wait)
            found = super().reserve(queues)
        return found


class NeverWaits(Broken):
    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        return super().reserve(queues)


class SleepsThroughChanges(Oversleeps):
    """Does not hear of what happens while it waits; a moment late, so that it misses a push at its very beginning."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        self._clock.sleep(wait)
        return super().reserve(queues)


class ClearsOnlyWhatWaits(Broken):
    def clear(self, queue: str) -> int:
        doomed = [entry for entry in self.memory.in_queue(queue) if not entry.reserved]
        for entry in doomed:
            self.memory.remove(entry)
        return len(doomed)


class CountsOnlyWhatWaits(Broken):
    def size(self, queue: str) -> int:
        return sum(not entry.reserved for entry in self.memory.in_queue(queue))


class TakesLostForReserved(Broken):
    """Shows a lease that ran out as if somebody still had the job."""

    def listed(self, queue: str, *, limit: int = 100) -> list[Listed]:
        return [
            each._replace(state="reserved") if self.memory.entries[each.payload.id].reserved else each
            for each in super().listed(queue, limit=limit)
        ]


class ShowsEmptyQueues(Broken):
    def counts(self) -> list[QueueCounts]:
        return [self._count(name) for name in sorted(self.memory.queues)]


class ForgetsLeasesInNextDue(Broken):
    """``--drain`` would end while a dead worker's job is still to come."""

    def next_due(self, queues: Sequence[str]) -> float | None:
        dues = [entry.due for name in queues for entry in self.memory.in_queue(name) if not entry.reserved]
        return min(dues) / 1000 if dues else None


class MisstatesItsLease(Broken):
    def __init__(self, clock: Clock, *, retry_after: float) -> None:
        super().__init__(clock, retry_after=retry_after / 2)


class HasNotWhatItClaims(Broken):
    extend = None  # type: ignore[assignment]


class TakesNamesForPatterns(Broken):
    """Clears whatever the name matches."""

    def clear(self, queue: str) -> int:
        return sum(super(Broken, self).clear(name) for name in fnmatch.filter(list(self.memory.queues), queue))


class MixesQueueParts(Broken):
    """Keeps what is delayed under a name that a queue may have."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        super().push(f"{queue}:delayed" if delay else queue, payload, delay=delay)


class CutsIds(Broken):
    """Has a column that is too narrow."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        super().push(queue, payload._replace(id=payload.id[:190]), delay=delay)
