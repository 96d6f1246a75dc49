"""What an import costs a process, over what Python itself takes to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target
from benchmarks.process import python, race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort

_TARGET = Target(30, of="ours")
IMPORTS = {
    "import qcore": _TARGET,
    "from qcore import Job, job, dispatch": _TARGET,  # names are loaded when they are asked for
    "from qcore import App": None,
}


def measure(effort: Effort) -> Iterator[Measure]:
    """Import qcore alone, with what a module of jobs asks for, and with what a worker needs."""
    found = race({line: python("-c", line) for line in ("pass", "import sqlalchemy", *IMPORTS)}, effort)
    start = found["pass"]
    for line, target in IMPORTS.items():
        yield Measure(
            name=line,
            ours=found[line] - start,
            bare=found["import sqlalchemy"] - start,
            unit="ms",
            beside="import sqlalchemy",
            target=target,
        )
