"""A batch of many members, beside the same jobs pushed one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.noop import Noop, app_on, armed, push_all, work_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App

TIMES = 10
"""A batch has so many times the jobs of other rows."""


def measure(effort: Effort) -> Iterator[Measure]:
    """Dispatch on memory, then dispatch and run."""
    effort = effort._replace(jobs=TIMES * effort.jobs, rounds=max(effort.rounds // TIMES, 2))
    app = app_on("memory")
    yield _measure(f"memory: dispatch of a batch of {effort.jobs}", app, effort, runs=False)
    yield _measure(f"memory: a batch of {effort.jobs}, dispatch and run", app, effort, runs=True)


def _measure(name: str, app: App, effort: Effort, *, runs: bool) -> Measure:
    def batched() -> None:
        app.batch([Noop(number, "a.csv") for number in range(effort.jobs)]).dispatch()

    def single() -> None:
        push_all(app, effort.jobs)

    with armed(app) as limit:

        def run() -> None:
            work_all(app, limit, effort.jobs)

        def taken(push: object) -> float:
            assert callable(push)
            if runs:
                return seconds(lambda: (push(), run()))
            needed = seconds(push)
            app.connection().clear()
            return needed

        found = best({"single": lambda: taken(single), "batch": lambda: taken(batched)}, effort.rounds, effort.note)
    app.batches.prune(hours=0, unfinished=0)
    return Measure(
        name=name,
        ours=found["batch"] * 1e6 / effort.jobs,
        bare=found["single"] * 1e6 / effort.jobs,
        unit="us/job",
        beside="pushed one by one",
        target=Target(2),
    )
