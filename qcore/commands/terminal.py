"""Text for people: escaped, aligned, and coloured where somebody looks."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from typing import TextIO

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "grey": 90}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def escaped(text: str, limit: int = 0) -> str:
    r"""Give a text as one line that cannot move the cursor or pretend to be another: ``\x1b``, ``\n``.

    ``limit``: cut it to so many characters; 0: never.
    """
    if limit and len(text) > limit:
        text = f"{text[:limit]}..."
    if text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def has_colour(stream: TextIO) -> bool:
    """Tell whether colours help: on a terminal, unless ``NO_COLOR`` is set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: str) -> str:
    """Dress a text for a terminal."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def width() -> int:
    """Columns of the terminal."""
    return shutil.get_terminal_size().columns


def local(moment: float) -> datetime:
    """Give an instant in the time zone of this machine."""
    return datetime.fromtimestamp(moment, UTC).astimezone()


def moment_text(moment: float) -> str:
    """Write an instant for people."""
    return f"{local(moment):%Y-%m-%d %H:%M:%S}"


def span_text(seconds: float) -> str:
    """Write a length of time for people: ``12.34ms``, ``1.50s``, ``2m 5s``, ``3h 0m``, ``4d 1h``."""
    if seconds < 1:
        return f"{seconds * 1000:.2f}ms"
    if seconds < _MINUTE:
        return f"{seconds:.2f}s"
    whole = int(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"
