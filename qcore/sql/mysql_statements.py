"""The statements that only MySQL and MariaDB need. Imports SQLAlchemy; see ``statements.py``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import literal_column, select, update

from qcore.sql.compiled import given
from qcore.sql.statements import NEXT_TOKEN, Statements
from qcore.sql.tables import jobs

if TYPE_CHECKING:
    from qcore.sql.statement import Statement


class MysqlStatements(Statements):
    """Reserving by two statements."""

    @cached_property
    def first_due(self) -> Statement:
        """Inputs: queue, now. Returns id, queue, uuid, body, attempts, token, verdict, as they will be."""
        return self._compiled(
            select(
                jobs.c.id,
                jobs.c.queue,
                jobs.c.uuid,
                jobs.c.body,
                jobs.c.attempts + literal_column("1"),
                NEXT_TOKEN,
                jobs.c.verdict,
            )
            .where(jobs.c.queue == given("queue"), jobs.c.available_at <= self._words.now())
            .order_by(jobs.c.available_at, jobs.c.id)
            .limit(literal_column("1"))
            .offset(literal_column("0"))
            .with_for_update(skip_locked=True)
        )

    @cached_property
    def hold(self) -> Statement:
        """Inputs: row, call, lease_end."""
        return self._compiled(update(jobs).where(jobs.c.id == given("row")).values(self._taken()))
