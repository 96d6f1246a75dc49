"""One thread's connection to a database, held open from call to call."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakSet

from qcore.errors import DriverError
from qcore.sql.trouble import LostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qcore.sql.dialect import Dialect
    from qcore.sql.statement import Statement

Row = tuple[Any, ...]
T = TypeVar("T")


class Asks(Protocol):
    """Where single statements are run."""

    def rows(self, statement: Statement, **inputs: object) -> list[Row]:
        """Run a statement and fetch all that it returns."""

    def changed(self, statement: Statement, **inputs: object) -> int:
        """Run a statement and say how many rows it changed."""


class Runs(Asks, Protocol):
    """A transaction: on a connection of qcore, or one that somebody else began and ends."""

    def many(self, statement: Statement, inputs: Iterable[dict[str, object]]) -> int:
        """Run a statement once for each set of inputs, and say how many rows that changed."""


_ROWS = 200
"""How many rows one statement inserts at most."""

_BYTES = 1 << 20
"""What those rows hold at most; more than one row makes no statement that is refused for its length."""


def run_many(
    run: Callable[..., tuple[list[Row], int]],
    dialect: Dialect,
    statement: Statement,
    inputs: Iterable[dict[str, object]],
) -> int:
    """Run a statement by ``run`` once for each set of inputs, and say how many rows that changed."""
    values = [statement.values(each) for each in inputs]
    if len(values) < 2:  # noqa: PLR2004 - one, or none
        return sum(run(statement.sql, each)[1] for each in values)
    if not (dialect.joins_rows and statement.sql.startswith("INSERT")):
        return run(statement.sql, values, many=True)[1]
    return sum(run(statement.of_rows(len(piece)), list(chain(*piece)))[1] for piece in _pieces(values))


def _pieces(rows: Iterable[list[Any]]) -> Iterator[list[list[Any]]]:
    piece: list[list[Any]] = []
    size = 0
    for row in rows:
        length = sum(len(value) for value in row if isinstance(value, str | bytes))
        if piece and (len(piece) == _ROWS or size + length > _BYTES):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += length
    yield piece


class Connection:
    """A raw connection in autocommit mode.

    After anything but success it is closed, which undoes an open transaction: a connection on which a
    call broke off may still hold half of the answer. The next call of the thread opens a new one.
    """

    def __init__(self, raw: Any, dialect: Dialect) -> None:  # noqa: ANN401 - of whatever module
        self.raw = raw
        """None once it is closed."""
        self._dialect = dialect
        # The latter two: values no column can hold.
        self._errors: tuple[type[Exception], ...] = (*dialect.errors, OverflowError, UnicodeError)
        self._here = os.getpid  # while the interpreter goes down, the module has lost its names
        self._process = os.getpid()
        _opened.add(self)

    @property
    def usable(self) -> bool:
        """False once it was closed, and in a process that was forked: it belongs to the parent."""
        return self.raw is not None and self._process == self._here()

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

    def say(self, sql: str) -> list[Row]:
        """Run plain SQL without inputs."""
        rows, _ = self._run(sql, None)
        return rows

    def _run(self, sql: str, values: list[Any] | None, *, many: bool = False) -> tuple[list[Row], int]:
        try:
            cursor = self.raw.cursor()
            if values is None:
                cursor.execute(sql)
            else:
                (cursor.executemany if many else cursor.execute)(sql, values)
            # Fetched to the end: before that, SQLite has not committed what the statement changed.
            return [] if cursor.description is None else cursor.fetchall(), cursor.rowcount
        except self._errors as error:
            self.close()
            raise self._dialect.explained(error) from error
        except BaseException:
            self.close()
            raise

    def run(self, call: Callable[[], T]) -> T:
        """Do something on the raw connection, which is closed after anything but success.

        :raises DriverError: that says what to do about an error of the database's module.
        """
        try:
            return call()
        except self._errors as error:
            self.close()
            raise self._dialect.explained(error) from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def transaction(self, *, repeatable: bool = False) -> Iterator[None]:
        """Make what is run inside one atomic step.

        :raises LostError: when the connection was lost before the step was done; of a step that is ``repeatable`` also
            when it was lost at the end.
        :raises DriverError: also when it was lost at the end, where nobody knows whether the step was done.
        """
        try:
            self.say(self._dialect.begin)
            yield
            self._commit(repeatable=repeatable)
        except BaseException:
            self.close()
            raise

    def _commit(self, *, repeatable: bool) -> None:
        try:
            self.say("COMMIT")
        except LostError as error:
            if repeatable:
                raise
            raise DriverError(str(error)) from error.__cause__

    def close(self) -> None:
        """Close it for good; in a forked process leave it alone, since dropping it would close it, too."""
        if self.usable:
            raw, self.raw = self.raw, None
            try:  # noqa: SIM105 - while the interpreter goes down, there is no `suppress` any more
                raw.close()
            except self._errors:  # one that is lost already cannot say goodbye
                pass

    def __del__(self) -> None:
        # Its thread has ended. The interpreter's own clean-up would do it with a warning.
        self.close()


# SQLite forbids a forked process to use or even to close what its parent opened. Closing happens by
# itself when the last reference goes, and the references of other threads go with the fork: so they are
# held over the fork, and in the child beyond its end.
_opened: WeakSet[Connection] = WeakSet()
_inherited: list[Connection] = []


def _before_fork() -> None:
    _inherited.extend(_opened)


def _in_child() -> None:
    if _inherited:
        atexit.register(_never_free, list(_inherited))


def _never_free(connections: list[Connection]) -> None:
    import ctypes

    for connection in connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


if sys.platform != "win32":
    os.register_at_fork(before=_before_fork, after_in_parent=_inherited.clear, after_in_child=_in_child)
