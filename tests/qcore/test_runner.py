"""One reservation in, one outcome and one ending event out, whatever the job does."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

import pytest

from qcore import delivery as deliveries
from qcore.app import App
from qcore.config import Config
from qcore.delivery import current_delivery
from qcore.driver import Payload, Settled
from qcore.errors import (
    DriverError,
    JobInterrupted,
    ManuallyFailedError,
    MaxAttemptsExceededError,
    NotRunningError,
    PayloadError,
    TimeLimitReached,
    TimeoutExceededError,
    UnknownJobError,
)
from qcore.events import (
    Event,
    JobExceptionOccurred,
    JobFailed,
    JobLost,
    JobProcessed,
    JobProcessing,
    JobReleased,
    JobTimedOut,
)
from qcore.jobs import Job
from qcore.limits import WorkerOptions
from qcore.outcome import Done, Failed, Lost, Outcome, Released, Skipped
from qtest.clock import FrozenClock
from tests.qcore.acting import Act, doing, endings, raising, story

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator
    from weakref import ReferenceType

    from qcore.delivery import Delivery
    from qcore.driver import Reservation
    from qcore.options import Backoff
    from qcore.worker import Worker

ERROR = ValueError("boom")
OTHER = KeyError("other")


def worker(app: App, **options: Any) -> Worker:
    return app.worker(options=WorkerOptions(memory=0, **options))


def run(app: App, job: Job, *, worker_options: dict[str, Any] | None = None, **options: Any) -> Outcome:
    """Dispatch the job with these options, and run one attempt of it."""
    app.dispatch(job.with_options(**options) if options else job)
    outcome = worker(app, **(worker_options or {})).run_next_job()
    assert outcome is not None
    return outcome


class Place(NamedTuple):
    ready: int = 0
    delayed: int = 0
    reserved: int = 0
    failed: int = 0


def place(app: App) -> Place:
    """Count where jobs are: each must be in exactly one place."""
    counts = app.connection().counts()
    return Place(
        sum(each.ready for each in counts),
        sum(each.delayed for each in counts),
        sum(each.reserved for each in counts),
        len(app.failed.list()),
    )


# What a job may do, and how its delivery must end.


def returns(job: Act) -> str:
    return f"a value that nobody looks at, from {job}"


def raises(job: Act) -> None:
    raise ERROR


def releases(job: Act) -> None:
    job.release(5)


def releases_and_raises(job: Act) -> None:
    job.release(5)
    raise ERROR


def deletes(job: Act) -> None:
    job.delete()


def deletes_and_raises(job: Act) -> None:
    job.delete()
    raise ERROR


def releases_and_deletes(job: Act) -> None:
    job.release(5)
    job.delete()


def deletes_and_releases(job: Act) -> None:
    job.delete()
    job.release(5)


def fails(job: Act) -> None:
    job.fail(OTHER)


def fails_and_raises(job: Act) -> None:
    job.fail(OTHER)
    raise ERROR


def fails_and_releases(job: Act) -> None:
    job.fail(OTHER)
    job.release(5)


def releases_deletes_and_fails(job: Act) -> None:
    job.release(5)
    job.delete()
    job.fail(OTHER)


def acting(script: Iterator[Callable[[Act], object]]) -> Act:
    """Make a job that does one thing after the other, in each attempt the next."""

    def handle(job: Act) -> object:
        return next(script)(job)

    return doing(handle)


RAISED = "JobExceptionOccurred"
GONE, WAITS, LATER, BURIED = Place(), Place(ready=1), Place(delayed=1), Place(failed=1)

ENDINGS = [
    pytest.param(returns, 1, Done(), ["JobProcessed"], GONE, id="returns"),
    pytest.param(raises, 1, Failed(ERROR), [RAISED, "JobFailing", "JobFailed"], BURIED, id="raises"),
    pytest.param(raises, 2, Released(0, ERROR), [RAISED, "JobReleased"], WAITS, id="raises, a try left"),
    pytest.param(raises, 0, Released(0, ERROR), [RAISED, "JobReleased"], WAITS, id="raises, tries=0"),
    pytest.param(releases, 1, Released(5), ["JobReleased"], LATER, id="releases on the last try"),
    pytest.param(releases_and_raises, 2, Released(5, ERROR), [RAISED, "JobReleased"], LATER, id="releases and raises"),
    pytest.param(
        releases_and_raises, 1, Failed(ERROR), [RAISED, "JobFailing", "JobFailed"], BURIED, id="the same, last try"
    ),
    pytest.param(deletes, 3, Done(), ["JobProcessed"], GONE, id="deletes"),
    pytest.param(
        deletes_and_raises, 3, Failed(ERROR), [RAISED, "JobFailing", "JobFailed"], BURIED, id="deletes and raises"
    ),
    pytest.param(releases_and_deletes, 3, Done(), ["JobProcessed"], GONE, id="releases, then deletes"),
    pytest.param(deletes_and_releases, 3, Released(5), ["JobReleased"], LATER, id="deletes, then releases"),
    pytest.param(fails, 3, Failed(OTHER), ["JobFailing", "JobFailed"], BURIED, id="fails"),
    pytest.param(
        fails_and_raises, 3, Failed(OTHER), [RAISED, "JobFailing", "JobFailed"], BURIED, id="fails and raises"
    ),
    pytest.param(fails_and_releases, 3, Failed(OTHER), ["JobFailing", "JobFailed"], BURIED, id="fails and releases"),
    pytest.param(
        releases_deletes_and_fails, 3, Failed(OTHER), ["JobFailing", "JobFailed"], BURIED, id="all, fail last"
    ),
]


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
@pytest.mark.parametrize(("does", "tries", "outcome", "told", "where"), ENDINGS)
def test_each_way_to_end_has_one_outcome_and_one_ending_event(  # noqa: PLR0917 - one for each column
    app: App,
    events: list[Event],
    does: Callable[[Act], object],
    tries: int,
    outcome: Outcome,
    told: list[str],
    where: Place,
    is_async: bool,  # noqa: FBT001
) -> None:
    async def does_async(job: Act) -> object:
        return does(job)

    assert outcome == run(app, doing(does_async if is_async else does), tries=tries)
    assert ["JobProcessing", *told] == story(events)
    assert len(endings(events)) == 1
    assert where == place(app)


@pytest.mark.parametrize("text", ["\ud800", "nul \0 in it", "\x1b[2J", "x" * 1_000_000], ids=ascii)
def test_an_error_is_stored_whatever_its_text_is(app: App, text: str) -> None:
    """What a database refuses to keep would bring the job back for ever."""
    assert isinstance(run(app, raising(ValueError(text))), Failed)
    assert (
        text.encode(errors="backslashreplace").decode()[-20:].replace("\0", "\\x00") in app.failed.list()[0].exception
    )


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise SystemExit


def test_an_error_that_cannot_be_written_is_stored_as_such(app: App) -> None:
    assert isinstance(run(app, raising(UnspeakableError())), Failed)
    assert "UnspeakableError: <exception str() failed>" in app.failed.list()[0].exception


def test_the_code_after_fail_still_runs(app: App) -> None:
    """WRK-60."""
    seen = []

    def handle(job: Act) -> None:
        job.fail("bad row")
        seen.append("after")

    outcome = run(app, doing(handle))

    assert ["after"] == seen
    assert isinstance(outcome, Failed)
    assert (ManuallyFailedError, "bad row") == (type(outcome.error), str(outcome.error))


class Own(BaseException):
    pass


ANY_ERROR = [
    SystemExit(3),
    GeneratorExit(),
    StopIteration(1),
    StopAsyncIteration(),
    asyncio.CancelledError("x"),
    TimeoutError("slow"),
    Own("x"),
    BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError()]),
    DriverError("not ours: that of something the job called"),
    PayloadError("not ours either"),
    TimeoutExceededError("a job may raise what it likes"),
    RecursionError(),
    MemoryError(),
]


@pytest.mark.parametrize("error", ANY_ERROR, ids=lambda error: type(error).__name__)
def test_whatever_a_job_raises_is_its_error(app: App, events: list[Event], error: BaseException) -> None:
    assert Released(0, error) == run(app, raising(error), tries=2)
    assert Failed(error) == worker(app).run_next_job()
    assert ["JobProcessing", RAISED, "JobReleased", "JobProcessing", RAISED, "JobFailing", "JobFailed"] == story(events)
    assert type(error).__name__ in app.failed.list()[0].exception
    assert run(app, doing(returns)) == Done()


@pytest.mark.parametrize("error", ANY_ERROR, ids=lambda error: type(error).__name__)
def test_whatever_an_async_job_raises_is_its_error(
    app: App, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(_: Act) -> None:
        raise error

    outcome = run(app, doing(handle))

    assert isinstance(outcome, Failed)
    # Python itself turns a StopIteration that leaves a coroutine into a RuntimeError.
    assert outcome.error is error or isinstance(error, StopIteration | StopAsyncIteration | asyncio.CancelledError)
    assert run(app, doing(returns)) == Done()
    assert [] == caplog.records


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_ctrl_c_gives_the_attempt_back_and_goes_on_up(app: App, events: list[Event], is_async: bool) -> None:  # noqa: FBT001
    async def handle(_: Act) -> None:
        raise KeyboardInterrupt

    app.dispatch(doing(handle) if is_async else raising(KeyboardInterrupt()))

    with pytest.raises(KeyboardInterrupt):
        worker(app).run_next_job()
    assert ["JobProcessing", "JobReleased"] == story(events)
    assert Place(ready=1) == place(app)
    assert app.connection().listed()[0].attempts == 0


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_an_interrupted_job_gives_its_attempt_back(app: App, events: list[Event], is_async: bool) -> None:  # noqa: FBT001
    async def handle(_: Act) -> None:
        raise JobInterrupted

    outcome = run(app, doing(handle) if is_async else raising(JobInterrupted()))

    assert Released(0, counted=False) == outcome
    assert ["JobProcessing", "JobReleased"] == story(events)
    assert app.connection().listed()[0].attempts == 0


def test_a_job_that_catches_the_interruption_and_ends_is_done(app: App) -> None:
    def handle(_: Act) -> None:
        with suppress(BaseException):
            raise JobInterrupted

    assert run(app, doing(handle)) == Done()


@pytest.mark.parametrize("interruption", [JobInterrupted(), KeyboardInterrupt()], ids=["second signal", "ctrl-c"])
def test_a_job_run_in_place_hands_an_interruption_on(
    events: list[Event], app: App, interruption: BaseException
) -> None:
    """Who waits for the job shall end too; the job itself is not tried again by whoever pushes next."""
    with pytest.raises(type(interruption)):
        raising(interruption).dispatch_sync()

    assert ["JobProcessing", "JobFailed"] == story(events)


def test_the_time_limit_of_the_job_around_a_job_run_in_place_is_not_its_own(app: App, events: list[Event]) -> None:
    """The inner job did not run too long, so the outer one is what timed out."""
    inner = raising(TimeLimitReached("the limit of the worker"))

    def handle(_: Act) -> None:
        try:
            inner.dispatch_sync()
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"the outer job must not be able to catch {error!r}")

    def outer(job: Act) -> None:
        try:
            handle(job)
        except TimeLimitReached:
            raise TimeLimitReached from None  # as the worker's own limit raises it

    outcome = run(app, doing(outer))

    assert isinstance(outcome, Failed)
    assert type(outcome.error) is TimeoutExceededError
    assert ["Act", "Act"] == [ending.delivery.name for ending in endings(events)]
    assert ["sync", app.connection().name] == [ending.delivery.connection for ending in endings(events)]
    assert [outcome.error] == [event.error for event in events if isinstance(event, JobExceptionOccurred)]


# Time limits. The job raises what a limit would raise: real limits are tested with the limits.


def overrun(_: Act) -> None:
    raise TimeLimitReached


def test_a_timeout_is_an_error_that_says_how_long(app: App, events: list[Event]) -> None:
    outcome = run(app, doing(overrun), timeout=1.5)

    assert isinstance(outcome, Failed)
    assert (TimeoutExceededError, "Act ran longer than its 1.5 seconds") == (type(outcome.error), str(outcome.error))
    assert ["JobProcessing", "JobTimedOut", RAISED, "JobFailing", "JobFailed"] == story(events)
    assert [1.5] == [event.timeout for event in events if isinstance(event, JobTimedOut)]


def test_the_record_of_a_timeout_shows_where_the_job_was(app: App) -> None:
    run(app, doing(overrun))

    exception = app.failed.list()[0].exception

    assert "in overrun\n" in exception
    assert "TimeoutExceededError: Act ran longer than its 60 seconds" in exception


def test_a_timeout_is_retried_with_the_backoff(app: App) -> None:
    outcome = run(app, doing(overrun), tries=2, backoff=3)

    assert isinstance(outcome, Released)
    assert (3, TimeoutExceededError) == (outcome.delay, type(outcome.error))


def test_fail_on_timeout_makes_a_timeout_final(app: App) -> None:
    assert isinstance(run(app, doing(overrun), tries=9, fail_on_timeout=True), Failed)


def test_fail_on_timeout_does_not_concern_other_errors(app: App) -> None:
    assert isinstance(run(app, doing(raises), tries=9, fail_on_timeout=True), Released)


class Recorded:
    """A limit that notes what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    def enforce(self, seconds: float | None) -> Recorded:
        self.asked.append(seconds)
        return self

    def rest(self) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize(
    ("on_job", "on_worker", "expected"),
    [(None, 60, 60), (5, 60, 5), (0, 60, 0), (5, 0, 5), (None, 0, 0), (None, 0.25, 0.25)],
)
def test_the_timeout_of_the_job_beats_that_of_the_worker(
    app: App, on_job: float | None, on_worker: float, expected: float
) -> None:
    """WRK-70."""
    limit = Recorded()
    doing(returns).with_options(timeout=on_job).dispatch()

    app.worker(options=WorkerOptions(timeout=on_worker), time_limit=limit).run_next_job()

    assert [expected] == limit.asked


def test_all_code_of_the_user_runs_under_a_limit(app: App) -> None:
    """handle(), backoff_for() and failed(); async ones get an alarm later than the loop's own deadline."""
    limit = Recorded()

    async def failed(*_: object) -> None: ...

    raising(ERROR, failed=failed, backoff_for=lambda _: None).with_options(timeout=7).dispatch()

    app.worker(time_limit=limit).run_next_job()

    assert [7, 10.0, 60.0, 63.0] == limit.asked


# How often, how long between.


@pytest.mark.parametrize(
    ("on_job", "on_worker", "retried"),
    [(None, 1, False), (None, 2, True), (1, 2, False), (2, 1, True), (0, 1, True), (None, 0, True)],
)
def test_the_tries_of_the_job_beat_those_of_the_worker(
    app: App,
    on_job: int | None,
    on_worker: int,
    retried: bool,  # noqa: FBT001
) -> None:
    """WRK-41."""
    outcome = run(app, doing(raises), tries=on_job, worker_options={"tries": on_worker})

    assert (Released if retried else Failed) is type(outcome)


@pytest.mark.parametrize(
    ("own", "on_job", "on_worker", "expected"),
    [
        (None, None, 4, 4),
        (None, 3, 4, 3),
        (None, 0, 4, 0),
        (None, [2, 7], 4, 2),
        (None, None, (6, 8), 6),
        (1.5, 3, 4, 1.5),
        (0, 3, 4, 0),
    ],
)
def test_the_backoff_of_the_method_beats_the_option_beats_the_worker(
    app: App, own: float | None, on_job: Backoff | None, on_worker: Backoff, expected: float
) -> None:
    """WRK-50."""
    job = raising(ERROR, backoff_for=lambda _: own)

    assert Released(expected, ERROR) == run(app, job, tries=2, backoff=on_job, worker_options={"backoff": on_worker})


def test_backoff_for_is_asked_with_the_attempt_and_knows_the_delivery(app: App, clock: FrozenClock) -> None:
    asked = []

    def backoff_for(attempt: int) -> float:
        asked.append((attempt, current_delivery().attempts()))
        return attempt * 10.0

    run(app, raising(ERROR, backoff_for=backoff_for), tries=3)
    clock.advance(10)
    assert Released(20, ERROR) == worker(app).run_next_job()
    assert [(1, 1), (2, 2)] == asked


@pytest.mark.parametrize(
    "answer",
    [ValueError("x"), SystemExit(1), TimeLimitReached(), "5", [1, 2], float("nan"), object()],
    ids=lambda answer: type(answer).__name__,
)
def test_a_backoff_for_that_gives_no_seconds_costs_nobody_the_job(
    app: App, events: list[Event], caplog: pytest.LogCaptureFixture, answer: object
) -> None:
    """It must not hide the error that it is asked about, and not end the worker."""

    def backoff_for(_: int) -> object:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    assert Released(3, ERROR) == run(app, raising(ERROR, backoff_for=backoff_for), tries=2, backoff=3)
    assert ["JobProcessing", RAISED, "JobReleased"] == story(events)
    assert [record.message for record in caplog.records if record.exc_info] == [
        f"backoff_for() of Act ({endings(events)[0].delivery.id}) gave no seconds; the option counts"
    ]


def test_exceptions_are_counted_over_attempts_and_workers(app: App, clock: FrozenClock) -> None:
    """WRK-46: two exceptions may escape, the releases between do not count."""
    outcomes: list[object] = []
    script = iter([raises, releases, releases, raises])
    acting(script).with_options(tries=0, max_exceptions=2).dispatch()

    while app.connection().size():
        outcomes.append(type(worker(app).run_next_job()))
        clock.advance(5)

    assert [Released, Released, Released, Failed] == outcomes


def test_a_timeout_counts_as_an_exception(app: App) -> None:
    """WRK-46."""
    assert isinstance(run(app, doing(overrun), tries=0, max_exceptions=1), Failed)


def test_a_failed_job_that_is_retried_starts_with_no_exceptions(app: App) -> None:
    """Its id is the same, so the old count would fail it at its first exception."""
    job = doing(raises).with_options(tries=0, max_exceptions=2)
    job_id = job.dispatch()
    outcomes: list[object] = []
    for _ in range(2):
        outcomes += [type(worker(app).run_next_job()), type(worker(app).run_next_job())]
        body = app.failed.list()[0].payload
        app.failed.forget(str(job_id))
        app.connection().push_raw(body)

    assert [Released, Failed, Released, Failed] == outcomes


def test_what_was_counted_is_forgotten_when_the_job_is_over(app: App) -> None:
    script = iter([raises, returns])
    job_id = acting(script).with_options(tries=0, max_exceptions=2).dispatch()

    worker(app).run_next_job()
    assert app.connections.store.get(f"exceptions:{job_id}") == "1"
    worker(app).run_next_job()
    assert app.connections.store.get(f"exceptions:{job_id}") is None


def test_a_store_that_is_away_when_a_job_is_over_changes_nothing(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone(*_: object, **__: object) -> bool:
        raise DriverError("the store is gone")

    monkeypatch.setattr(app.connections.store, "forget", gone)

    assert Failed(ERROR) == run(app, raising(ERROR), tries=9, max_exceptions=1)
    job_id = app.failed.list()[0].id
    assert [f"the exceptions of Act ({job_id}) stay counted for a day: the store is gone"] == caplog.messages


def test_a_job_run_in_place_counts_nothing(app: App) -> None:
    """WRK-46: its first error is final, and no store need be reachable."""
    ids: list[str] = []

    def handle(_: Act) -> None:
        ids.append(current_delivery().id)
        raise ERROR

    with pytest.raises(ValueError, match="boom"):
        app.dispatch_sync(doing(handle).with_options(max_exceptions=5, tries=5))
    assert app.connections.store.get(f"exceptions:{ids[0]}") is None
    assert len(ids) == 1


class UntilSoon(Job):
    def __init__(self, until: float) -> None:
        self.until = until

    def retry_until(self) -> float:
        return self.until

    def handle(self) -> None:
        raise ERROR


@pytest.mark.parametrize(("seconds", "expected"), [(59.9, Released), (60, Failed), (60.1, Failed)])
def test_retry_until_is_an_instant_fixed_at_dispatch(
    app: App, clock: FrozenClock, seconds: float, expected: type[Outcome]
) -> None:
    """WRK-43, WRK-44: it beats tries, and the delay counts."""
    UntilSoon(clock.now() + 60).dispatch(delay=5)
    clock.advance(seconds)

    assert expected is type(worker(app, tries=1).run_next_job())


def test_a_job_that_is_too_late_fails_without_being_run(app: App, clock: FrozenClock, events: list[Event]) -> None:
    UntilSoon(clock.now() + 60).dispatch(delay=60.001)
    clock.advance(60.001)

    outcome = worker(app, tries=99).run_next_job()

    assert isinstance(outcome, Failed)
    assert type(outcome.error) is MaxAttemptsExceededError
    assert ["JobProcessing", RAISED, "JobFailing", "JobFailed"] == story(events)


def test_a_job_that_was_tried_too_often_fails_without_being_run_but_its_failed_is(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    """WRK-42, WRK-64: the worker of the last attempt died without a word."""
    seen: list[object] = []
    doing(lambda _: seen.append("handle"), failed=lambda _, error: seen.append(type(error))).dispatch()
    app.connection().driver.reserve(["default"])
    clock.advance(90)

    outcome = worker(app, tries=1).run_next_job()

    assert [MaxAttemptsExceededError] == seen
    assert isinstance(outcome, Failed)
    assert str(outcome.error) == "Act may not run any more: it was tried 1 times already"
    assert ["JobProcessing", RAISED, "JobFailing", "JobFailed"] == story(events)
    assert Place(failed=1) == place(app)


def test_a_release_on_the_last_attempt_is_found_at_the_next_reservation(app: App, clock: FrozenClock) -> None:
    """WRK-45."""
    seen = []

    def handle(job: Act) -> None:
        seen.append(job.attempts())
        job.release(10)

    run(app, doing(handle), tries=2)
    clock.advance(10)
    assert Released(10) == worker(app).run_next_job()
    clock.advance(10)

    assert isinstance(worker(app).run_next_job(), Failed)
    assert [1, 2] == seen


# What a listener of JobProcessing may decide.

LISTENERS = [
    pytest.param(lambda delivery: delivery.delete(), Skipped(), ["JobSkipped"], Place(), id="delete"),
    pytest.param(lambda delivery: delivery.release(7), Released(7), ["JobReleased"], Place(delayed=1), id="release"),
    pytest.param(
        lambda delivery: delivery.fail(OTHER), Failed(OTHER), ["JobFailing", "JobFailed"], Place(failed=1), id="fail"
    ),
]


@pytest.mark.parametrize(("decide", "outcome", "told", "where"), LISTENERS)
def test_a_listener_of_job_processing_may_end_the_delivery_before_the_handler(
    app: App,
    events: list[Event],
    decide: Callable[[Delivery], None],
    outcome: Outcome,
    told: list[str],
    where: Place,
) -> None:
    seen: list[object] = []
    app.listen(JobProcessing, lambda event: decide(event.delivery))

    assert outcome == run(
        app, doing(lambda _: seen.append("handle"), failed=lambda _, error: seen.append(error)), tries=3
    )
    assert ["JobProcessing", *told] == story(events)
    assert where == place(app)
    assert ([OTHER] if isinstance(outcome, Failed) else []) == seen


@pytest.mark.parametrize(
    "event",
    [JobProcessing, JobExceptionOccurred, JobTimedOut, JobFailed, JobReleased, JobProcessed],
    ids=lambda event: event.__name__,
)
@pytest.mark.parametrize("does", [returns, raises, releases, overrun], ids=lambda does: does.__name__)
def test_a_listener_that_raises_changes_no_outcome(
    app: App, events: list[Event], does: Callable[[Act], object], event: type[Event]
) -> None:
    def listener(_: Event) -> None:
        message = "the listener"
        raise RuntimeError(message)

    expected = run(app, doing(does))
    told = story(events)
    events.clear()
    app.connection().clear()
    app.listen(event, listener)

    outcome = run(app, doing(does))

    assert type(expected) is type(outcome)
    assert told == story(events)


@pytest.mark.parametrize("event", [JobExceptionOccurred, JobTimedOut], ids=lambda event: event.__name__)
def test_after_the_decision_a_listener_decides_nothing(app: App, event: type[JobTimedOut]) -> None:
    def listener(told: JobExceptionOccurred | JobTimedOut) -> None:
        told.delivery.release_delay = 77.0

    app.listen(event, listener)

    outcome = run(app, doing(overrun), tries=2, backoff=3)

    # JobTimedOut is told before the decision: there a listener is as good as the job itself.
    assert isinstance(outcome, Released)
    assert (77 if event is JobTimedOut else 3) == outcome.delay


# failed().


def test_failed_is_called_once_on_the_same_instance_with_the_error_in_its_delivery(app: App) -> None:
    """WRK-62 is not copied: what handle() changed is seen."""
    seen: list[object] = []

    def handle(job: Act) -> None:
        vars(job)["temporary"] = "file"
        raise ERROR

    def failed(job: Act, error: BaseException) -> None:
        seen.append((vars(job)["temporary"], error, deliveries.of(job) is current_delivery(), job.attempts()))

    run(app, doing(handle, failed=failed))

    assert [("file", ERROR, True, 1)] == seen


def test_failed_is_not_called_while_tries_are_left(app: App) -> None:
    seen: list[object] = []
    job = raising(ERROR, failed=lambda *_: seen.append("failed"))

    run(app, job, tries=3)
    worker(app).run_next_job()
    assert [] == seen
    worker(app).run_next_job()
    assert ["failed"] == seen


def test_an_async_failed_is_run_to_its_end(app: App) -> None:
    seen: list[object] = []

    async def failed(_: Act, error: BaseException) -> None:
        seen.append(current_delivery().id)
        await asyncio.tasks.sleep(0)
        seen.append(error)

    run(app, raising(ERROR, failed=failed))

    assert [app.failed.list()[0].id, ERROR] == seen


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), SystemExit(1), GeneratorExit(), asyncio.CancelledError(), TimeLimitReached()],
    ids=lambda error: type(error).__name__,
)
def test_a_failed_that_raises_is_logged_and_the_job_counts_as_failed(
    app: App, events: list[Event], caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    """WRK-63."""
    seen = []

    def failed(_: Act, given: BaseException) -> None:
        seen.append(given)
        raise error

    assert Failed(ERROR) == run(app, raising(ERROR, failed=failed))
    assert [ERROR] == seen
    assert ["JobProcessing", RAISED, "JobFailing", "JobFailed"] == story(events)
    assert Place(failed=1) == place(app)
    assert [f"failed() of Act ({endings(events)[0].delivery.id}) raised; the job counts as failed"] == [
        record.message for record in caplog.records if record.levelno == logging.ERROR
    ]


def test_what_failed_decides_changes_nothing(app: App, events: list[Event]) -> None:
    def failed(job: Act, _: BaseException) -> None:
        job.release(5)
        job.delete()
        job.fail("again")

    assert Failed(ERROR) == run(app, raising(ERROR, failed=failed))
    assert len(endings(events)) == 1
    assert Place(failed=1) == place(app)


@pytest.mark.parametrize(
    ("interruption", "goes_up"), [(JobInterrupted(), False), (KeyboardInterrupt(), True)], ids=["signal", "ctrl-c"]
)
def test_an_interrupted_failed_is_called_again_and_the_job_is_not(
    app: App,
    events: list[Event],
    interruption: BaseException,
    goes_up: bool,  # noqa: FBT001
) -> None:
    """The attempt was over, so it stays counted: the next worker finds a job that may not run any more."""
    seen: list[str] = []

    def handle(_: Act) -> None:
        seen.append("handle")
        raise ERROR

    def failed(_: Act, error: BaseException) -> None:
        seen.append(type(error).__name__)
        if len(seen) == 2:
            raise interruption

    doing(handle, failed=failed).dispatch()
    try:
        outcome = worker(app).run_next_job()
    except KeyboardInterrupt:
        assert goes_up
    else:
        assert Released(0, counted=True) == outcome
    assert Place(ready=1) == place(app)

    assert isinstance(worker(app).run_next_job(), Failed)
    assert ["handle", "ValueError", "MaxAttemptsExceededError"] == seen
    assert ["JobReleased", "JobFailed"] == [type(ending).__name__ for ending in endings(events)]


# What the job's own code sees.


def test_the_delivery_is_there_for_the_job_and_gone_afterwards(app: App) -> None:
    seen: list[object] = []

    def handle(job: Act) -> None:
        delivery = current_delivery()
        seen.extend([delivery.job is job, delivery.id, delivery.queue, delivery.connection])

    app.dispatch(doing(handle), queue="mail")
    one = worker(app, queues=("mail",))
    one.run_next_job()

    assert [True, seen[1], "mail", app.connection().name] == seen
    with pytest.raises(NotRunningError):
        current_delivery()
    assert one.runner.delivery is None
    assert one.runner.user.is_running is False


def test_a_job_that_is_over_is_freed_at_once(app: App) -> None:
    """Without waiting for the garbage collector: a job may hold a large file in memory."""
    alive: list[ReferenceType[Act]] = []
    one = worker(app)
    app.dispatch(doing(lambda _: None))
    one.run_next_job()  # the first one may meet errors of the backend, such as a script that is not loaded yet
    app.dispatch(doing(lambda job: alive.append(ref(job))))

    gc.disable()
    try:
        assert one.run_next_job() == Done()
        assert [None] == [each() for each in alive]
    finally:
        gc.enable()


def test_a_job_run_in_place_has_a_delivery_of_its_own(app: App) -> None:
    seen: list[object] = []
    inner = doing(lambda job: seen.append((current_delivery().connection, job.attempts())))

    def handle(job: Act) -> None:
        inner.dispatch_sync()
        seen.append(current_delivery().job is job)
        job.release(5)

    assert Released(5) == run(app, doing(handle))
    assert [("sync", 1), True] == seen


def test_a_job_is_in_user_code_only_while_its_code_runs(app: App) -> None:
    seen: list[object] = []
    one = worker(app)

    def note(*_: object) -> bool:
        seen.append(one.runner.user.is_running)
        return True

    async def failed(*_: object) -> None:
        note()

    app.listen(Event, note)
    raising(ERROR, failed=failed, backoff_for=note).dispatch()
    seen.clear()
    one.run_next_job()

    # Popping, Popped, Processing; backoff_for (True is no number); ExceptionOccurred, Failing; failed; Failed.
    assert [False, False, False, True, False, False, True, False] == seen


number: ContextVar[int] = ContextVar("number", default=0)


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
def test_what_a_job_sets_in_a_context_variable_is_seen_in_its_failed_and_nowhere_else(
    app: App,
    is_async: bool,  # noqa: FBT001
) -> None:
    """The log context, tenant or user of one job must not be that of the next one."""
    seen: list[int] = []

    def handle(_: Act) -> None:
        seen.append(number.get())
        number.set(number.get() + 1)
        raise ERROR

    async def handle_async(job: Act) -> None:
        handle(job)

    job = doing(handle_async if is_async else handle, failed=lambda *_: seen.append(number.get()))
    for _ in range(2):
        run(app, job)
    with pytest.raises(ValueError, match="boom"):
        job.dispatch_sync()

    assert [0, 1] * 3 == seen
    assert number.get() == 0


def make_generator(_: Act) -> Generator[int]:
    yield 1


async def make_async_generator(_: Act) -> AsyncGenerator[int]:
    yield 1


@pytest.mark.parametrize("handle", [make_generator, make_async_generator], ids=["generator", "async generator"])
def test_a_generator_as_handler_is_refused(app: App, handle: Callable[[Act], object]) -> None:
    outcome = run(app, doing(handle))

    assert isinstance(outcome, Failed)
    assert str(outcome.error).startswith("handle() is a generator: nothing of it would run")


class Later:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Generator[None, None, str]:
        yield from asyncio.tasks.sleep(0).__await__()
        raise ERROR


def test_whatever_can_be_awaited_is(app: App) -> None:
    assert Failed(ERROR) == run(app, doing(lambda _: Later()))


# Payloads that cannot be run.


def body(**change: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "uuid": "p-1",
        "displayName": "Act",
        "job": "qcore:call",
        "data": {"commandName": Act.__job__.name, "command": {"number": 0}},
        "id": "p-1",
    }
    return fields | change


def packed(**change: Any) -> bytes:
    return json.dumps(body(**change)).encode()


POISON = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"x"',
    "number": b"1",
    "truncated": packed()[:-1],
    "BOM": b"\xef\xbb\xbf" + packed(),
    "UTF-16": packed().decode().encode("utf-16"),
    "invalid UTF-8": b'{"uuid": "\xff"}',
    "NUL": b"\0",
    "pickle": b"\x80\x04K\x01.",
    "NaN": packed(timeout=float("nan")),
    "Infinity": packed(timeout=float("inf")),
    "1e999": packed(timeout=12345).replace(b"12345", b"1e999"),
    "5000 digits": packed(timeout=12345).replace(b"12345", b"1" * 5000),
    "1001 deep": b"[" * 1001 + b"]" * 1001,
    "100000 deep": b"[" * 100_000,
    "nothing in it": b"{}",
    "no uuid": packed(uuid=None),
    "uuid is a number": packed(uuid=1),
    "no name": packed(displayName=""),
    "job is a list": packed(job=["os.system"]),
    "data missing": packed(data=None),
    "data is a text": packed(data="O:8"),
    "data is empty": packed(data={}),
    "command is a list": packed(data={"commandName": "x", "command": ["x"]}),
    "commandName is a number": packed(data={"commandName": 1, "command": {}}),
    "maxTries=-1": packed(maxTries=-1),
    "maxTries='1'": packed(maxTries="1"),
    "maxTries=true": packed(maxTries=True),
    "maxTries=2**63": packed(maxTries=1 << 63),
    "maxTries=1e308": packed(maxTries=1e308),
    "maxTries=1.5": packed(maxTries=1.5),
    "maxExceptions=-1": packed(maxExceptions=-1),
    "timeout=-1": packed(timeout=-1),
    "timeout='60'": packed(timeout="60"),
    "timeout=true": packed(timeout=True),
    "timeout=10**12": packed(timeout=10**12),
    "backoff of texts": packed(backoff=["1"]),
    "backoff negative": packed(backoff=[1, -1]),
    "backoff is an object": packed(backoff={"a": 1}),
    "retryUntil is a text": packed(retryUntil="2030-01-01"),
    "retryUntil overflows": packed(retryUntil=1e300),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
def test_a_payload_that_cannot_be_read_is_kept_byte_for_byte_and_the_next_job_runs(
    app: App, events: list[Event], poison: bytes
) -> None:
    """G-40."""
    seen: list[str] = []
    app.connection().push_raw(Payload("poison", poison))
    doing(lambda _: seen.append("next")).dispatch()

    outcome = worker(app, tries=9).run_next_job()
    worker(app).run_next_job()

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, PayloadError)
    [record] = app.failed.list()
    assert ("poison", poison) == record.payload
    assert str(outcome.error) in record.exception
    assert ["next"] == seen
    assert ["JobProcessing", RAISED, "JobFailing", "JobFailed", "JobProcessing", "JobProcessed"] == story(events)
    assert Place(failed=1) == place(app)


STRANGERS = {
    "an unknown name": packed(data={"commandName": "shop:NoSuchJob", "command": {}}),
    "a function of Python": packed(data={"commandName": "os.system", "command": {"command": "touch /tmp/x"}}),
    "an unknown handler": packed(job="Illuminate\\Queue\\CallQueuedHandler@call"),
    "a state that does not decode": packed(
        data={"commandName": Act.__job__.name, "command": {"number": {"$no": "such tag"}}}
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_job_that_is_not_known_here_is_retried_by_its_tries_and_then_failed(
    app: App, events: list[Event], stranger: bytes
) -> None:
    """G-40, WRK-66: another worker may know it, a deployment may be under way."""
    app.connection().push_raw(Payload("p-1", stranger))

    outcomes = [worker(app, tries=2, backoff=0).run_next_job() for _ in range(2)]

    assert [Released, Failed] == [type(outcome) for outcome in outcomes]
    assert all(isinstance(outcome.error, PayloadError) for outcome in outcomes)  # type: ignore[union-attr]
    assert stranger == app.failed.list()[0].payload.body
    assert ["JobReleased", "JobFailed"] == [type(ending).__name__ for ending in endings(events)]


def test_a_job_that_is_not_known_here_and_may_not_run_fails_without_its_failed(
    app: App, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """WRK-65: nothing of it can be called, and that is said."""
    app.connection().push_raw(Payload("p-1", STRANGERS["an unknown name"]))
    app.connection().driver.reserve(["default"])
    clock.advance(90)

    outcome = worker(app, tries=1).run_next_job()

    assert isinstance(outcome, Failed)
    assert type(outcome.error) is MaxAttemptsExceededError
    assert [record.message[:47] for record in caplog.records] == ["Act (p-1) fails without its failed(): no job na"]


def test_an_unknown_name_is_an_error_that_says_what_to_do(app: App) -> None:
    app.connection().push_raw(Payload("p-1", STRANGERS["an unknown name"]))

    outcome = worker(app).run_next_job()

    assert isinstance(outcome, Failed)
    assert type(outcome.error) is UnknownJobError
    assert "add its module to imports" in str(outcome.error)


# A verdict: a supervisor ended the job, and says how.


def with_verdict(app: App, job: Job, **options: Any) -> None:
    job.with_options(**options).dispatch()
    driver = app.connection().driver
    reservation = driver.reserve(["default"])
    assert reservation is not None
    driver.release(reservation, count=False, verdict="killed after 60 seconds")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tries": 1}, Failed),
        ({"tries": 2, "backoff": 4}, Released),
        ({"tries": 9, "fail_on_timeout": True}, Failed),
        ({"tries": 9, "max_exceptions": 1}, Failed),
    ],
    ids=str,
)
def test_a_verdict_is_judged_like_a_timeout_and_the_handler_does_not_run(
    app: App, events: list[Event], options: dict[str, Any], expected: type[Outcome]
) -> None:
    seen: list[object] = []
    job = doing(lambda _: seen.append("handle"), failed=lambda _, error: seen.append(error))
    with_verdict(app, job, **options)

    outcome = worker(app).run_next_job()

    assert isinstance(outcome, Failed | Released)
    assert expected is type(outcome)
    assert (TimeoutExceededError, "killed after 60 seconds") == (type(outcome.error), str(outcome.error))
    assert ([outcome.error] if expected is Failed else []) == seen
    assert [RAISED] == story(events)[1:2]
    assert len(endings(events)) == 1


def test_a_verdict_is_told_although_the_attempt_was_counted_twice(app: App) -> None:
    """How the job ended is worth more than that it was tried too often."""
    doing(returns).dispatch()
    driver = app.connection().driver
    reservation = driver.reserve(["default"])
    assert reservation is not None
    driver.release(reservation, verdict="killed")

    outcome = worker(app, tries=1).run_next_job()

    assert isinstance(outcome, Failed)
    assert str(outcome.error) == "killed"


def test_after_a_verdict_the_next_attempt_runs(app: App, clock: FrozenClock) -> None:
    seen: list[int] = []
    with_verdict(app, doing(lambda job: seen.append(job.attempts())), tries=2, backoff=4)

    worker(app).run_next_job()
    clock.advance(4)

    assert worker(app).run_next_job() == Done()
    assert [2] == seen


# Leases.


@pytest.mark.parametrize(
    ("timeout", "lease"),
    [(89.5, 90.0), (90, 150.0), (300, 360.0), (0, 90.0)],
    ids=["fits", "just too long", "much longer", "no limit"],
)
def test_the_lease_is_made_as_long_as_the_job_may_run(
    app: App, clock: FrozenClock, timeout: float, lease: float
) -> None:
    seen: list[float] = []
    start = clock.now()
    job = doing(lambda _: seen.append(app.connection().listed()[0].available_at - start))

    run(app, job, timeout=timeout)

    assert [lease] == seen


def test_a_lease_that_was_lost_before_the_job_began_is_not_worked_on(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    """A listener took too long, and another worker has the job by now."""
    seen: list[str] = []
    others: list[Reservation | None] = []

    def dawdle(_: JobProcessing) -> None:
        clock.advance(90)
        others.append(app.connection().driver.reserve(["default"]))

    app.listen(JobProcessing, dawdle)

    outcome = run(app, doing(lambda _: seen.append("handle")), timeout=300)

    assert isinstance(outcome, Lost)
    assert [] == seen
    assert ["JobProcessing", "JobLost"] == story(events)
    assert [2] == [other.attempts for other in others if other is not None]


@pytest.mark.parametrize(
    ("does", "tries", "told"),
    [
        pytest.param(returns, 9, "JobProcessed", id="success"),
        pytest.param(releases, 9, "JobLost", id="release"),
        pytest.param(raises, 9, "JobLost", id="release after an error"),
        pytest.param(raises, 1, "JobLost", id="failure"),
    ],
)
def test_after_its_lease_only_a_success_counts(
    app: App, clock: FrozenClock, events: list[Event], does: Callable[[Act], object], tries: int, told: str
) -> None:
    """The other worker has the job now; a release would copy it, a failure would end a job that may yet succeed."""
    seen: list[str] = []
    others: list[Reservation | None] = []

    def handle(job: Act) -> None:
        clock.advance(90)
        others.append(app.connection().driver.reserve(["default"]))
        does(job)

    outcome = run(app, doing(handle, failed=lambda *_: seen.append("failed")), tries=tries)

    [ending] = endings(events)
    assert told == type(ending).__name__
    assert [] == seen
    assert (Done(late=True) == outcome) is (does is returns)
    [other] = others
    assert other is not None
    if isinstance(ending, JobProcessed):
        assert ending.late
        assert Place() == place(app)
    else:
        assert isinstance(outcome, Lost)
        assert Place(reserved=1) == place(app)
        assert app.connection().driver.delete(other, only_last=True) is Settled.DONE


def test_a_backend_that_cannot_be_told_ends_the_delivery_as_lost(
    app: App, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = DriverError("gone away")

    def delete(*_: object, **__: object) -> Settled:
        raise error

    doing(returns).dispatch()
    with monkeypatch.context() as patch:
        patch.setattr(app.connection().driver, "delete", delete)
        with pytest.raises(DriverError, match="gone away"):
            worker(app).run_next_job()

    [ending] = endings(events)
    assert isinstance(ending, JobLost)
    assert error is ending.error
    assert Place(reserved=1) == place(app)


def test_the_duration_of_a_delivery_is_told(app: App, clock: FrozenClock, events: list[Event]) -> None:
    run(app, doing(lambda _: clock.advance(1.25)))

    assert [1.25] == [ending.duration for ending in endings(events)]


def test_a_memory_of_its_own_is_all_that_the_connection_named_memory_needs() -> None:
    """Nothing of the runner depends on the driver that was configured first."""
    app = App(Config(default="sync"), clock=FrozenClock())
    app.push(doing(returns), doing(returns).with_options(connection="memory").options)

    assert app.worker("memory").run_next_job() == Done()
