"""The statements that only PostgreSQL can run. Imports SQLAlchemy; see ``statements.py``."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, literal_column, select, true

from qcore.sql.compiled import given
from qcore.sql.statements import Statements
from qcore.sql.tables import jobs

if TYPE_CHECKING:
    from qcore.sql.statement import Statement
    from qcore.sql.words import Words


class PostgresStatements(Statements):
    """Deleting one row and taking another in one statement."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.delete_and_reserve = cache(self._delete_and_reserve)

    def _delete_and_reserve(self, queues: int) -> Statement:
        """Inputs: row, token, and those of ``reserve``. Gives one row: how many were deleted, and what reserve gives.

        Both parts see the table as it was before, so the row to delete, which may be due, is kept from being taken.
        """
        row = jobs.c.id == given("row")
        gone = delete(jobs).where(row, jobs.c.token == given("token")).returning(jobs.c.id).cte("gone")
        taken = self._taking(queues, jobs.c.id != given("row")).cte("taken")
        deleted = select(func.count()).select_from(gone).scalar_subquery()
        always = select(literal_column("1").label("one")).subquery("always")
        return self._compiled(select(deleted, *taken.c).select_from(always.outerjoin(taken, true())))
