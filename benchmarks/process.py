"""Timing whole processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import best

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.measure import Effort

_ROOT = Path(__file__).parent.parent
_NOT_PASSED_ON = ("QCORE_", "QUEUE_", "PYTHON", "COVERAGE")

Command = tuple[str, ...]


def python(*arguments: str) -> Command:
    """Give the command that runs this very Python."""
    return (sys.executable, *arguments)


def race(commands: Mapping[str, Command], effort: Effort) -> dict[str, float]:
    """Start every command in turn, several times over, in an empty folder; give each one's best milliseconds."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as compiled:
        timers = {name: _timer(command, folder, compiled) for name, command in commands.items()}
        for name, timer in timers.items():
            effort.note(f"first start: {name}")
            timer()  # it compiles modules, fills the file cache and makes the database
        return best(timers, effort.starts, effort.note)


def _timer(command: Command, folder: str, compiled: str) -> Callable[[], float]:
    # No configuration from around; this checkout, not an installed one; compiled modules, which stay out of it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    environment |= {"PYTHONPATH": str(_ROOT), "PYTHONPYCACHEPREFIX": compiled}

    def timed() -> float:
        begin = time.perf_counter()
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        taken = time.perf_counter() - begin
        if ran.returncode != 0:
            message = f"{' '.join(command)} ended with {ran.returncode}: {ran.stderr.strip()}"
            raise RuntimeError(message)
        return 1000 * taken

    return timed
