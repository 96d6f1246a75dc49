"""The types without parts: how each is written in a payload, and what to tell who passes something else.

Every encoder takes a value of exactly its type, every decoder takes what stands behind its tag.
"""

from __future__ import annotations

import binascii
import re
import sys
from collections import deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import partial
from io import IOBase
from math import isfinite
from threading import Lock, RLock, Thread
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
    NoneType,
)
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from qcore.codec_objects import Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal
    from pathlib import PurePath
    from uuid import UUID

JSON: TypeAlias = "dict[str, JSON] | list[JSON] | str | int | float | bool | None"
Leaf: TypeAlias = "Callable[[Any], JSON]"
_Stamp = TypeVar("_Stamp", datetime, time)

# What Python reads and writes as text; reading more digits takes time in the square of their number.
INT_LIMIT = 10**4300
INT_FLOOR = -INT_LIMIT


class _Real:
    """The true classes of datetime: freezegun replaces them in every module, also in this one, but not in a class."""

    day = cast("type[date]", next(cls for cls in date.__mro__ if cls.__module__ == "datetime"))
    moment = cast("type[datetime]", next(cls for cls in datetime.__mro__ if cls.__module__ == "datetime"))


def encode_str(value: str) -> JSON:
    """Text as it is. Two halves of one character side by side are parted: JSON would join them."""
    if value.isascii() or len(parts := _BETWEEN_HALVES.split(value)) == 1:
        return value
    return {"$str": cast("JSON", parts)}


_BETWEEN_HALVES = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")


def _decode_str(body: JSON) -> str:
    return "".join(cast("list[str]", list_of(body)))


def _encode_int(value: int) -> JSON:
    if INT_FLOOR < value < INT_LIMIT:
        return value
    raise Refused("an int of more than 4300 digits cannot be stored in a payload: pass hex(...) of it")


def _encode_float(value: float) -> JSON:
    return value if isfinite(value) else {"$float": repr(value)}


def _decode_float(body: JSON) -> float:
    if body not in ("nan", "inf", "-inf"):
        raise ValueError("not one of nan, inf, -inf")
    return float(body)


def _decode_bytes(body: JSON) -> bytes:
    return binascii.a2b_base64(_text(body), strict_mode=True)


def encode_date(value: date) -> JSON:
    """A date, also freezegun's."""
    return {"$date": value.isoformat()}


def _decode_date(body: JSON) -> date:
    return _Real.day.fromisoformat(_text(body))


def _decode_timedelta(body: JSON) -> timedelta:
    days, seconds, microseconds = cast("list[int]", list_of(body))
    return timedelta(days, seconds, microseconds)


def encode_datetime(value: datetime) -> JSON:
    """A datetime, also freezegun's."""
    if type(value).__module__ == "freezegun.api" and type(value.tzinfo).__module__.startswith("dateutil."):
        # What astimezone() gives under freezegun; the real one gives a fixed offset with a name.
        offset, name = cast("timedelta", value.utcoffset()), cast("str", value.tzname())
        value = value.replace(tzinfo=timezone(offset, name))
    return {"$datetime": _stamp(value)}


def _decode_datetime(body: JSON) -> datetime:
    return _from_stamp(body, _Real.moment.fromisoformat)


def _decode_time(body: JSON) -> time:
    return _from_stamp(body, time.fromisoformat)


def _stamp(value: datetime | time) -> JSON:
    """ISO 8601 and ``[Zone/Name]``; in a list with fold and the offset's own name where the text cannot tell them."""
    zone, text, fold, name = value.tzinfo, value.isoformat(), value.fold, None
    if zone is None or zone is UTC:
        pass
    elif (key := _zone_key(zone)) is not None:
        text += f"[{key}]"
        if fold and isinstance(value, datetime) and value.utcoffset() != value.replace(fold=0).utcoffset():
            fold = 0  # the offset tells it
    elif (offset := zone.utcoffset(None)) is not None:
        # Fixed, whatever library it is from: pydantic makes zones of its own.
        name = zone.tzname(None)
        name = None if name == timezone(offset).tzname(None) else name
    else:
        raise Refused(f"the time zone {qualified(type(zone))} cannot be stored: use zoneinfo.ZoneInfo or datetime.UTC")
    return [text, fold, name] if fold or name else text


def _zone_key(zone: tzinfo) -> str | None:
    zoneinfo = sys.modules.get("zoneinfo")
    known: Any = zone
    return known.key if zoneinfo is not None and type(zone) is zoneinfo.ZoneInfo else None


def _from_stamp(body: JSON, read: Callable[[str], _Stamp]) -> _Stamp:
    text, fold, name = body if isinstance(body, list) else (body, 0, None)
    plain, _, key = _text(text).partition("[")
    value = read(plain)
    if name is not None:
        value = value.replace(tzinfo=timezone(cast("timedelta", value.utcoffset()), _text(name)))
    if key:
        value = _in_zone(value, key.removesuffix("]"))
    return value.replace(fold=1) if fold else value


def _in_zone(value: _Stamp, key: str) -> _Stamp:
    from zoneinfo import ZoneInfo  # most payloads have none, and it costs 2 ms

    zone = ZoneInfo(key)
    if isinstance(value, time):
        return value.replace(tzinfo=zone)
    for fold in (0, 1):
        local = value.replace(tzinfo=zone, fold=fold)
        if local.utcoffset() == value.utcoffset():
            return local
    # The zone's rules have changed since: the moment stays, the wall clock follows.
    return value.astimezone(zone)


def _decode_uuid(body: JSON) -> UUID:
    from uuid import UUID

    return UUID(_text(body))


def _decode_decimal(body: JSON) -> Decimal:
    from decimal import Decimal

    return Decimal(_text(body))


def _decode_path(body: JSON) -> PurePath:
    import pathlib

    if not isinstance(body, list):
        return pathlib.Path(_text(body))
    name, text = body
    if name not in ("PurePosixPath", "PureWindowsPath"):
        raise ValueError("not a kind of path")
    return cast("PurePath", getattr(pathlib, name)(_text(text)))


def _text(body: JSON) -> str:
    if not isinstance(body, str):
        raise TypeError(f"text expected, not {type(body).__name__}")
    return body


def list_of(body: JSON) -> list[JSON]:
    """Check that a list stands behind the tag."""
    if not isinstance(body, list):
        raise TypeError(f"a list expected, not {type(body).__name__}")
    return body


ENCODERS: dict[type, Leaf] = {
    NoneType: lambda value: value,
    bool: lambda value: value,
    int: _encode_int,
    float: _encode_float,
    str: encode_str,
    bytes: lambda value: {"$bytes": binascii.b2a_base64(value, newline=False).decode("ascii")},
    _Real.moment: encode_datetime,
    _Real.day: encode_date,
    time: lambda value: {"$time": _stamp(value)},
    timedelta: lambda value: {"$timedelta": [value.days, value.seconds, value.microseconds]},
}

DECODERS: dict[str, Callable[[JSON], object]] = {
    "$str": _decode_str,
    "$float": _decode_float,
    "$bytes": _decode_bytes,
    "$datetime": _decode_datetime,
    "$date": _decode_date,
    "$time": _decode_time,
    "$timedelta": _decode_timedelta,
    "$uuid": _decode_uuid,
    "$decimal": _decode_decimal,
    "$path": _decode_path,
}

# Nobody has a Decimal before decimal is imported: these join ENCODERS when the first value is met,
# so that `import qcore` need not pay for their modules.
_LATER: dict[str, tuple[str, Leaf]] = {
    "UUID": ("uuid", lambda value: {"$uuid": str(value)}),
    "Decimal": ("decimal", lambda value: {"$decimal": str(value)}),
    # With slashes, which a worker on any system reads.
    "PosixPath": ("pathlib", lambda value: {"$path": value.as_posix()}),
    "WindowsPath": ("pathlib", lambda value: {"$path": value.as_posix()}),
    "PurePosixPath": ("pathlib", lambda value: {"$path": ["PurePosixPath", value.as_posix()]}),
    "PureWindowsPath": ("pathlib", lambda value: {"$path": ["PureWindowsPath", value.as_posix()]}),
    # freezegun's dates are subclasses of the real ones, and mean the same.
    "FakeDatetime": ("freezegun.api", encode_datetime),
    "FakeDate": ("freezegun.api", encode_date),
}


def encoder_for(kind: type) -> Leaf | None:
    """The encoder of a type that is met for the first time, if there is one."""
    module, encoder = _LATER.get(kind.__qualname__, ("", None))
    if encoder is None or getattr(sys.modules.get(module), kind.__qualname__, None) is not kind:
        return None
    ENCODERS[kind] = encoder
    return encoder


def step_to(key: object) -> str:
    """How a path goes on into a dict or an object."""
    if type(key) is str and key.isidentifier():
        return f".{key}"
    plain = type(key) in ENCODERS and not (type(key) is int and not INT_FLOOR < key < INT_LIMIT)
    return f"[{repr(key)[:60] if plain else type(key).__qualname__}]"


def qualified(kind: type) -> str:
    """The name of a type as its user knows it."""
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def why_not(value: object) -> str:
    """Why a value of no known type is refused, and what to pass instead."""
    kind = type(value)
    if kind is CoroutineType:
        return "you passed a coroutine: did you forget await?"
    return f"{qualified(kind)} cannot be stored in a payload: {_orm_advice(value) or _advice(kind)}"


def _orm_advice(value: object) -> str | None:
    kind = type(value)
    if is_mapped(value):
        return "pass its key instead (<here>.id) and load it in handle()"
    django = [base.__name__ for base in kind.__mro__ if base.__module__.startswith("django.db.models")]
    if django:
        return f"pass {'its key' if 'Model' in django else 'keys'} instead (<here>.pk) and load it in handle()"
    return None


def is_mapped(value: object) -> bool:
    """Whether SQLAlchemy watches the object: then it is a row, even if it is a dataclass as well."""
    return "_sa_instance_state" in getattr(value, "__dict__", ())


def _advice(kind: type) -> str:
    if kind.__module__.partition(".")[0] == "numpy" and kind.__name__ == "ndarray":
        return "call .tolist() on it"
    for base, advice in _ADVICE:
        if issubclass(kind, base):
            return advice
    return "make it a dataclass, or pass its fields"


_ADVICE: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (str, "call str(...) on it"),
    (int, "call int(...) on it"),
    (float, "call float(...) on it"),
    ((bytes, bytearray, memoryview), "call bytes(...) on it"),
    (dict, "call dict(...) on it"),
    (tuple, "call tuple(...) on it"),
    (frozenset, "call frozenset(...) on it"),
    (set, "call set(...) on it"),
    (_Real.moment, "pass a datetime.datetime (pandas: .to_pydatetime())"),
    (_Real.day, "pass a datetime.date"),
    (timedelta, "pass a datetime.timedelta (pandas: .to_pytimedelta())"),
    ((list, range, GeneratorType, deque), "call list(...) on it"),
    (AsyncGeneratorType, "pass a list of what it gives"),
    ((FunctionType, BuiltinFunctionType, MethodType, partial), "make it a job of its own, or pass its name"),
    (type, "pass its name"),
    (ModuleType, "pass its name"),
    (IOBase, "pass its path, and open it in handle()"),
    (BaseException, "pass str(...) of it"),
    ((type(Lock()), type(RLock()), Thread), "it lives in this process only: make it in handle()"),
)
