"""Timing whole processes."""

from __future__ import annotations

import os
import resource
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


def race(
    commands: Mapping[str, Command],
    effort: Effort,
    files: Mapping[str, str] | None = None,
    pick: Callable[[list[float]], float] = min,
    *,
    processor: bool = False,
) -> dict[str, float]:
    """Start every command in turn, several times over, in an empty folder; give each one's best milliseconds.

    ``files`` are written there before; ``pick`` is that of ``best``. ``processor``: count the time of the processor and
    not that on the wall, where two figures that are close to each other are subtracted.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as compiled:
        for name, text in (files or {}).items():
            (Path(folder) / name).write_text(text)
        timers = {name: _timer(command, folder, compiled, processor=processor) for name, command in commands.items()}
        for name, timer in timers.items():
            effort.note(f"first start: {name}")
            timer()  # it compiles modules, fills the file cache and makes the database
        return best(timers, effort.starts, effort.note, pick)


def _timer(command: Command, folder: str, compiled: str, *, processor: bool) -> Callable[[], float]:
    # No configuration from around; this checkout, not an installed one; compiled modules, which stay out of it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    environment |= {"PYTHONPATH": str(_ROOT), "PYTHONPYCACHEPREFIX": compiled}

    def timed() -> float:
        read = _processor_of_children if processor else time.perf_counter
        begin = read()
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        taken = read() - begin
        if ran.returncode != 0:
            message = f"{' '.join(command)} ended with {ran.returncode}: {ran.stderr.strip()}"
            raise RuntimeError(message)
        return 1000 * taken

    return timed


def _processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
