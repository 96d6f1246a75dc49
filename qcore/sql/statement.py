"""A statement as it is run: its text, and what it takes."""

from __future__ import annotations

from typing import NamedTuple


class Statement(NamedTuple):
    """SQL in the words of one dialect, and the order of its inputs."""

    sql: str
    inputs: tuple[str, ...]
