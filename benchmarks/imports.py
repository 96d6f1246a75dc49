"""What an import costs a process, over what Python itself takes to start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target
from benchmarks.process import python, race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort

IMPORTS = ("import qcore", "from qcore import Job, job, dispatch", "from qcore import App")
_TARGET = Target(30, of="ours")


def measure(effort: Effort) -> Iterator[Measure]:
    """Import qcore, then with the names that a module of jobs, or of a program, asks for."""
    found = race({line: python("-c", line) for line in ("pass", "import sqlalchemy", *IMPORTS)}, effort)
    start = found["pass"]
    for line in IMPORTS:
        yield Measure(
            name=line,
            ours=found[line] - start,
            bare=found["import sqlalchemy"] - start,
            unit="ms",
            beside="import sqlalchemy",
            target=_TARGET,
        )
