"""Skip, Release and SkipIfBatchCancelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore.errors import JobDefinitionError
from qcore.events import Event, JobBlocked
from qcore.limits import WorkerOptions
from qcore.middleware import Release, Skip, SkipIfBatchCancelled
from qcore.outcome import Done, Failed, Released, Skipped
from tests.qcore.layered import heard, layered

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.jobs import Job
    from qcore.outcome import Outcome
    from qcore.worker import Stopped

YES: list[Any] = [True, 1, lambda _: True, lambda job: job.user_id == 7]
NO: list[Any] = [False, None, "", lambda _: False, lambda job: job.user_id != 7]


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    heard.clear()


def attempt(app: App, job: Job, **options: Any) -> Outcome:
    app.dispatch(job, **options)
    outcome = app.worker(options=WorkerOptions(memory=0)).run_next_job()
    assert outcome is not None
    return outcome


@pytest.mark.parametrize("condition", YES)
def test_a_job_is_skipped_when_the_condition_holds(app: App, condition: object) -> None:
    assert attempt(app, layered(Skip.when(condition), user_id=7)) == Skipped()
    assert attempt(app, layered(Skip.unless(condition), user_id=7)) == Done()
    assert heard == ["ran"]


@pytest.mark.parametrize("condition", NO)
def test_a_job_runs_when_the_condition_does_not_hold(app: App, condition: object) -> None:
    assert attempt(app, layered(Skip.when(condition), user_id=7)) == Done()
    assert attempt(app, layered(Skip.unless(condition), user_id=7)) == Skipped()
    assert heard == ["ran"]


@pytest.mark.parametrize("condition", YES)
def test_a_job_is_released_when_the_condition_holds(app: App, condition: object) -> None:
    given = layered(Release.when(condition, after=30), user_id=7)
    assert attempt(app, given, tries=1) == Released(30, counted=False)
    assert attempt(app, layered(Release.unless(condition, after=30), user_id=7)) == Done()


@pytest.mark.parametrize("condition", NO)
def test_a_job_is_not_released_when_the_condition_does_not_hold(app: App, condition: object) -> None:
    assert attempt(app, layered(Release.when(condition), user_id=7)) == Done()
    assert attempt(app, layered(Release.unless(condition), user_id=7), tries=1) == Released(0, counted=False)


def test_a_condition_is_asked_when_the_job_runs(app: App) -> None:
    answers = iter([True, False])
    given = layered(Release.when(lambda _: next(answers)))
    app.dispatch(given)
    worker = app.worker(options=WorkerOptions(memory=0))

    assert [worker.run_next_job(), worker.run_next_job()] == [Released(0, counted=False), Done()]


def test_what_a_condition_raises_is_the_job_s(app: App) -> None:
    def condition(_: Job) -> bool:
        raise LookupError

    outcome = attempt(app, layered(Skip.when(condition)))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, LookupError)


async def later(_: Job) -> bool:
    return False


@pytest.mark.parametrize("make", [Skip.when, Skip.unless, Release.when, Release.unless])
def test_an_async_condition_is_refused(make: Callable[[object], object]) -> None:
    """Its coroutine would count as true."""
    with pytest.raises(JobDefinitionError, match="a condition is a value or a plain function"):
        make(later)


@pytest.mark.parametrize("after", [-1, "5", None, True, float("nan")])
def test_a_release_after_no_number_of_seconds_is_refused(after: Any) -> None:  # noqa: ANN401 - all kinds of nonsense
    with pytest.raises(JobDefinitionError, match="after is a number of seconds"):
        Release.when(True, after=after)  # noqa: FBT003


@dataclass(frozen=True)
class OfUser:
    user_id: int

    def __call__(self, job: Any) -> bool:  # noqa: ANN401 - the job's own class
        return bool(job.user_id == self.user_id)


def test_a_condition_for_one_dispatch_is_an_object_that_can_be_stored(app: App) -> None:
    assert attempt(app, layered(user_id=7), middleware=[Skip.when(OfUser(7))]) == Skipped()
    assert attempt(app, layered(user_id=8), middleware=[Skip.when(OfUser(7))]) == Done()


# Of a batch.


def test_members_of_a_cancelled_batch_do_not_run_and_count_as_done(
    app: App, work: Callable[..., Stopped], events: list[Event]
) -> None:
    batch = qcore.batch([layered(SkipIfBatchCancelled()) for _ in range(3)]).dispatch()
    app.worker(options=WorkerOptions(memory=0)).run_next_job()
    batch.cancel()
    work()

    found = qcore.find_batch(batch.id)
    assert found is not None
    assert heard == ["ran"]
    assert (found.pending, found.failed, found.done) == (0, 0, 3)
    assert [event.by for event in events if isinstance(event, JobBlocked)] == ["SkipIfBatchCancelled"] * 2


def test_a_batch_whose_members_are_skipped_has_succeeded(app: App, work: Callable[..., Stopped]) -> None:
    """MID-02."""
    members = [layered(Skip.when(True)), layered(Skip.when(True))]  # noqa: FBT003
    batch = qcore.batch(members).then(layered()).dispatch()
    work()

    found = qcore.find_batch(batch.id)
    assert found is not None
    assert (found.pending, found.failed, found.done) == (0, 0, 2)
    assert heard == ["ran"]


def test_members_of_a_batch_that_nobody_cancelled_run(app: App, work: Callable[..., Stopped]) -> None:
    qcore.batch([layered(SkipIfBatchCancelled()) for _ in range(3)]).dispatch()
    work()

    assert heard == ["ran"] * 3


def test_a_job_without_a_batch_runs(app: App) -> None:
    assert attempt(app, layered(SkipIfBatchCancelled())) == Done()


def test_a_callback_of_a_cancelled_batch_runs(app: App, work: Callable[..., Stopped]) -> None:
    batch = qcore.batch([layered(SkipIfBatchCancelled())]).finally_(layered(SkipIfBatchCancelled())).dispatch()
    batch.cancel()
    work()

    assert heard == ["ran"]


def test_a_member_whose_batch_is_gone_runs(app: App, work: Callable[..., Stopped]) -> None:
    batch = qcore.batch([layered(SkipIfBatchCancelled())]).dispatch()
    batch.delete()
    work()

    assert heard == ["ran"]
