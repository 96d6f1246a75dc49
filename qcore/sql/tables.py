"""The tables of qcore, as SQLAlchemy metadata: importable in the env.py of your migrations.

Imports SQLAlchemy, so it is itself imported only when a database is first used.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable, DDLElement

from qcore.errors import UnsupportedError

# A dialect renders DDL without its driver package.
_DIALECTS = {
    "sqlite": "sqlite://",
    "postgresql": "postgresql+psycopg://",
    "mysql": "mysql+pymysql://",
    "mariadb": "mariadb+pymysql://",
}

VERSION = 2
"""Of the tables below; ``qcore_schema`` holds the one that a database has. 2 added batches."""

# MySQL and MariaDB pick LONGBLOB and LONGTEXT by this length.
_bytes = LargeBinary(2**24)
_text = Text().with_variant(Text(2**24), "mysql", "mariadb")


def _exact(length: int) -> String:
    """Text that is equal only when it is the same, in the order of its characters.

    MySQL would ignore case and trailing spaces, PostgreSQL would sort as the people of a country do.
    """
    exact = String(length).with_variant(String(length, collation="C"), "postgresql")
    exact = exact.with_variant(String(length, collation="utf8mb4_0900_bin"), "mysql")
    return exact.with_variant(String(length, collation="utf8mb4_nopad_bin"), "mariadb")


_exact_text = (
    Text()
    .with_variant(Text(2**24, collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(Text(2**24, collation="utf8mb4_nopad_bin"), "mariadb")
)

# Whatever character set the database has, and whatever engine the server prefers.
_TABLE: Any = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
}

# SQLite numbers rows by itself only in a column of the very type INTEGER.
_number = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

jobs = Table(
    "qcore_jobs",
    metadata,
    Column("id", _number, primary_key=True),
    Column("uuid", _exact(190), nullable=False, unique=True),
    Column("queue", _exact(190), nullable=False),
    Column("body", _bytes, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("verdict", _text, nullable=False),
    # When it may be reserved or, while it is reserved, when its lease ends: in milliseconds since 1970.
    Column("available_at", BigInteger, nullable=False),
    # In nanoseconds, by the clock of who took it; six digits are chance, so that it names the call: see `call_name`.
    Column("reserved_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    # Exactly the order of reserve, which so never sorts.
    Index("qcore_jobs_due", "queue", "available_at", "id"),
    sqlite_autoincrement=True,  # a number that was deleted is not given again: tokens are made from it
    **_TABLE,
)

failed_jobs = Table(
    "qcore_failed_jobs",
    metadata,
    Column("number", _number, primary_key=True),
    Column("uuid", _exact(190), nullable=False, unique=True),
    Column("connection", _exact(190), nullable=False),
    Column("queue", _exact(190), nullable=False),
    Column("body", _bytes, nullable=False),
    Column("exception", _text, nullable=False),
    Column("failed_at", Double, nullable=False),
    sqlite_autoincrement=True,
    **_TABLE,
)

keys = Table(
    "qcore_keys",
    metadata,
    Column("key", _exact(255), primary_key=True),
    Column("value", _exact_text, nullable=False),
    Column("expires_at", BigInteger, index=True),
    **_TABLE,
)

batches = Table(
    "qcore_batches",
    metadata,
    Column("id", _exact(190), primary_key=True),
    Column("name", _text, nullable=False),
    Column("connection", _exact(190), nullable=False),
    Column("queue", _exact(190), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("options", _text, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),
    Column("adding", Integer, nullable=False),
    Column("cancelled_at", Double),
    Column("cancelled_by", String(20), nullable=False),
    Column("finished_at", Double),
    Column("failure", _text, nullable=False),
    Column("fired", String(20), nullable=False),
    # How many positions of members were given out.
    Column("positions", BigInteger, nullable=False),
    Index("qcore_batches_newest", "created_at", "id"),
    **_TABLE,
)

batch_members = Table(
    "qcore_batch_members",
    metadata,
    Column("batch_id", _exact(190), primary_key=True),
    Column("member", _exact(190), primary_key=True),
    Column("state", String(1), nullable=False),
    # In the order in which they were added, with gaps.
    Column("position", BigInteger, nullable=False),
    Index("qcore_batch_members_state", "batch_id", "state", "position"),
    sqlite_with_rowid=False,
    **_TABLE,
)

schema = Table("qcore_schema", metadata, Column("version", Integer, primary_key=True, autoincrement=False), **_TABLE)


def creation(dialect_name: str) -> list[str]:
    """List the statements that make the tables, or those that an older version lacks.

    Where all exist, only MySQL minds (its indexes).
    """
    if dialect_name not in _DIALECTS:
        raise UnsupportedError(f"no tables for {dialect_name!r}: choose one of {', '.join(_DIALECTS)}")
    dialect = make_url(_DIALECTS[dialect_name]).get_dialect()()
    can_skip = dialect_name != "mysql"  # the one without CREATE INDEX IF NOT EXISTS
    made: list[DDLElement] = []
    for table in metadata.sorted_tables:
        made.append(CreateTable(table, if_not_exists=True))
        made += [CreateIndex(index, if_not_exists=can_skip) for index in table.indexes]
    return [*(str(each.compile(dialect=dialect)).strip() for each in made), _STAMP_AGAIN, _STAMP]


def emptying() -> list[str]:
    """List the statements that remove all that is in the tables."""
    return [f"DELETE FROM {table.name}" for table in metadata.sorted_tables if table is not schema]  # noqa: S608 - our own names


_STAMP_AGAIN = f"UPDATE qcore_schema SET version = {VERSION} WHERE version < {VERSION}"  # noqa: S608 - our own constant
_STAMP = (
    f"INSERT INTO qcore_schema (version) SELECT {VERSION} "  # noqa: S608 - our own constant
    "FROM (SELECT COUNT(*) AS known FROM qcore_schema) AS had WHERE had.known = 0"
)
