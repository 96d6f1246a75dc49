"""What a kind of database does in its own way: being opened, beginning a step, giving a row away, waking who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.clock import Clock
    from qcore.errors import DriverError
    from qcore.sql.callers import Callers
    from qcore.sql.connection import Connection, Row
    from qcore.sql.database import Database
    from qcore.sql.statements import Statements


class Watch(Protocol):
    """Notices that it is worth looking into queues again."""

    def changed(self) -> bool:
        """Tell whether something may have changed since the last call; true at the first one."""

    def wait(self, seconds: float) -> bool:
        """Wait that long at most, less when something may have changed. True when a push was told of: take at once."""

    def found(self) -> None:
        """Say that something came of the waiting."""


class Dialect(Protocol):
    """One database of some kind."""

    begin: str
    """Begins a transaction."""
    makes_itself: bool
    """True when its tables may be made by whoever opens it first."""
    has_clock: bool
    """True when the server tells the time, so that the clocks of its clients do not matter."""
    joins_rows: bool
    """True when many rows are inserted by one statement: its module would send one for each."""
    is_pipelined: bool
    """True when one statement deletes a row and takes another."""

    @property
    def place(self) -> str:
        """Where it is, for people; without a password."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What its module raises."""

    @property
    def callers(self) -> Callers:
        """What is known of the connections that others have to databases of this kind."""

    def statements(self, *, by_server: bool) -> Statements:
        """Give the statements of qcore in its words; ``by_server``: those that take the time from the server."""

    def creation(self) -> Sequence[str]:
        """List the statements that make the tables."""

    def explained(self, error: Exception) -> DriverError:
        """Make an error of its module one that a user can act on."""

    def exists(self) -> bool:
        """Tell whether there may be something to look into, without making it."""

    def connect(self) -> Connection:
        """Open a connection, in autocommit mode."""

    def has_tables(self, connection: Connection) -> bool:
        """Tell whether there are tables of qcore, of any version."""

    def create_all(self, connection: Connection) -> None:
        """Make the tables that are missing; several processes may do so at once."""

    def take(self, connection: Connection, statements: Statements, queues: Sequence[str], **inputs: Any) -> Row | None:
        """Reserve the first due row of the first queue that has one, in one atomic step.

        Inputs: call, now, lease_end. Gives id, queue, uuid, body, attempts, token, verdict.
        """

    def watch(self, home: Database, queues: Sequence[str], clock: Clock) -> Watch:
        """Give what notices that one of the queues changed."""

    def at_work(self, home: Database) -> None:
        """Hear that the calling thread found something without waiting."""

    def close(self, home: Database) -> None:
        """Close what the calling thread opened besides its connection."""


def take_by_one_statement(
    connection: Connection, statements: Statements, queues: Sequence[str], inputs: dict[str, Any]
) -> Row | None:
    """Reserve where an UPDATE can return what it changed."""
    names = {f"queue_{index}": name for index, name in enumerate(queues)}
    rows = connection.rows(statements.reserve(len(queues)), **inputs, **names)
    return rows[0] if rows else None
