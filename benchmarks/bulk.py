"""Many jobs pushed at once, beside the same jobs pushed one by one."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.noop import Noop, app_on, push_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App


def measure(effort: Effort) -> Iterator[Measure]:
    """Push to memory and to SQLite."""
    with tempfile.TemporaryDirectory() as folder:
        database = app_on("database", Path(folder, "queue.sqlite3"))
        with closing(database):
            yield measure_on("memory: bulk", app_on("memory"), effort)
            yield measure_on("SQLite: bulk", database, effort)


def measure_on(name: str, app: App, effort: Effort, target: Target | None = None) -> Measure:
    """Push to that one."""
    found = best(
        {"single": lambda: _single(app, effort.jobs), "bulk": lambda: _bulk(app, effort.jobs)},
        effort.rounds,
        effort.note,
    )
    return Measure(
        name=name,
        ours=effort.jobs / found["bulk"],
        bare=effort.jobs / found["single"],
        unit="jobs/s",
        beside="pushed one by one",
        target=target,
    )


def _single(app: App, jobs: int) -> float:
    taken = seconds(lambda: push_all(app, jobs))
    _empty(app, jobs)
    return taken


def _bulk(app: App, jobs: int) -> float:
    taken = seconds(lambda: app.bulk([Noop(number, "a.csv") for number in range(jobs)]))
    _empty(app, jobs)
    return taken


def _empty(app: App, expected: int) -> None:
    cleared = app.connection().clear()
    if cleared != expected:
        message = f"{expected} jobs should have waited, and it was {cleared}"
        raise RuntimeError(message)
