"""MySQL and MariaDB, by pymysql."""

from __future__ import annotations

import socket
from functools import cached_property
from typing import TYPE_CHECKING, Any

from qcore.errors import ConfigError, DriverError, UnsupportedError
from qcore.sql.connection import Connection
from qcore.sql.pausing import Pausing
from qcore.sql.server import LOCK_TIMEOUT, PROBE_AFTER, PROBE_EVERY, PROBES, SILENCE, Address, on_one_line
from qcore.sql.trouble import LostError, busy, missing_tables, unexpected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.clock import Clock
    from qcore.sql.callers import Callers
    from qcore.sql.connection import Row, Runs
    from qcore.sql.database import Database
    from qcore.sql.mysql_statements import MysqlStatements
    from qcore.sql.statements import Statements

_OLDEST = {"MySQL": (8, 0, 17), "MariaDB": (10, 6, 0)}
"""The first that skip locked rows, and that have a collation which compares every character."""

_BUSY = {1205, 1213}
_MISSING = {1054, 1146}
_LOST = {0, 1053, 1927, 2003, 2006, 2013, 2055, 3169, 4031}
_INDEX_IS_THERE = 1061
_TOO_LARGE = {1153, 1301}
_LOGS_STATEMENTS = 1665

_SETTINGS = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION READ WRITE",
    # Nothing is cut off or guessed at.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
    f"SET SESSION innodb_lock_wait_timeout = {LOCK_TIMEOUT}",
)


class MysqlConnection(Connection):
    """A connection to a server that hangs up on who sends it too much."""

    longest: int
    """Bytes of a statement."""
    _dialect: Mysql

    def _run(self, sql: str, values: list[Any] | None, *, many: bool = False) -> tuple[list[Row], int]:
        raw = self.raw
        try:
            return super()._run(sql, values, many=many)
        except LostError as error:
            if not many and values and self._is_too_large(raw.cursor().mogrify(sql, values)):
                raise self._dialect.too_large() from error.__cause__
            raise

    def _is_too_large(self, sent: str) -> bool:
        return len(sent.encode("utf-8", "surrogateescape")) >= self.longest


class Mysql:
    """One database on a server of MySQL or MariaDB."""

    begin = "BEGIN"
    makes_itself = False
    has_clock = True
    joins_rows = True
    is_pipelined = False

    def __init__(self, url: str) -> None:
        """Take the URL; it is read, and pymysql loaded, with the first connection."""
        self._address = Address(url, "pymysql", "mysql+pymysql")
        self._is_mariadb = False

    @property
    def place(self) -> str:
        """The server and the database."""
        return self._address.place

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What pymysql raises."""
        import pymysql

        return (pymysql.Error, OSError)

    @property
    def callers(self) -> Callers:
        """What is known of the connections of others."""
        from qcore.sql.callers import MysqlCallers  # few need it

        return MysqlCallers()

    def statements(self, *, by_server: bool) -> Statements:
        """Give the statements, which are compiled when they are first used."""
        from qcore.sql.mysql_statements import MysqlStatements
        from qcore.sql.words import MysqlServerWords, MysqlWords

        return MysqlStatements(MysqlServerWords() if by_server else MysqlWords())

    def creation(self) -> Sequence[str]:
        """List the statements that make the tables; they differ by what ``connect`` found."""
        from qcore.sql.tables import creation

        return creation("mariadb" if self._is_mariadb else "mysql")

    def explained(self, error: Exception) -> DriverError:
        """Make an error one that a user can act on."""
        code = error.args[0] if error.args and isinstance(error.args[0], int) else None
        if code in _BUSY:
            return busy(error, self.place)
        if code in _MISSING and "qcore_" in str(error):
            return missing_tables(self.place)
        if code in _LOST or isinstance(error, OSError):
            return LostError(f"the connection to the {self.place} was lost: {on_one_line(error)}")
        if code in _TOO_LARGE:
            return self.too_large()
        if code == _LOGS_STATEMENTS:
            message = f"the {self.place} cannot write to its binary log as statements what runs at READ COMMITTED"
            return DriverError(f"{message}: set its binlog_format to ROW or MIXED")
        return unexpected(error, self.place)

    def too_large(self) -> DriverError:
        """Say that the server takes no statement of that length."""
        return DriverError(f"the payload is larger than the {self.place} takes: raise its max_allowed_packet")

    def exists(self) -> bool:
        """There may be."""
        return True

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return {"charset": "utf8mb4", "binary_prefix": True, **self._address.settings("mysql")}

    def connect(self) -> Connection:
        """Open a connection."""
        settings = self._settings
        import pymysql

        try:
            # A server of another kind says nothing, and waits for us to speak first.
            raw: Any = pymysql.connect(**{"read_timeout": settings["connect_timeout"]} | settings, autocommit=True)
            _watch_network(raw._sock)  # noqa: SLF001 - pymysql has no setting for it
            raw._read_timeout = settings.get("read_timeout")  # noqa: SLF001 - statements may take long
        except TypeError as error:
            raise ConfigError(f"the URL of the {self.place} has a setting that pymysql does not: {error}") from error
        except (pymysql.Error, OSError, RuntimeError) as error:  # RuntimeError: a package for its password is missing
            raise DriverError(f"cannot connect to the {self.place}: {on_one_line(error)}") from error
        connection = MysqlConnection(raw, self)
        self._check_version(connection, str(raw.get_server_info()))
        for statement in _SETTINGS:
            connection.say(statement)
        [(connection.longest,)] = connection.say("SELECT @@max_allowed_packet")
        return connection

    def _check_version(self, connection: Connection, version: str) -> None:
        self._is_mariadb = "mariadb" in version.lower()
        name = "MariaDB" if self._is_mariadb else "MySQL"
        if _numbers(version) < _OLDEST[name]:
            connection.close()
            oldest = ".".join(map(str, _OLDEST[name]))
            raise UnsupportedError(f"the {self.place} is {name} {version}: qcore needs {name} {oldest} or newer")

    def has_tables(self, connection: Connection) -> bool:
        """Tell whether there are tables of qcore, of any version."""
        return bool(connection.say("SHOW TABLES LIKE 'qcore\\_schema'"))

    def create_all(self, connection: Connection) -> None:
        """Make the tables that are missing, one after another: DDL ends every transaction here."""
        connection.say("SELECT GET_LOCK('qcore_tables', 60)")  # of several at once, one stamps the version
        for statement in self.creation():
            self._create(connection, statement)
        connection.say("SELECT RELEASE_LOCK('qcore_tables')")

    def _create(self, connection: Connection, statement: str) -> None:
        import pymysql

        try:
            connection.raw.cursor().execute(statement)
        except pymysql.Error as error:
            if error.args[0] != _INDEX_IS_THERE:  # MySQL has no CREATE INDEX IF NOT EXISTS
                connection.close()
                raise self.explained(error) from error

    def take(self, connection: Connection, statements: Statements, queues: Sequence[str], **inputs: Any) -> Row | None:
        """Reserve the first due row: an UPDATE can neither skip locked rows nor return what it changed."""
        own: Any = statements
        with connection.transaction(repeatable=True):
            return _take(connection, own, queues, inputs)

    def at_work(self, home: Database) -> None:
        """There is nothing to be done."""

    def close(self, home: Database) -> None:
        """There is nothing."""

    def watch(self, home: Database, queues: Sequence[str], clock: Clock) -> Pausing:  # noqa: ARG002 - as Dialect
        """Look again and again: nobody tells of a push."""
        pausing: Pausing | None = getattr(home.local, "pausing", None)
        if pausing is None:
            pausing = home.local.pausing = Pausing()
        pausing.begin(clock)
        return pausing


def _take(runs: Runs, statements: MysqlStatements, queues: Sequence[str], inputs: dict[str, Any]) -> Row | None:
    for queue in queues:
        for row in runs.rows(statements.first_due, queue=queue, **inputs):
            runs.changed(statements.hold, row=row[0], **inputs)
            return row
    return None


def _watch_network(connected: socket.socket) -> None:
    """Let the system notice a network that has died in silence, as libpq does for PostgreSQL."""
    if connected.family == getattr(socket, "AF_UNIX", None):
        return
    options = {
        "TCP_KEEPIDLE": PROBE_AFTER,
        "TCP_KEEPINTVL": PROBE_EVERY,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": SILENCE * 1000,
    }
    for name, value in options.items():
        if hasattr(socket, name):  # each system has some of them
            connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _numbers(version: str) -> tuple[int, ...]:
    """Read the numbers that a server calls itself by: 8.0.36-0ubuntu, 5.5.5-10.11.6-MariaDB."""
    if "mariadb" in version.lower():
        version = version.removeprefix("5.5.5-")  # what MariaDB said to old clients
    parts = version.partition("-")[0].split(".")
    return tuple(int(part) for part in parts[:3] if part.isdigit())
