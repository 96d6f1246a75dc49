"""The alarm of a worker process: real signals, with limits of hundredths of a second."""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from qcore import time_limit
from qcore.app import App
from qcore.clock import SystemClock
from qcore.driver import Payload
from qcore.drivers.memory import MemoryDriver
from qcore.errors import ConfigError, TimeLimitReached, TimeoutExceededError
from qcore.limits import WorkerOptions
from qcore.memory import Memory
from qcore.outcome import Done, Failed
from qcore.time_limit import AlarmLimit, Unlimited
from qtest.clock import FrozenClock
from tests.qcore.acting import Act, doing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from tests.backends import Backend

SOON = 0.03
NOTHING = (0.0, 0.0)
"""A timer that is not set."""


@pytest.fixture
def limit() -> Iterator[AlarmLimit]:
    before = signal.getsignal(signal.SIGALRM)
    limit = AlarmLimit(SystemClock(), grace=60)
    yield limit
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    limit.rest()


def spin() -> None:
    while True:
        pass


def read_a_pipe_that_stays_empty() -> None:
    reader, writer = os.pipe()
    try:
        os.read(reader, 1)
    finally:
        os.close(reader)
        os.close(writer)


HANGING = [
    spin,
    read_a_pipe_that_stays_empty,
    lambda: select.select([], [], [], 60),
    lambda: threading.Event().wait(60),
    lambda: threading.Lock().acquire() and threading.Semaphore(0).acquire(),
    lambda: sum(1 for _ in iter(int, 1)),
]


@pytest.mark.parametrize("hang", HANGING, ids=["loop", "read", "select", "event", "semaphore", "generator"])
def test_the_limit_ends_code_that_hangs(limit: AlarmLimit, hang: Callable[[], object]) -> None:
    cleaned: list[str] = []

    def job() -> None:
        try:
            hang()
        finally:
            cleaned.append("up")

    with pytest.raises(TimeLimitReached), limit.enforce(SOON):
        job()
    assert ["up"] == cleaned
    assert signal.getitimer(signal.ITIMER_REAL) == NOTHING


def test_except_exception_does_not_catch_the_limit(limit: AlarmLimit) -> None:
    def job() -> None:
        with suppress(Exception):
            spin()

    with pytest.raises(TimeLimitReached), limit.enforce(SOON):
        job()


@pytest.mark.usefixtures("_no_collector")
def test_code_in_c_that_looks_at_no_signal_is_ended_when_it_returns(limit: AlarmLimit) -> None:
    after: list[int] = []

    def job() -> None:
        after.append(sum(range(3_000_000)))
        after.append(sum(range(3_000_000)))

    with pytest.raises(TimeLimitReached), limit.enforce(0.001):
        job()
    assert len(after) < 2


def test_a_swallowed_limit_is_raised_again_until_it_is_let_through(
    limit: AlarmLimit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time_limit, "REPEAT", 0.02)
    swallowed: list[type[BaseException]] = []

    def job() -> None:
        while len(swallowed) < 3:
            try:
                spin()
            except BaseException as error:  # noqa: BLE001 - just what must not help
                swallowed.append(type(error))
        spin()

    with pytest.raises(TimeLimitReached), limit.enforce(SOON):
        job()
    assert [TimeLimitReached] * 3 == swallowed


def test_code_that_ends_in_time_is_left_alone(limit: AlarmLimit) -> None:
    with limit.enforce(SOON):
        pass

    assert limit.deadline == 0
    assert signal.getitimer(signal.ITIMER_REAL) == NOTHING
    # An alarm that was on its way when the limit was lifted comes now.
    signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize("seconds", [None, 0])
def test_no_limit_arms_nothing(limit: AlarmLimit, seconds: float | None) -> None:
    with limit.enforce(seconds):
        assert signal.getitimer(signal.ITIMER_REAL) == NOTHING
        signal.raise_signal(signal.SIGALRM)


def test_an_error_of_the_body_goes_through(limit: AlarmLimit) -> None:
    with pytest.raises(KeyError), limit.enforce(60):
        raise KeyError
    assert signal.getitimer(signal.ITIMER_REAL) == NOTHING


def test_an_alarm_that_comes_before_its_time_is_set_anew(limit: AlarmLimit) -> None:
    with limit.enforce(60):
        signal.raise_signal(signal.SIGALRM)
        remaining, _ = signal.getitimer(signal.ITIMER_REAL)

    assert remaining > 50


# A limit inside a limit.


def test_an_inner_limit_takes_the_place_of_the_outer_one_and_gives_it_back(limit: AlarmLimit) -> None:
    order: list[str] = []

    def outer() -> None:
        with limit.enforce(60):
            outer_deadline = limit.deadline
            try:
                with limit.enforce(SOON):
                    spin()
            except TimeLimitReached:
                order.append("inner")
            assert outer_deadline == limit.deadline
            remaining, _ = signal.getitimer(signal.ITIMER_REAL)
            assert 50 < remaining <= 60

    outer()

    assert ["inner"] == order
    assert signal.getitimer(signal.ITIMER_REAL) == NOTHING


def test_an_outer_limit_that_passed_meanwhile_is_reached_when_the_inner_one_is_left(limit: AlarmLimit) -> None:
    order: list[str] = []

    def outer() -> None:
        with limit.enforce(SOON):
            with limit.enforce(60):
                threading.Event().wait(2 * SOON)
                order.append("inner ended")
            spin()

    with pytest.raises(TimeLimitReached):
        outer()
    assert ["inner ended"] == order


def test_no_limit_inside_a_limit_leaves_it_in_force(limit: AlarmLimit) -> None:
    with pytest.raises(TimeLimitReached), limit.enforce(SOON), limit.enforce(None):
        spin()


# Only user code is interrupted.


def test_no_alarm_is_raised_while_a_limit_is_set_or_lifted(limit: AlarmLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would skip the rest of the work, and the alarm would ring on, in the worker itself."""
    monkeypatch.setattr(time_limit, "_SHORTLY", 60)
    rung: list[str] = []

    def ring(frame: FrameType, event: str, _: object) -> object:
        if frame.f_globals["__name__"] != "qcore.time_limit" or frame.f_code.co_name == "_ring":
            return None
        if limit.deadline:
            limit.deadline = 0.000_001  # as if its time had come with this very line
        rung.append(f"{frame.f_code.co_name} {event}")
        signal.raise_signal(signal.SIGALRM)
        return ring

    before = sys.gettrace()
    sys.settrace(ring)  # type: ignore[arg-type] # what a trace function returns is one again
    try:
        with limit.enforce(60):
            pass
        with limit.enforce(60), limit.enforce(60):
            pass
    finally:
        sys.settrace(before)
    signal.raise_signal(signal.SIGALRM)

    assert {"__enter__ call", "__exit__ call", "arm line", "disarm line", "cover line"} <= set(rung)
    assert (0.0, NOTHING) == (limit.deadline, signal.getitimer(signal.ITIMER_REAL))


@pytest.mark.parametrize("seconds", [1e-9, 0.000_001, 0.000_02, 0.000_1])
def test_the_shortest_limits_leave_nothing_behind(limit: AlarmLimit, seconds: float) -> None:
    reached = 0
    for _ in range(300):
        try:
            with limit.enforce(seconds):
                for _ in range(50):
                    pass
        except TimeLimitReached:
            reached += 1
        assert limit.deadline == 0
        assert signal.getitimer(signal.ITIMER_REAL) == NOTHING
    assert reached <= 300


class RingingClock(FrozenClock):
    """Lets the alarm ring while a driver looks at the time, halfway through its work."""

    def now(self) -> float:
        signal.raise_signal(signal.SIGALRM)
        return super().now()


def test_a_job_is_not_interrupted_in_the_middle_of_a_driver(limit: AlarmLimit) -> None:
    """Half a push would lose a job; a reply that was read by halves would go to the next one who asks."""
    driver = MemoryDriver(Memory(), RingingClock())
    done: list[str] = []

    def job() -> None:
        limit.deadline = 0.000_001  # its time has come
        driver.push("default", Payload("1", b"{}"))
        done.append("pushed")
        spin()

    with pytest.raises(TimeLimitReached), limit.enforce(60):
        job()
    assert ["pushed"] == done
    assert driver.size("default") == 1


@pytest.mark.parametrize("own_timer", [True, False], ids=["with its timer", "without"])
def test_a_job_that_takes_the_alarm_for_itself_does_not_take_it_from_the_next_one(
    limit: AlarmLimit,
    own_timer: bool,  # noqa: FBT001
) -> None:
    rung: list[int] = []

    with limit.enforce(60):
        signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
        if own_timer:
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            while not rung:  # not pause(): the alarm may ring before it
                pass
        else:
            limit.rest()  # what the worker says when it finds no job

    assert ([signal.SIGALRM] if own_timer else []) == rung
    with pytest.raises(TimeLimitReached), limit.enforce(SOON):
        spin()


def test_outside_the_main_thread_there_is_no_alarm() -> None:
    errors: list[BaseException] = []

    def make() -> None:
        try:
            AlarmLimit(SystemClock())
        except ConfigError as error:
            errors.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()

    assert ["a time limit needs the main thread: run the worker there, or without a timeout"] == [
        str(error) for error in errors
    ]


def test_unlimited_lets_everything_run() -> None:
    before = signal.getitimer(signal.ITIMER_REAL)
    with Unlimited().enforce(0.000_001):
        assert before == signal.getitimer(signal.ITIMER_REAL)
    Unlimited().rest()


# The watchdog.


@pytest.fixture
def watchdog(monkeypatch: pytest.MonkeyPatch) -> tuple[time_limit._Watchdog, FrozenClock, list[float | None]]:
    """Give a watchdog with a grace of 10 s, its clock, and what it asks of the C runtime (None: nothing any more)."""
    asked: list[float | None] = []

    def later(seconds: float, **how: Any) -> None:
        assert {"exit": True, "file": time_limit._stderr()} == how
        asked.append(seconds)

    monkeypatch.setattr(faulthandler, "dump_traceback_later", later)
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: asked.append(None))
    clock = FrozenClock()
    return time_limit._Watchdog(clock, 10), clock, asked


Watched = tuple[time_limit._Watchdog, FrozenClock, list[float | None]]


def test_the_watchdog_is_moved_once_in_many_jobs(watchdog: Watched) -> None:
    """Moving it costs as much as two jobs."""
    dog, clock, asked = watchdog
    for _ in range(1000):
        dog.cover(clock.monotonic() + 60)
        clock.advance(0.001)

    assert [110] == asked


def test_the_watchdog_never_fires_while_a_job_has_time_left_or_is_being_settled(watchdog: Watched) -> None:
    dog, clock, asked = watchdog
    fires_at = 0.0
    for seconds in (60, 1, 300, 60, 0.05) * 200:
        dog.cover(clock.monotonic() + seconds)
        if asked:
            [moment] = [each for each in asked if each is not None]
            fires_at = clock.monotonic() + moment
            asked.clear()
        assert fires_at >= clock.monotonic() + seconds + 40
        clock.advance(0.9)


def test_a_limit_that_was_reached_sets_the_watchdog_exactly_and_once(watchdog: Watched) -> None:
    dog, clock, asked = watchdog
    dog.cover(clock.monotonic() + 60)
    clock.advance(60)
    dog.expect_the_end()
    clock.advance(5)
    dog.expect_the_end()

    assert [110, 10] == asked
    dog.stop()
    assert [110, 10, None] == asked
    assert not dog.is_exact


def test_a_watchdog_that_sleeps_is_not_put_to_sleep_again(watchdog: Watched) -> None:
    dog, clock, asked = watchdog
    dog.stop()
    dog.cover(clock.monotonic() + 1)
    dog.stop()
    dog.stop()

    assert [51, None] == asked


def test_after_a_limit_was_reached_the_watchdog_sleeps(limit: AlarmLimit) -> None:
    with suppress(TimeLimitReached), limit.enforce(SOON):
        spin()

    assert not limit._watchdog.is_exact
    assert limit._watchdog._fires_at == 0


# The limit in a real worker.


@pytest.fixture
def app(backend: Backend, tmp_path: Path) -> Iterator[App]:
    """An App on the real clock: it is the alarm that is tested."""
    app = App(backend.config(tmp_path))
    with app.activate():
        yield app
    app.close()


def test_a_job_that_runs_too_long_fails_and_the_next_one_runs(app: App, limit: AlarmLimit) -> None:
    """G-10, with the real alarm."""
    seen: list[object] = []

    def handle(_: Act) -> None:
        try:
            spin()
        finally:
            seen.append("finally")

    doing(handle, failed=lambda _, error: seen.append(type(error))).with_options(timeout=SOON).dispatch()
    doing(lambda _: seen.append("next")).with_options(timeout=SOON).dispatch()
    worker = app.worker(options=WorkerOptions(memory=0, stop_when_empty=True), time_limit=limit)

    stopped = worker.run()

    assert (2, 1) == (stopped.jobs, stopped.errors)
    assert ["finally", TimeoutExceededError, "next"] == seen
    [record] = app.failed.list()
    assert "in spin\n" in record.exception
    assert "TimeLimitReached: the alarm of this process rang" in record.exception
    assert (limit.deadline, worker.runner.user.is_running) == (0, False)


def test_a_failed_that_hangs_is_ended_too(app: App, limit: AlarmLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qcore.settlement.FAILED_LIMIT", SOON)
    doing(lambda job: job.fail("x"), failed=lambda *_: spin()).dispatch()

    outcome = app.worker(time_limit=limit).run_next_job()

    assert isinstance(outcome, Failed)
    assert len(app.failed.list()) == 1


def test_a_backoff_for_that_hangs_is_ended_too(app: App, limit: AlarmLimit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qcore.runner.BACKOFF_LIMIT", SOON)

    def handle(_: Act) -> None:
        raise KeyError

    doing(handle, backoff_for=lambda _: spin()).dispatch()

    assert isinstance(app.worker(time_limit=limit).run_next_job(), Failed)


def test_the_limit_of_a_job_reaches_through_a_job_that_it_runs_in_place(app: App, limit: AlarmLimit) -> None:
    """The inner job has no limit of its own, and cannot turn the outer one's into an ordinary error."""
    seen: list[str] = []
    inner = doing(lambda _: spin())

    def handle(_: Act) -> None:
        try:
            inner.dispatch_sync()
        except Exception as error:  # noqa: BLE001
            seen.append(f"the outer job caught {error!r}")

    doing(handle).with_options(timeout=SOON).dispatch()

    outcome = app.worker(time_limit=limit).run_next_job()

    assert isinstance(outcome, Failed)
    assert str(outcome.error) == f"Act ran longer than its {SOON:g} seconds"
    assert [] == seen


def test_an_async_job_that_blocks_its_loop_is_ended_by_the_alarm(
    app: App, limit: AlarmLimit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qcore.user_code.GRACE", SOON)
    seen: list[str] = []

    async def handle(_: Act) -> None:
        try:
            spin()
        finally:
            seen.append("finally")

    doing(handle).with_options(timeout=SOON).dispatch()
    worker = app.worker(time_limit=limit)

    outcome = worker.run_next_job()

    assert isinstance(outcome, Failed)
    assert type(outcome.error) is TimeoutExceededError
    assert ["finally"] == seen
    doing(lambda _: None).dispatch()
    assert worker.run_next_job() == Done()
    worker.runner.close()


def test_a_job_without_a_limit_is_not_ended_by_the_watchdog_of_the_one_before(limit: AlarmLimit) -> None:
    with limit.enforce(60):
        pass
    assert limit._watchdog._fires_at

    with limit.enforce(0):
        assert not limit._watchdog._fires_at


def test_a_limit_of_centuries_is_one(limit: AlarmLimit) -> None:
    with limit.enforce(1e10):
        pass
