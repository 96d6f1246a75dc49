"""PostgreSQL, by psycopg."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from qcore.clock import SystemClock
from qcore.errors import DriverError, UnsupportedError
from qcore.sql.connection import Connection
from qcore.sql.dialect import take_by_one_statement
from qcore.sql.listening import Ear
from qcore.sql.pausing import Pausing
from qcore.sql.server import LOCK_TIMEOUT, PROBE_AFTER, PROBE_EVERY, PROBES, SILENCE, Address, on_one_line
from qcore.sql.trouble import LostError, busy, missing_tables, unexpected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.clock import Clock
    from qcore.sql.callers import Callers
    from qcore.sql.connection import Row
    from qcore.sql.database import Database
    from qcore.sql.dialect import Watch
    from qcore.sql.statements import Statements

_OLDEST = 120000
"""The oldest server that is supported, as it writes its version."""

_BUSY = {"40001", "40P01", "55P03"}
_MISSING = {"42P01", "42703"}
_LOST = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")

# Whatever the server has as its defaults.
_SETTINGS = (
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE",
    f"SET lock_timeout = {LOCK_TIMEOUT * 1000}",
)

_NETWORK = {
    "keepalives": 1,
    "keepalives_idle": PROBE_AFTER,
    "keepalives_interval": PROBE_EVERY,
    "keepalives_count": PROBES,
    "tcp_user_timeout": SILENCE * 1000,
}

_MAKING = "SELECT pg_advisory_xact_lock(1903390578, 1)"
"""CREATE TABLE IF NOT EXISTS fails when two say it at the same time."""


class Postgresql:
    """One database on a PostgreSQL server."""

    begin = "BEGIN"
    makes_itself = False
    has_clock = True
    joins_rows = False
    is_pipelined = True

    def __init__(self, url: str) -> None:
        """Take the URL; it is read, and psycopg loaded, with the first connection."""
        self._address = Address(url, "psycopg", "postgresql+psycopg")

    @property
    def place(self) -> str:
        """The server and the database."""
        return self._address.place

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What psycopg raises."""
        import psycopg

        return (psycopg.Error,)

    @property
    def callers(self) -> Callers:
        """What is known of the connections of others."""
        from qcore.sql.callers import PostgresCallers  # few need it

        return PostgresCallers()

    def statements(self, *, by_server: bool) -> Statements:
        """Give the statements, which are compiled when they are first used."""
        from qcore.sql.postgresql_statements import PostgresStatements
        from qcore.sql.words import PostgresServerWords, PostgresWords

        return PostgresStatements(PostgresServerWords() if by_server else PostgresWords())

    def creation(self) -> Sequence[str]:
        """List the statements that make the tables."""
        from qcore.sql.tables import creation

        return creation("postgresql")

    def explained(self, error: Exception) -> DriverError:
        """Make an error one that a user can act on."""
        import psycopg

        state = getattr(error, "sqlstate", None) or ""
        if state in _BUSY:
            return busy(error, self.place)
        if state in _MISSING and "qcore_" in str(error):
            return missing_tables(self.place)
        if state.startswith(_LOST) or (
            not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        ):
            return LostError(f"the connection to the {self.place} was lost: {on_one_line(error)}")
        return unexpected(error, self.place)

    def exists(self) -> bool:
        """There may be."""
        return True

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return {**_NETWORK, **self._address.settings("postgres")}

    def connect(self) -> Connection:
        """Open a connection."""
        settings = self._settings
        import psycopg

        try:
            raw = psycopg.connect(**{"client_encoding": "utf8", **settings}, autocommit=True)
        except psycopg.Error as error:
            raise DriverError(f"cannot connect to the {self.place}: {on_one_line(error)}") from error
        connection = Connection(raw, self)
        if raw.info.server_version < _OLDEST:
            connection.close()
            raise UnsupportedError(f"the {self.place} is too old: qcore needs PostgreSQL 12 or newer")
        for statement in _SETTINGS:
            connection.say(statement)
        return connection

    def has_tables(self, connection: Connection) -> bool:
        """Tell whether there are tables of qcore, of any version."""
        return connection.say("SELECT to_regclass('qcore_schema')") != [(None,)]

    def create_all(self, connection: Connection) -> None:
        """Make the tables that are missing, all or none."""
        with connection.transaction():
            connection.say(_MAKING)
            for statement in self.creation():
                connection.say(statement)

    def take(self, connection: Connection, statements: Statements, queues: Sequence[str], **inputs: Any) -> Row | None:
        """Reserve the first due row."""
        return take_by_one_statement(connection, statements, queues, inputs)

    def at_work(self, home: Database) -> None:
        """Listen no more: who is busy needs no notifications, and NOTIFY would hold up those who push."""
        ear: Ear | None = getattr(home.local, "ear", None)
        if ear is not None:
            ear.rest()

    def close(self, home: Database) -> None:
        """Close the connection for listening."""
        ear: Ear | None = getattr(home.local, "ear", None)
        if ear is not None:
            ear.close()

    def watch(self, home: Database, queues: Sequence[str], clock: Clock) -> Watch:
        """Listen; under the clock of a test nobody could, since its time does not pass by itself."""
        if not isinstance(clock, SystemClock):
            pausing = Pausing()
            pausing.begin(clock)
            return pausing
        ear: Ear | None = getattr(home.local, "ear", None)
        if ear is None:
            ear = home.local.ear = Ear(self)
        ear.listen(queues)
        return ear
