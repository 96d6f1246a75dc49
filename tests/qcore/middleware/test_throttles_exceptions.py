"""ThrottlesExceptions: let jobs rest when what they need is out of order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from qcore.errors import DriverError, JobDefinitionError, MaxAttemptsExceededError
from qcore.events import Event, JobBlocked, JobExceptionOccurred
from qcore.limits import WorkerOptions
from qcore.middleware import RateLimited, Skip, ThrottlesExceptions
from qcore.outcome import Done, Failed, Released, Skipped
from tests.qcore.acting import raising, story
from tests.qcore.layered import Layered, OtherLayered, heard, layered

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.jobs import Job
    from qcore.outcome import Outcome
    from qtest.clock import FrozenClock


class OutageError(Exception):
    pass


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    heard.clear()


def attempt(app: App, job: Job | None = None, **options: Any) -> Outcome:
    if job is not None:
        app.dispatch(job, **options)
    outcome = app.worker(options=WorkerOptions(memory=0)).run_next_job()
    assert outcome is not None
    return outcome


def breaks(_: Job) -> None:
    heard.append("raised")
    raise OutageError


def breaking(layer: ThrottlesExceptions, **options: Any) -> Job:
    return layered(layer, handle=breaks, **options)


def given_back(delay: float) -> Released:
    return Released(delay, counted=False)


def test_after_so_many_exceptions_no_job_runs_until_the_time_from_the_first_is_over(
    app: App, clock: FrozenClock
) -> None:
    """MID-20."""
    app.dispatch(breaking(ThrottlesExceptions(3, 60)), tries=1)
    outcomes = []
    for _ in range(3):
        outcomes.append(attempt(app))
        clock.advance(5)
    outcomes.append(attempt(app))

    assert outcomes == [*([given_back(0)] * 3), given_back(45 + 3)]
    assert heard == ["raised"] * 3
    clock.advance(48)
    assert attempt(app) == given_back(0)
    assert heard == ["raised"] * 4


def test_all_times_are_seconds(app: App) -> None:
    """MID, ThrottlesExceptions: no backoff in minutes beside a decay in seconds."""
    assert attempt(app, breaking(ThrottlesExceptions(1, decay=90, backoff=7))) == given_back(7)
    assert attempt(app, breaking(ThrottlesExceptions(1, decay=90, backoff=7))) == given_back(93)


def test_ten_exceptions_in_ten_minutes_are_what_is_meant_if_nothing_is_said(app: App) -> None:
    app.dispatch(breaking(ThrottlesExceptions()))

    assert [attempt(app) for _ in range(11)] == [*([given_back(0)] * 10), given_back(603)]


def test_a_job_that_succeeds_ends_the_counting(app: App) -> None:
    layer = ThrottlesExceptions(2, 60)
    attempt(app, breaking(layer, kind=Layered), delay=0)
    app.connection().clear()
    assert attempt(app, layered(layer)) == Done()
    app.dispatch(breaking(layer))

    assert [attempt(app) for _ in range(3)] == [given_back(0), given_back(0), given_back(63)]


def releases(job: Layered) -> None:
    job.release(1000)


def fails(job: Layered) -> None:
    job.fail("no")


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(layered(ThrottlesExceptions(2, 60), handle=releases), id="released itself"),
        pytest.param(layered(ThrottlesExceptions(2, 60), handle=fails), id="failed itself"),
        pytest.param(layered(ThrottlesExceptions(2, 60), Skip.when(True)), id="was skipped"),  # noqa: FBT003
    ],
)
def test_a_job_that_did_not_succeed_does_not_end_the_counting(app: App, other: Job) -> None:
    layer = ThrottlesExceptions(2, 60)
    attempt(app, breaking(layer))
    app.connection().clear()
    attempt(app, other)
    app.connection().clear()
    app.dispatch(breaking(layer))

    assert [attempt(app) for _ in range(2)] == [given_back(0), given_back(63)]


# Who counts together.


def is_open_for(app: App, first: Job, second: Job) -> bool:
    """Tell whether one exception of the one keeps the other from running."""
    attempt(app, first)
    app.connection().clear()
    return attempt(app, second) != given_back(0)


ONE = ThrottlesExceptions(1, 60)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        pytest.param(breaking(ONE), breaking(ONE, user_id=7), True, id="one class"),
        pytest.param(breaking(ONE), breaking(ONE, kind=OtherLayered), False, id="two classes"),
        pytest.param(breaking(ONE.by("crm")), breaking(ONE.by("crm"), kind=OtherLayered), True, id="one key"),
        pytest.param(breaking(ONE.by("crm")), breaking(ONE.by("erp")), False, id="two keys"),
        pytest.param(breaking(ONE.by("crm")), breaking(ONE), False, id="a key and none"),
        pytest.param(breaking(ONE.by_job()), breaking(ONE.by_job()), False, id="each job for itself"),
        pytest.param(breaking(ONE.by_job().by("crm")), breaking(ONE.by("crm")), True, id="what was said last counts"),
    ],
)
def test_who_counts_together(app: App, first: Job, second: Job, *, together: bool) -> None:
    assert is_open_for(app, first, second) is together


def test_a_job_that_counts_for_itself_is_kept_from_running_by_itself(app: App) -> None:
    app.dispatch(breaking(ONE.by("crm").by_job()))

    assert [attempt(app), attempt(app)] == [given_back(0), given_back(63)]


# Which exceptions.


@pytest.mark.parametrize(
    "layer",
    [
        ThrottlesExceptions(1, 60).when(OutageError),
        ThrottlesExceptions(1, 60).when(KeyError, lambda error: "down" in str(error)),
        ThrottlesExceptions(1, 60).when(lambda error, job: job.user_id == 7 and error.args),
    ],
)
def test_only_the_exceptions_that_are_meant_are_swallowed(app: App, layer: ThrottlesExceptions) -> None:
    error, other = OutageError("down"), ValueError()

    def raise_other(_: Job) -> None:
        raise other

    def raise_error(_: Job) -> None:
        raise error

    assert attempt(app, layered(layer, handle=raise_other), tries=2, backoff=9) == Released(9, other)
    app.connection().clear()
    # It was not counted either.
    assert attempt(app, layered(layer, handle=raise_error, user_id=7)) == given_back(0)


def test_an_exception_may_end_the_job_as_if_it_had_succeeded(app: App, events: list[Event]) -> None:
    app.dispatch(breaking(ThrottlesExceptions(1, 60).delete_when(OutageError)))

    assert attempt(app) == Done()
    assert app.failed.list() == []
    assert story(events) == ["JobProcessing", "JobExceptionOccurred", "JobProcessed"]
    assert attempt(app, layered(ThrottlesExceptions(1, 60))) == Done()  # it was not counted


def test_an_exception_may_fail_the_job(app: App, events: list[Event]) -> None:
    outcome = attempt(app, breaking(ThrottlesExceptions(1, 60).fail_when(lambda _: True)), tries=5)

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OutageError)
    assert story(events) == ["JobProcessing", "JobExceptionOccurred", "JobFailing", "JobFailed"]


def test_what_says_itself_that_it_is_over_is_not_given_back(app: App) -> None:
    error = OutageError()

    def fails_and_raises(job: Layered) -> None:
        job.fail(error)
        raise ValueError

    def deletes_and_raises(job: Layered) -> None:
        job.delete()
        raise error

    assert attempt(app, layered(ThrottlesExceptions(1, 60), handle=fails_and_raises)) == Failed(error)
    assert attempt(app, layered(ThrottlesExceptions(1, 60), handle=deletes_and_raises)) == Failed(error)


@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit()])
def test_what_is_no_exception_of_the_program_goes_on_up(app: App, error: BaseException) -> None:
    def handle(_: Job) -> None:
        raise error

    assert attempt(app, layered(ThrottlesExceptions(), handle=handle)) == Failed(error)


# What is told, what counts.


def test_a_swallowed_exception_is_told_and_logged(
    app: App, events: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "qcore"):
        attempt(app, breaking(ThrottlesExceptions(3, 60, backoff=5)))

    assert story(events) == ["JobProcessing", "JobExceptionOccurred", "JobReleased"]
    (told,) = [event for event in events if isinstance(event, JobExceptionOccurred)]
    assert isinstance(told.error, OutageError)
    (block,) = [event for event in events if isinstance(event, JobBlocked)]
    assert (block.by, block.delay) == ("ThrottlesExceptions", 5)
    (record,) = caplog.records
    assert "raised; ThrottlesExceptions swallowed it" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is told.error


def test_swallowed_exceptions_do_not_count_for_max_exceptions(app: App) -> None:
    """MID, ThrottlesExceptions."""
    app.dispatch(breaking(ThrottlesExceptions(5, 60)), tries=0, max_exceptions=1)

    assert [attempt(app) for _ in range(5)] == [given_back(0)] * 5


def test_a_job_that_always_raises_ends_with_its_retry_until(app: App, clock: FrozenClock) -> None:
    app.dispatch(breaking(ThrottlesExceptions(2, 60), retry_until=clock.now() + 100), tries=1)
    for expected in (0, 0, 63):
        assert attempt(app) == given_back(expected)
        clock.advance(expected)
    assert attempt(app) == given_back(0)
    clock.advance(40)
    outcome = attempt(app)

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, MaxAttemptsExceededError)


def test_a_store_in_trouble_does_not_swallow_the_exception(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def trouble(*_: object, **__: object) -> int:
        raise DriverError("the disk is full")

    app.dispatch(breaking(ThrottlesExceptions(3, 60)))
    monkeypatch.setattr(app.connections.store, "increment", trouble)
    outcome = attempt(app)

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, OutageError)


def test_a_store_in_trouble_does_not_undo_a_success(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    layer = ThrottlesExceptions(3, 60)
    attempt(app, breaking(layer))
    app.connection().clear()

    def trouble(*_: object, **__: object) -> bool:
        raise DriverError("the disk is full")

    monkeypatch.setattr(app.connections.store, "forget", trouble)

    assert attempt(app, layered(layer)) == Done()
    assert "exceptions stay counted after" in caplog.text


def test_an_async_handler_is_throttled_too(app: App) -> None:
    async def handle(_: Job) -> None:
        raise OutageError

    app.dispatch(layered(ThrottlesExceptions(1, 60), handle=handle))

    assert [attempt(app), attempt(app)] == [given_back(0), given_back(63)]


def test_other_middleware_that_blocks_is_let_be(app: App) -> None:
    app.limiter("none", lambda _: None)

    assert attempt(app, layered(ThrottlesExceptions(), RateLimited("none"), Skip.when(True))) == Skipped()  # noqa: FBT003


def test_it_can_be_given_to_one_dispatch(app: App) -> None:
    layer = ThrottlesExceptions(1, 60).by("crm").when(OutageError, LookupError, ValueError)
    layer = layer.fail_when(ValueError).delete_when(KeyError)
    assert attempt(app, raising(OutageError()), middleware=[layer]) == given_back(0)
    app.connection().clear()

    assert attempt(app, raising(OutageError()), middleware=[layer]) == given_back(63)
    app.connection().clear()
    assert isinstance(attempt(app, raising(ValueError()), middleware=[layer.by("erp")], tries=3), Failed)
    assert attempt(app, raising(KeyError()), middleware=[layer.by("erp")]) == Done()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"max": 0}, "whole number of exceptions"),
        ({"max": 1.5}, "whole number of exceptions"),
        ({"decay": 0}, "decay is a number of seconds"),
        ({"decay": -1}, "decay is a number of seconds"),
        ({"backoff": "5"}, "backoff is a number of seconds"),
    ],
)
def test_what_means_nothing_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(JobDefinitionError, match=reason):
        ThrottlesExceptions(**wrong)


@pytest.mark.parametrize("name", ["when", "delete_when", "fail_when"])
def test_what_stands_for_no_exception_is_refused(name: str) -> None:
    make: Callable[..., object] = getattr(ThrottlesExceptions(), name)
    with pytest.raises(JobDefinitionError, match=rf"{name}\(\)"):
        make("OutageError")
