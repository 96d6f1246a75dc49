"""Reading and counting batches: inside the transaction that deletes a member, or that adds some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.batches import BatchRecord, State, after_step
from qcore.sql.records import push_all

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.batches import BatchStep, Counted
    from qcore.sql.connection import Asks, Row, Runs
    from qcore.sql.statements import Statements


def record_of(row: Row) -> BatchRecord:
    """Make a record of a row; what follows its fields is left out."""
    record = BatchRecord(*row[: len(BatchRecord._fields)])
    return record._replace(adding=bool(record.adding))


def inputs_of(record: BatchRecord) -> dict[str, Any]:
    """Give the inputs of the statements that write a record."""
    return {**record._asdict(), "adding": int(record.adding), "batch": record.id}


def find(runs: Asks, statements: Statements, batch_id: str) -> BatchRecord | None:
    """Look a batch up."""
    rows = runs.rows(statements.find_batch, batch=batch_id)
    return record_of(rows[0]) if rows else None


def lock(runs: Runs, statements: Statements, batch_id: str) -> BatchRecord | None:
    """Look a batch up that is about to be changed: others wait for the end of the transaction."""
    rows = runs.rows(statements.lock_batch, batch=batch_id)
    return record_of(rows[0]) if rows else None


def count_step(runs: Runs, statements: Statements, step: BatchStep, now: float) -> None:
    """Count a member that ended, and push what is due by that. Call it inside a transaction.

    A batch or member that is not there, or was counted before, changes nothing. ``now`` is in seconds since 1970.
    """
    record = lock(runs, statements, step.batch_id)
    if record is not None:
        members = (step.member, *step.dropped)
        keep(runs, statements, after_step(record, states(runs, statements, step.batch_id, members), step), now)


def states(runs: Runs, statements: Statements, batch_id: str, members: Iterable[str]) -> dict[str, State]:
    """Look up how far members are; who is none is left out."""
    found = {each: runs.rows(statements.member_state, batch=batch_id, member=each) for each in members}
    return {member: State(rows[0][0]) for member, rows in found.items() if rows}


def keep(runs: Runs, statements: Statements, counted: Counted | None, now: float) -> None:
    """Write down what a step made of a batch, and push what is due by it."""
    if counted is None:
        return
    batch_id = counted.record.id
    changes: list[dict[str, object]] = [
        {"batch": batch_id, "member": each, "state": its.value} for each, its in counted.changes.items()
    ]
    runs.many(statements.change_member, changes)
    runs.changed(statements.count_batch, **inputs_of(counted.record))
    push_all(runs, statements, counted.pushes, now)
