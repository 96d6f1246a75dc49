"""Drivers whose locks are broken on purpose; ``test_broken_locks.py`` names the test that catches each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import NONE, Effects, Lock, LockRule, Push, Reservation, Settled, pending
from qcore.memory import Memory, Timed
from tests.contract.broken import Broken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.clock import Clock
    from qcore.driver import Unlock

_REMOVED = {Settled.DONE, Settled.LATE}


class BrokenMemory(Memory):
    """A home in which one thing about locks is not as it should be."""


class BrokenHome(Broken):
    home_kind: type[BrokenMemory]

    def __init__(self, clock: Clock, *, retry_after: float) -> None:
        super().__init__(clock, retry_after=retry_after)
        self.memory = self.home = self.home_kind()
        self._lock = self.memory.lock


class TakesTheLockFirst(Broken):
    """Then finds that the payload cannot be stored."""

    def push_locked(self, push: Push) -> str | None:
        if push.lock is not None and push.lock.key not in self.memory.keys:
            self.memory.write_key(push.lock.key, push.lock.owner, None, 0)
        return super().push_locked(push)


class StoresWhatIsRefused(Broken):
    def push_locked(self, push: Push) -> str | None:
        holder = super().push_locked(push)
        self.push(push.queue, push.payload, delay=push.delay)
        return holder


class RemembersWhatIsRefused(BrokenHome):
    class home_kind(BrokenMemory):  # noqa: N801 - an attribute of the driver
        refused: frozenset[str] = frozenset()

        def push_timed(self, push: Timed) -> str | None:
            holder = "refused before" if push.payload.id in self.refused else super().push_timed(push)
            if holder is not None:
                self.refused |= {push.payload.id}
            return holder


class RefusesNobody(BrokenHome):
    class home_kind(BrokenMemory):  # noqa: N801
        def _holder(self, lock: Lock, now: int) -> str | None:
            return None


class NeverStealsLocks(BrokenHome):
    """A job that is gone holds its lock for ever."""

    class home_kind(BrokenMemory):  # noqa: N801
        def _holder(self, lock: Lock, now: int) -> str | None:
            found = self.key(lock.key, now)
            return None if found is None or found[0] in {lock.owner, pending(lock.owner)} else found[0]


class StealsFromThoseWhoWait(BrokenHome):
    """Takes an owner who waits for a commit for one that is gone."""

    class home_kind(BrokenMemory):  # noqa: N801
        def _holder(self, lock: Lock, now: int) -> str | None:
            holder = super()._holder(lock, now)
            return holder if holder in self.entries else None


class TakesNothingOver(BrokenHome):
    """Refuses a payload because of the lock that was kept for it."""

    class home_kind(BrokenMemory):  # noqa: N801
        def _holder(self, lock: Lock, now: int) -> str | None:
            found = self.key(lock.key, now)
            return found[0] if found and found[0] == pending(lock.owner) else super()._holder(lock, now)


class LocksForEver(Broken):
    def push_locked(self, push: Push) -> str | None:
        lock = push.lock and push.lock._replace(ttl=None)
        return super().push_locked(push._replace(lock=lock))


class KeepsTheOldTimeToLive(BrokenHome):
    class home_kind(BrokenMemory):  # noqa: N801
        def write_key(self, key: str, value: str, end: int | None, now: int) -> None:
            found = self.keys.get(key)
            super().write_key(key, value, end if found is None else found[1], now)


class TouchesLocksOfLivePayloads(Broken):
    """A second push takes the lock once more."""

    def push_locked(self, push: Push) -> str | None:
        if push.lock is not None and push.payload.id in self.memory.entries:
            self.memory.write_key(push.lock.key, push.lock.owner, None, 0)
        return super().push_locked(push)


class RefusesInsteadOfSharing(Broken):
    def push_locked(self, push: Push) -> str | None:
        lock = push.lock and push.lock._replace(rule=LockRule.REFUSE)
        return super().push_locked(push._replace(lock=lock))


class SharesInsteadOfReplacing(Broken):
    def push_locked(self, push: Push) -> str | None:
        if push.lock is not None and push.lock.rule is LockRule.REPLACE:
            push = push._replace(lock=push.lock._replace(rule=LockRule.SHARE))
        return super().push_locked(push)


class IgnoresLocksInBulk(Broken):
    def bulk(self, pushes: Iterable[Push]) -> None:
        super().bulk([push._replace(lock=None) for push in pushes])


class IgnoresLocksOfEffects(Broken):
    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        bare = tuple(push._replace(lock=None) for push in effects.pushes)
        return super().delete(reservation, effects=effects._replace(pushes=bare), only_last=only_last)


class UnlocksWhateverIsThere(BrokenHome):
    """Does not ask whose lock it is."""

    class home_kind(BrokenMemory):  # noqa: N801
        def unlock(self, unlock: Unlock) -> None:
            self.keys.pop(unlock.key, None)


class TakesLocksForTheWaiting(Broken):
    """As if no payload were ever stored."""

    def take_lock(self, lock: Lock) -> str | None:
        return super().take_lock(lock._replace(owner=pending(lock.owner)))


class HoldsItAgainstItsOwner(Broken):
    def take_lock(self, lock: Lock) -> str | None:
        found = self.memory.keys.get(lock.key)
        return found[0] if found else super().take_lock(lock)


class ForgetsUnlocks(Broken):
    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(reservation, effects=effects._replace(unlocks=()), only_last=only_last)


class UnlocksOnlyWhatIsStored(BrokenHome):
    """Leaves the lock that was kept for the payload before it was stored."""

    class home_kind(BrokenMemory):  # noqa: N801
        def unlock(self, unlock: Unlock) -> None:
            if self.keys.get(unlock.key, ("", None))[0] == unlock.owner:
                del self.keys[unlock.key]


class UnlocksAlways(Broken):
    """Frees the lock, then looks whether there is something to delete."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        for unlock in effects.unlocks:
            self.memory.unlock(unlock)
        return super().delete(reservation, effects=effects, only_last=only_last)


class UnlocksLast(Broken):
    """Frees the lock of what it has just pushed."""

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        settled = super().delete(reservation, effects=effects._replace(unlocks=()), only_last=only_last)
        if settled in _REMOVED:
            for unlock in effects.unlocks:
                self.memory.unlock(unlock)
        return settled
