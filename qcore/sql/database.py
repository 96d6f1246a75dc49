"""The database: the connections of its threads, that its tables are there, and what is tried again."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

from qcore.clock import SystemClock
from qcore.errors import DriverError
from qcore.sql.kinds import dialect_of
from qcore.sql.trouble import BusyError, LostError, missing_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qcore.clock import Clock
    from qcore.sql.connection import Connection, Row, Runs
    from qcore.sql.dialect import Watch
    from qcore.sql.statement import Statement
    from qcore.sql.statements import Statements

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_SWEEP_EVERY = 1000
"""Writes of keys between two sweeps of those whose time is over."""

_TRIES = 6
"""How often a step is begun that other transactions got in the way of."""

_JITTER = 0.02
"""Seconds that such a step waits at most after the first time; twice as long after each further one."""

_WHOLE_MILLISECOND = 0.000_999
"""How much later it may be than a server says that counts whole milliseconds; nothing shall be due early."""


class Timed(NamedTuple):
    """Statements, and the clock that belongs to them."""

    statements: Statements
    now: Callable[[], float]
    """Seconds since 1970, or since the server's own now."""


class Act(Protocol[T_co]):
    """What is done on the connection of the calling thread, and may have to be done again."""

    def __call__(self, *, again: bool) -> T_co:
        """``again``: an answer was lost before, so that what is asked for may be done already."""


class Database:
    """One database by its SQLAlchemy URL, for any number of threads, and of processes that fork.

    Drivers and stores that share it act in one atomic step. Nothing is opened before the first use.
    A SQLite file, its folder and its tables are then made when they are missing, unless ``create`` is False;
    on a server the tables are made by ``create_all()``, which ``qcore db create`` calls.
    """

    def __init__(
        self, url: str, *, synchronous: str | None = None, busy_timeout: float | None = None, create: bool = True
    ) -> None:
        """``synchronous`` and ``busy_timeout`` (seconds) are SQLite's; NORMAL and 30 if not given.

        NORMAL survives the death of any process; a power cut may undo the last moments, FULL rules that out.

        :raises ConfigError: for a URL that is none, and for settings that the database does not have.
        """
        self.url = url
        settings = {"synchronous": synchronous, "busy_timeout": busy_timeout}
        given = {name: value for name, value in settings.items() if value is not None}
        self.dialect = dialect_of(url, given, create=create)
        self._create = create and self.dialect.makes_itself
        self.local = threading.local()
        """What each thread keeps for itself."""
        self._generation = 0
        """Counts how often all connections were given up."""
        self._checked = False
        self._keys_written = 0

    @property
    def place(self) -> str:
        """Where it is, for people: the absolute path of a SQLite file, or the server without the password."""
        return self.dialect.place

    def exists(self) -> bool:
        """Tell whether there may be something to look into; looking makes a SQLite file."""
        return self.dialect.exists()

    @cached_property
    def statements(self) -> Statements:
        """The statements of qcore in the words of this database."""
        return self.dialect.statements(by_server=False)

    def timed(self, clock: Clock) -> Timed:
        """Give the statements under a clock. A server goes by its own one, unless the clock is that of a test."""
        if self.dialect.has_clock and isinstance(clock, SystemClock):
            return Timed(self._statements_by_server, lambda: _WHOLE_MILLISECOND)
        return Timed(self.statements, clock.now)

    @cached_property
    def _statements_by_server(self) -> Statements:
        return self.dialect.statements(by_server=True)

    def connection(self) -> Connection:
        """Give the calling thread its connection; opened at the first call, and anew after a fork or a failure."""
        held: Connection | None = getattr(self.local, "held", None)
        if held is not None and self.local.generation != self._generation:
            held.close()
        if held is None or not held.usable:
            self.local.generation = self._generation
            held = self.dialect.connect()
            if not self._checked:
                self._check_or_close(held)
            self.local.held = held
        return held

    def rows(self, statement: Statement, **inputs: object) -> list[Row]:
        """Run a statement and fetch all that it returns."""
        return self.insist(lambda **_: self.connection().rows(statement, **inputs))

    def changed(self, statement: Statement, **inputs: object) -> int:
        """Run a statement and say how many rows it changed."""
        return self.insist(lambda **_: self.connection().changed(statement, **inputs))

    def atomically(self, act: Callable[[Runs], T], *, repeatable: bool = False) -> T:
        """Make what a function runs one atomic step.

        It is called again when the step was undone, and if it is ``repeatable`` also when nobody knows that.
        """

        def step(**_: bool) -> T:
            connection = self.connection()
            with connection.transaction(repeatable=repeatable):
                return act(connection)

        return self.insist(step)

    def insist(self, act: Act[T]) -> T:
        """Do something on the connection, and again when that was lost, or others are in the way."""
        lost = False
        for number in range(_TRIES - 1):
            try:
                return act(again=lost)
            except LostError:  # servers end idle connections, and are restarted
                if lost:
                    raise
                lost = True
            except BusyError:
                _let_others_pass(number)
        return act(again=lost)

    def at_work(self) -> None:
        """Hear that the calling thread found something without waiting."""
        self.dialect.at_work(self)

    def watch(self, queues: Sequence[str], clock: Clock) -> Watch:
        """Give what notices that one of the queues changed."""
        return self.dialect.watch(self, queues, clock)

    def sweep_keys_now_and_then(self, timed: Timed, now: int) -> None:
        """Call it for each key that is written; ``now`` is in milliseconds, by the clock of ``timed``."""
        self._keys_written += 1
        if self._keys_written % _SWEEP_EVERY == 0:
            self.changed(timed.statements.sweep_keys, now=now)

    def close(self) -> None:
        """Close the connection of the calling thread; others close when they are used next, or their thread ends.

        Closing them from here would meet a thread in the middle of a statement. The next use opens a new one.
        """
        self._generation += 1
        self.dialect.close(self)
        held: Connection | None = getattr(self.local, "held", None)
        if held is not None:
            held.close()

    def forget_connections(self) -> None:
        """Close all as ``close`` does, and look at the tables again before the next use."""
        self.close()
        self._checked = False

    def create_all(self) -> None:
        """Make the tables that are missing, also those that an older qcore did not have.

        Several processes may do so at once.
        """
        connection = self.dialect.connect()
        self.dialect.create_all(connection)
        connection.close()

    def ddl(self) -> str:
        """Write the SQL that ``create_all`` says, on a server once it was asked what it is.

        :raises DriverError: when it cannot be asked.
        """
        if not self.dialect.makes_itself:
            self.dialect.connect().close()
        return _script(self.dialect.creation())

    def empty(self) -> None:
        """Remove all that is in the tables: jobs, failed jobs, keys and batches."""
        from qcore.sql.sqlite_text import EMPTYING

        with self.connection().transaction():
            for statement in EMPTYING:
                self.connection().say(statement)

    def _check_or_close(self, connection: Connection) -> None:
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise

    def _check(self, connection: Connection) -> None:
        from qcore.sql.sqlite_text import VERSION

        if not self.dialect.has_tables(connection):
            if not self._create:
                raise missing_tables(self.place)
            self.create_all()
        # Without a version, the process that made the tables did not come as far as to stamp them.
        [(version,)] = connection.say("SELECT COALESCE(MAX(version), 0) FROM qcore_schema")
        if version > VERSION:
            raise DriverError(f"{self.place} was made by a newer qcore (tables {version}, known {VERSION}): upgrade")
        if version < VERSION:
            if not self._create:
                raise missing_tables(self.place)
            self.create_all()
        self._checked = True


def _let_others_pass(number: int) -> None:
    import random

    SystemClock().sleep(random.uniform(0, _JITTER * 2**number))  # noqa: S311 - no secret


def ddl(dialect_name: str) -> str:
    """Write the SQL that makes the tables on sqlite, postgresql, mysql or mariadb; no server or driver needed."""
    from qcore.sql.tables import creation

    return _script(creation(dialect_name))


def _script(statements: Iterable[str]) -> str:
    return "".join(f"{statement};\n" for statement in statements)
