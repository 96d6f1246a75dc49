"""Push and run in memory beside the test modes of others; they are installed into an environment of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import venv
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best
from benchmarks.peer_loops import OURS, PEERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort

_ROOT = Path(__file__).parent.parent
_LOOPS = Path(__file__).parent / "peer_loops.py"
FOLDER = _ROOT / f".venv-peers-{platform.python_version()}"
"""Kept between runs: remove it to install newer ones."""
_MODES = {"celery": "task_always_eager", "dramatiq": "StubBroker and worker", "taskiq": "InMemoryBroker"}
_NAMES = {"memory": "push + run, memory driver and worker", "fake": "push + run, queue_fake"}


def measure(effort: Effort) -> Iterator[Measure]:
    """Run each in a process of its own, in turn, all with the same Python."""
    interpreter, versions = _installed(effort.note)
    rounds = max(effort.rounds // 5, 1)
    found = best(
        {name: _timer(interpreter, name, effort.jobs, rounds) for name in (*OURS, *PEERS)}, rounds, effort.note
    )
    for ours in OURS:
        for peer in PEERS:
            yield Measure(
                name=_NAMES[ours],
                ours=found[ours],
                bare=found[peer],
                unit="us/job",
                beside=f"{peer} {versions[peer]}, {_MODES[peer]}",
                target=Target(1),
            )


def _timer(interpreter: Path, name: str, jobs: int, rounds: int) -> Callable[[], float]:
    def timed() -> float:
        return float(_run(interpreter, str(_LOOPS), name, str(jobs), str(rounds)))

    return timed


def _installed(note: Callable[[str], None]) -> tuple[Path, dict[str, str]]:
    """Make the environment unless it is there, and tell what is in it."""
    interpreter = FOLDER / "bin" / "python"
    if not (FOLDER / ".complete").exists():
        note(f"installing {', '.join(PEERS)} into {FOLDER.name}")
        venv.create(FOLDER, with_pip=True, clear=True)
        _run(interpreter, "-m", "pip", "install", "--quiet", *PEERS, str(_ROOT))
        # This checkout is what is measured, and not a copy that would grow old.
        _run(interpreter, "-m", "pip", "uninstall", "--quiet", "--yes", "qcore-queue")
        (FOLDER / ".complete").touch()
    code = f"from importlib.metadata import version as v; print(*map(v, {[*PEERS]!r}))"
    return interpreter, dict(zip(PEERS, _run(interpreter, "-c", code).split(), strict=True))


def _run(*command: str | Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "QCORE_"))}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=_ROOT.parent)
    if ran.returncode != 0:
        message = f"{' '.join(map(str, command))} ended with {ran.returncode}: {ran.stderr.strip()}"
        raise RuntimeError(message)
    return ran.stdout
