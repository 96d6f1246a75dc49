"""What an object holds beside its fields: a payload would lose it."""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

# Set by CPython on every class that was made by a class statement; clear on str, dict, datetime, ...
_HEAP_TYPE = 1 << 9


def foreign_base(cls: type) -> type | None:
    """Give the first base that was made in C, whose content is no attribute; None when there is none."""
    return next((base for base in cls.__mro__[:-1] if not base.__flags__ & _HEAP_TYPE), None)


def held_beside(value: object, fields: AbstractSet[str]) -> str | None:
    """Name an attribute that an object holds and that is none of its fields; None when all of it is in them."""
    cls: type = type(value)
    held: dict[str, object] = getattr(value, "__dict__", {})
    for name in sorted(held.keys() - fields - _BOOKKEEPING):
        if not any(_computes(vars(base).get(name)) for base in cls.__mro__):
            return name
    return next((name for name in sorted(_slots(cls) - fields) if hasattr(value, name)), None)


_BOOKKEEPING = {"_attrs_cached_hash", "__orig_class__"}


@lru_cache(maxsize=1024)
def _slots(cls: type) -> frozenset[str]:
    """Name the slots of a class and of its bases."""
    given = [vars(base).get("__slots__", ()) for base in cls.__mro__]
    names = [name for slots in given for name in ((slots,) if isinstance(slots, str) else slots)]
    return frozenset(name for name in names if name not in _BOOKKEEPING and not name.startswith("__"))


def _computes(attribute: object) -> bool:
    """Whether it is like a cached_property: made again when it is asked for."""
    return hasattr(attribute, "__get__") and not isinstance(attribute, FunctionType)
