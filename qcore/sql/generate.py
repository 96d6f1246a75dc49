"""Writes ``sqlite_text.py``: the statements and tables of SQLite as SQLAlchemy compiles them.

``python -m qcore.sql.generate`` after a change of ``statements.py``, ``batch_statements.py`` or ``tables.py``; a test
fails when the text is not the one that would be written.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from qcore.sql.statements import Statements
from qcore.sql.tables import VERSION, creation, emptying
from qcore.sql.words import SqliteWords

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.sql.statement import Statement

FILE = Path(__file__).with_name("sqlite_text.py")

_QUEUES = 8
"""Statements about several queues are written for up to so many; a worker of more has its own compiled."""


def text() -> str:
    """Give what the file shall say."""
    statements = Statements(SqliteWords())
    names = sorted(
        name for kind in Statements.__mro__ for name, value in vars(kind).items() if isinstance(value, cached_property)
    )
    parts = [
        _HEAD,
        f"VERSION = {VERSION}\n",
        f"CREATION = {_tuple(map(repr, creation('sqlite')))}\n",
        f"EMPTYING = {_tuple(map(repr, emptying()))}\n",
        f"_RESERVE = {_tuple(_call(statements.reserve(count)) for count in range(1, _QUEUES + 1))}\n",
        f"_DUE_IN = {_tuple(_call(statements.due_in(count)) for count in range(1, _QUEUES + 1))}\n",
        *(f"{name} = {_call(getattr(statements, name))}" for name in names),
        _TAIL,
    ]
    return "\n".join(parts)


def _call(statement: Statement) -> str:
    return f"Statement(\n    {' '.join(statement.sql.split())!r},\n    {statement.inputs!r},\n)"


def _tuple(items: Iterable[str]) -> str:
    return "(\n" + "".join(f"{item},\n" for item in items) + ")"


_HEAD = '''"""What ``statements.py``, ``batch_statements.py`` and ``tables.py`` say, compiled for SQLite.

Generated, not edited.

Importing SQLAlchemy takes longer than all else that a worker on SQLite does before its first job.
Written by ``python -m qcore.sql.generate``.
"""
# ruff: noqa

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from qcore.sql.statement import Statement

if TYPE_CHECKING:
    from qcore.sql.statements import Statements
'''

_TAIL = """
hold_key = None


def reserve(queues: int) -> Statement:
    return _RESERVE[queues - 1] if queues <= len(_RESERVE) else _compiled().reserve(queues)


def due_in(queues: int) -> Statement:
    return _DUE_IN[queues - 1] if queues <= len(_DUE_IN) else _compiled().due_in(queues)


@cache
def _compiled() -> Statements:
    from qcore.sql.statements import Statements
    from qcore.sql.words import SqliteWords

    return Statements(SqliteWords())
"""


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
