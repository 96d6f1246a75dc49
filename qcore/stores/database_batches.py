"""Batches in a SQL database."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from qcore.batches import after_adding, after_closing, after_giving_up, after_reopening, after_retry
from qcore.sql import batch_records
from qcore.sql.records import push_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.batches import BatchRecord, BatchStep, Counted, State
    from qcore.clock import Clock
    from qcore.driver import Push
    from qcore.sql import Database
    from qcore.sql.connection import Runs
    from qcore.sql.database import Timed


class DatabaseBatchStore:
    """Keeps batches as rows of ``qcore_batches``, and their members as rows of ``qcore_batch_members``."""

    def __init__(self, home: Database, clock: Clock) -> None:
        """Use the tables of ``home``; what it pushes is due by ``clock``."""
        self.home = home
        self._clock = clock

    @cached_property
    def _timed(self) -> Timed:
        return self.home.timed(self._clock)

    def create(self, record: BatchRecord) -> bool:
        """Keep a new batch; False, and nothing is changed, when there is one with its id."""
        statements = self._timed.statements

        def create(*, again: bool) -> bool:
            runs = self.home.connection()
            made = runs.changed(statements.create_batch, **batch_records.inputs_of(record)) > 0
            return made or (again and batch_records.find(runs, statements, record.id) == record)

        return self.home.insist(create)

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        """Count new members and push their payloads, in one step. False, and nothing is done, without such a batch."""
        return self.home.atomically(lambda runs: self._add(runs, batch_id, members, pushes), repeatable=True)

    def _add(self, runs: Runs, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        statements, now = self._timed
        rows = runs.rows(statements.lock_batch, batch=batch_id)
        if not rows:
            return False
        wanted = list(dict.fromkeys(members))
        runs.changed(statements.give_positions, batch=batch_id, count=len(wanted))
        fresh = self._add_members(runs, batch_id, wanted, rows[0][-1])
        known = set(wanted).difference(fresh)
        new = [push for push in pushes if push.payload.id not in known] if known else pushes
        if refused := push_all(runs, statements, new, now()):
            runs.many(statements.forget_member, [{"batch": batch_id, "member": each} for each in refused])
        record, _ = after_adding(batch_records.record_of(rows[0]), fresh, refused)
        runs.changed(statements.count_batch, **batch_records.inputs_of(record))
        return True

    def _add_members(self, runs: Runs, batch_id: str, members: list[str], first: int) -> list[str]:
        statements = self._timed.statements
        rows: list[dict[str, object]] = [
            {"batch": batch_id, "member": member, "position": position}
            for position, member in enumerate(members, first)
        ]
        if runs.many(statements.add_member, rows) == len(members):
            return members
        return [member for (member,) in runs.rows(statements.members_from, batch=batch_id, first=first)]

    def close(self, batch_id: str, at: float) -> BatchRecord | None:
        """Say that all members it was dispatched with are there; one without pending members is finished by that."""

        def step(runs: Runs) -> BatchRecord | None:
            statements, now = self._timed
            record = batch_records.lock(runs, statements, batch_id)
            counted = None if record is None else after_closing(record, at)
            batch_records.keep(runs, statements, counted, now())
            return record if counted is None else counted.record

        return self.home.atomically(step, repeatable=True)

    def give_up(self, batch_id: str, at: float) -> bool:
        """Close and cancel a batch that cannot be filled; its chain hears nothing from it. False when it was closed."""
        return self._count(batch_id, lambda record, _: after_giving_up(record, at))

    def reopen(self, batch_id: str) -> bool:
        """Take back that a batch was given up, so that it can be filled; False when it was not."""
        return self._count(batch_id, lambda record, _: after_reopening(record))

    def revive(self, batch_id: str, members: Sequence[str]) -> bool:
        """Let members wait that failed, or were dropped; see ``BatchStore``."""

        def retried(record: BatchRecord, runs: Runs) -> Counted | None:
            states = batch_records.states(runs, self._timed.statements, batch_id, members)
            return after_retry(record, states, members)

        return self._count(batch_id, retried)

    def _count(self, batch_id: str, find_out: Callable[[BatchRecord, Runs], Counted | None]) -> bool:
        done = False

        def step(runs: Runs) -> bool:
            nonlocal done
            statements, now = self._timed
            record = batch_records.lock(runs, statements, batch_id)
            counted = None if record is None else find_out(record, runs)
            batch_records.keep(runs, statements, counted, now())
            done = done or counted is not None  # if not now, then before its answer was lost
            return done

        return self.home.atomically(step, repeatable=True)

    def settle(self, step: BatchStep) -> None:
        """Count a member that ended, and push the callbacks that are due."""
        statements, now = self._timed
        self.home.atomically(lambda runs: batch_records.count_step(runs, statements, step, now()), repeatable=True)

    def find(self, batch_id: str) -> BatchRecord | None:
        """Look one up."""
        return batch_records.find(self.home, self._timed.statements, batch_id)

    def listed(self, *, limit: int = 100) -> list[BatchRecord]:
        """Show batches, the newest first; of the same age, the one with the greatest id."""
        rows = self.home.rows(self._timed.statements.list_batches, most=limit)
        return [batch_records.record_of(row) for row in rows]

    def members(self, batch_id: str, state: State, *, limit: int = 100_000) -> list[str]:
        """Give the ids of the members in a state, in the order in which they were added."""
        statement = self._timed.statements.list_members
        rows = self.home.rows(statement, batch=batch_id, state=state.value, most=limit)
        return [member for (member,) in rows]

    def cancel(self, batch_id: str, at: float) -> bool:
        """Cancel a batch; False when there is none, or it is finished or cancelled already."""
        statements = self._timed.statements

        def cancel(*, again: bool) -> bool:
            runs = self.home.connection()
            if runs.changed(statements.cancel_batch, batch=batch_id, at=at):
                return True
            found = batch_records.find(runs, statements, batch_id) if again else None
            return found is not None and found.cancelled_at == at

        return self.home.insist(cancel)

    def forget(self, batch_id: str) -> bool:
        """Drop a batch and what is known of its members; their payloads stay."""
        statements = self._timed.statements

        def forget(*, again: bool) -> bool:
            connection = self.home.connection()
            with connection.transaction(repeatable=True):
                dropped = connection.changed(statements.forget_batch, batch=batch_id) > 0
                connection.changed(statements.forget_members, batch=batch_id)
            return dropped or again

        return self.home.insist(forget)

    def prune(
        self, *, finished: float | None = None, unfinished: float | None = None, cancelled: float | None = None
    ) -> int:
        """Drop batches that are as old as that, and say how many; see ``BatchStore``. Each is a step of its own."""
        ages = {"finished": finished, "unfinished": unfinished, "cancelled": cancelled}
        old = self.home.rows(self._timed.statements.list_old_batches, **ages)
        return sum(self.home.atomically(partial(self._prune, batch_id, ages)) for (batch_id,) in old)

    def _prune(self, batch_id: str, ages: dict[str, float | None], runs: Runs) -> int:
        statements = self._timed.statements
        dropped = runs.changed(statements.forget_old_batch, batch=batch_id, **ages)
        if dropped:  # somebody may have added members meanwhile
            runs.changed(statements.forget_members, batch=batch_id)
        return dropped
