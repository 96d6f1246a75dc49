"""Queues in a SQL database: durable, and shared by every process that can open it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from qcore.clock import milliseconds
from qcore.driver import NONE, Effects, Listed, Payload, Push, QueueCounts, Reservation, Settled
from qcore.sql.batch_records import count_step
from qcore.sql.records import begun, call_name, keep_failed, push_all, push_row, push_within, take_lock, unlock_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Lock
    from qcore.failed import FailedJob
    from qcore.sql import Database
    from qcore.sql.connection import Asks, Row, Runs
    from qcore.sql.database import Timed
    from qcore.sql.statement import Statement

_SOON = 0.02
"""Seconds until another look when what is due could not be had: somebody else has it in hand."""

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

    @cached_property
    def _timed(self) -> Timed:
        return self.home.timed(self._clock)

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        """Store a payload, due in ``delay`` seconds."""
        statements, now = self._timed
        self.home.changed(statements.push, **push_row(Push(queue, payload, delay), now()))

    def bulk(self, pushes: Iterable[Push]) -> None:
        """Store all, in order, in one transaction."""
        ready = list(pushes)
        statements, now = self._timed
        self.home.atomically(lambda runs: push_all(runs, statements, ready, now()), repeatable=True)

    def push_locked(self, push: Push) -> str | None:
        """Store a payload and take its lock; gives the owner of the lock when that refused the push."""
        statements, now = self._timed
        self.home.sweep_keys_now_and_then(self._timed, self._now())
        return self.home.atomically(lambda runs: push_within(runs, statements, push, now()), repeatable=True)

    def joined(self, transaction: object) -> DatabaseDriver:
        """Give the driver as it is inside a transaction of the caller, which has to be on this database."""
        from qcore.sql.borrowed import joined  # few need it

        return DatabaseDriver(joined(self.home, transaction), self._clock, retry_after=self.retry_after)

    def take_lock(self, lock: Lock) -> str | None:
        """Take a lock for a payload that is stored already, or not yet; gives the owner that holds it instead."""
        statements, now = self._timed
        self.home.sweep_keys_now_and_then(self._timed, self._now())
        return self.home.atomically(lambda runs: take_lock(runs, statements, lock, now()), repeatable=True)

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take the first due payload of the first queue that has one."""
        taken = self._take(queues)
        if taken is not None:
            self.home.at_work()
            return taken
        return self._wait_and_take(queues, wait) if wait > 0 else None

    def _take(self, queues: Sequence[str]) -> Reservation | None:
        if not queues:
            return None
        statements = self._timed.statements
        inputs = self._lease()

        def take(*, again: bool) -> Row | None:
            connection = self.home.connection()
            lost = self._taken_by(connection, queues, inputs) if again else None
            return lost or self.home.dialect.take(connection, statements, queues, **inputs)

        row = self.home.insist(take)
        return None if row is None else _reservation(row)

    def _lease(self) -> dict[str, int]:
        now = self._timed.now()
        return {
            "call": call_name(self._clock.now()),
            "now": begun(now),
            "lease_end": milliseconds(now + self.retry_after),
        }

    def _taken_by(self, runs: Asks, queues: Sequence[str], inputs: dict[str, int]) -> Row | None:
        """Find what a call has reserved whose answer was lost; its lease begins anew."""
        statements = self._timed.statements
        for queue in queues:
            for row in runs.rows(statements.taken_by, queue=queue, **inputs):
                if runs.changed(statements.extend, row=row[0], token=row[5], lease_end=inputs["lease_end"]):
                    return row
        return None

    def _wait_and_take(self, queues: Sequence[str], wait: float) -> Reservation | None:
        """Look again when the database was changed, as far as it tells, or something is due.

        Looking is reading: idle workers take no locks.
        """
        clock = self._clock
        end = clock.monotonic() + wait
        watch = self.home.watch(queues, clock)
        due: float | None = None
        while True:
            if watch.changed():
                due = self._due(queues)
            if due is not None and due - clock.monotonic() <= _MOMENT:
                if (taken := self._take(queues)) is not None:
                    watch.found()
                    return taken
                due = self._due(queues, at_least=_SOON)
            left = end - clock.monotonic()
            if left <= _MOMENT:
                return None
            if watch.wait(left if due is None else min(left, max(due - clock.monotonic(), 0))):
                due = clock.monotonic()

    def _due(self, queues: Sequence[str], *, at_least: float = 0) -> float | None:
        """Tell when the first payload is due, on the clock that never goes back; not sooner than ``at_least``."""
        if not queues:
            return None
        statement = self._timed.statements.due_in(len(queues))
        names = {f"queue_{index}": name for index, name in enumerate(queues)}
        [row] = self.home.rows(statement, exact=self._timed.now() * 1000, **names)
        firsts = [float(first) for first in row if first is not None]
        return self._clock.monotonic() + max(min(firsts) / 1000, at_least) if firsts else None

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a payload wherever it is, and apply ``effects`` in the same transaction."""

        def remove(*, again: bool) -> Settled:
            connection = self.home.connection()
            if effects == NONE:
                settled = self._remove(connection, reservation, only_last=only_last)
            else:
                with connection.transaction(repeatable=True):
                    settled = self._remove(connection, reservation, only_last=only_last)
                    if settled in {Settled.DONE, Settled.LATE}:
                        self._apply(connection, effects)
            return self._in_the_end(settled, reservation, effects.failed, again=again)

        return self.home.insist(remove)

    def _apply(self, runs: Runs, effects: Effects) -> None:
        statements, clock = self._timed
        now = clock()
        unlock_all(runs, statements, effects.unlocks)
        push_all(runs, statements, effects.pushes, now)
        if effects.batch is not None:
            count_step(runs, statements, effects.batch, now)
        if effects.failed is not None:
            keep_failed(runs, statements, effects.failed)

    def _remove(self, runs: Asks, reservation: Reservation, *, only_last: bool) -> Settled:
        statements = self._timed.statements
        held = {"row": reservation.receipt, "token": reservation.token}
        if runs.changed(statements.delete_last if only_last else statements.delete_newest, **held):
            return Settled.DONE
        if not only_last and runs.changed(statements.delete, row=reservation.receipt):
            return Settled.LATE
        return self._refused(runs, reservation)

    def _in_the_end(
        self, settled: Settled, reservation: Reservation, failed: FailedJob | None = None, *, again: bool
    ) -> Settled:
        """Say how a delete ended: what is gone when it is repeated, it has removed, unless another failed it first."""
        if not again or settled is not Settled.GONE:
            return settled
        rows = self.home.rows(self._timed.statements.when_failed, uuid=reservation.payload.id)
        mine = [] if failed is None else [failed.failed_at]
        return Settled.DONE if [row[0] for row in rows] == mine else Settled.GONE

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give a reserved payload back, due in ``delay`` seconds."""
        statements = self._timed.statements
        held = {"row": reservation.receipt, "token": reservation.token}
        given = {"due": self._due_after(delay), "returned": int(not count), "note": verdict}

        def give_back(*, again: bool) -> Settled:
            connection = self.home.connection()
            if connection.changed(statements.release, **held, **given):
                return Settled.DONE
            if again and connection.rows(statements.is_released, **held):
                return Settled.DONE
            return self._refused(connection, reservation)

        return self.home.insist(give_back)

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        """Let the lease end ``seconds`` from now."""
        extended = self.home.changed(
            self._timed.statements.extend,
            row=reservation.receipt,
            token=reservation.token,
            lease_end=self._due_after(seconds),
        )
        return Settled.DONE if extended else self._refused(self.home, reservation)

    def _refused(self, runs: Asks, reservation: Reservation) -> Settled:
        live = runs.rows(self._timed.statements.is_live, uuid=reservation.payload.id)
        return Settled.STALE if live else Settled.GONE

    def size(self, queue: str) -> int:
        """Count the payloads of a queue: ready, delayed and reserved."""
        [(count,)] = self.home.rows(self._timed.statements.size, queue=queue)
        return int(count)

    def clear(self, queue: str) -> int:
        """Remove every payload of a queue, and say how many."""
        return self.home.changed(self._timed.statements.clear, queue=queue)

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something, by name."""
        rows = self.home.rows(self._timed.statements.counts, now=self._now())
        return [
            QueueCounts(queue, ready, delayed, reserved, None if waited is None else waited / 1000)
            for queue, ready, delayed, reserved, waited in rows
        ]

    def listed(self, queue: str, *, limit: int = 100) -> list[Listed]:
        """Show the payloads of a queue in the order in which they become available."""
        rows = self.home.rows(self._timed.statements.listed, queue=queue, most=limit, now=self._now())
        return [
            Listed(queue, Payload(job_id, body), _state(due, reserved_at, now), attempts, due / 1000)
            for job_id, body, attempts, reserved_at, due, now in rows
        ]

    def find(self, job_id: str) -> Listed | None:
        """Look a live payload up."""
        rows = self.home.rows(self._timed.statements.find_job, uuid=job_id, now=self._now())
        if not rows:
            return None
        [(queue, body, attempts, reserved_at, due, now)] = rows
        return Listed(queue, Payload(job_id, body), _state(due, reserved_at, now), attempts, due / 1000)

    def next_due(self, queues: Sequence[str]) -> float | None:
        """Tell when the next payload of these queues becomes available, in seconds since 1970."""
        statement = self._timed.statements.next_due
        firsts = [self.home.rows(statement, queue=name)[0][0] for name in queues]
        return min((first / 1000 for first in firsts if first is not None), default=None)

    def _now(self) -> int:
        return begun(self._timed.now())

    def _due_after(self, delay: float) -> int:
        # Without a delay it is due in this very millisecond; with one, never early.
        return self._now() if delay <= 0 else milliseconds(self._timed.now() + delay)


class PipelinedDatabaseDriver(DatabaseDriver):
    """A driver on a database that can delete one row and take another in one statement."""

    def delete_and_reserve(
        self, reservation: Reservation, queues: Sequence[str], *, effects: Effects = NONE
    ) -> tuple[Settled, Reservation | None]:
        """Remove a payload, and take the first due one."""
        if not queues or effects != NONE:
            return self.delete(reservation, effects=effects), self.reserve(queues)
        statements: Any = self._timed.statements  # those of a database that can
        statement: Statement = statements.delete_and_reserve(len(queues))
        held = {"row": reservation.receipt, "token": reservation.token}
        names = {f"queue_{index}": name for index, name in enumerate(queues)}
        inputs = self._lease()

        def both(*, again: bool) -> tuple[Row, bool]:
            connection = self.home.connection()
            lost = self._taken_by(connection, queues, inputs) if again else None
            return (0, *lost) if lost else connection.rows(statement, **held, **names, **inputs)[0], again

        (deleted, *row), again = self.home.insist(both)
        settled = Settled.DONE if deleted else self._in_the_end(self.delete(reservation), reservation, again=again)
        return settled, None if row[0] is None else _reservation(row)


def driver_on(home: Database, clock: Clock, *, retry_after: float = 90) -> DatabaseDriver:
    """Make the driver that does the most on that database."""
    kind = PipelinedDatabaseDriver if home.dialect.is_pipelined else DatabaseDriver
    return kind(home, clock, retry_after=retry_after)


def _reservation(row: Sequence[Any]) -> Reservation:
    number, queue, job_id, body, attempts, token, verdict = row
    return Reservation(queue, Payload(job_id, body), attempts, token, verdict, number)


def _state(due: int, reserved_at: int | None, now: int) -> str:
    if due <= now:
        return "ready"
    return "delayed" if reserved_at is None else "reserved"
