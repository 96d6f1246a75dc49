"""The whole process of ``qcore work --once`` on an empty SQLite queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target
from benchmarks.process import python, race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort

NAME = "qcore work --once, no job"


def measure(effort: Effort) -> Iterator[Measure]:
    """Start it beside a bare Python, and beside one that imports SQLAlchemy and does nothing."""
    found = race(
        {
            "work": python("-m", "qcore", "work", "--once"),
            "bare": python("-c", "pass"),
            "sqlalchemy": python("-c", "import sqlalchemy"),
        },
        effort,
    )
    besides = (
        ("bare", "python that does nothing", Target(250, of="ours")),
        ("sqlalchemy", "python -c 'import sqlalchemy'", None),
    )
    for key, beside, target in besides:
        yield Measure(name=NAME, ours=found["work"], bare=found[key], unit="ms", beside=beside, target=target)
