"""The memory of one process as a home of queues, failed jobs, keys and batches."""

from __future__ import annotations

import threading
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from qcore.batches import after_step
from qcore.clock import milliseconds
from qcore.driver import LockRule, pending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.batches import BatchRecord, BatchStep, Counted, State
    from qcore.driver import Lock, Payload, Push, Unlock
    from qcore.failed import FailedJob

TOKEN_SHIFT = 24
"""The first token of a life is ``number << 24``: an id that is pushed anew never repeats an old token."""

_SLACK = 64
"""So much garbage is not worth sweeping."""

_GONE = -1

_SWEEP_EVERY = 1000
"""Writes of keys between two sweeps of those whose time is over."""

_PENDING = pending("")


def due_at(now: float, delay: float) -> int:
    """Give the millisecond in which a payload is due that is stored ``now``, in seconds since 1970."""
    # Without a delay it is due in this very millisecond; with one, never early.
    return round(now * 1_000_000) // 1000 if delay <= 0 else milliseconds(now + delay)


class Timed(NamedTuple):
    """A push whose instants are known, so that nothing about it can raise any more. Milliseconds since 1970."""

    queue: str
    payload: Payload
    due: int
    lock: Lock | None
    now: int
    lock_end: int | None


def timed(push: Push, now: float) -> Timed:
    """Find out the instants of a push that happens ``now``, in seconds since 1970.

    :raises ArithmeticError, ValueError: for a delay or a time to live that is no number of seconds.
    """
    queue, payload, delay, lock = push
    end = None if lock is None or lock.ttl is None else milliseconds(now + lock.ttl)
    return Timed(queue, payload, due_at(now, delay), lock, due_at(now, 0), end)


class Entry:
    """One live payload. ``due`` is when it may be reserved or, while it is reserved, when its lease ends."""

    __slots__ = ("attempts", "due", "number", "payload", "queue", "reserved", "token", "verdict")

    def __init__(self, number: int, queue: MemoryQueue, payload: Payload, due: int) -> None:
        """Start a life: ``number`` counts pushes and is never used twice."""
        self.number = number
        self.queue = queue
        self.payload = payload
        self.due = due
        self.attempts = 0
        self.token = number << TOKEN_SHIFT
        self.verdict = ""
        self.reserved = False

    def __lt__(self, other: Entry) -> bool:
        """Let heaps compare two nodes of one entry; between entries the number has decided before."""
        return self.number < other.number


Node = tuple[int, int, Entry]
"""When it is due, its number, and the entry: what heaps are ordered by."""


class MemoryQueue:
    """The entries of one queue, by the time at which they are due and then by the order of their pushes.

    Two heaps, because leases end in the far future: what is settled in time would pile up
    below the waiting ones. A node whose entry has moved on is garbage; it is dropped when it
    comes up, and swept when there is more garbage than content.
    """

    __slots__ = ("held", "leases", "name", "size", "waiting")

    def __init__(self, name: str) -> None:
        """Start empty."""
        self.name = name
        self.waiting: list[Node] = []
        self.leases: list[Node] = []
        self.size = 0
        self.held = 0

    def first(self) -> Node | None:
        """Show what is due first, waiting or at the end of its lease."""
        waiting, leases = self.waiting, self.leases
        while waiting and waiting[0][2].due != waiting[0][0]:
            heappop(waiting)
        while leases and leases[0][2].due != leases[0][0]:
            heappop(leases)
        if leases and (not waiting or leases[0] < waiting[0]):
            return leases[0]
        return waiting[0] if waiting else None

    def wait(self, entry: Entry, due: int) -> None:
        """Let the entry wait until ``due``."""
        if entry.reserved:
            entry.reserved = False
            self.held -= 1
        entry.due = due
        heappush(self.waiting, (due, entry.number, entry))

    def hold(self, entry: Entry, lease_end: int) -> None:
        """Hide the entry, which is the ``first`` one, until its lease ends."""
        if entry.reserved:
            heappop(self.leases)
        else:
            heappop(self.waiting)
            entry.reserved = True
            self.held += 1
        entry.due = lease_end
        heappush(self.leases, (lease_end, entry.number, entry))

    def extend(self, entry: Entry, lease_end: int) -> None:
        """Move the end of a lease."""
        entry.due = lease_end
        heappush(self.leases, (lease_end, entry.number, entry))
        self.sweep()

    def drop(self, entry: Entry) -> None:
        """Forget the entry wherever it is."""
        self.size -= 1
        if entry.reserved:
            entry.reserved = False
            self.held -= 1
        entry.due = _GONE

    def sweep(self) -> None:
        """Keep the heaps no larger than twice what lives in them."""
        if len(self.leases) > 2 * self.held + _SLACK:
            self.leases = list({id(node[2]): node for node in self.leases if node[2].due == node[0]}.values())
            heapify(self.leases)
        if len(self.waiting) > 2 * (self.size - self.held) + _SLACK:
            self.waiting = [node for node in self.waiting if node[2].due == node[0]]
            heapify(self.waiting)


class Batch:
    """A batch, and the states of its members in the order in which they were added."""

    __slots__ = ("members", "record")

    def __init__(self, record: BatchRecord) -> None:
        """Start without members."""
        self.record = record
        self.members: dict[str, State] = {}


class Memory:
    """One lock and what it guards. Drivers and stores that share it act in one atomic step."""

    def __init__(self, beside: Memory | None = None) -> None:
        """Start empty; ``beside`` another one it has the batches of that one, and its lock."""
        self.lock: threading.RLock = threading.RLock() if beside is None else beside.lock
        self.batches: dict[str, Batch] = {} if beside is None else beside.batches
        self.changed = threading.Condition(self.lock)
        """Notified when something may be due earlier than sleepers believe."""
        self.sleepers = 0
        self.entries: dict[str, Entry] = {}
        self.queues: dict[str, MemoryQueue] = {}
        self.pushed = 0
        self.failed: dict[str, FailedJob] = {}
        self.failures = 0
        self.keys: dict[str, tuple[str, int | None]] = {}
        self._keys_written = 0

    def push(self, name: str, payload: Payload, due: int) -> None:
        """Keep a payload, unless its id is live."""
        if payload.id in self.entries:
            return
        queue = self.queues.get(name)
        if queue is None:
            queue = self.queues[name] = MemoryQueue(name)
        self.pushed = number = self.pushed + 1
        self.entries[payload.id] = entry = Entry(number, queue, payload, due)
        queue.size += 1
        heappush(queue.waiting, (due, number, entry))

    def push_timed(self, push: Timed) -> str | None:
        """Keep a payload and take the lock that it wants; gives the owner of the lock when that refused it."""
        lock = push.lock
        if lock is not None and push.payload.id not in self.entries:
            holder = self.take_lock(lock, push.lock_end, push.now)
            if holder is not None and lock.rule is LockRule.REFUSE:
                return holder
        self.push(push.queue, push.payload, push.due)
        return None

    def take_lock(self, lock: Lock, end: int | None, now: int) -> str | None:
        """Take a lock that is free or may be replaced; gives the owner that holds it instead."""
        holder = None if lock.rule is LockRule.REPLACE else self._holder(lock, now)
        if holder is None:
            self.write_key(lock.key, lock.owner, end, now)
        return holder

    def _holder(self, lock: Lock, now: int) -> str | None:
        """Say who holds a lock against its owner-to-be."""
        found = self.key(lock.key, now)
        if found is None or found[0] in {lock.owner, pending(lock.owner)}:
            return None
        holder = found[0]
        return holder if holder in self.entries or holder.startswith(_PENDING) else None

    def unlock(self, unlock: Unlock) -> None:
        """Free a lock, unless it is in other hands."""
        found = self.keys.get(unlock.key)
        if found is not None and found[0] in {unlock.owner, pending(unlock.owner)}:
            del self.keys[unlock.key]

    def key(self, key: str, now: int) -> tuple[str, int | None] | None:
        """Read a key, and when its time is over; None when there is none (any more)."""
        found = self.keys.get(key)
        return found if found is None or found[1] is None or found[1] > now else None

    def write_key(self, key: str, value: str, end: int | None, now: int) -> None:
        """Write a key, whatever was there."""
        self.keys[key] = (value, end)
        self._keys_written += 1
        if self._keys_written % _SWEEP_EVERY == 0:
            over = [name for name, (_, end) in self.keys.items() if end is not None and end <= now]
            for name in over:
                del self.keys[name]

    def count(self, step: BatchStep) -> Counted | None:
        """Find out what an ended member changes, and change nothing; None when it changes nothing."""
        batch = self.batches.get(step.batch_id)
        return None if batch is None else after_step(batch.record, batch.members, step)

    def keep_counted(self, counted: Counted) -> None:
        """Write down what was found out, but for the pushes."""
        batch = self.batches[counted.record.id]
        batch.record = counted.record
        batch.members.update(counted.changes)

    def remove(self, entry: Entry) -> None:
        """End the life of an entry."""
        del self.entries[entry.payload.id]
        queue = entry.queue
        queue.drop(entry)
        if queue.size:
            queue.sweep()
        elif len(self.queues) > _SLACK:
            del self.queues[queue.name]
        else:
            queue.waiting.clear()
            queue.leases.clear()

    def in_queue(self, name: str) -> Iterator[Entry]:
        """Walk over the entries of one queue, in no order."""
        return (entry for entry in self.entries.values() if entry.queue.name == name)

    def keep_failed(self, record: FailedJob) -> None:
        """Keep a failed job under the next number, in place of an older record of the same id."""
        self.failures += 1
        self.failed.pop(record.payload.id, None)
        self.failed[record.payload.id] = record._replace(number=self.failures)

    def wake(self) -> None:
        """Let those who wait look again."""
        if self.sleepers:
            self.changed.notify_all()
