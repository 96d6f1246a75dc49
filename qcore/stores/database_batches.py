"""Batches in a SQL database."""

from __future__ import annotations

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
    from qcore.sql.connection import Connection


class DatabaseBatchStore:
    """Keeps batches as rows of ``qcore_batches``, and their members as rows of ``qcore_batch_members``."""

    def __init__(self, home: Database, clock: Clock) -> None:
        """Use the tables of ``home``; what it pushes is due by ``clock``."""
        self.home = home
        self._clock = clock

    def create(self, record: BatchRecord) -> bool:
        """Keep a new batch; False, and nothing is changed, when there is one with its id."""
        inputs = batch_records.inputs_of(record)
        return self.home.connection().changed(self.home.statements.create_batch, **inputs) > 0

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        """Count new members and push their payloads, in one step. False, and nothing is done, without such a batch."""
        connection, statements = self.home.connection(), self.home.statements
        wanted = list(dict.fromkeys(members))
        with connection.transaction():
            rows = connection.rows(statements.give_positions, batch=batch_id, count=len(wanted))
            if not rows:
                return False
            fresh = self._add_members(connection, batch_id, wanted, rows[0][-1] - len(wanted))
            known = set(wanted).difference(fresh)
            new = [push for push in pushes if push.payload.id not in known] if known else pushes
            if refused := push_all(connection, statements, new, self._clock.now()):
                connection.many(statements.forget_member, [{"batch": batch_id, "member": each} for each in refused])
            record, _ = after_adding(batch_records.record_of(rows[0]), fresh, refused)
            connection.changed(statements.count_batch, **batch_records.inputs_of(record))
        return True

    def _add_members(self, connection: Connection, batch_id: str, members: list[str], first: int) -> list[str]:
        statements = self.home.statements
        rows: list[dict[str, object]] = [
            {"batch": batch_id, "member": member, "position": position}
            for position, member in enumerate(members, first)
        ]
        if connection.many(statements.add_member, rows) == len(members):
            return members
        return [member for (member,) in connection.rows(statements.members_from, batch=batch_id, first=first)]

    def close(self, batch_id: str, at: float) -> BatchRecord | None:
        """Say that all members it was dispatched with are there; one without pending members is finished by that."""
        connection, statements = self.home.connection(), self.home.statements
        with connection.transaction():
            record = batch_records.find(connection, statements, batch_id)
            counted = None if record is None else after_closing(record, at)
            batch_records.keep(connection, statements, counted, self._clock.now())
        return record if counted is None else counted.record

    def give_up(self, batch_id: str, at: float) -> bool:
        """Close and cancel a batch that cannot be filled; its chain hears nothing from it. False when it was closed."""
        return self._count(batch_id, lambda record: after_giving_up(record, at))

    def reopen(self, batch_id: str) -> bool:
        """Take back that a batch was given up, so that it can be filled; False when it was not."""
        return self._count(batch_id, after_reopening)

    def revive(self, batch_id: str, members: Sequence[str]) -> bool:
        """Let members wait that failed, or were dropped; see ``BatchStore``."""

        def retried(record: BatchRecord) -> Counted | None:
            states = batch_records.states(self.home.connection(), self.home.statements, batch_id, members)
            return after_retry(record, states, members)

        return self._count(batch_id, retried)

    def _count(self, batch_id: str, find_out: Callable[[BatchRecord], Counted | None]) -> bool:
        connection, statements = self.home.connection(), self.home.statements
        with connection.transaction():
            record = batch_records.find(connection, statements, batch_id)
            counted = None if record is None else find_out(record)
            batch_records.keep(connection, statements, counted, self._clock.now())
        return counted is not None

    def settle(self, step: BatchStep) -> None:
        """Count a member that ended, and push the callbacks that are due."""
        connection = self.home.connection()
        with connection.transaction():
            batch_records.count_step(connection, self.home.statements, step, self._clock.now())

    def find(self, batch_id: str) -> BatchRecord | None:
        """Look one up."""
        return batch_records.find(self.home.connection(), self.home.statements, batch_id)

    def listed(self, *, limit: int = 100) -> list[BatchRecord]:
        """Show batches, the newest first; of the same age, the one with the greatest id."""
        rows = self.home.connection().rows(self.home.statements.list_batches, most=limit)
        return [batch_records.record_of(row) for row in rows]

    def members(self, batch_id: str, state: State, *, limit: int = 100_000) -> list[str]:
        """Give the ids of the members in a state, in the order in which they were added."""
        statement = self.home.statements.list_members
        rows = self.home.connection().rows(statement, batch=batch_id, state=state.value, most=limit)
        return [member for (member,) in rows]

    def cancel(self, batch_id: str, at: float) -> bool:
        """Cancel a batch; False when there is none, or it is finished or cancelled already."""
        return self.home.connection().changed(self.home.statements.cancel_batch, batch=batch_id, at=at) > 0

    def forget(self, batch_id: str) -> bool:
        """Drop a batch and what is known of its members; their payloads stay."""
        connection, statements = self.home.connection(), self.home.statements
        with connection.transaction():
            connection.changed(statements.forget_members, batch=batch_id)
            return connection.changed(statements.forget_batch, batch=batch_id) > 0

    def prune(
        self, *, finished: float | None = None, unfinished: float | None = None, cancelled: float | None = None
    ) -> int:
        """Drop batches that are as old as that, and say how many; see ``BatchStore``. Each is a step of its own."""
        connection, statements = self.home.connection(), self.home.statements
        ages = {"finished": finished, "unfinished": unfinished, "cancelled": cancelled}
        count = 0
        for (batch_id,) in connection.rows(statements.list_old_batches, **ages):
            with connection.transaction():
                dropped = connection.changed(statements.forget_old_batch, batch=batch_id, **ages)
                if dropped:  # somebody may have added members meanwhile
                    connection.changed(statements.forget_members, batch=batch_id)
                count += dropped
        return count
