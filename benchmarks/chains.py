"""A chain of jobs, whose first link carries all the others, beside the same jobs pushed and run one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.noop import Noop, app_on, armed, push_all, work_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App
    from qcore.time_limit import AlarmLimit


def measure(effort: Effort) -> Iterator[Measure]:
    """Dispatch and run a chain on the memory driver."""
    app, jobs = app_on("memory"), effort.jobs
    with armed(app) as limit:
        found = best(
            {
                "chain": lambda: seconds(lambda: _chain(app, limit, jobs)),
                "single": lambda: seconds(lambda: _single(app, limit, jobs)),
            },
            effort.rounds,
            effort.note,
        )
    yield Measure(
        name=f"memory: a chain of {jobs} links",
        ours=1e6 * found["chain"] / jobs,
        bare=1e6 * found["single"] / jobs,
        unit="us/job",
        beside="push + run, one by one",
        target=Target(50),
    )


def _chain(app: App, limit: AlarmLimit, jobs: int) -> None:
    app.chain(Noop(number, "a.csv") for number in range(jobs)).dispatch()
    work_all(app, limit, jobs)


def _single(app: App, limit: AlarmLimit, jobs: int) -> None:
    push_all(app, jobs)
    work_all(app, limit, jobs)
