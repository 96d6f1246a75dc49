"""A batch of many members, beside the same jobs pushed one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.noop import Noop, app_on, armed, push_all, work_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort
    from qcore import App
    from qcore.time_limit import AlarmLimit

TIMES = 10
"""A batch has so many times the jobs of other rows."""


def measure(effort: Effort) -> Iterator[Measure]:
    """Dispatch on memory, then dispatch and run."""
    effort = effort._replace(jobs=TIMES * effort.jobs, rounds=max(effort.rounds // TIMES, 2))
    app, jobs = app_on("memory"), effort.jobs
    with armed(app) as limit:
        yield _measure(f"memory: dispatch of a batch of {jobs}", effort, lambda push: _pushed(app, push, jobs), app)
        yield _measure(f"memory: a batch of {jobs}", effort, lambda push: _run(app, push, limit, jobs), app)


def _measure(name: str, effort: Effort, taken: Callable[[Callable[[], object]], float], app: App) -> Measure:
    jobs = effort.jobs
    found = best(
        {
            "single": lambda: taken(lambda: push_all(app, jobs)),
            "batch": lambda: taken(lambda: app.batch([Noop(number, "a.csv") for number in range(jobs)]).dispatch()),
        },
        effort.rounds,
        effort.note,
    )
    return Measure(
        name=name,
        ours=1e6 * found["batch"] / jobs,
        bare=1e6 * found["single"] / jobs,
        unit="us/job",
        beside="pushed one by one" if "dispatch" in name else "push + run, one by one",
        target=Target(2) if "dispatch" in name else None,
    )


def _pushed(app: App, push: Callable[[], object], jobs: int) -> float:
    taken = seconds(push)
    cleared = app.connection().clear()
    if cleared != jobs:
        message = f"{jobs} jobs should have waited, and it was {cleared}"
        raise RuntimeError(message)
    app.batches.prune(unfinished=0)
    return taken


def _run(app: App, push: Callable[[], object], limit: AlarmLimit, jobs: int) -> float:
    def push_and_run() -> None:
        push()
        work_all(app, limit, jobs)

    taken = seconds(push_and_run)
    app.batches.prune(hours=0)
    return taken
