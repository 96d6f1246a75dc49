"""SQLite: a file, how it is opened, and how somebody who waits notices that it changed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qcore.clock import SystemClock
from qcore.errors import ConfigError, DriverError
from qcore.hiding import shown
from qcore.sql.connection import Connection
from qcore.sql.dialect import take_by_one_statement
from qcore.sql.trouble import missing_tables, unexpected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.clock import Clock
    from qcore.sql.callers import Callers
    from qcore.sql.connection import Row
    from qcore.sql.database import Database
    from qcore.sql.statements import Statements

_LOG_BYTES = 4 << 20
"""What the write-ahead log shrinks to after a large bulk."""

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")

_POLL_FIRST = 0.02
_POLL_LAST = 0.05

# By the beginning of SQLite's own name of the error: SQLITE_IOERR_WRITE is an SQLITE_IOERR.
_TROUBLE = {
    "SQLITE_CANTOPEN": "cannot open {place}: the folder is missing or may not be written",
    "SQLITE_READONLY": "cannot write {place}: the file or its folder is read-only",
    "SQLITE_NOTADB": "{place} is not a SQLite database: name another file, or move this one away",
    "SQLITE_FULL": "the disk is full, {place} cannot grow: free some space; nothing was changed",
    "SQLITE_BUSY": (
        "{place} stayed locked by another transaction for longer than the busy timeout: end that one; "
        "and a job that is dispatched inside of it takes within= or after_commit="
    ),
    "SQLITE_LOCKED": "{place} is locked by this process: end the open transaction",
    "SQLITE_CORRUPT": "{place} is damaged: restore a copy, or recover what is left with `sqlite3 FILE .recover`",
    "SQLITE_IOERR": "reading or writing {place} failed: look at the disk ({error})",
    "SQLITE_TOOBIG": "the payload is larger than SQLite takes in one row ({error})",
}


class Sqlite:
    """One SQLite file."""

    # It takes the write lock at once: a transaction that reads first and then cannot
    # write is the one thing that SQLite answers with "database is locked" at any time.
    begin = "BEGIN IMMEDIATE"
    makes_itself = True
    has_clock = False
    joins_rows = False
    is_pipelined = False
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, url: str, *, synchronous: str = "NORMAL", busy_timeout: float = 30, create: bool = True) -> None:
        """Check the address and the settings; see ``Database``."""
        if synchronous.upper() not in _SYNCHRONOUS:
            raise ConfigError(f"synchronous is {synchronous!r}: choose one of {', '.join(_SYNCHRONOUS)}")
        self._file = _file_of(url)
        self._synchronous = synchronous.upper()
        self._busy_timeout = busy_timeout
        self._create = create
        self._file_id: int | None = None

    @property
    def place(self) -> str:
        """The absolute path of the file."""
        return str(self.path)

    @property
    def path(self) -> Path:
        """The absolute path of the file."""
        return Path(self._file).absolute()

    @property
    def callers(self) -> Callers:
        """What is known of the connections of others."""
        from qcore.sql.callers import SqliteCallers  # few need it

        return SqliteCallers()

    def statements(self, *, by_server: bool) -> Statements:
        """Give the statements; there is no server whose clock they could ask."""
        assert not by_server  # noqa: S101 - has_clock says so
        from qcore.sql import sqlite_text

        # The module has every name of the class, as text: no process that uses SQLite waits for SQLAlchemy.
        return cast("Statements", sqlite_text)

    def creation(self) -> Sequence[str]:
        """List the statements that make the tables."""
        from qcore.sql.sqlite_text import CREATION

        return CREATION

    def explained(self, error: Exception) -> DriverError:
        """Make an error one that a user can act on."""
        if str(error).startswith(("no such table: qcore_", "no such column: qcore_")):
            return missing_tables(self.place)
        name = getattr(error, "sqlite_errorname", "")
        for start, line in _TROUBLE.items():
            if name.startswith(start):
                return DriverError(line.format(place=self.place, error=error))
        return unexpected(error, self.place)

    def exists(self) -> bool:
        """Tell whether there is a file."""
        return self.path.exists()

    def connect(self) -> Connection:
        """Open the file, which makes it when it may be made."""
        if self._create:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DriverError(f"cannot make the folder of {self.path}: {error.strerror}") from error
        elif not self.path.exists():
            raise missing_tables(self.place)
        connection = self._open_in_wal_mode()
        connection.say(f"PRAGMA synchronous = {self._synchronous}")
        connection.say(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        self._file_id = self._file_id_now()
        return connection

    def _open_in_wal_mode(self) -> Connection:
        # While others open the file, the switch is refused at once: SQLite does not wait for it as for a write.
        clock = SystemClock()
        end = clock.monotonic() + self._busy_timeout
        while True:
            connection = self._connect()
            try:
                if connection.say("PRAGMA journal_mode") != [("wal",)]:
                    connection.say("PRAGMA journal_mode = WAL")
            except DriverError as error:
                is_busy = getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not is_busy or clock.monotonic() >= end:
                    raise
                clock.sleep(0.01)
            else:
                return connection

    def _connect(self) -> Connection:
        try:
            # Autocommit, because the module would else open transactions that take the write lock late.
            # The thread check is off so that the connection of a thread that is gone can be closed.
            raw = sqlite3.connect(self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self.explained(error) from error
        return Connection(raw, self)

    def has_tables(self, connection: Connection) -> bool:
        """Tell whether there are tables of qcore, of any version."""
        return bool(connection.say("SELECT 1 FROM sqlite_master WHERE name = 'qcore_schema'"))

    def create_all(self, connection: Connection) -> None:
        """Make the tables that are missing, all or none."""
        with connection.transaction():
            for statement in self.creation():
                connection.say(statement)

    def take(self, connection: Connection, statements: Statements, queues: Sequence[str], **inputs: Any) -> Row | None:
        """Reserve the first due row."""
        return take_by_one_statement(connection, statements, queues, inputs)

    def at_work(self, home: Database) -> None:
        """There is nothing to be done."""

    def close(self, home: Database) -> None:
        """There is nothing."""

    def watch(self, home: Database, queues: Sequence[str], clock: Clock) -> SqliteWatch:  # noqa: ARG002 - as Dialect
        """Give what notices that the file changed."""
        return SqliteWatch(self, home, clock)

    def check_file(self, home: Database) -> None:
        """Notice that the file was deleted or replaced: its connections would go on with one that nobody else sees.

        :raises DriverError: once; the next call makes or opens the file that is in its place.
        """
        if self._file_id is not None and self._file_id_now() != self._file_id:
            home.forget_connections()
            self._file_id = None
            raise DriverError(f"{self.path} was deleted or replaced while it was in use")

    def _file_id_now(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except OSError:
            return None


class SqliteWatch:
    """Asks SQLite whether the file was changed, which costs a few microseconds and takes no lock."""

    def __init__(self, dialect: Sqlite, home: Database, clock: Clock) -> None:
        self._dialect = dialect
        self._home = home
        self._clock = clock
        self._pause = _POLL_FIRST
        self._seen: object = None

    def changed(self) -> bool:
        """Tell whether the file was changed by another connection."""
        self._dialect.check_file(self._home)
        version = self._home.connection().say("PRAGMA data_version")
        seen, self._seen = self._seen, version
        return version != seen

    def wait(self, seconds: float) -> bool:
        """Wait a little."""
        self._clock.sleep(min(seconds, self._pause))
        self._pause = min(self._pause * 1.1, _POLL_LAST)
        return False

    def found(self) -> None:
        """There is nothing to clean up."""


def _file_of(url: str) -> str:
    """Give the file of a SQLite URL, written as SQLAlchemy writes it.

    :raises ConfigError: when it is no URL of a file.
    """
    scheme, _, rest = url.partition(":")
    _, _, module = scheme.partition("+")
    if not rest.startswith("//") or module not in {"", "pysqlite"} or "?" in rest:
        raise ConfigError(f"{shown(url)} is no database URL: write sqlite:///FILE")
    path = rest.removeprefix("//")
    if path in {"", "/", "/:memory:"}:
        raise ConfigError("every thread would have a SQLite memory of its own: use the memory driver, or a file")
    if not path.startswith("/"):
        raise ConfigError(f"{shown(url)} names a host: write sqlite:///FILE, with three slashes")
    return path.removeprefix("/")
