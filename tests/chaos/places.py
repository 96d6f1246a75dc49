"""The backends of a run: how to make a fresh one, what its server can suffer, and what may be left in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from tests.chaos.history import CLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class Place(Protocol):
    """One backend."""

    name: str
    faults: dict[str, Callable[[float], None]]
    """What its server can suffer, by name; called with seconds, and over when it returns."""

    def fresh(self, folder: Path) -> dict[str, Any]:
        """Make it empty, and give the settings of a connection to it."""

    def left(self) -> list[str]:
        """Name everything that is in it: jobs, locks, counters; failed jobs and batches aside."""


class SqliteFile:
    """A file. It has no server; what comes next to a server that hangs is somebody who holds its write lock."""

    name = "sqlite"

    def __init__(self) -> None:
        self.faults: dict[str, Callable[[float], None]] = {"hold the write lock": self._hold}

    def fresh(self, folder: Path) -> dict[str, Any]:
        self._path = folder / "queue.sqlite3"
        return {"driver": "database", "url": f"sqlite:///{self._path}"}

    def left(self) -> list[str]:
        with closing(sqlite3.connect(self._path)) as raw:
            jobs = raw.execute("SELECT 'job ' || uuid || ' on ' || queue FROM qcore_jobs").fetchall()
            keys = raw.execute("SELECT 'key ' || key || ' = ' || value FROM qcore_keys").fetchall()
        return [each for (each,) in jobs + keys]

    def _hold(self, seconds: float) -> None:
        with closing(sqlite3.connect(self._path, timeout=60, isolation_level=None)) as raw:
            raw.execute("BEGIN IMMEDIATE")
            CLOCK.sleep(seconds)
            raw.execute("ROLLBACK")


@contextmanager
def on_sqlite() -> Iterator[Place]:
    yield SqliteFile()


PLACES: dict[str, Callable[[], AbstractContextManager[Place]]] = {"sqlite": on_sqlite}
"""All backends; entering one starts its server, leaving it ends that."""
