"""Where in the code under test a push came from."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

_OURS = frozenset(("qcore", "qtest", "contextlib", "threading", "asyncio", "concurrent", "functools"))
_BY_ITSELF = frozenset(("qcore.settlement", "qcore.worker"))

Origin = tuple[str, int]
"""A file and a line."""


def origin_here() -> Origin | None:
    """Find the line outside qcore from which this push came; None when a job brought it about by ending."""
    # inspect.stack() reads source files, and takes a hundred times as long. The nearest two are the recorder's own.
    frame: FrameType | None = sys._getframe(3)  # noqa: SLF001
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        is_ours = _known.get(name)
        if is_ours is None:
            is_ours = _known[name] = name.partition(".")[0] in _OURS
        if not is_ours:
            return frame.f_code.co_filename, frame.f_lineno
        if name in _BY_ITSELF:
            return None
        frame = frame.f_back
    return None


_known: dict[str, bool] = {}
"""Names of modules, and whether they are passed over."""

roots: list[str] = []
"""Folders whose files are named from there on; the current one is looked at, too."""


def written(origin: Origin | None) -> str:
    """Write it for people: ``app/signup.py:41``; empty for none."""
    return "" if origin is None else f"{_short(origin[0])}:{origin[1]}"


def _current() -> tuple[str, ...]:
    """Give the current folder; none when it was deleted."""
    try:
        return (os.getcwd(),)  # noqa: PTH109 - a Path takes ten times as long
    except OSError:
        return ()


def _short(path: str) -> str:
    for root in (*roots, *_current()):
        if path.startswith(root + os.sep):
            return path[len(root) + 1 :]
    return os.path.basename(path)  # noqa: PTH119 - the same
