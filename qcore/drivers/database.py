"""Queues in a SQL database: durable, and shared by every process that can open it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.clock import milliseconds
from qcore.driver import NONE, Effects, Listed, Payload, Push, QueueCounts, Reservation, Settled
from qcore.sql.batch_records import count_step
from qcore.sql.records import begun, keep_failed, push_all, push_row, push_within, take_lock, unlock_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Lock
    from qcore.sql import Database
    from qcore.sql.connection import Connection

_POLL_FIRST = 0.02
_POLL_LAST = 0.05
_MOMENT = 0.000_001
"""Waits below the resolution of clocks are over."""


class DatabaseDriver:
    """A driver whose payloads are rows of ``qcore_jobs``."""

    shared = True

    def __init__(self, home: Database, clock: Clock, *, retry_after: float = 90) -> None:
        """Use the tables of ``home``; nothing is opened before the first call."""
        self.home = home
        self.retry_after = retry_after
        self._clock = clock

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        """Store a payload, due in ``delay`` seconds."""
        row = push_row(Push(queue, payload, delay), self._clock.now())
        self.home.connection().changed(self.home.statements.push, **row)

    def bulk(self, pushes: Iterable[Push]) -> None:
        """Store all, in order, in one transaction."""
        connection, ready = self.home.connection(), list(pushes)
        with connection.transaction():
            push_all(connection, self.home.statements, ready, self._clock.now())

    def push_locked(self, push: Push) -> str | None:
        """Store a payload and take its lock; gives the owner of the lock when that refused the push."""
        connection = self.home.connection()
        self.home.sweep_keys_now_and_then(self._now())
        with connection.transaction():
            return push_within(connection, self.home.statements, push, self._clock.now())

    def joined(self, transaction: object) -> DatabaseDriver:
        """Give the driver as it is inside a transaction of the caller, which has to be on this database."""
        from qcore.sql.borrowed import joined  # few need it

        return DatabaseDriver(joined(self.home, transaction), self._clock, retry_after=self.retry_after)

    def take_lock(self, lock: Lock) -> str | None:
        """Take a lock for a payload that is stored already, or not yet; gives the owner that holds it instead."""
        connection = self.home.connection()
        self.home.sweep_keys_now_and_then(self._now())
        with connection.transaction():
            return take_lock(connection, self.home.statements, lock, self._clock.now())

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take the first due payload of the first queue that has one."""
        taken = self._take(queues)
        if taken is not None or wait <= 0:
            return taken
        return self._wait_and_take(queues, wait)

    def _take(self, queues: Sequence[str]) -> Reservation | None:
        if not queues:
            return None
        rows = self.home.connection().rows(
            self.home.statements.reserve(len(queues)),
            now=self._now(),
            lease_end=milliseconds(self._clock.now() + self.retry_after),
            **{f"queue_{index}": name for index, name in enumerate(queues)},
        )
        if not rows:
            return None
        number, queue, job_id, body, attempts, token, verdict = rows[0]
        return Reservation(queue, Payload(job_id, body), attempts, token, verdict, number)

    def _wait_and_take(self, queues: Sequence[str], wait: float) -> Reservation | None:
        """Look again when the database was changed, which costs a few microseconds to ask, or something is due.

        Looking is reading: idle workers do not take the write lock.
        """
        clock, pause, seen = self._clock, _POLL_FIRST, None
        end = clock.monotonic() + wait
        due: float | None = None
        while True:
            self.home.check_file()
            version = self.home.connection().say("PRAGMA data_version")
            if version != seen:
                seen, due = version, self.next_due(queues)
            if due is not None and milliseconds(due) <= self._now():
                if (taken := self._take(queues)) is not None:
                    return taken
                due = self.next_due(queues)
            left = end - clock.monotonic()
            if left <= _MOMENT:
                return None
            clock.sleep(min(left, pause) if due is None else min(left, pause, max(due - clock.now(), 0)))
            pause = min(pause * 1.1, _POLL_LAST)

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a payload wherever it is, and apply ``effects`` in the same transaction."""
        connection = self.home.connection()
        if effects == NONE:
            return self._remove(connection, reservation, only_last=only_last)
        with connection.transaction():
            settled = self._remove(connection, reservation, only_last=only_last)
            if settled in {Settled.DONE, Settled.LATE}:
                self._apply(connection, effects)
        return settled

    def _apply(self, connection: Connection, effects: Effects) -> None:
        statements, now = self.home.statements, self._clock.now()
        unlock_all(connection, statements, effects.unlocks)
        push_all(connection, statements, effects.pushes, now)
        if effects.batch is not None:
            count_step(connection, statements, effects.batch, now)
        if effects.failed is not None:
            keep_failed(connection, statements, effects.failed)

    def _remove(self, connection: Connection, reservation: Reservation, *, only_last: bool) -> Settled:
        statements = self.home.statements
        if only_last:
            newest = connection.rows(statements.delete_last, row=reservation.receipt, token=reservation.token)
        else:
            newest = connection.rows(statements.delete, row=reservation.receipt)
        if not newest:
            return self._refused(connection, reservation)
        return Settled.DONE if newest == [(reservation.token,)] else Settled.LATE

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give a reserved payload back, due in ``delay`` seconds."""
        connection = self.home.connection()
        released = connection.changed(
            self.home.statements.release,
            row=reservation.receipt,
            token=reservation.token,
            due=self._due(delay),
            returned=int(not count),
            note=verdict,
        )
        return Settled.DONE if released else self._refused(connection, reservation)

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        """Let the lease end ``seconds`` from now."""
        connection = self.home.connection()
        extended = connection.changed(
            self.home.statements.extend,
            row=reservation.receipt,
            token=reservation.token,
            lease_end=self._due(seconds),
        )
        return Settled.DONE if extended else self._refused(connection, reservation)

    def _refused(self, connection: Connection, reservation: Reservation) -> Settled:
        live = connection.rows(self.home.statements.is_live, uuid=reservation.payload.id)
        return Settled.STALE if live else Settled.GONE

    def size(self, queue: str) -> int:
        """Count the payloads of a queue: ready, delayed and reserved."""
        [(count,)] = self.home.connection().rows(self.home.statements.size, queue=queue)
        return int(count)

    def clear(self, queue: str) -> int:
        """Remove every payload of a queue, and say how many."""
        return self.home.connection().changed(self.home.statements.clear, queue=queue)

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something, by name."""
        rows = self.home.connection().rows(self.home.statements.counts, now=self._now())
        return [
            QueueCounts(queue, ready, delayed, reserved, None if oldest is None else oldest / 1000)
            for queue, ready, delayed, reserved, oldest in rows
        ]

    def listed(self, queue: str, *, limit: int = 100) -> list[Listed]:
        """Show the payloads of a queue in the order in which they become available."""
        now = self._now()
        rows = self.home.connection().rows(self.home.statements.listed, queue=queue, most=limit)
        return [
            Listed(queue, Payload(job_id, body), _state(due, reserved_at, now), attempts, due / 1000)
            for job_id, body, attempts, reserved_at, due in rows
        ]

    def find(self, job_id: str) -> Listed | None:
        """Look a live payload up."""
        rows = self.home.connection().rows(self.home.statements.find_job, uuid=job_id)
        if not rows:
            return None
        [(queue, body, attempts, reserved_at, due)] = rows
        return Listed(queue, Payload(job_id, body), _state(due, reserved_at, self._now()), attempts, due / 1000)

    def next_due(self, queues: Sequence[str]) -> float | None:
        """Tell when the next payload of these queues becomes available, in seconds since 1970."""
        connection, statement = self.home.connection(), self.home.statements.next_due
        firsts = [connection.rows(statement, queue=name)[0][0] for name in queues]
        return min((first / 1000 for first in firsts if first is not None), default=None)

    def _now(self) -> int:
        return begun(self._clock.now())

    def _due(self, delay: float) -> int:
        # Without a delay it is due in this very millisecond; with one, never early.
        return self._now() if delay <= 0 else milliseconds(self._clock.now() + delay)


def _state(due: int, reserved_at: int | None, now: int) -> str:
    if due <= now:
        return "ready"
    return "delayed" if reserved_at is None else "reserved"
