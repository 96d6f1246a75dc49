"""Scenarios with exact numbers, each in memory and on SQLite. Tries 1, backoff 0, timeout 60, lease 90 unless said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qcore.driver import Payload
from qcore.errors import (
    ManuallyFailedError,
    MaxAttemptsExceededError,
    PayloadError,
    TimeLimitReached,
    TimeoutExceededError,
    UnknownJobError,
)
from qcore.events import (
    Event,
    JobFailed,
    JobPopped,
    JobProcessed,
    JobReleased,
    JobTimedOut,
    Looping,
)
from qcore.jobs import Job
from qcore.limits import StopReason, WorkerOptions
from qcore.outcome import Done, Failed, Lost, Released
from qcore.worker import Stopped
from qtest.clock import FrozenClock
from tests.qcore.acting import Act, doing, endings, raising, story

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.outcome import Outcome
    from qcore.worker import Worker

ERROR = ValueError("E")


def times(*seconds: float) -> object:
    """Expect these moments; a float of seconds since 1970 is exact to a microsecond."""
    return pytest.approx(seconds, abs=0.000_001)


def worker(app: App, **options: Any) -> Worker:
    return app.worker(options=WorkerOptions(**({"memory": 0} | options)))


def drain(app: App) -> Stopped:
    return worker(app, drain=True).run()


def one(app: App, **options: Any) -> Outcome:
    outcome = worker(app, **options).run_next_job()
    assert outcome is not None
    return outcome


@pytest.mark.parametrize(
    ("tries", "runs", "delays"),
    [(3, (0, 1, 6), [1, 5]), (5, (0, 1, 6, 16, 26), [1, 5, 10, 10])],
    ids=["three tries", "five tries"],
)
def test_retries_follow_the_backoff_list(
    app: App, clock: FrozenClock, events: list[Event], tries: int, runs: tuple[float, ...], delays: list[float]
) -> None:
    """G-01, G-02."""
    ran: list[float] = []
    failures: list[tuple[float, BaseException]] = []

    def handle(_: Act) -> None:
        ran.append(clock.monotonic())
        raise ERROR

    def failed(_: Act, error: BaseException) -> None:
        failures.append((clock.monotonic(), error))

    doing(handle, failed=failed).with_options(tries=tries, backoff=[1, 5, 10]).dispatch()

    assert Stopped(StopReason.DRAINED, tries, tries) == drain(app)
    assert times(*runs) == tuple(ran)
    assert delays == [ending.delay for ending in endings(events) if isinstance(ending, JobReleased)]
    assert [ERROR] == [error for _, error in failures]
    assert times(runs[-1]) == (failures[0][0],)
    [record] = app.failed.list()
    assert times(clock.now() - clock.monotonic() + runs[-1]) == (record.failed_at,)
    assert "ValueError: E" in record.exception


def test_without_a_limit_of_tries_a_job_never_fails(app: App) -> None:
    """G-03."""
    raising(ERROR).with_options(tries=0).dispatch()

    assert Stopped(StopReason.MAX_JOBS, 100, 100) == worker(app, max_jobs=100).run()
    assert [] == app.failed.list()
    assert app.connection().listed()[0].attempts == 100


def test_a_job_that_releases_itself_runs_as_often_as_it_may_be_tried(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    """G-04."""
    ran: list[float] = []

    def handle(job: Act) -> None:
        ran.append(clock.monotonic())
        job.release(10)

    doing(handle).with_options(tries=3).dispatch()

    assert Stopped(StopReason.DRAINED, 4, 1) == drain(app)
    assert times(0, 10, 20) == tuple(ran)
    assert times(30) == (clock.monotonic(),)
    last = endings(events)[-1]
    assert isinstance(last, JobFailed)
    assert type(last.error) is MaxAttemptsExceededError


@pytest.mark.parametrize("tries", [2, 1])
def test_a_job_that_outlives_its_lease_is_reserved_again(
    app: App, clock: FrozenClock, events: list[Event], tries: int
) -> None:
    """G-08."""
    seconds: list[Outcome] = []
    attempts: list[int] = []

    def handle(job: Act) -> None:
        attempts.append(job.attempts())
        if job.attempts() > 1:
            return
        clock.advance(89.9)
        assert worker(app).run_next_job() is None
        clock.advance(0.1)
        seconds.append(one(app))
        clock.advance(10)

    doing(handle).with_options(tries=tries).dispatch()

    outcome = one(app)

    assert clock.monotonic() == 100
    assert outcome == Lost(Done()), "the other worker has settled it: it is not settled twice"
    if tries == 2:
        assert ([1, 2], [Done()]) == (attempts, seconds)
        assert [] == app.failed.list()
    else:
        [second] = seconds
        assert isinstance(second, Failed)
        assert ([1], MaxAttemptsExceededError) == (attempts, type(second.error))
        assert len(app.failed.list()) == 1
    assert len(endings(events)) == 2
    assert app.connection().size() == 0


def test_a_job_whose_worker_died_comes_back_after_its_lease(app: App, clock: FrozenClock) -> None:
    """G-09; with a real process in test_worker_processes."""
    attempts: list[int] = []
    doing(lambda job: attempts.append(job.attempts())).with_options(tries=2).dispatch()
    assert app.connection().driver.reserve(["default"]) is not None

    clock.advance(89.999)
    assert worker(app).run_next_job() is None
    clock.advance(0.001)

    assert one(app) == Done()
    assert [2] == attempts


def overrun(clock: FrozenClock, seconds: float) -> Callable[[Act], None]:
    def handle(_: Act) -> None:
        clock.advance(seconds)
        raise TimeLimitReached  # what the limit does; with the real alarm in test_time_limit

    return handle


def test_a_job_that_runs_too_long_fails_and_the_worker_takes_the_next_one(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    """G-10."""
    seen: list[object] = []
    job = doing(overrun(clock, 5), failed=lambda _, error: seen.append(type(error)))
    job.with_options(timeout=5).dispatch()
    doing(lambda _: seen.append("next")).dispatch()

    assert Stopped(StopReason.EMPTY, 2, 1) == worker(app, stop_when_empty=True).run()
    assert [TimeoutExceededError, "next"] == seen
    assert [5] == [event.timeout for event in events if isinstance(event, JobTimedOut)]
    [record] = app.failed.list()
    assert "TimeoutExceededError: Act ran longer than its 5 seconds" in record.exception


def test_a_job_that_runs_too_long_is_released_with_its_backoff(app: App, clock: FrozenClock) -> None:
    """G-11."""
    ran: list[float] = []
    hang = overrun(clock, 5)

    def handle(job: Act) -> None:
        ran.append(clock.monotonic())
        if job.attempts() == 1:
            hang(job)

    doing(handle).with_options(timeout=5, tries=2, backoff=3).dispatch()

    assert Stopped(StopReason.DRAINED, 2, 1) == drain(app)
    assert times(0, 8) == tuple(ran)


def test_a_job_that_fails_itself_is_not_retried(app: App, events: list[Event]) -> None:
    """G-13."""
    doing(lambda job: job.fail("x")).with_options(tries=9).dispatch()

    assert Stopped(StopReason.DRAINED, 1, 1) == drain(app)
    assert ["JobProcessing", "JobFailing", "JobFailed"] == story(events)
    [ending] = endings(events)
    assert isinstance(ending, JobFailed)
    assert (ManuallyFailedError, "x") == (type(ending.error), str(ending.error))


def test_the_first_queue_goes_first_also_with_what_comes_later(app: App) -> None:
    """G-16."""
    ran: list[str] = []

    def first(_: Act) -> None:
        ran.append("H1")
        app.dispatch(doing(lambda _: ran.append("H3")), queue="high")

    app.dispatch(doing(lambda _: ran.append("L1")), queue="low")
    app.dispatch(doing(first), queue="high")
    app.dispatch(doing(lambda _: ran.append("H2")), queue="high")

    worker(app, queues=("high", "low"), stop_when_empty=True).run()

    assert ["H1", "H2", "H3", "L1"] == ran


class Expiring(Job):
    """May be tried until a minute after it was dispatched, or retried."""

    clock: FrozenClock

    def retry_until(self) -> float:
        return self.clock.now() + 60

    def handle(self) -> None:
        raise ERROR


def test_a_retried_job_starts_anew_under_its_id(app: App, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """G-34."""
    monkeypatch.setattr(Expiring, "clock", clock, raising=False)
    job_id = Expiring().dispatch()
    dispatched_at = clock.now()
    for seconds in (0, 20, 40):
        clock.advance(seconds)
        one(app)
    [record] = app.failed.list()
    assert dispatched_at + 60 == json.loads(record.payload.body)["retryUntil"]

    clock.advance(1000)
    app.failed.retry([str(job_id)])

    [listed] = app.connection().listed()
    body = json.loads(listed.payload.body)
    assert (job_id, 0) == (listed.payload.id, listed.attempts)
    assert (job_id, clock.now() + 60) == (body["uuid"], body["retryUntil"])
    assert [] == app.failed.list()
    assert isinstance(one(app), Released)


def test_a_worker_that_uses_too_much_memory_stops_after_the_job(app: App) -> None:
    """G-35; the exit code 12 is the command's."""
    for _ in range(2):
        doing(lambda _: None).dispatch()

    assert Stopped(StopReason.MEMORY, 1, 0) == worker(app, memory=1).run()
    assert app.connection().size() == 1


def test_a_delayed_job_does_not_keep_a_worker_that_stops_when_empty(app: App, clock: FrozenClock) -> None:
    """G-36."""
    doing(lambda _: None).dispatch(delay=60)

    assert Stopped(StopReason.EMPTY, 0, 0) == worker(app, stop_when_empty=True).run()
    assert clock.monotonic() == 0
    assert app.connection().counts()[0].delayed == 1


def test_a_looping_listener_skips_a_turn(app: App, clock: FrozenClock, events: list[Event]) -> None:
    """G-39."""
    answers = iter([False, None])
    ran: list[float] = []
    app.listen(Looping, lambda _: next(answers))
    doing(lambda _: ran.append(clock.monotonic())).dispatch()

    assert Stopped(StopReason.MAX_JOBS, 1, 0) == worker(app, max_jobs=1).run()
    assert times(3) == tuple(ran)
    assert len([event for event in events if isinstance(event, JobPopped)]) == 1


def test_poison_is_put_aside_at_once_and_the_next_job_runs(app: App, events: list[Event]) -> None:
    """G-40."""
    seen: list[str] = []
    app.connection().push_raw(Payload("poison", b"\x80\x04K\x01."))
    doing(lambda _: seen.append("next")).dispatch()

    assert Stopped(StopReason.EMPTY, 2, 1) == worker(app, stop_when_empty=True, tries=5).run()
    [record] = app.failed.list()
    assert ("poison", b"\x80\x04K\x01.") == record.payload
    assert "PayloadError: the payload " in record.exception
    assert [JobFailed, JobProcessed] == [type(ending) for ending in endings(events)]
    assert ["next"] == seen


def test_an_unknown_job_is_retried_by_its_tries(app: App, clock: FrozenClock, events: list[Event]) -> None:
    """G-40."""
    fields = {
        "uuid": "1",
        "displayName": "Gone",
        "job": "qcore:call",
        "maxTries": 3,
        "backoff": 7,
        "data": {"commandName": "shop.jobs:Gone", "command": {}},
    }
    app.connection().push_raw(Payload("1", json.dumps(fields).encode()))

    assert Stopped(StopReason.DRAINED, 3, 3) == drain(app)
    assert times(14) == (clock.monotonic(),)
    last = endings(events)[-1]
    assert isinstance(last, JobFailed)
    assert type(last.error) is UnknownJobError
    assert isinstance(last.error, PayloadError)
    assert last.delivery.job is None


def test_flush_drops_what_failed_so_many_hours_ago(app: App, clock: FrozenClock) -> None:
    """G-44."""
    old = raising(ERROR).dispatch()
    one(app)
    clock.advance(2 * 3600)
    young = raising(ERROR).dispatch()
    one(app)
    clock.advance(47 * 3600)
    assert [young, old] == [record.id for record in app.failed.list()]

    assert app.failed.flush(hours=48) == 1
    assert [young] == [record.id for record in app.failed.list()]


def test_a_failure_of_a_job_that_others_run_is_lost(app: App, clock: FrozenClock, events: list[Event]) -> None:
    """G-08, the other way round: the first one fails while the second still runs."""

    def handle(job: Act) -> None:
        if job.attempts() == 1:
            clock.advance(90)
            assert app.connection().driver.reserve(["default"]) is not None
            raise ERROR

    doing(handle).with_options(tries=2).dispatch()

    assert isinstance(one(app), Lost)
    assert ["JobLost"] == [type(ending).__name__ for ending in endings(events)]
    clock.advance(90)
    assert isinstance(one(app), Failed)
