"""The fake queue of qtest in one process: what a test pays for it, and for a long schedule of retries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import freezegun

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.noop import Noop, app_on, armed, push_all, work_all
from qcore import App, Config, Job
from qtest.freezing import user_code_frozen
from qtest.queue_fake import QueueFake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort

_DAY = 86_400
_ATTEMPTS = 50
_MOST = 1_000_000


class Flaky(Job, tries=_ATTEMPTS, backoff=(30 * _DAY / (_ATTEMPTS - 1),)):
    """A job that fails until its last attempt, 30 days later."""

    def handle(self) -> None:
        """Fail, but for the last time."""
        if self.attempts() < _ATTEMPTS:
            raise ConnectionError


def measure(effort: Effort) -> Iterator[Measure]:
    """Set a fake up and take it down, with its clock and without; run a schedule; push and run."""
    yield from _set_up(effort)
    yield _schedule(effort)
    yield _push_and_run(effort)


def _set_up(effort: Effort) -> Iterator[Measure]:
    app, times = App(Config(default="memory")), max(effort.jobs // 10, 10)
    frozen = max(times // 10, 5)

    def fake() -> None:
        with QueueFake(app):
            pass

    def fake_with_clock() -> None:
        with QueueFake(app) as queue, user_code_frozen(queue.clock):
            pass

    def fake_and_freezegun() -> None:
        with QueueFake(app), freezegun.freeze_time():
            pass

    found = best(
        {
            "fake": lambda: _each(fake, times),
            "app": lambda: _each(lambda: App(app.config).close(), times),
            "clock": lambda: _each(fake_with_clock, frozen),
            "freezegun": lambda: _each(fake_and_freezegun, frozen),
        },
        effort.rounds,
        effort.note,
    )
    yield Measure(
        name="queue_fake: set up and taken down",
        ours=found["fake"],
        bare=found["app"],
        unit="us/test",
        beside="App(...).close()",
        target=Target(200, of="ours"),
    )
    yield Measure(
        name="the same with queue_clock",
        ours=found["clock"],
        bare=found["freezegun"],
        unit="us/test",
        beside="queue_fake and freezegun.freeze_time()",
        target=Target(1.1),
    )


def _each(work: Callable[[], object], times: int) -> float:
    """Give microseconds for one of so many."""

    def all_of_them() -> None:
        for _ in range(times):
            work()

    return 1e6 * seconds(all_of_them) / times


def _schedule(effort: Effort) -> Measure:
    def schedule() -> float:
        with QueueFake() as queue:
            Flaky().dispatch()
            begin = time.perf_counter()
            done = queue.run_until_idle()
            taken = time.perf_counter() - begin
        if (done.processed, done.succeeded, round(done.passed / _DAY)) != (_ATTEMPTS, 1, 30):
            raise RuntimeError(str(done))
        return 1000 * taken

    found = best(
        {"schedule": schedule, "pushed": lambda: _run(_ATTEMPTS) * _ATTEMPTS / 1000}, effort.rounds, effort.note
    )
    return Measure(
        name=f"{_ATTEMPTS} attempts of a job in 30 virtual days",
        ours=found["schedule"],
        bare=found["pushed"],
        unit="ms",
        beside=f"{_ATTEMPTS} jobs that succeed, pushed and run",
        target=Target(100, of="ours"),
    )


def _push_and_run(effort: Effort) -> Measure:
    app = app_on("memory")
    with armed(app) as limit:

        def real() -> float:
            def both() -> None:
                push_all(app, effort.jobs)
                work_all(app, limit, effort.jobs)

            return 1e6 * seconds(both) / effort.jobs

        found = best({"fake": lambda: _run(effort.jobs), "real": real}, effort.rounds, effort.note)
    return Measure(
        name="queue_fake: push + run",
        ours=found["fake"],
        bare=found["real"],
        unit="us/job",
        beside="memory driver, real worker",
    )


def _run(jobs: int) -> float:
    """Give microseconds for a job that is pushed to a fake and run."""
    with QueueFake() as queue:

        def both() -> None:
            for number in range(jobs):
                Noop(number, "a.csv").dispatch()
            queue.run_due(max_jobs=_MOST)

        taken = seconds(both)
        queue.assert_processed(Noop, times=jobs)
    return 1e6 * taken / jobs
