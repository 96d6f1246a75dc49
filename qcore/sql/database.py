"""The database: where it is, how it is opened, and that its tables are there."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from qcore.clock import SystemClock
from qcore.errors import ConfigError, DriverError, UnsupportedError
from qcore.sql.connection import Connection
from qcore.sql.trouble import explained, is_busy, missing_tables

if TYPE_CHECKING:
    from qcore.sql.statements import Statements

_LOG_BYTES = 4 << 20
"""What the write-ahead log shrinks to after a large bulk."""

_SWEEP_EVERY = 1000
"""Writes of keys between two sweeps of those whose time is over."""

_SYNCHRONOUS = ("OFF", "NORMAL", "FULL", "EXTRA")


class Database:
    """One database by its SQLAlchemy URL, for any number of threads, and of processes that fork.

    Drivers and stores that share it act in one atomic step. Nothing is opened before the first use.
    A SQLite file, its folder and its tables are then made when they are missing, unless ``create`` is False.
    """

    def __init__(
        self, url: str, *, synchronous: str = "NORMAL", busy_timeout: float = 30.0, create: bool = True
    ) -> None:
        """``synchronous`` and ``busy_timeout`` (seconds) are SQLite's.

        NORMAL survives the death of any process; a power cut may undo the last moments, FULL rules that out.
        """
        if synchronous.upper() not in _SYNCHRONOUS:
            raise ConfigError(f"synchronous is {synchronous!r}: choose one of {', '.join(_SYNCHRONOUS)}")
        self.url = url
        self._file = _sqlite_file(url)
        self._synchronous = synchronous.upper()
        self._busy_timeout = busy_timeout
        self._create = create
        self._local = threading.local()
        self._generation = 0
        """Counts how often all connections were given up."""
        self._checked = False
        self._keys_written = 0
        self._file_id: int | None = None

    @cached_property
    def path(self) -> Path:
        """The absolute path of the SQLite file."""
        return Path(self._file).absolute()

    @cached_property
    def statements(self) -> Statements:
        """The statements of qcore in the words of this database."""
        from qcore.sql import sqlite_text

        # The module has every name of the class, as text: no process that uses SQLite waits for SQLAlchemy.
        return cast("Statements", sqlite_text)

    def connection(self) -> Connection:
        """Give the calling thread its connection; opened at the first call, and anew after a fork or a failure."""
        held: Connection | None = getattr(self._local, "held", None)
        if held is not None and self._local.generation != self._generation:
            held.close()
        if held is None or not held.usable:
            self._local.generation = self._generation
            held = self._open()
            if not self._checked:
                self._check(held)
            self._local.held = held
        return held

    def sweep_keys_now_and_then(self, now: int) -> None:
        """Call it for each key that is written; ``now`` is in milliseconds since 1970."""
        self._keys_written += 1
        if self._keys_written % _SWEEP_EVERY == 0:
            self.connection().changed(self.statements.sweep_keys, now=now)

    def close(self) -> None:
        """Close the connection of the calling thread; others close when they are used next, or their thread ends.

        Closing them from here would meet a thread in the middle of a statement. The next use opens a new one.
        """
        self._generation += 1
        held: Connection | None = getattr(self._local, "held", None)
        if held is not None:
            held.close()

    def check_file(self) -> None:
        """Notice that the file was deleted or replaced: its connections would go on with one that nobody else sees.

        :raises DriverError: once; the next call makes or opens the file that is in its place.
        """
        if self._file_id is not None and self._file_id_now() != self._file_id:
            self.close()
            self._file_id, self._checked = None, False
            raise DriverError(f"{self.path} was deleted or replaced while it was in use")

    def _file_id_now(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except OSError:
            return None

    def create_all(self) -> None:
        """Make the tables that are missing, also those that an older qcore did not have.

        Several processes may do so at once.
        """
        from qcore.sql.sqlite_text import CREATION

        connection = self._open()
        with connection.transaction():
            for statement in CREATION:
                connection.say(statement)
        connection.close()

    def _check(self, connection: Connection) -> None:
        from qcore.sql.sqlite_text import VERSION

        if not connection.say("SELECT 1 FROM sqlite_master WHERE name = 'qcore_schema'"):
            if not self._create:
                raise missing_tables(str(self.path))
            self.create_all()
        # Without a version, the process that made the tables did not come as far as to stamp them.
        [(version,)] = connection.say("SELECT COALESCE(MAX(version), 0) FROM qcore_schema")
        if version > VERSION:
            raise DriverError(f"{self.path} was made by a newer qcore (tables {version}, known {VERSION}): upgrade")
        if version < VERSION:
            if not self._create:
                raise missing_tables(str(self.path))
            self.create_all()
        self._checked = True

    def _open(self) -> Connection:
        if self._create:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DriverError(f"cannot make the folder of {self.path}: {error.strerror}") from error
        elif not self.path.exists():
            raise missing_tables(str(self.path))
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
                if not is_busy(error) or clock.monotonic() >= end:
                    raise
                clock.sleep(0.01)
            else:
                return connection

    def _connect(self) -> Connection:
        import sqlite3

        try:
            # Autocommit, because the module would else open transactions that take the write lock late.
            # The thread check is off so that the connection of a thread that is gone can be closed.
            raw = sqlite3.connect(self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise explained(error, str(self.path)) from error
        return Connection(raw, sqlite3.Error, str(self.path))


def _sqlite_file(url: str) -> str:
    """Give the file of a SQLite URL, written as SQLAlchemy writes it.

    :raises ConfigError: when it is no URL of a file.
    :raises UnsupportedError: when it is one of another database.
    """
    scheme, colon, rest = url.partition(":")
    dialect, _, driver = scheme.partition("+")
    if "\0" in url:
        raise ConfigError(f"{url!r} is no database URL: it has a NUL in it")
    if colon and dialect != "sqlite":
        raise UnsupportedError(f"{scheme!r} databases are not supported yet: use sqlite:///FILE")
    if not rest.startswith("//") or driver not in {"", "pysqlite"} or "?" in rest:
        raise ConfigError(f"{url!r} is no database URL: write sqlite:///FILE")
    path = rest.removeprefix("//")
    if path in {"", "/", "/:memory:"}:
        raise ConfigError("every thread would have a SQLite memory of its own: use the memory driver, or a file")
    if not path.startswith("/"):
        raise ConfigError(f"{url!r} names a host: write sqlite:///FILE, with three slashes")
    return path.removeprefix("/")


def ddl(dialect_name: str) -> str:
    """Write the SQL that makes the tables on sqlite, postgresql, mysql or mariadb; no server or driver needed."""
    from qcore.sql.tables import creation

    return "".join(f"{statement};\n" for statement in creation(dialect_name))
