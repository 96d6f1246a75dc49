"""What the statements of qcore on a database have in common: their inputs, and that they are compiled once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Insert, String, Text, bindparam

from qcore.sql.statement import Statement

if TYPE_CHECKING:
    from sqlalchemy.sql.elements import ClauseElement

    from qcore.sql.words import Words


def given(name: str) -> Any:  # noqa: ANN401 - SQLAlchemy takes its type from the column beside it
    """Stand for an input."""
    return bindparam(name)


class Compiled:
    """Statements as properties, each compiled when it is first used."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def _compiled(self, clause: ClauseElement) -> Statement:
        compiled: Any = clause.compile(dialect=self._words.dialect)
        inputs = tuple(compiled.positiontup or ())
        limits = _limits(compiled) if self._words.counts_characters and isinstance(clause, Insert) else ()
        return Statement(compiled.string, inputs, limits)


def _limits(compiled: Any) -> tuple[tuple[str, int], ...]:  # noqa: ANN401 - SQLAlchemy has no type for it
    kinds = {name: each.type for name, each in compiled.binds.items() if isinstance(each.type, String)}
    return tuple((name, kind.length) for name, kind in kinds.items() if kind.length and not isinstance(kind, Text))
