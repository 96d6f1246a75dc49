"""The statements that only MySQL and MariaDB need. Imports SQLAlchemy; see ``statements.py``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import literal_column, select, update
from sqlalchemy.dialects import mysql

from qcore.sql.compiled import given
from qcore.sql.statements import NEXT_TOKEN, Statements
from qcore.sql.tables import jobs, keys

if TYPE_CHECKING:
    from qcore.sql.statement import Statement
    from qcore.sql.words import Words


class MysqlStatements(Statements):
    """Reserving by two statements; holding a key before it is written."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.hold_key = self._hold_key()

    def _hold_key(self) -> Statement:
        # INSERT IGNORE shares the lock of a row that is there: two who then want to change it wait for each other.
        over = mysql.insert(keys).values(key=given("key"), value=literal_column("''"), expires_at=literal_column("0"))
        return self._compiled(over.on_duplicate_key_update(key=keys.c.key))

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
