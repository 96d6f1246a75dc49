"""Queues in the memory of this process: fast, and gone with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.clock import milliseconds
from qcore.driver import NONE, Effects, Listed, Payload, Push, QueueCounts, Reservation, Settled
from qcore.memory import due_at, timed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Lock
    from qcore.memory import Entry, Memory

_MOMENT = 0.000_001
"""Waits below the resolution of clocks are over."""


class MemoryDriver:
    """A driver whose payloads live in a ``Memory``."""

    shared = False

    def __init__(self, home: Memory, clock: Clock, *, retry_after: float = 90) -> None:
        """Use the queues of ``home``; other drivers of the same home see the same ones."""
        self.home = home
        self.retry_after = retry_after
        self._clock = clock
        self._lock = home.lock

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        """Store a payload, due in ``delay`` seconds."""
        with self._lock:
            self.home.push(queue, payload, due_at(self._clock.now(), delay))
            self.home.wake()

    def bulk(self, pushes: Iterable[Push]) -> None:
        """Store all, in order."""
        now = self._clock.now()
        ready = [timed(push, now) for push in pushes]
        with self._lock:
            for each in ready:
                self.home.push_timed(each)
            self.home.wake()

    def push_locked(self, push: Push) -> str | None:
        """Store a payload and take its lock; gives the owner of the lock when that refused the push."""
        ready = timed(push, self._clock.now())
        with self._lock:
            holder = self.home.push_timed(ready)
            self.home.wake()
            return holder

    def take_lock(self, lock: Lock) -> str | None:
        """Take a lock for a payload that is stored already, or not yet; gives the owner that holds it instead."""
        now = self._clock.now()
        end = None if lock.ttl is None else milliseconds(now + lock.ttl)
        with self._lock:
            return self.home.take_lock(lock, end, due_at(now, 0))

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take the first due payload of the first queue that has one."""
        with self._lock:
            taken = self._take(queues)
            if taken is not None or wait <= 0:
                return taken
            return self._wait_and_take(queues, wait)

    def _take(self, queues: Sequence[str]) -> Reservation | None:
        now = self._clock.now()
        whole = round(now * 1_000_000) // 1000
        for name in queues:
            queue = self.home.queues.get(name)
            first = queue.first() if queue is not None else None
            if first is not None and first[0] <= whole:
                entry = first[2]
                entry.queue.hold(entry, milliseconds(now + self.retry_after))
                entry.attempts += 1
                entry.token += 1
                return Reservation(name, entry.payload, entry.attempts, entry.token, entry.verdict, entry.number)
        return None

    def _wait_and_take(self, queues: Sequence[str], wait: float) -> Reservation | None:
        clock, home = self._clock, self.home
        end = clock.monotonic() + wait
        taken = None
        while taken is None and (left := end - clock.monotonic()) > _MOMENT:
            due = self.next_due(queues)
            home.sleepers += 1
            try:
                clock.wait(home.changed, left if due is None else min(left, due - clock.now()))
            finally:
                home.sleepers -= 1
            taken = self._take(queues)
        return taken

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a payload wherever it is, and apply ``effects`` in the same step."""
        with self._lock:
            entry = self.home.entries.get(reservation.payload.id)
            if entry is None:
                return Settled.GONE
            newest = entry.token == reservation.token
            if entry.number != reservation.receipt or (only_last and not (newest and entry.reserved)):
                return Settled.STALE
            if effects is not NONE:
                self._remove_with(entry, effects)
            else:
                self.home.remove(entry)
            return Settled.DONE if newest else Settled.LATE

    def _remove_with(self, entry: Entry, effects: Effects) -> None:
        # What can raise (a delay that is not a number) comes before the first change.
        now, home = self._clock.now(), self.home
        counted = None if effects.batch is None else home.count(effects.batch)
        pushes = effects.pushes if counted is None else effects.pushes + counted.pushes
        ready = [timed(push, now) for push in pushes]
        home.remove(entry)
        for unlock in effects.unlocks:
            home.unlock(unlock)
        if counted is not None:
            home.keep_counted(counted)
        for each in ready:
            home.push_timed(each)
        if effects.failed is not None:
            home.keep_failed(effects.failed)
        home.wake()

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give a reserved payload back, due in ``delay`` seconds."""
        with self._lock:
            entry = self._held_by(reservation)
            if isinstance(entry, Settled):
                return entry
            entry.queue.wait(entry, due_at(self._clock.now(), delay))
            entry.attempts -= not count
            entry.verdict = verdict
            entry.queue.sweep()
            self.home.wake()
            return Settled.DONE

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        """Let the lease end ``seconds`` from now."""
        with self._lock:
            entry = self._held_by(reservation)
            if isinstance(entry, Settled):
                return entry
            entry.queue.extend(entry, due_at(self._clock.now(), seconds))
            self.home.wake()
            return Settled.DONE

    def _held_by(self, reservation: Reservation) -> Entry | Settled:
        entry = self.home.entries.get(reservation.payload.id)
        if entry is None:
            return Settled.GONE
        if entry.number != reservation.receipt or entry.token != reservation.token or not entry.reserved:
            return Settled.STALE
        return entry

    def size(self, queue: str) -> int:
        """Count the payloads of a queue: ready, delayed and reserved."""
        with self._lock:
            found = self.home.queues.get(queue)
            return 0 if found is None else found.size

    def clear(self, queue: str) -> int:
        """Remove every payload of a queue, and say how many."""
        with self._lock:
            doomed = list(self.home.in_queue(queue))
            for entry in doomed:
                self.home.remove(entry)
            return len(doomed)

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something, by name."""
        with self._lock:
            names = sorted(name for name, queue in self.home.queues.items() if queue.size)
            return [self._count(name) for name in names]

    def _count(self, name: str) -> QueueCounts:
        now = -milliseconds(-self._clock.now())
        entries = list(self.home.in_queue(name))
        states = [_state(each, now) for each in entries]
        since = min((each.due for each in entries if each.due <= now), default=None)
        waited = None if since is None else (now - since) / 1000
        return QueueCounts(name, states.count("ready"), states.count("delayed"), states.count("reserved"), waited)

    def listed(self, queue: str, *, limit: int = 100) -> list[Listed]:
        """Show the payloads of a queue in the order in which they become available."""
        with self._lock:
            now = -milliseconds(-self._clock.now())
            if limit == 1:
                # Asked before every job by who runs the jobs of many queues in their order.
                found = self.home.queues.get(queue)
                first = None if found is None else found.first()
                entries = [] if first is None else [first[2]]
            else:
                entries = sorted(self.home.in_queue(queue), key=lambda entry: (entry.due, entry.number))
            return [
                Listed(queue, each.payload, _state(each, now), each.attempts, each.due / 1000)
                for each in entries[:limit]
            ]

    def find(self, job_id: str) -> Listed | None:
        """Look a live payload up."""
        with self._lock:
            entry = self.home.entries.get(job_id)
            if entry is None:
                return None
            state = _state(entry, -milliseconds(-self._clock.now()))
            return Listed(entry.queue.name, entry.payload, state, entry.attempts, entry.due / 1000)

    def next_due(self, queues: Sequence[str]) -> float | None:
        """Tell when the next payload of these queues becomes available, in seconds since 1970."""
        with self._lock:
            found = [queue for name in queues if (queue := self.home.queues.get(name)) is not None]
            firsts = [first[0] for queue in found if (first := queue.first()) is not None]
            return min(firsts) / 1000 if firsts else None


def _state(entry: Entry, now: int) -> str:
    if entry.due <= now:
        return "ready"
    return "reserved" if entry.reserved else "delayed"
