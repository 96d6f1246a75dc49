"""Whether a value that went through a payload is the one that went in, and where it is not."""

from __future__ import annotations

from enum import Enum
from types import SimpleNamespace
from typing import Any

from qcore.codec import Codec, canonical, fields_of
from qcore.codec_types import qualified, step_to

LEAVES = (str, int, float, bool, bytes, type(None))
_codec = Codec(max_bytes=1 << 40, max_depth=200)


def loss(given: Any, got: Any, path: str) -> str | None:  # noqa: ANN401 - any value
    """Say what is different about a value that came back, with the path to it; None when nothing is.

    By types and values, part by part: the ``==`` of a class may look at less than all.
    """
    kind = type(given)
    if kind is not type(got) and not _is_frozen_date(given, got):
        return f"{path}: {qualified(kind)} would come back as {qualified(type(got))}"
    if kind in LEAVES or isinstance(given, Enum):
        return None if given == got or given != given else _another(given, path)  # noqa: PLR0124 - nan
    if kind is dict:
        return _loss_of_dict(given, got, path)
    if kind in (list, tuple):
        return _loss_of_items(given, got, path)
    names = _names_of(given)
    if names is None:
        return None if _written(given) == _written(got) else _another(given, path)
    missing = object()
    pairs = ((name, getattr(given, name, missing), getattr(got, name, missing)) for name in names)
    return next((said for name, one, two in pairs if (said := loss(one, two, f"{path}.{name}"))), None)


def _loss_of_dict(given: dict[Any, Any], got: dict[Any, Any], path: str) -> str | None:
    for (key, value), (key_got, value_got) in zip(given.items(), got.items(), strict=False):
        said = loss(key, key_got, f"a key of {path}") or loss(value, value_got, f"{path}{step_to(key)}")
        if said:
            return said
    return None if len(given) == len(got) else _another(given, path)


def _loss_of_items(given: Any, got: Any, path: str) -> str | None:  # noqa: ANN401 - a list or a tuple
    for index, (one, two) in enumerate(zip(given, got, strict=False)):
        if said := loss(one, two, f"{path}[{index}]"):
            return said
    return None if len(given) == len(got) else _another(given, path)


def _names_of(value: object) -> list[str] | None:
    """Name the parts of an object that has some; None for one that is compared as it is written."""
    if isinstance(value, SimpleNamespace):
        return list(vars(value))
    declared = fields_of(type(value))
    return None if declared is None else [*declared, *_more_of(value)]


def _more_of(value: object) -> list[str]:
    """Name what a model of pydantic holds beside its declared fields."""
    parts = (getattr(value, f"__pydantic_{part}__", None) or {} for part in ("extra", "private"))
    return [name for part in parts for name in part]


def _is_frozen_date(given: object, got: object) -> bool:
    """Tell whether one is the other as freezegun makes it: a payload holds the real one."""
    return type(given).__module__ == "freezegun.api" and isinstance(given, type(got))


def _written(value: object) -> str:
    return canonical(_codec.encode(value))


def _another(value: object, path: str) -> str:
    # Without the values: they may be secret.
    return f"{path}: another {qualified(type(value))} would come back"
