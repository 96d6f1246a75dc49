"""What the processes of a run write down: one append-only file each, every line before its writer goes on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from qcore.clock import SystemClock

if TYPE_CHECKING:
    from pathlib import Path

    from qcore.clock import Clock

CLOCK = SystemClock()


class Line(NamedTuple):
    """One thing that happened."""

    at: float
    """Seconds since 1970, on the clock that all processes of a machine share."""
    process: int
    what: str
    id: str = ""
    """The id of the job."""
    name: str = ""
    """The name that the scenario gave to the job."""
    attempts: int = 0
    since: float = 0
    """When the worker began to look for the job."""


class History:
    """The file of this process; a process that was forked gets one of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock: Clock = CLOCK
        """Stamps the lines."""
        self.written_at = 0.0
        """The time of the last line."""
        self._folder = folder
        self._process = 0
        self._file = -1

    def move_to(self, folder: Path) -> None:
        """Write into another folder from now on."""
        self._folder, self._process = folder, 0

    def note(self, what: str, *, id: str = "", name: str = "", attempts: int = 0, since: float = 0) -> None:  # noqa: A002
        """Write a line, whole and at once: whoever is killed afterwards has written it."""
        process = os.getpid()
        if process != self._process:
            if self._file >= 0:
                os.close(self._file)
            self._process, path = process, self._folder / f"{process}.history"
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self.written_at = self.clock.now()
        line = Line(self.written_at, process, what, id, name, attempts, since)
        os.write(self._file, json.dumps(line).encode() + b"\n")


class Reader:
    """Reads what was written since it looked last."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[Line] = []
        """All lines so far; those of one process are in order."""
        self._folder = folder
        self._read: dict[Path, int] = {}

    def look(self) -> list[Line]:
        """Give the new lines."""
        new: list[Line] = []
        for path in sorted(self._folder.glob("*.history")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                # A line that is being written is read when it is whole.
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read[path] = self._read.get(path, 0) + len(whole) + 1
                new += [Line(*json.loads(line)) for line in whole.splitlines()]
        self.lines += new
        return new
