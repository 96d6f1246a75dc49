"""The statements about batches. Instants are seconds since 1970. Imports SQLAlchemy; see ``statements.py``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, literal_column, or_, select, update

from qcore.batches import BatchRecord, State
from qcore.sql.compiled import Compiled, given
from qcore.sql.tables import batch_members, batches

if TYPE_CHECKING:
    from qcore.sql.statement import Statement

_RECORD = [batches.c[name] for name in BatchRecord._fields]
_COUNTED = BatchRecord._fields[BatchRecord._fields.index("total") :]
"""The fields that change in the life of a batch."""


class BatchStatements(Compiled):
    """The statements about batches and their members."""

    @cached_property
    def create_batch(self) -> Statement:
        """Inputs: the fields of a record. Changes nothing when there is one with its id."""
        fields = {name: given(name) for name in BatchRecord._fields}
        return self._compiled(self._words.add(batches, fields | {"positions": literal_column("0")}, ["id"]))

    @cached_property
    def find_batch(self) -> Statement:
        """Inputs: batch. Returns a record."""
        return self._compiled(select(*_RECORD).where(batches.c.id == given("batch")))

    @cached_property
    def lock_batch(self) -> Statement:
        """Inputs: batch. Returns a record and the number of positions given out; others wait for the transaction."""
        found = select(*_RECORD, batches.c.positions).where(batches.c.id == given("batch"))
        return self._compiled(found.with_for_update())

    @cached_property
    def list_batches(self) -> Statement:
        """Inputs: most. Returns records."""
        newest = select(*_RECORD).order_by(batches.c.created_at.desc(), batches.c.id.desc())
        return self._compiled(newest.limit(given("most")).offset(literal_column("0")))

    @cached_property
    def give_positions(self) -> Statement:
        """Inputs: batch, count."""
        grown = update(batches).where(batches.c.id == given("batch"))
        return self._compiled(grown.values(positions=batches.c.positions + given("count")))

    @cached_property
    def count_batch(self) -> Statement:
        """Inputs: batch, and the fields of a record that change."""
        row = update(batches).where(batches.c.id == given("batch"))
        return self._compiled(row.values({name: given(name) for name in _COUNTED}))

    @cached_property
    def cancel_batch(self) -> Statement:
        """Inputs: batch, at."""
        running = (batches.c.cancelled_at.is_(None), batches.c.finished_at.is_(None))
        row = update(batches).where(batches.c.id == given("batch"), *running)
        return self._compiled(row.values(cancelled_at=given("at"), cancelled_by=literal_column("'request'")))

    @cached_property
    def forget_batch(self) -> Statement:
        """Inputs: batch."""
        return self._compiled(delete(batches).where(batches.c.id == given("batch")))

    @cached_property
    def list_old_batches(self) -> Statement:
        """Inputs: finished, unfinished, cancelled: instants or None. Returns ids."""
        return self._compiled(select(batches.c.id).where(_is_old()))

    @cached_property
    def forget_old_batch(self) -> Statement:
        """Inputs: batch, finished, unfinished, cancelled."""
        return self._compiled(delete(batches).where(batches.c.id == given("batch"), _is_old()))

    # members

    @cached_property
    def add_member(self) -> Statement:
        """Inputs: batch, member, position. Changes nothing when the batch knows it."""
        fields = {
            "batch_id": given("batch"),
            "member": given("member"),
            "state": literal_column(f"'{State.PENDING.value}'"),
            "position": given("position"),
        }
        return self._compiled(self._words.add(batch_members, fields, ["batch_id", "member"]))

    @cached_property
    def members_from(self) -> Statement:
        """Inputs: batch, first (position). Returns members."""
        return self._compiled(
            select(batch_members.c.member)
            .where(batch_members.c.batch_id == given("batch"), batch_members.c.position >= given("first"))
            .order_by(batch_members.c.position)
        )

    @cached_property
    def list_members(self) -> Statement:
        """Inputs: batch, state, most. Returns members."""
        return self._compiled(
            select(batch_members.c.member)
            .where(batch_members.c.batch_id == given("batch"), batch_members.c.state == given("state"))
            .order_by(batch_members.c.position)
            .limit(given("most"))
            .offset(literal_column("0"))
        )

    @cached_property
    def member_state(self) -> Statement:
        """Inputs: batch, member. Returns a state, if it is one."""
        return self._compiled(select(batch_members.c.state).where(*_is_member()))

    @cached_property
    def change_member(self) -> Statement:
        """Inputs: batch, member, state."""
        return self._compiled(update(batch_members).where(*_is_member()).values(state=given("state")))

    @cached_property
    def forget_member(self) -> Statement:
        """Inputs: batch, member."""
        return self._compiled(delete(batch_members).where(*_is_member()))

    @cached_property
    def forget_members(self) -> Statement:
        """Inputs: batch."""
        return self._compiled(delete(batch_members).where(batch_members.c.batch_id == given("batch")))


def _is_member() -> tuple[ColumnElement[bool], ...]:
    return batch_members.c.batch_id == given("batch"), batch_members.c.member == given("member")


def _is_old() -> ColumnElement[bool]:
    return or_(
        batches.c.finished_at <= given("finished"),
        and_(batches.c.finished_at.is_(None), batches.c.created_at <= given("unfinished")),
        and_(batches.c.cancelled_at.is_not(None), batches.c.created_at <= given("cancelled")),
    )
