"""Time limits on the frozen clock: no signal, and no waiting."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from threading import Thread
from time import sleep  # noqa: TID251 - what jobs of users do
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, Job
from qcore.errors import TimeLimitReached, TimeoutExceededError
from qcore.events import JobProcessed, JobReleased, JobTimedOut
from qcore.outcome import Done, Failed, Released
from qtest.clock import FrozenClock
from qtest.virtual_limit import VirtualLimit
from qtest.virtual_sleep import VirtualSleep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., Any]

steps: list[object] = []
acts: dict[str, Callable[[], Any]] = {}


class Act(Job, timeout=60):
    def handle(self) -> None:
        acts["now"]()


class ActAsync(Job, timeout=60):
    async def handle(self) -> None:
        await acts["now"]()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(0)


@pytest.fixture
def app(clock: FrozenClock) -> Iterator[App]:
    steps.clear()
    app = App(Config(default="memory"), clock=clock)
    with app.activate(), VirtualSleep():
        yield app
    app.close()
    assert [] == clock.alarms


@pytest.fixture
def run(app: App, clock: FrozenClock) -> Run:
    worker = app.worker(time_limit=VirtualLimit(clock))

    def run(act: Callable[[], object], job: Job | None = None) -> object:
        acts["now"] = act
        (job or Act()).dispatch()
        return worker.run_next_job()

    return run


def timed_out(outcome: object) -> bool:
    return isinstance(outcome, Failed | Released) and isinstance(outcome.error, TimeoutExceededError)


def test_a_job_that_sleeps_too_long_ends_at_the_instant_of_its_limit(run: Run, clock: FrozenClock) -> None:
    assert timed_out(run(lambda: sleep(3600)))
    assert 60 == clock.now()


def test_a_job_that_takes_exactly_its_limit_is_out_of_time(run: Run) -> None:
    def act() -> None:
        sleep(60)
        steps.append("went on")

    assert timed_out(run(act))
    assert [] == steps


def test_a_job_within_its_limit_is_done(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: sleep(59.999))
    assert 59.999 == clock.now()


def test_many_short_sleeps_add_up(run: Run, clock: FrozenClock) -> None:
    def naps() -> None:
        for _ in range(1000):
            sleep(0.7)

    assert timed_out(run(naps))
    assert 60 == clock.now()


def test_a_job_that_moves_the_clock_too_far_is_out_of_time(run: Run, clock: FrozenClock) -> None:
    assert timed_out(run(lambda: clock.advance(61)))
    assert 60 == clock.now()


def test_the_limit_is_over_with_the_job(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: sleep(59))

    clock.advance(3600)

    assert Done() == run(lambda: sleep(59))


def test_it_tells_what_happened(run: Run, app: App) -> None:
    told: list[object] = []
    app.listen(JobTimedOut, told.append)

    outcome = run(lambda: sleep(61))

    assert 1 == len(told)
    assert "Act ran longer than its 60 seconds" in str(outcome.error)


def test_no_signal_is_taken(run: Run) -> None:
    """A plugin like pytest-timeout keeps its own alarm."""
    before = signal.getsignal(signal.SIGALRM)
    seen: list[object] = []

    run(lambda: seen.append((signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL))))

    assert [(before, (0.0, 0.0))] == seen


def test_finally_runs_and_may_sleep(run: Run, clock: FrozenClock) -> None:
    def act() -> None:
        try:
            sleep(100)
        finally:
            sleep(2)
            steps.append("cleaned up")

    assert timed_out(run(act))
    assert (["cleaned up"], 62) == (steps, clock.now())


def test_who_swallows_the_end_is_told_again(run: Run, clock: FrozenClock) -> None:
    def act() -> None:
        with suppress(BaseException):
            sleep(100)
        sleep(100)

    assert timed_out(run(act))
    assert 65 == clock.now()


def test_who_swallows_the_end_and_returns_is_done(run: Run) -> None:
    def act() -> None:
        with suppress(TimeLimitReached):
            sleep(100)

    assert Done() == run(act)


def test_who_is_told_of_time_that_passed_elsewhere_and_returns_is_done(run: Run, clock: FrozenClock) -> None:
    def act() -> None:
        thread = Thread(target=clock.advance, args=[61])
        thread.start()
        thread.join()
        with suppress(TimeLimitReached):
            sleep(1)
        steps.append("told")

    assert Done() == run(act)
    assert ["told"] == steps


@pytest.mark.parametrize("module", ["qcore.stores.slow", "qcore.drivers.slow"])
def test_a_store_or_driver_is_not_cut_off_halfway(run: Run, clock: FrozenClock, module: str) -> None:
    """Its own waits are none of the job's code: interrupted there, a queue would be damaged."""
    code: dict[str, Any] = {"__name__": module, "clock": clock, "steps": steps}
    exec("def write():\n    clock.sleep(61)\n    steps.append('written')", code)

    assert timed_out(run(code["write"]))
    assert ["written"] == steps


def test_time_that_passed_elsewhere_counts_when_the_job_returns(run: Run, clock: FrozenClock) -> None:
    def act() -> None:
        thread = Thread(target=clock.advance, args=[61])
        thread.start()
        thread.join()
        steps.append("went on")

    assert timed_out(run(act))
    assert ["went on"] == steps  # nobody could stop it in the middle


def test_the_error_of_a_job_that_is_too_late_stays_its_error(run: Run, clock: FrozenClock) -> None:
    def act() -> None:
        thread = Thread(target=clock.advance, args=[61])
        thread.start()
        thread.join()
        raise KeyError("its own")

    outcome = run(act)

    assert isinstance(outcome.error, KeyError)


class LimitedInside(Job, timeout=10):
    def handle(self) -> None:
        steps.append("inner")
        acts["inner"]()


def test_a_job_inside_a_job_has_its_own_limit(run: Run, app: App, clock: FrozenClock) -> None:
    def act() -> None:
        acts["now"] = lambda: sleep(30)
        inner = app.worker(time_limit=VirtualLimit(clock))
        LimitedInside().dispatch()
        acts["inner"] = lambda: sleep(30)
        steps.append(timed_out(inner.run_next_job()))
        sleep(30)

    assert Done() == run(act)
    assert (["inner", True], 40) == (steps, clock.now())


def test_the_limit_of_the_job_around_comes_back(run: Run, app: App, clock: FrozenClock) -> None:
    def act() -> None:
        inner = app.worker(time_limit=VirtualLimit(clock))
        LimitedInside().dispatch()
        acts["inner"] = lambda: sleep(5)
        steps.append(inner.run_next_job())
        sleep(100)

    assert timed_out(run(act))
    assert (["inner", Done()], 60) == (steps, clock.now())


def test_a_thirty_day_limit_is_reached_at_once(run: Run, clock: FrozenClock) -> None:
    class_ = type("Month", (Act,), {}, timeout=30 * 86_400)

    assert timed_out(run(lambda: sleep(40 * 86_400), class_()))
    assert 30 * 86_400 == clock.now()


def test_a_job_without_a_limit_may_take_years(run: Run, clock: FrozenClock) -> None:
    class_ = type("Endless", (Act,), {}, timeout=0)

    assert Done() == run(lambda: sleep(1e8), class_())
    assert 1e8 == clock.now()


# Async jobs.


def test_an_async_job_is_cancelled_at_its_limit(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        try:
            await asyncio.sleep(3600)  # noqa: TID251 - a job of a user
        except asyncio.CancelledError:
            steps.append(clock.now())
            raise

    assert timed_out(run(act, ActAsync()))
    assert ([60], 60) == (steps, clock.now())


def test_an_async_job_that_waits_for_nothing_is_cancelled_too(run: Run, clock: FrozenClock) -> None:
    assert timed_out(run(lambda: asyncio.Event().wait(), ActAsync()))
    assert 60 == clock.now()


def test_an_async_job_within_its_limit_is_done(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: asyncio.sleep(59), ActAsync())  # noqa: TID251
    assert 59 == clock.now()


@pytest.mark.parametrize("layers", [0, 1])
def test_an_async_job_that_swallows_its_end_and_returns_is_done(run: Run, app: App, layers: int) -> None:
    """As with a real worker; inside of middleware, too."""
    app.middleware.extend([lambda job, call_next: call_next(job)] * layers)

    async def act() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)  # noqa: TID251

    assert Done() == run(act, ActAsync())


def test_an_async_job_that_does_not_end_is_dropped_on_virtual_time(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)  # noqa: TID251

    assert timed_out(run(act, ActAsync()))
    assert clock.now() < 70
    assert Done() == run(lambda: asyncio.sleep(1), ActAsync())  # noqa: TID251


def test_an_async_job_that_blocks_its_loop_is_ended(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        sleep(3600)  # noqa: ASYNC251 - this is the mistake

    assert timed_out(run(act, ActAsync()))
    assert 63 == clock.now()


def test_a_job_that_was_out_of_time_is_tried_again_and_ends_once(app: App, clock: FrozenClock) -> None:
    class_ = type("Retried", (Act,), {}, tries=2, backoff=10)
    told: list[object] = []
    app.listen(JobReleased, told.append)
    app.listen(JobProcessed, told.append)
    worker = app.worker(time_limit=VirtualLimit(clock))
    acts["now"] = lambda: sleep(0 if clock.now() > 60 else 100)
    class_().dispatch()

    worker.run_next_job()
    assert worker.run_next_job() is None
    clock.advance(10)
    worker.run_next_job()

    assert [JobReleased, JobProcessed] == [type(each) for each in told]
