"""What has to be known of the connections of callers, database by database: whose they are, where, in what state."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from qcore import sessions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.sql.database import Database

_LEGACY = -1
"""How Python 3.12 and later call the mode in which all versions before are."""


class Handle(NamedTuple):
    """A connection of a caller: to run statements on, and to be asked about its state."""

    raw: Any
    state: Any


class Callers(Protocol):
    """The connections that others may have to a kind of database. What they raise is raised."""

    names: frozenset[str]
    """How SQLAlchemy and Django call the kind."""
    thing: str
    """What a connection is bound to, for people."""

    def is_raw(self, caller: object) -> bool:
        """Tell whether it is a connection of a module for this kind of database."""

    def cursor(self, raw: Any) -> Any:  # noqa: ANN401 - whatever the caller has
        """Give a cursor whose rows are tuples, whatever the caller makes of his own."""

    def place(self, raw: Any) -> str:  # noqa: ANN401 - whatever the caller has
        """Ask where it is, for people; empty when that has no name."""

    def is_on(self, home: Database, raw: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Ask whether what it writes to are the tables of ``home``."""

    def may_be_on(self, home: Database, url: Any) -> bool:  # noqa: ANN401 - SQLAlchemy is not imported here
        """Tell the same by a URL of SQLAlchemy's, without asking."""

    def commits_by_itself(self, state: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Tell whether each statement would be a transaction of its own."""


class SqliteCallers:
    """A file is the same whatever its name."""

    names = frozenset({"sqlite"})
    thing = "file"

    def is_raw(self, caller: object) -> bool:
        """Tell whether it is one of ``sqlite3``."""
        return sessions.is_of(caller, "sqlite3", "Connection")

    def cursor(self, raw: Any) -> Any:  # noqa: ANN401 - whatever the caller has
        """Give a cursor."""
        cursor = raw.cursor()
        if isinstance(cursor, sqlite3.Cursor):
            cursor.row_factory = None
        return cursor

    def place(self, raw: Any) -> str:  # noqa: ANN401 - whatever the caller has
        """Ask which file is open; empty when it is in memory."""
        files = [str(row[2] or "") for row in _asked(self.cursor(raw), "PRAGMA database_list") if row[1] == "main"]
        return files[0] if files else ""

    def is_on(self, home: Database, raw: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Compare the files."""
        return _same(self.place(raw), Path(home.place))

    def may_be_on(self, home: Database, url: Any) -> bool:  # noqa: ANN401 - SQLAlchemy is not imported here
        """Compare the files."""
        return _same(url.database or "", Path(home.place))

    def commits_by_itself(self, state: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Tell it by what the modes of the module are called."""
        if state.in_transaction:
            return False
        autocommit = getattr(state, "autocommit", _LEGACY)
        return state.isolation_level is None if autocommit == _LEGACY else autocommit is True


class ServerCallers:
    """What the callers of servers have in common: a server is asked who it is."""

    thing = "database"
    _modules: tuple[tuple[str, str], ...]
    _identity: str

    def is_raw(self, caller: object) -> bool:
        """Tell whether it is one of a module that is known."""
        return any(sessions.is_of(caller, module, name) for module, name in self._modules)

    def cursor(self, raw: Any) -> Any:  # noqa: ANN401 - whatever the caller has
        """Give a cursor."""
        return raw.cursor()

    def place(self, raw: Any) -> str:  # noqa: ANN401 - whatever the caller has
        """Ask for the name of the database."""
        [row] = _asked(self.cursor(raw), self._identity)
        return f"the database {row[0]!r}" if row[0] else ""

    def is_on(self, home: Database, raw: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Compare what both connections say."""
        theirs = [tuple(row) for row in _asked(self.cursor(raw), self._identity)]
        return theirs == [tuple(row) for row in home.connection().say(self._identity)]

    def may_be_on(self, home: Database, url: Any) -> bool:  # noqa: ANN401 - SQLAlchemy is not imported here
        """Compare the URLs."""
        from sqlalchemy.engine import make_url

        own = make_url(home.url)
        return (own.host, own.port, own.database) == (url.host, url.port, url.database)


class PostgresCallers(ServerCallers):
    """Those of psycopg, and of psycopg2 before it."""

    names = frozenset({"postgresql"})
    _modules = (("psycopg", "Connection"), ("psycopg2.extensions", "connection"))
    # The table itself, so that another schema is another place.
    _identity = (
        "SELECT current_database()::text, EXTRACT(EPOCH FROM pg_postmaster_start_time())::text, "
        "to_regclass('qcore_jobs')::oid::bigint"
    )

    def cursor(self, raw: Any) -> Any:  # noqa: ANN401 - whatever the caller has
        """Give a cursor."""
        if sessions.is_of(raw, "psycopg", "Connection"):
            from psycopg.rows import tuple_row

            return raw.cursor(row_factory=tuple_row)
        return raw.cursor()

    def commits_by_itself(self, state: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Tell it by the state of the transaction: 0 is none, in psycopg as in psycopg2."""
        return bool(state.autocommit) and int(state.info.transaction_status) == 0


class MysqlCallers(ServerCallers):
    """Those of pymysql, and of the modules that are written like it."""

    names = frozenset({"mysql", "mariadb"})
    _modules = (("pymysql.connections", "Connection"), ("MySQLdb.connections", "Connection"))
    _identity = "SELECT DATABASE(), @@hostname, @@port, @@datadir"

    def cursor(self, raw: Any) -> Any:  # noqa: ANN401 - whatever the caller has
        """Give a cursor."""
        if sessions.is_of(raw, "pymysql.connections", "Connection"):
            from pymysql.cursors import Cursor

            return raw.cursor(Cursor)
        return raw.cursor()

    def commits_by_itself(self, state: Any) -> bool:  # noqa: ANN401 - whatever the caller has
        """Tell it by what the server said last: 1 is the flag of a transaction."""
        if not hasattr(state, "server_status"):
            return bool(state.get_autocommit())
        return bool(state.get_autocommit()) and not state.server_status & 1


ALL: Sequence[Callers] = (SqliteCallers(), PostgresCallers(), MysqlCallers())


def _asked(cursor: Any, sql: str) -> list[Any]:  # noqa: ANN401 - whatever the caller has
    with closing(cursor):
        cursor.execute(sql)
        return list(cursor.fetchall())


def _same(place: str, path: Path) -> bool:
    if not place:
        return False
    try:
        return path.samefile(place)
    except OSError:
        return Path(place).resolve() == path.resolve()
