"""A transaction of the caller, in which statements of qcore are run: it neither begins nor ends there."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakValueDictionary

from qcore import sessions
from qcore.errors import ConfigError, DriverError, UnsupportedError
from qcore.sql.callers import ALL, Handle
from qcore.sql.connection import run_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.sql.callers import Callers
    from qcore.sql.connection import Row, Runs
    from qcore.sql.database import Act, Database, Timed
    from qcore.sql.dialect import Dialect
    from qcore.sql.statement import Statement

T = TypeVar("T")


class Borrowed:
    """The connection of the caller. Unlike one of our own it stays open whatever happens: its owner rolls back."""

    def __init__(self, raw: Any, dialect: Dialect) -> None:  # noqa: ANN401 - whatever the caller has
        """Take the connection beneath the caller's, by the interface that all database modules have."""
        self._raw = raw
        self._dialect = dialect
        own = getattr(raw, "Error", None)  # of another module than qcore's
        self._errors: tuple[type[Exception], ...] = (
            *dialect.errors,
            *((own,) if isinstance(own, type) else ()),
            OverflowError,
            UnicodeError,
        )

    def rows(self, statement: Statement, **inputs: object) -> list[Row]:
        """Run a statement and fetch all that it returns."""
        rows, _ = self._run(statement.sql, statement.values(inputs))
        return rows

    def changed(self, statement: Statement, **inputs: object) -> int:
        """Run a statement and say how many rows it changed."""
        _, count = self._run(statement.sql, statement.values(inputs))
        return count

    def many(self, statement: Statement, inputs: Iterable[dict[str, object]]) -> int:
        """Run a statement once for each set of inputs, and say how many rows that changed."""
        return run_many(self._run, self._dialect, statement, inputs)

    def _run(self, sql: str, values: list[Any], *, many: bool = False) -> tuple[list[Row], int]:
        try:
            with closing(self._dialect.callers.cursor(self._raw)) as cursor:
                (cursor.executemany if many else cursor.execute)(sql, values)
                return [] if cursor.description is None else cursor.fetchall(), cursor.rowcount
        except self._errors as error:
            raise self._dialect.explained(error) from error


class JoinedDatabase:
    """A database as it is inside a transaction of the caller: drivers and stores that stand on it act there."""

    def __init__(self, database: Database, borrowed: Borrowed) -> None:
        """Take the database, and the transaction that is on it."""
        self.place = database.place
        self.statements = database.statements
        self.timed = database.timed
        self.rows = borrowed.rows
        self.changed = borrowed.changed
        self._borrowed = borrowed

    def connection(self) -> Borrowed:
        """Give the connection of the caller."""
        return self._borrowed

    def insist(self, act: Act[T]) -> T:
        """Do something once: only the caller may begin his transaction again."""
        return act(again=False)

    def atomically(self, act: Callable[[Runs], T], *, repeatable: bool = False) -> T:  # noqa: ARG002 - as Database
        """Run a function: it is in a transaction, as everything here is."""
        return act(self._borrowed)

    def sweep_keys_now_and_then(self, timed: Timed, now: int) -> None:
        """Leave that to others: the caller shall not wait for it."""


_joined: WeakValueDictionary[tuple[int, int], JoinedDatabase] = WeakValueDictionary()
"""What stands on the same transaction at the same time is at home in the same place."""


def joined(database: Database, caller: object) -> Database:
    """Give a database as it is inside the open transaction of a caller.

    :raises ConfigError: when it is on another database, none is open, or it is nothing that has one.
    :raises UnsupportedError: when the caller has to await its database, and does not.
    """
    return _join(database, _raw_on(database, caller))


def joined_if_there(database: Database, caller: object) -> Database | None:
    """Give a database as it is inside the transaction of a caller; None when that is on another one.

    :raises UnsupportedError: when it is on this one, but the caller has to await it, and does not.
    """
    raw = _raw_if_on(database, caller)
    return None if raw is None else _join(database, raw)


def _join(database: Database, raw: Any) -> Database:  # noqa: ANN401 - whatever the caller has
    key = id(database), id(raw)
    found = _joined.get(key)
    if found is None:
        found = _joined[key] = JoinedDatabase(database, Borrowed(raw, database.dialect))
    return cast("Database", found)  # it has what writing needs


def _raw_on(database: Database, caller: object) -> Any:  # noqa: ANN401 - whatever the caller has
    callers = database.dialect.callers
    handle = _handle_of(callers, sessions.unwrapped(caller))
    if handle is None or not _asked(callers.is_on, database, handle.raw):
        place = "" if handle is None else _asked(callers.place, handle.raw)
        message = (
            f"within= writes the job in your transaction, so that has to be on {database.place}, and it is on "
            f"{place or 'another database'}: bind it to that {callers.thing}, or say after_commit= instead"
        )
        raise ConfigError(message)
    if callers.commits_by_itself(handle.state):
        message = "within= needs an open transaction, and this connection commits each statement by itself: begin one"
        raise ConfigError(message)
    return handle.raw


def _raw_if_on(database: Database, caller: object) -> Any:  # noqa: ANN401 - whatever the caller has
    callers, caller = database.dialect.callers, sessions.unwrapped(caller)
    try:
        handle = _handle_of(callers, caller)
    except ConfigError:
        return None  # it has several databases: which one it is about is not known here
    except UnsupportedError:
        if callers.may_be_on(database, _url_of(caller)):
            raise
        return None
    if handle is None or not _asked(callers.is_on, database, handle.raw) or callers.commits_by_itself(handle.state):
        return None  # what commits each statement by itself keeps nobody waiting
    return handle.raw


def _asked(question: Callable[..., T], *about: object) -> T:
    try:
        return question(*about)
    except DriverError:  # of our own connection
        raise
    except Exception as error:  # whatever the module of the caller raises
        raise DriverError(f"your transaction cannot be used: {' '.join(str(error).split())}") from error


def _handle_of(callers: Callers, caller: Any) -> Handle | None:  # noqa: ANN401 - whatever the caller has
    """Give the connection beneath; None when it is none to this kind of database."""
    if any(each.is_raw(caller) for each in ALL):
        return Handle(caller, caller) if callers.is_raw(caller) else None
    if sessions.is_session(caller):
        dialect = _bind_of(caller).dialect
        if dialect.name not in callers.names:
            return None
        _check_awaiting(dialect)
        caller = caller.connection()
    if sessions.is_connection(caller):
        return _handle_of_alchemy(callers, caller)
    if sessions.is_django(caller):
        return Handle(caller.connection, caller.connection) if _is_open(callers, caller) else None
    message = f"within= takes {sessions.WITHIN_KINDS}, got {caller!r:.100}"
    raise ConfigError(message)


def _handle_of_alchemy(callers: Callers, connection: Any) -> Handle | None:  # noqa: ANN401 - SQLAlchemy is not imported here
    if connection.dialect.name not in callers.names:
        return None
    _check_awaiting(connection.dialect)
    if not connection.in_transaction():
        connection.begin()  # as a statement of its own would, or its commit would do nothing
    beneath = connection.connection
    return Handle(beneath.dbapi_connection, beneath.driver_connection)


def _is_open(callers: Callers, connection: Any) -> bool:  # noqa: ANN401 - Django has no types
    if connection.vendor not in callers.names:
        return False
    if connection.in_atomic_block:
        return True
    message = f"Django's database {connection.alias!r} is in no transaction: dispatch inside transaction.atomic()"
    raise ConfigError(message)


def _bind_of(session: Any) -> Any:  # noqa: ANN401 - SQLAlchemy is not imported here
    from sqlalchemy.exc import UnboundExecutionError

    try:
        return session.get_bind()
    except UnboundExecutionError as error:
        message = (
            "the session has several databases, or none: hand over the connection to the right one, "
            "session.connection(bind_arguments={...})"
        )
        raise ConfigError(message) from error


def _url_of(caller: Any) -> Any:  # noqa: ANN401 - SQLAlchemy is not imported here
    return (_bind_of(caller) if sessions.is_session(caller) else caller).engine.url


def _check_awaiting(dialect: Any) -> None:  # noqa: ANN401 - SQLAlchemy is not imported here
    """Refuse an async database outside of what awaits it: its coroutines would be left lying about.

    And one whose module has words of its own for inputs.
    """
    if not dialect.is_async:
        return
    if dialect.driver == "asyncpg":
        message = "within= cannot write by asyncpg: connect with postgresql+psycopg_async://, or say after_commit="
        raise UnsupportedError(message)
    import greenlet  # SQLAlchemy's async databases cannot do without it

    if not getattr(greenlet.getcurrent(), "__sqlalchemy_greenlet_provider__", False):
        message = (
            "an async session has to be awaited, which dispatch() does not: "
            "await session.run_sync(lambda session: job.dispatch(within=session))"
        )
        raise UnsupportedError(message)
