"""When two encoded values are equal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.codec_types import JSON

_SORTING_WRITER = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True)


def canonical(structure: JSON) -> str:
    """A text that is the same for equal values: the order of keys and of set elements does not count."""
    text = _SORTING_WRITER.encode(structure)
    if '{"$' not in text or not any(f'{{"{tag}":' in text for tag in _UNORDERED):
        return text
    return _SORTING_WRITER.encode(_sorted(structure))


def _sorted(structure: JSON) -> JSON:
    if isinstance(structure, list):
        return [_sorted(item) for item in structure]
    if not isinstance(structure, dict):
        return structure
    for tag, body in structure.items():
        if len(structure) == 1 and tag in _UNORDERED and isinstance(body, list):
            return {tag: sorted(map(_sorted, body), key=_SORTING_WRITER.encode)}
    return {key: _sorted(item) for key, item in structure.items()}


_UNORDERED = ("$set", "$frozenset", "$dict")
