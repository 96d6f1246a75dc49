"""What databases say in words of their own: inserting where something may be, and what time it is.

Imports SQLAlchemy; see ``statements.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import bindparam, cast, func, literal_column, type_coerce
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import BigInteger, Double

from qcore.sql.listening import IDLE

if TYPE_CHECKING:
    from sqlalchemy import Dialect, Table
    from sqlalchemy.sql.dml import Insert, Update

    Fields = dict[str, Any]


_NOBODY_WAITS = " AND ".join(
    f"{call}({IDLE}, hashtext(qcore_jobs.queue))" for call in ("pg_try_advisory_lock", "pg_advisory_unlock")
)
_TOLD = "pg_notify('qcore_' || hashtext(qcore_jobs.queue), '')"


class Words(Protocol):
    """The words of one kind of database."""

    dialect: Dialect
    counts_characters: bool
    """Texts are measured before they are inserted."""

    def add(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, and change nothing when there is one that is equal in ``unique``."""

    def put(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, or let the one that is equal in ``unique`` have these fields."""

    def instant(self, name: str) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for an instant in milliseconds: an input, since 1970 or since the server's own now."""

    def now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for this millisecond."""

    def exactly_now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for now, in milliseconds with a fraction."""

    def waking(self, change: Insert | Update) -> Insert | Update:
        """Let what changes a row of ``qcore_jobs`` wake those who wait for its queue, if the database can."""


class _Given:
    """Instants are inputs: the clock of the caller tells them."""

    counts_characters = True

    def instant(self, name: str) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for an instant."""
        return bindparam(name, type_=BigInteger())

    def now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for this millisecond."""
        return bindparam("now", type_=BigInteger())

    def exactly_now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for now."""
        return bindparam("exact", type_=Double())

    def waking(self, change: Insert | Update) -> Insert | Update:
        """Nobody can be woken."""
        return change


class SqliteWords(_Given):
    """SQLite has no clock but that of the process, and room for texts of any length."""

    counts_characters = False

    def __init__(self) -> None:
        self.dialect: Dialect = sqlite.dialect(paramstyle="qmark")

    def add(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, unless it is there."""
        return sqlite.insert(table).values(**fields).on_conflict_do_nothing(index_elements=unique)

    def put(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, or change the one that is there."""
        row = sqlite.insert(table).values(**fields)
        others = {name: row.excluded[name] for name in fields if name not in unique}
        return row.on_conflict_do_update(index_elements=unique, set_=others)


class PostgresWords(_Given):
    """PostgreSQL under a clock of the caller."""

    def __init__(self) -> None:
        # Positional inputs, whatever driver runs them.
        self.dialect: Dialect = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]

    def add(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, unless it is there."""
        return postgresql.insert(table).values(**fields).on_conflict_do_nothing(index_elements=unique)

    def put(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, or change the one that is there."""
        row = postgresql.insert(table).values(**fields)
        others = {name: row.excluded[name] for name in fields if name not in unique}
        return row.on_conflict_do_update(index_elements=unique, set_=others)

    def waking(self, change: Insert | Update) -> Insert | Update:
        """Notify those who wait for the queue, if any do: NOTIFY makes all transactions of the server commit in turn.

        Who waits holds a shared advisory lock, so that the exclusive one cannot be had.
        """
        return change.returning(literal_column(f"CASE WHEN {_NOBODY_WAITS} THEN '' ELSE {_TOLD}::text END"))


class PostgresServerWords(PostgresWords):
    """PostgreSQL by its own clock: that of the begin of the statement, which an index can be asked for."""

    def instant(self, name: str) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for an instant."""
        return self.now() + bindparam(name, type_=BigInteger())

    def now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for this millisecond."""
        return cast(func.floor(self.exactly_now()), BigInteger())

    def exactly_now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for now."""
        return literal_column("EXTRACT(EPOCH FROM statement_timestamp()) * 1000", Double())


class MysqlWords(_Given):
    """MySQL and MariaDB under a clock of the caller."""

    def __init__(self) -> None:
        self.dialect: Dialect = mysql.pymysql.dialect(paramstyle="format")

    def add(self, table: Table, fields: Fields, unique: list[str]) -> Insert:  # noqa: ARG002 - as Words
        """Insert a row, unless it is there."""
        # It would also cut off what is too long: the lengths of names are checked before.
        return mysql.insert(table).values(**fields).prefix_with("IGNORE")

    def put(self, table: Table, fields: Fields, unique: list[str]) -> Insert:
        """Insert a row, or change the one that is there."""
        row = mysql.insert(table).values(**fields)
        # VALUES() is what both understand.
        others = {
            name: type_coerce(func.VALUES(table.c[name]), table.c[name].type) for name in fields if name not in unique
        }
        return row.on_duplicate_key_update(others)


class MysqlServerWords(MysqlWords):
    """MySQL and MariaDB by their own clock, whatever time zone the connection has."""

    def instant(self, name: str) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for an instant."""
        return self.now() + bindparam(name, type_=BigInteger())

    def now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for this millisecond."""
        return literal_column(f"({_MICROSECONDS} DIV 1000)", BigInteger())

    def exactly_now(self) -> Any:  # noqa: ANN401 - as ``given``
        """Stand for now."""
        return literal_column(f"({_MICROSECONDS} / 1000)", Double())


_MICROSECONDS = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
