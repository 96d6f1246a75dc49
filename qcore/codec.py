"""Python values in payloads: JSON, in which a value that JSON does not know stands behind a tag.

A tag is the only key of a dict and begins with ``$``: ``{"$date": "2026-11-21"}``. A value is accepted
only if it comes back equal and of the same type; everything else is refused, with its path and a way out.
"""

from __future__ import annotations

import json
from enum import Enum
from itertools import chain
from json.encoder import c_make_encoder, encode_basestring_ascii  # type: ignore[attr-defined] # typeshed leaves it out
from math import isfinite
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from qcore import codec_objects, codec_types
from qcore.codec_canonical import canonical
from qcore.codec_objects import ENUM, NAMEDTUPLE, VALUE_CLASS, Refused, fields_of, rebuild, remember
from qcore.codec_types import (
    ENCODERS,
    INT_FLOOR,
    INT_LIMIT,
    JSON,
    encode_str,
    encoder_for,
    is_mapped,
    list_of,
    step_to,
    why_not,
)
from qcore.errors import ConfigError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["JSON", "Codec", "canonical", "fields_of", "rebuild", "remember"]

# A payload is read whatever the limits of the process that wrote it were; these only keep memory and stack safe.
_READABLE_BYTES = 64 << 20
_READABLE_NESTING = 800
# The stack of Python holds about 1000 calls, and a level costs up to three.
_DEEPEST = 200
_TOO_DEEP = "is nested too deeply: pass a flatter value, or a key"


class Codec:
    """Writes values into payloads and reads them back, within limits of size and depth."""

    __slots__ = ("max_bytes", "max_depth")

    def __init__(self, *, max_bytes: int = 1 << 20, max_depth: int = 64) -> None:
        if max_bytes < 1:
            raise ConfigError(f"max_bytes is {max_bytes}: give at least 1")
        if not 1 <= max_depth <= _DEEPEST:
            raise ConfigError(f"max_depth is {max_depth}: give 1 to {_DEEPEST}")
        self.max_bytes = max_bytes
        self.max_depth = max_depth

    def encode(self, value: object, *, path: str = "") -> JSON:
        """The value as plain JSON data. Raises `PayloadError` that names the path of what cannot be stored."""
        try:
            return _encode(value, self.max_depth)
        except Refused as refused:
            raise refused.error(path) from refused.__cause__
        except RecursionError:
            raise Refused(_TOO_DEEP).error(path) from None

    def decode(self, value: JSON, *, path: str = "") -> object:
        """The value that was encoded."""
        try:
            return _decode(value)
        except Refused as refused:
            raise refused.error(path) from refused.__cause__
        except RecursionError:
            raise Refused(_TOO_DEEP).error(path) from None

    def dumps(self, structure: JSON, *, what: str) -> bytes:
        """The bytes of a payload: compact ASCII. Raises `PayloadError` when they are too many."""
        try:
            body = "".join(_parts(structure, 0)).encode("ascii")
        except (TypeError, ValueError, RecursionError) as error:
            raise PayloadError(f"{what} cannot be written as JSON: {error}") from error
        if len(body) > self.max_bytes:
            raise PayloadError(
                f"the payload of {what} takes {len(body)} bytes, the limit is {self.max_bytes}: "
                "pass a key or a path instead of the data, or raise the limit (max_bytes)"
            )
        return body

    def loads(self, body: bytes) -> JSON:
        """The structure in the bytes of a payload. Raises `PayloadError` for whatever is not one, and nothing else."""
        limit = max(self.max_bytes, _READABLE_BYTES)
        if len(body) > limit:
            raise PayloadError(f"the payload cannot be read: {len(body)} bytes, more than {limit}")
        try:
            return _read(body)
        except (ValueError, RecursionError) as error:
            raise PayloadError(f"the payload cannot be read: {_reason(body, error)}") from error


def _finite(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError(f"{text} is not a number of JSON, or too large")
    return number


_WRITER = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"))
# JSONEncoder makes its C encoder anew for every text, which takes a quarter of the time of a payload.
_NEITHER = (False, False, False)  # sort_keys, skipkeys, allow_nan
_parts = c_make_encoder and c_make_encoder(None, _WRITER.default, encode_basestring_ascii, None, ":", ",", *_NEITHER)
_parts = _parts or _WRITER.iterencode
_READER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _read(body: bytes) -> JSON:
    text = body.decode("utf-8").strip(" \t\r\n")
    structure, end = _READER.raw_decode(text)
    if end != len(text):
        raise ValueError(f"something follows the end at {end}")
    # A level takes two characters: most payloads are too short to be too deep.
    if len(text) > 2 * _READABLE_NESTING < 2 * (text.count("[") + text.count("{")) and _is_deep(structure):
        raise ValueError(f"nested deeper than {_READABLE_NESTING}")
    return cast("JSON", structure)


def _is_deep(structure: JSON) -> bool:
    level: list[Any] = [structure]
    for _ in range(_READABLE_NESTING):
        parts = chain.from_iterable(holder.values() if isinstance(holder, dict) else holder for holder in level)
        level = [part for part in parts if isinstance(part, (dict, list))]
        if not level:
            return False
    return True


def _reason(body: bytes, error: Exception) -> str:
    if not body.strip():
        return "it is empty"
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "it begins with a byte order mark"
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 at byte {error.start}"
    return str(error)


def _encode(value: object, room: int) -> JSON:
    """Write one value; `room` is how many levels of containers may still follow."""
    kind = type(value)
    if (encoder := ENCODERS.get(kind)) is not None:
        return encoder(value)
    if (holder := _HOLDERS.get(kind)) is None:
        return _encode_other(value, room)
    if not room:
        raise Refused(_TOO_DEEP)
    return holder(value, room - 1)


def _encode_dict(value: dict[Any, Any], room: int) -> JSON:
    done: dict[str, JSON] = {}
    key: Any = None
    try:
        for key, item in value.items():
            if type(key) is not str or not (key.isascii() or encode_str(key) is key):
                break
            # What most fields hold, without a call.
            kind = type(item)
            if (kind is str and item.isascii()) or (kind is int and INT_FLOOR < item < INT_LIMIT):
                done[key] = item
            else:
                done[key] = _encode(item, room)
    except Refused as refused:
        refused.within(value, step_to(key))
        raise
    if len(done) < len(value) or (len(done) == 1 and key.startswith("$")):
        return _encode_pairs(value, room)
    return done


def _encode_pairs(value: dict[Any, Any], room: int) -> JSON:
    """Write a dict that JSON has no form for, or one that would look like a tag."""
    pairs: list[JSON] = []
    for key, item in value.items():
        step = f".keys()[{len(pairs)}]"
        try:
            encoded = _encode(key, room)
            step = step_to(key)
            pairs.append([encoded, _encode(item, room)])
        except Refused as refused:
            refused.within(value, step)
            raise
    return {"$dict": pairs}


def _encode_list(value: Iterable[object], room: int) -> list[JSON]:
    done: list[JSON] = []
    try:
        for item in value:
            # No comprehension: how many are done tells which one was refused.
            done.append(item if type(item) is str and item.isascii() else _encode(item, room))  # noqa: PERF401
    except Refused as refused:
        refused.within(value, f"[{len(done)}]")
        raise
    return done


def _encode_fields(holder: object, state: Mapping[str, object], room: int) -> dict[str, JSON]:
    """Write what has names of its own: nothing in here can be taken for a tag."""
    done: dict[str, JSON] = {}
    for name, item in state.items():
        if type(name) is not str or encode_str(name) is not name:
            raise Refused(f"the field name {step_to(name)} cannot be stored in a payload: use a plain str")
        try:
            done[name] = _encode(item, room)
        except Refused as refused:
            refused.within(holder, step_to(name))
            raise
    return done


def _encode_other(value: Any, room: int) -> JSON:  # noqa: ANN401 - what it has is found out here
    kind = type(value)
    if issubclass(kind, Enum):
        return {"$enum": [codec_objects.name_of(kind, ENUM), codec_objects.member_key(value)]}
    if (encoder := encoder_for(kind)) is not None:
        return encoder(value)
    if not room:
        raise Refused(_TOO_DEEP)
    if NAMEDTUPLE.fits(kind) and not getattr(value, "__dict__", None):
        name = codec_objects.name_of(kind, NAMEDTUPLE)
        state = dict(zip(kind._fields, value, strict=True))
        return {"$namedtuple": [name, list(_encode_fields(value, state, room - 1).values())]}
    if is_mapped(value) or not VALUE_CLASS.fits(kind):
        raise Refused(why_not(value))
    state = codec_objects.state_of(value)
    tagged: list[JSON] = [codec_objects.name_of(kind, VALUE_CLASS), _encode_fields(value, state, room - 1)]
    if (given := codec_objects.set_fields(value)) is not None:
        tagged.append(cast("JSON", given))
    return {"$object": tagged}


_HOLDERS: dict[type, Callable[[Any, int], JSON]] = {
    dict: _encode_dict,
    list: _encode_list,
    tuple: lambda value, room: {"$tuple": _encode_list(value, room)},
    set: lambda value, room: {"$set": sorted(_encode_list(value, room), key=canonical)},
    frozenset: lambda value, room: {"$frozenset": sorted(_encode_list(value, room), key=canonical)},
    SimpleNamespace: lambda value, room: {"$namespace": _encode_fields(value, vars(value), room)},
}


_WHOLE = (str, int)  # what most fields hold, told apart without a call


def _decode(value: JSON) -> object:
    if isinstance(value, dict):
        return _decode_dict(value)
    return _decode_list(value) if isinstance(value, list) else value


def _decode_dict(value: dict[str, JSON]) -> object:
    if len(value) == 1:
        ((tag, body),) = value.items()
        if tag.startswith("$"):
            return _decode_tag(tag, body)
    return _decode_fields(value)


def _decode_fields(body: JSON) -> dict[str, object]:
    if not isinstance(body, dict):
        raise TypeError(f"fields expected, not {type(body).__name__}")
    done: dict[str, object] = {}
    name = ""
    try:
        for name, item in body.items():
            done[name] = item if isinstance(item, _WHOLE) else _decode(item)
    except Refused as refused:
        refused.within(body, step_to(name))
        raise
    return done


def _decode_list(value: list[JSON]) -> list[object]:
    done: list[object] = []
    try:
        for item in value:
            done.append(item if isinstance(item, _WHOLE) else _decode(item))  # noqa: PERF401 - see _encode_list
    except Refused as refused:
        refused.within(value, f"[{len(done)}]")
        raise
    return done


def _decode_tag(tag: str, body: JSON) -> object:
    decoder = _DECODERS.get(tag)
    if decoder is None:
        raise Refused(f"the tag {tag[:60]!r} is unknown: was the payload written by a newer version of qcore?")
    try:
        return decoder(body)
    except (Refused, RecursionError):
        raise
    except Exception as error:  # the bytes may hold anything, and a __hash__ or __eq__ of the user may raise anything
        raise Refused(f"a damaged {tag}: {str(error)[:200]}") from error


def _decode_object(body: JSON) -> object:
    name, state, *rest = list_of(body)
    fields_set = cast("list[str]", list_of(rest[0])) if rest else None
    return codec_objects.restore(codec_objects.find_class(name, VALUE_CLASS), _decode_fields(state), fields_set)


def _decode_namedtuple(body: JSON) -> object:
    name, items = list_of(body)
    return codec_objects.restore_namedtuple(codec_objects.find_class(name, NAMEDTUPLE), _decode_list(list_of(items)))


def _decode_pairs(body: JSON) -> object:
    return {_decode(key): _decode(item) for key, item in cast("list[list[JSON]]", list_of(body))}


_DECODERS: dict[str, Callable[[JSON], object]] = {
    **codec_types.DECODERS,
    "$tuple": lambda body: tuple(_decode_list(list_of(body))),
    "$set": lambda body: set(_decode_list(list_of(body))),
    "$frozenset": lambda body: frozenset(_decode_list(list_of(body))),
    "$dict": _decode_pairs,
    "$namespace": lambda body: SimpleNamespace(**_decode_fields(body)),
    "$enum": lambda body: codec_objects.member_of(*list_of(body)),
    "$namedtuple": _decode_namedtuple,
    "$object": _decode_object,
}
