"""Texts to values, by the type that is wanted."""

from __future__ import annotations

import collections.abc
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

_YES, _NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NOTHING = (["null"], ["none"], [""])


def _truth(text: str) -> bool:
    lower = text.lower()
    if lower not in _YES + _NO:
        raise ValueError(text)
    return lower in _YES


_FROM_TEXT: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: _truth,
    bytes: str.encode,
    Path: Path,
    Decimal: Decimal,
    UUID: UUID,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: lambda text: timedelta(seconds=float(text)),
}
_MANY: dict[Any, Callable[[Iterable[Any]], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.Set: set,
}
_AS_GIVEN = (Any, object)

KNOWN_BY_NAME: dict[str, Any] = {
    **{name: getattr(typing, name) for name in ("Any", "Annotated", "Literal", "Optional", "Union")},
    **{each.__name__: each for each in (Path, Decimal, UUID, datetime, date, time, timedelta)},
    **{each.__name__: each for each in (Sequence, Iterable, Mapping)},
}
"""Types that a job may import for the type checker alone: they are known here all the same."""


def is_many(wanted: Any) -> bool:  # noqa: ANN401 - a type, as the typing module sees it
    """Tell whether several values are wanted."""
    if _is_union(wanted):
        return any(is_many(each) for each in get_args(wanted))
    return (get_origin(wanted) or wanted) in _MANY


def convert(texts: Sequence[str], wanted: Any) -> Any:  # noqa: ANN401 - whatever is wanted
    """Make a value from what was written; several texts, or commas in one, where several values are wanted.

    :raises ValueError: says what is wanted instead.
    """
    if _is_union(wanted):
        return _first_that_fits(texts, wanted)
    if is_many(wanted):
        parts = [part for part in texts[0].split(",") if part] if len(texts) == 1 else texts
        make, kinds = _members(wanted, len(parts))
        return make(_one(part, kind) for part, kind in zip(parts, kinds, strict=True))
    if len(texts) > 1:
        raise ValueError(f"{len(texts)} values, and one is wanted")
    return _one(texts[0], wanted)


def from_json(value: object, wanted: Any) -> Any:  # noqa: ANN401 - whatever is wanted
    """Give a JSON value the type that is wanted, where JSON has only text or a list for it.

    :raises ValueError: says what is wanted instead.
    """
    if _is_union(wanted):
        kinds = get_args(wanted)
        if type(value) in kinds:
            return value
        if isinstance(value, str):
            return _first_that_fits([value], wanted)
        wanted = next((kind for kind in kinds if is_many(kind)), wanted)
    if isinstance(value, list) and is_many(wanted):
        make, members = _members(wanted, len(value))
        return make(from_json(each, kind) for each, kind in zip(value, members, strict=True))
    return _one(value, wanted) if isinstance(value, str) and _reader(wanted) else value


def _is_union(wanted: Any) -> bool:  # noqa: ANN401
    return get_origin(wanted) in (Union, types.UnionType)


def _members(wanted: Any, count: int) -> tuple[Callable[[Iterable[Any]], Any], Sequence[Any]]:  # noqa: ANN401
    """Give what makes the whole, and the type of each of its values."""
    make, kinds = _MANY[get_origin(wanted) or wanted], get_args(wanted)
    if make is not tuple or not kinds or kinds[-1] is Ellipsis:
        return make, [kinds[0] if kinds else str] * count
    if len(kinds) != count:
        raise ValueError(f"{count} values, and {len(kinds)} are wanted")
    return make, kinds


def _first_that_fits(texts: Sequence[str], wanted: Any) -> Any:  # noqa: ANN401
    # Text fits everything, so it is asked last.
    kinds = sorted(get_args(wanted), key=lambda each: each in (str, *_AS_GIVEN))
    if type(None) in kinds and str not in kinds and [text.lower() for text in texts] in _NOTHING:
        return None
    for kind in kinds:
        try:
            return convert(texts, kind)
        except ValueError:
            continue
    raise ValueError(f"{', '.join(texts)!r} is not {_named(wanted)}")


def _one(text: str, wanted: Any) -> Any:  # noqa: ANN401
    read = _reader(wanted)
    if read is None:
        raise ValueError(f"{_named(wanted)} cannot be written as text: pass JSON, with key:=json")
    try:
        return read(text)
    except (ValueError, ArithmeticError, LookupError) as error:
        raise ValueError(f"{text!r} is not {_named(wanted)}") from error


def _reader(wanted: Any) -> Callable[[str], Any] | None:  # noqa: ANN401
    """Give what makes such a value from a text; None when nothing can."""
    if hasattr(wanted, "__supertype__"):  # a NewType is one for type checkers only
        return _reader(wanted.__supertype__)
    if wanted in _AS_GIVEN:
        return str
    choices = _choices(wanted)
    return choices.__getitem__ if choices else _FROM_TEXT.get(wanted)


def _choices(wanted: Any) -> dict[str, Any]:  # noqa: ANN401
    """Give the values of an enum or a ``Literal`` by what may be written for them."""
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return {**{str(each.value): each for each in wanted}, **wanted.__members__}
    return {str(each): each for each in get_args(wanted)} if get_origin(wanted) is Literal else {}


def _named(wanted: Any) -> str:  # noqa: ANN401
    choices = _choices(wanted)
    if choices:
        return f"one of {', '.join(choices)}"
    return wanted.__name__ if isinstance(wanted, type) and not get_args(wanted) else str(wanted)
