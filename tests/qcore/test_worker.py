"""The loop: what it reserves and when, how long it waits, why it stops, and what it tells meanwhile."""

from __future__ import annotations

import asyncio
import logging
import signal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from qcore.app import App
from qcore.config import Config
from qcore.drivers.memory import MemoryDriver
from qcore.errors import ConfigError, DriverError
from qcore.events import (
    Event,
    JobPopped,
    JobPopping,
    JobProcessed,
    JobProcessing,
    Looping,
    WorkerIdle,
    WorkerInterrupted,
    WorkerStarting,
    WorkerStopping,
)
from qcore.limits import StopReason, WorkerOptions
from qcore.memory import Memory
from qcore.outcome import Done
from qcore.worker import Stopped
from qtest.clock import FrozenClock
from tests.qcore.acting import Act, PlainDriver, doing, raising

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from threading import Condition

    from qcore.driver import Reservation, Settled
    from qcore.worker import Worker

RESOLUTION = 0.000_001
"""What a float of seconds since 1970 can tell apart."""

_OF_A_WORKER = (WorkerStarting, Looping, JobPopping, WorkerIdle, JobPopped, WorkerInterrupted, WorkerStopping)


class Interruption:
    """A signal that comes when the test says so."""

    signal = 0
    paused = False

    def keep(self) -> None: ...


def daemon(app: App, **options: Any) -> tuple[Worker, Interruption]:
    """Make a worker that would work for ever, and what stops it."""
    worker = app.worker(options=WorkerOptions(memory=0, **options))
    worker.interruption = interruption = Interruption()
    return worker, interruption


def noting(seen: list[Any], value: object) -> Act:
    return doing(lambda _: seen.append(value))


def names(events: Sequence[Event]) -> list[str]:
    return [type(event).__name__ for event in events if isinstance(event, _OF_A_WORKER)]


# One job at a time.


def test_run_next_job_runs_one_job_and_gives_its_outcome(app: App) -> None:
    seen: list[int] = []
    noting(seen, 1).dispatch()
    noting(seen, 2).dispatch()
    worker = app.worker()

    assert worker.run_next_job() == Done()
    assert [1] == seen
    assert worker.run_next_job() == Done()
    assert worker.run_next_job() is None
    assert (2, 0) == (worker.jobs, worker.errors)


def test_run_next_job_does_not_wait_and_says_nothing_of_the_loop(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    """WRK-95."""
    start = clock.now()

    assert app.worker().run_next_job() is None
    assert start == clock.now()
    assert ["JobPopping"] == names(events)


def test_a_worker_that_ran_dry_does_not_wait_when_it_is_started_again(app: App, clock: FrozenClock) -> None:
    worker = app.worker(options=WorkerOptions(memory=0, stop_when_empty=True))
    start = clock.now()

    for _ in range(2):
        assert worker.run_next_job() is None
        assert worker.run().reason is StopReason.EMPTY
    assert start == clock.now()


# Order.


def test_the_second_queue_is_asked_only_when_the_first_has_nothing(app: App, work: Callable[..., Stopped]) -> None:
    """WRK-20."""
    seen: list[str] = []
    for queue in ("low", "high", "low", "high"):
        app.dispatch(noting(seen, queue), queue=queue)

    work(queues=("high", "low"))

    assert ["high", "high", "low", "low"] == seen


def test_other_queues_are_left_alone(app: App, work: Callable[..., Stopped]) -> None:
    app.dispatch(noting([], 1), queue="other")

    assert work() == Stopped(StopReason.EMPTY, 0, 0)
    assert app.connection().size("other") == 1


# What is told.


def test_a_worker_tells_what_it_does(app: App, events: list[Event]) -> None:
    doing(lambda _: None).dispatch()
    events.clear()

    app.worker(options=WorkerOptions(memory=0, name="w1", stop_when_empty=True)).run()

    assert [
        "WorkerStarting",
        *("Looping", "JobPopping", "JobPopped"),
        *("Looping", "JobPopping"),
        "WorkerStopping",
    ] == names(events)
    connection = app.connection().name
    assert WorkerStarting("w1", connection, ("default",)) == events[0]
    assert WorkerStopping("w1", connection, ("default",), reason="empty", jobs_processed=1) == events[-1]
    [popped] = [event for event in events if isinstance(event, JobPopped)]
    assert (connection, 1) == (popped.connection, popped.reservation.attempts)
    assert [JobPopping(connection, ("default",))] * 2 == [event for event in events if isinstance(event, JobPopping)]


def test_a_worker_that_waits_says_so(app: App, events: list[Event]) -> None:
    app.worker(options=WorkerOptions(memory=0, sleep=3, max_time=4)).run()

    assert [
        "WorkerStarting",
        *("Looping", "JobPopping"),
        *("Looping", "JobPopping", "WorkerIdle"),
        *("Looping", "JobPopping", "WorkerIdle"),
        "WorkerStopping",
    ] == names(events)


def test_an_interruption_is_told_with_its_signal(app: App, events: list[Event]) -> None:
    worker, interruption = daemon(app)

    def handle(_: Act) -> None:
        interruption.signal = signal.SIGTERM

    doing(handle).dispatch()
    noting([], "not run").dispatch()

    assert worker.run() == Stopped(StopReason.INTERRUPTED, 1, 0)
    assert [signal.SIGTERM] == [event.signal for event in events if isinstance(event, WorkerInterrupted)]
    assert ["WorkerInterrupted", "WorkerStopping"] == names(events)[-2:]
    assert app.connection().size() == 1


# Looping.


def test_a_looping_listener_that_says_no_makes_the_worker_rest(app: App, clock: FrozenClock) -> None:
    """WRK-10."""
    answers = iter([False, None, None])
    times: list[float] = []
    start = clock.now()
    app.listen(Looping, lambda _: next(answers))
    doing(lambda _: times.append(clock.now() - start)).dispatch()

    app.worker(options=WorkerOptions(memory=0, max_jobs=1, sleep=5)).run()

    assert [5] == times


def test_a_paused_worker_does_not_take_a_queue_that_it_has_not_looked_at_for_empty(
    app: App, work: Callable[..., Stopped]
) -> None:
    """WRK-06 is not copied."""
    answers = iter([False, False, None, None])
    seen: list[int] = []
    app.listen(Looping, lambda _: next(answers))
    noting(seen, 1).dispatch()

    assert work() == Stopped(StopReason.EMPTY, 1, 0)
    assert [1] == seen


@pytest.mark.parametrize("sleep", [0, 0.2])
def test_a_paused_worker_rests_a_second_at_least(app: App, clock: FrozenClock, sleep: float) -> None:
    turns: list[float] = []

    def listener(_: Looping) -> bool:
        turns.append(clock.monotonic())
        return False

    app.listen(Looping, listener)
    app.worker(options=WorkerOptions(memory=0, sleep=sleep, max_time=2.5)).run()

    assert [0, 1, 2] == turns
    assert clock.monotonic() == 2.5


def test_run_next_job_does_not_ask_looping_listeners(app: App) -> None:
    """WRK-95."""
    app.listen(Looping, lambda _: False)
    doing(lambda _: None).dispatch()

    assert app.worker().run_next_job() == Done()


# Waiting.


def test_a_waiting_worker_starts_a_delayed_job_when_it_is_due(app: App, clock: FrozenClock) -> None:
    times: list[float] = []
    for delay in (0.05, 1.7, 40.0):
        doing(lambda _: times.append(clock.monotonic())).with_options().dispatch(delay=delay)

    app.worker(options=WorkerOptions(memory=0, max_jobs=3)).run()

    assert [0.05, 1.7, 40.0] == pytest.approx(times, abs=0.051)
    assert all(ran > due - RESOLUTION for ran, due in zip(times, (0.05, 1.7, 40.0), strict=True))


@pytest.mark.parametrize("max_time", [0.1, 0.3, 1 / 3, 2.9, 3.0, 7.7, 10.000_000_1])
@pytest.mark.parametrize("sleep", [3, 0.7, 0.1, 0])
def test_a_worker_never_waits_beyond_max_time(app: App, clock: FrozenClock, max_time: float, sleep: float) -> None:
    """The numbers are awkward on purpose: a rest of a rounding error must not be waited for again and again."""
    assert app.worker(options=WorkerOptions(memory=0, max_time=max_time, sleep=sleep)).run().reason is (
        StopReason.MAX_TIME
    )
    assert max_time <= clock.monotonic() < max_time + 0.002


@pytest.mark.parametrize(
    "options", [{"rest": 100}, {"sleep": 100, "veto": True}], ids=["rest after a job", "rest after a veto"]
)
def test_no_rest_goes_beyond_max_time(app: App, clock: FrozenClock, options: dict[str, Any]) -> None:
    if options.pop("veto", False):
        app.listen(Looping, lambda _: False)
    doing(lambda _: None).dispatch()

    app.worker(options=WorkerOptions(memory=0, max_time=5, **options)).run()

    assert clock.monotonic() == pytest.approx(5, abs=0.001)


def test_max_time_does_not_cut_a_job_off(app: App, clock: FrozenClock) -> None:
    """WRK-04."""
    doing(lambda _: clock.advance(60)).dispatch()
    doing(lambda _: clock.advance(60)).dispatch()

    assert app.worker(options=WorkerOptions(memory=0, max_time=10)).run() == Stopped(StopReason.MAX_TIME, 1, 0)


@pytest.mark.parametrize("seconds", [1, 0.3, 7.7])
def test_stop_when_empty_for_counts_from_the_last_job(app: App, clock: FrozenClock, seconds: float) -> None:
    """WRK-05."""
    ends: list[float] = []

    def handle(_: Act) -> None:
        clock.advance(2)
        ends.append(clock.monotonic())

    app.dispatch(doing(handle), delay=seconds * 0.9)

    stopped = app.worker(options=WorkerOptions(memory=0, stop_when_empty_for=seconds)).run()

    assert Stopped(StopReason.EMPTY_FOR, 1, 0) == stopped
    assert ends[0] + seconds <= clock.monotonic() < ends[0] + seconds + 0.002


def test_a_pause_after_each_job(app: App, clock: FrozenClock) -> None:
    """WRK-07."""
    times: list[float] = []
    for _ in range(3):
        doing(lambda _: times.append(clock.monotonic())).dispatch()

    app.worker(options=WorkerOptions(memory=0, rest=0.5, stop_when_empty=True)).run()

    assert [0, 0.5, 1] == times


def test_a_pause_that_no_clock_can_keep_exactly_ends(app: App, clock: FrozenClock) -> None:
    """A rest of a rounding error must not be waited for again and again."""
    doing(lambda _: None).dispatch()

    app.worker(options=WorkerOptions(memory=0, rest=1 / 3, stop_when_empty=True)).run()

    assert clock.monotonic() == pytest.approx(1 / 3, abs=0.000_001)


def test_without_rest_there_is_none(app: App, clock: FrozenClock, work: Callable[..., Stopped]) -> None:
    for _ in range(3):
        doing(lambda _: None).dispatch()

    work()

    assert clock.monotonic() == 0


class Impatient(MemoryDriver):
    """A driver that cannot wait."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        return super().reserve(queues, wait=min(wait, 0))


def test_with_a_driver_that_cannot_wait_the_worker_sleeps_itself() -> None:
    clock = FrozenClock()
    app = App(Config(default="memory"), clock=clock)
    driver = Impatient(Memory(), clock)
    app.connection().driver = driver
    times: list[float] = []
    app.push(doing(lambda _: times.append(clock.monotonic())), doing(lambda _: None).with_options(delay=1).options)

    stopped = app.worker(options=WorkerOptions(memory=0, max_time=2)).run()

    assert Stopped(StopReason.MAX_TIME, 1, 0) == stopped
    assert [1.0] == times


def test_an_idle_worker_notices_a_signal_within_a_slice(app: App, clock: FrozenClock) -> None:
    """WRK-82 is not copied: no wait for a job delays a signal."""
    worker, interruption = daemon(app, sleep=3600)
    sleep, wait = clock.sleep, clock.wait

    def interrupt() -> None:
        interruption.signal = signal.SIGTERM if clock.monotonic() >= 10 else 0

    def slept(seconds: float) -> None:
        sleep(seconds)
        interrupt()

    def waited(condition: Condition, seconds: float) -> None:
        wait(condition, seconds)
        interrupt()

    clock.sleep, clock.wait = slept, waited  # type: ignore[method-assign]

    assert worker.run().reason is StopReason.INTERRUPTED
    assert 10 <= clock.monotonic() <= 10.25


# Stopping.


def test_max_jobs_counts_failures_too(app: App) -> None:
    """WRK-04."""
    for _ in range(3):
        raising(ValueError()).dispatch()

    assert app.worker(options=WorkerOptions(memory=0, max_jobs=2)).run() == Stopped(StopReason.MAX_JOBS, 2, 2)
    assert app.connection().size() == 1


@pytest.mark.parametrize(
    ("job", "tries", "errors"),
    [
        (doing(lambda _: None), 1, 0),
        (doing(lambda job: job.release(60)), 1, 0),
        (doing(lambda job: job.delete()), 1, 0),
        (doing(lambda job: job.fail()), 9, 1),
        (raising(ValueError()), 1, 1),
        (raising(ValueError()), 9, 1),
    ],
    ids=["success", "release", "delete", "fail", "raises", "raises, released"],
)
def test_errors_are_jobs_that_failed_or_raised(app: App, job: Act, tries: int, errors: int) -> None:
    job.dispatch()
    worker = app.worker(options=WorkerOptions(memory=0, tries=tries, max_jobs=1))

    assert Stopped(StopReason.MAX_JOBS, 1, errors) == worker.run()


@pytest.mark.parametrize(("raises", "errors"), [(False, 0), (True, 1)], ids=["release", "error"])
def test_a_job_whose_lease_was_lost_counts_as_an_error_when_it_raised(
    app: App,
    clock: FrozenClock,
    raises: bool,  # noqa: FBT001
    errors: int,
) -> None:
    def handle(job: Act) -> None:
        clock.advance(90)
        assert app.connection().driver.reserve(["default"]) is not None
        job.release(5)
        if raises:
            raise ValueError

    doing(handle).dispatch()

    stopped = app.worker(options=WorkerOptions(memory=0, tries=9, max_jobs=1)).run()

    assert Stopped(StopReason.MAX_JOBS, 1, errors) == stopped


def test_the_memory_in_use_is_asked_after_each_job(app: App) -> None:
    """WRK-03: the first job runs, whatever the limit."""
    asked: list[float] = []

    def memory(limit: float) -> float:
        asked.append(limit)
        return 100 + 14 * len(asked)

    for _ in range(5):
        doing(lambda _: None).dispatch()
    worker = app.worker(options=WorkerOptions(memory=128))
    worker._memory = memory

    assert worker.run() == Stopped(StopReason.MEMORY, 2, 0)
    assert [128, 128] == asked


# Draining.


def test_drain_waits_for_delayed_jobs(app: App, clock: FrozenClock) -> None:
    seen: list[int] = []
    for number, delay in enumerate((36, 0, 6)):
        app.dispatch(noting(seen, number), delay=delay)

    assert app.worker(options=WorkerOptions(memory=0, drain=True)).run() == Stopped(StopReason.DRAINED, 3, 0)
    assert [1, 2, 0] == seen
    assert clock.monotonic() > 36 - RESOLUTION


def test_drain_waits_for_retries(app: App) -> None:
    raising(ValueError()).with_options(tries=3, backoff=(10, 100)).dispatch()

    assert app.worker(options=WorkerOptions(memory=0, drain=True)).run() == Stopped(StopReason.DRAINED, 3, 3)


def test_drain_waits_for_what_others_hold_and_takes_it_over_when_they_die(app: App, clock: FrozenClock) -> None:
    attempts: list[int] = []
    doing(lambda job: attempts.append(job.attempts())).with_options(tries=2).dispatch()
    assert app.connection().driver.reserve(["default"]) is not None

    assert app.worker(options=WorkerOptions(memory=0, drain=True)).run() == Stopped(StopReason.DRAINED, 1, 0)
    assert [2] == attempts
    assert 90 - RESOLUTION < clock.monotonic() < 90.1


def test_drain_ends_when_the_other_worker_is_done(app: App, clock: FrozenClock) -> None:
    doing(lambda _: None).dispatch()
    reservation = app.connection().driver.reserve(["default"])
    assert reservation is not None

    def other(_: Looping) -> None:
        if clock.monotonic() >= 20:
            app.connection().driver.delete(reservation)

    app.listen(Looping, other)

    assert app.worker(options=WorkerOptions(memory=0, drain=True)).run() == Stopped(StopReason.DRAINED, 0, 0)
    assert 20 <= clock.monotonic() <= 24


def test_drain_looks_at_its_own_queues_only(app: App) -> None:
    app.dispatch(doing(lambda _: None), queue="other", delay=60)

    assert app.worker(options=WorkerOptions(memory=0, drain=True)).run() == Stopped(StopReason.DRAINED, 0, 0)


def test_drain_is_refused_by_a_driver_that_cannot_tell_what_waits() -> None:
    app = App(Config(default="memory"), clock=FrozenClock())
    app.connection().driver = PlainDriver(FrozenClock())

    with pytest.raises(ConfigError, match=r"^--drain needs a driver that shows what waits; that of 'memory' cannot$"):
        app.worker(options=WorkerOptions(drain=True)).run()


# Trouble with the backend.


class Flaky(MemoryDriver):
    """Its backend is away at some calls of reserve."""

    def __init__(self, home: Memory, clock: FrozenClock, away: Sequence[int]) -> None:
        super().__init__(home, clock)
        self.asked: list[float] = []
        self.away = away
        self.monotonic = clock.monotonic

    @property
    def calls(self) -> int:
        return len(self.asked)

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        self.asked.append(self.monotonic())
        if self.calls in self.away:
            message = f"the backend is away ({self.calls})"
            raise DriverError(message)
        return super().reserve(queues, wait=wait)


@pytest.fixture
def flaky(clock: FrozenClock) -> Callable[..., tuple[App, Flaky]]:
    def make(*away: int) -> tuple[App, Flaky]:
        app = App(Config(default="memory"), clock=clock)
        driver = Flaky(Memory(), clock, away)
        app.connection().driver = driver
        return app, driver

    return make


@pytest.mark.parametrize("options", [{}, {"stop_when_empty": True}, {"drain": True}, {"max_jobs": 1}], ids=str)
def test_a_backend_that_is_away_at_the_start_is_an_error(
    flaky: Callable[..., tuple[App, Flaky]], options: dict[str, Any]
) -> None:
    app, _ = flaky(1)

    with pytest.raises(DriverError, match=r"^the backend is away \(1\)$"):
        app.worker(options=WorkerOptions(memory=0, **options)).run()


@pytest.mark.parametrize("options", [{"stop_when_empty": True}, {"drain": True}], ids=str)
def test_a_finite_run_does_not_wait_for_a_backend(
    flaky: Callable[..., tuple[App, Flaky]], options: dict[str, Any]
) -> None:
    app, _ = flaky(2)
    app.push(doing(lambda _: None))

    with pytest.raises(DriverError, match=r"^the backend is away \(2\)$"):
        app.worker(options=WorkerOptions(memory=0, **options)).run()


def test_later_a_worker_survives_it_asks_every_second_and_says_so_once(
    flaky: Callable[..., tuple[App, Flaky]],
    clock: FrozenClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """WRK-22; one line for the trouble and one for its end, however long it takes."""
    monkeypatch.setattr("qcore.worker.uniform", lambda low, high: (low + high) / 2)
    app, driver = flaky(*range(2, 62))
    seen: list[float] = []
    app.push(doing(lambda _: None))
    app.push(doing(lambda _: seen.append(clock.monotonic())))

    with caplog.at_level(logging.INFO, "qcore"):
        stopped = app.worker(options=WorkerOptions(memory=0, max_jobs=2)).run()

    assert Stopped(StopReason.MAX_JOBS, 2, 0) == stopped
    assert [60.0] == seen
    assert driver.calls == 62
    assert [
        "the backend is away (2); trying again until it is back",
        "the connection 'memory' is back",
    ] == [record.message for record in caplog.records]


def test_a_worker_asks_as_often_and_at_odd_moments_however_long_its_backend_was_away(
    flaky: Callable[..., tuple[App, Flaky]],
) -> None:
    """It has a job again soon after the backend is back, and so have others, but not in the same moment."""
    app, driver = flaky(*range(2, 602))
    for _ in range(2):
        app.push(doing(lambda _: None))

    app.worker(options=WorkerOptions(memory=0, max_jobs=2)).run()

    gaps = [after - before for before, after in pairwise(driver.asked[1:])]
    assert 300 < sum(gaps)
    assert 0.5 <= min(gaps) < 0.6
    assert 1.4 < max(gaps) <= 1.5


def test_new_trouble_is_a_new_line(flaky: Callable[..., tuple[App, Flaky]], caplog: pytest.LogCaptureFixture) -> None:
    app, _ = flaky(2, 4)
    for _ in range(3):
        app.push(doing(lambda _: None))

    app.worker(options=WorkerOptions(memory=0, max_jobs=3)).run()

    assert ["the backend is away (2)", "the connection 'mem", "the backend is away (4)", "the connection 'mem"] == [
        record.message.partition(";")[0].partition("ory' is back")[0] for record in caplog.records
    ]


@pytest.mark.parametrize(("options", "reason"), [({"max_time": 5}, "max_time"), ({}, "interrupted")], ids=str)
def test_a_worker_in_trouble_can_still_be_stopped(
    flaky: Callable[..., tuple[App, Flaky]],
    clock: FrozenClock,
    options: dict[str, Any],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qcore.worker.uniform", lambda low, high: (low + high) / 2)
    app, _ = flaky(*range(2, 1000))
    app.push(doing(lambda _: None))
    worker, interruption = daemon(app, **options)

    def interrupt(_: Looping) -> None:
        interruption.signal = signal.SIGTERM if clock.monotonic() >= 7 else 0

    app.listen(Looping, interrupt)

    assert worker.run() == Stopped(StopReason(reason), 1, 0)
    assert clock.monotonic() == pytest.approx(5 if options else 7)


def test_a_job_that_could_not_be_settled_comes_back_after_its_lease(
    clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App(Config(default="memory"), clock=clock)
    driver = app.connection().driver
    delete = driver.delete
    attempts: list[int] = []

    def away(reservation: Reservation, **options: Any) -> Settled:
        if reservation.attempts == 1 and len(attempts) == 2:
            message = "gone"
            raise DriverError(message)
        return delete(reservation, **options)

    monkeypatch.setattr(driver, "delete", away)
    for _ in range(2):
        app.push(doing(lambda job: attempts.append(job.attempts())), doing(print).with_options(tries=2).options)

    app.worker(options=WorkerOptions(memory=0, max_jobs=2)).run()

    assert [1, 1, 2] == attempts
    assert clock.monotonic() == pytest.approx(90, abs=0.01)


def test_an_error_of_qcore_itself_is_not_swallowed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        message = "a bug"
        raise RuntimeError(message)

    monkeypatch.setattr(app.connection().driver, "reserve", broken)

    with pytest.raises(RuntimeError, match="a bug"):
        app.worker().run()


# Async jobs.


def test_async_jobs_share_one_loop_which_is_closed_at_the_end(app: App, work: Callable[..., Stopped]) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def handle(_: Act) -> None:
        loops.append(asyncio.get_running_loop())

    for _ in range(3):
        doing(handle).dispatch()

    work()

    assert [loops[0]] * 3 == loops
    assert loops[0].is_closed()


def test_the_loop_is_closed_also_when_the_run_ends_with_an_error(
    app: App, monkeypatch: pytest.MonkeyPatch, work: Callable[..., Stopped]
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    error = DriverError("gone")

    def gone(*_: object, **__: object) -> Settled:
        raise error

    async def handle(_: Act) -> None:
        loops.append(asyncio.get_running_loop())
        for name in ("delete", "delete_and_reserve"):
            monkeypatch.setattr(app.connection().driver, name, gone, raising=False)

    doing(handle).dispatch()

    with pytest.raises(DriverError, match="gone"):
        work()
    assert loops[0].is_closed()


# The watchdog of the time limit.


class Watched:
    """A limit that notes when it was told to rest."""

    def __init__(self, events: list[Event]) -> None:
        self.rests: list[str] = []
        self._events = events

    def enforce(self, _: float | None) -> Watched:
        return self

    def rest(self) -> None:
        self.rests.append(type(self._events[-1]).__name__)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def test_waiting_is_not_taken_for_hanging(app: App, events: list[Event]) -> None:
    """An idle, a resting and a paused worker would else be ended by the watchdog of its last job."""
    limit = Watched(events)
    answers = iter([None, None, False, None])
    app.listen(Looping, lambda _: next(answers, None))
    doing(lambda _: None).dispatch()

    app.worker(options=WorkerOptions(memory=0, rest=1, sleep=1, max_time=3.5), time_limit=limit).run()

    assert ["JobProcessed", "Looping", "WorkerIdle", "WorkerIdle", "WorkerStopping"] == limit.rests


def test_events_of_one_job_come_between_its_pop_and_the_next_turn(app: App, events: list[Event]) -> None:
    doing(lambda _: None).dispatch()
    events.clear()

    app.worker(options=WorkerOptions(memory=0, max_jobs=1)).run()

    assert [WorkerStarting, Looping, JobPopping, JobPopped, JobProcessing, JobProcessed, WorkerStopping] == [
        type(event) for event in events
    ]
