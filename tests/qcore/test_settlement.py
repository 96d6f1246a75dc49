"""What was decided reaches the driver, the failed store and the listeners: in one step where it can be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore.app import App
from qcore.config import Config
from qcore.connections import DriverRow
from qcore.driver import NONE, Extendable, Settled
from qcore.errors import DriverError, JobInterrupted
from qcore.events import Event, JobFailed, JobFailing, JobLost, JobProcessed, JobReleased, JobSkipped
from qcore.limits import WorkerOptions
from qcore.outcome import Done, Failed, Lost, Outcome, Released, Skipped
from tests.qcore.acting import Act, PlainDriver, doing, endings, raising, story

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from qcore.driver import Effects, Reservation
    from qcore.jobs import Job
    from qcore.worker import Worker
    from qtest.clock import FrozenClock
    from tests.backends import Backend

ERROR = ValueError("boom")


def worker(app: App, **options: Any) -> Worker:
    return app.worker(options=WorkerOptions(memory=0, **options))


def run(app: App, job: Job, **options: Any) -> Outcome:
    app.dispatch(job)
    outcome = worker(app, **options).run_next_job()
    assert outcome is not None
    return outcome


def listened(app: App) -> list[Event]:
    told: list[Event] = []
    app.listen(Event, told.append)
    return told


@pytest.fixture
def parted(backend: Backend, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """An App that keeps failed jobs elsewhere than the queues: two backends, two steps."""
    app = App(backend.config(tmp_path, failed="other", connections={"other": {"driver": "memory"}}), clock=clock)
    with app.activate():
        yield app
    app.close()


# The outcome reaches the driver.


@pytest.mark.parametrize(
    ("decided", "event", "size"),
    [
        (Done(), JobProcessed, 0),
        (Skipped(), JobSkipped, 0),
        (Released(5), JobReleased, 1),
        (Released(0, ERROR, counted=False), JobReleased, 1),
        (Failed(ERROR), JobFailed, 0),
        (Lost(Done()), JobLost, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_decision_is_one_step_and_one_event(
    app: App,
    events: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    decided: Outcome,
    event: type[Event],
    size: int,
) -> None:
    doing(lambda _: None).dispatch()
    one = worker(app)
    reservation = app.connection().driver.reserve(["default"])
    assert reservation is not None
    monkeypatch.setattr(one.runner, "_decide", lambda _: decided)

    assert decided == one.runner.run(reservation)
    assert [event] == [type(ending) for ending in endings(events)]
    assert size == app.connection().size()
    assert int(isinstance(decided, Failed)) == len(app.failed.list())


def test_a_release_tells_its_delay_and_its_error(app: App, events: list[Event]) -> None:
    run(app, raising(ERROR), tries=2, backoff=4)

    [told] = endings(events)
    assert isinstance(told, JobReleased)
    assert (4, ERROR, False) == (told.delay, told.error, told.vetoed)


def test_the_record_of_a_failure_is_complete(app: App, clock: FrozenClock) -> None:
    def handle(job: Act) -> None:
        clock.advance(2.5)
        job.fail(KeyError("x"))

    job_id = app.dispatch(doing(handle), queue="mail")

    worker(app, queues=("mail",)).run_next_job()

    [record] = app.failed.list()
    assert (job_id, app.connection().name, "mail", clock.now()) == (
        record.id,
        record.connection,
        record.queue,
        record.failed_at,
    )
    assert record.exception == "KeyError: 'x'\n"


def test_the_record_is_written_in_the_step_that_removes_the_job(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = app.connection().driver
    asked: list[Effects] = []
    delete = driver.delete

    def spy(reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        asked.append(effects)
        assert only_last
        return delete(reservation, effects=effects, only_last=only_last)

    monkeypatch.setattr(driver, "delete", spy)
    run(app, raising(ERROR))

    [effects] = asked
    assert effects.failed is not None
    assert effects.failed.id == app.failed.list()[0].id


def test_the_exception_is_redacted(app: App) -> None:
    run(app, raising(ValueError("password=hunter2")))

    assert "hunter2" not in app.failed.list()[0].exception


# Two backends.


def test_with_two_backends_the_record_is_written_before_the_job_is_removed(
    parted: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dying in between leaves the job twice, never nowhere."""
    error = DriverError("the process died here")

    def delete(*_: object, **__: object) -> Settled:
        raise error

    parted.dispatch(raising(ERROR))
    with monkeypatch.context() as patch:
        patch.setattr(parted.connection().driver, "delete", delete)
        with pytest.raises(DriverError):
            worker(parted).run_next_job()

    assert (1, 1) == (parted.connection().size(), len(parted.failed.list()))


def test_with_two_backends_a_failure_ends_in_the_failed_store_only(parted: App) -> None:
    assert Failed(ERROR) == run(parted, raising(ERROR))
    assert (0, 1) == (parted.connection().size(), len(parted.failed.list()))


def test_with_two_backends_a_failure_that_came_too_late_leaves_no_record(parted: App, clock: FrozenClock) -> None:
    """The lease ended in failed(), long after it was extended for it."""
    others: list[Reservation | None] = []

    def failed(*_: object) -> None:
        clock.advance(90)
        others.append(parted.connection().driver.reserve(["default"]))

    told = listened(parted)

    assert Lost(Failed(ERROR)) == run(parted, raising(ERROR, failed=failed))
    assert ["JobLost"] == [type(ending).__name__ for ending in endings(told)]
    assert [2] == [other.attempts for other in others if other is not None]
    assert (1, 0) == (parted.connection().size(), len(parted.failed.list()))


def test_with_two_backends_the_record_of_a_job_that_is_gone_is_kept(parted: App) -> None:
    """Whoever ended it may have put his own record there: forgetting it could lose the job."""
    job = raising(ERROR, failed=lambda *_: parted.connection().clear())

    assert Lost(Failed(ERROR)) == run(parted, job)
    assert (0, 1) == (parted.connection().size(), len(parted.failed.list()))


def test_with_one_backend_a_failure_that_came_too_late_leaves_no_record(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    def failed(*_: object) -> None:
        clock.advance(90)
        assert app.connection().driver.reserve(["default"]) is not None

    assert Lost(Failed(ERROR)) == run(app, raising(ERROR, failed=failed))
    assert ["JobProcessing", "JobExceptionOccurred", "JobFailing", "JobLost"] == story(events)
    assert (1, 0) == (app.connection().size(), len(app.failed.list()))


def test_without_a_failed_store_a_failed_job_is_just_gone(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(Config(default="memory", failed="null", root=tmp_path), clock=clock)
    told = listened(app)

    assert Failed(ERROR) == run(app, raising(ERROR))
    assert ["JobFailed"] == [type(ending).__name__ for ending in endings(told)]
    assert (0, []) == (app.connection().size(), app.failed.list())


# A veto.


@pytest.mark.parametrize(("backoff", "delay"), [(0, 1), (0.5, 1), (7, 7), ((2, 9), 2)])
def test_a_listener_may_keep_a_job_from_failing(
    app: App, events: list[Event], backoff: float | Sequence[float], delay: float
) -> None:
    seen: list[str] = []
    app.listen(JobFailing, lambda _: False)

    assert Released(delay, ERROR, vetoed=True) == run(
        app, raising(ERROR, failed=lambda *_: seen.append("failed")), backoff=backoff
    )
    assert ["JobProcessing", "JobExceptionOccurred", "JobFailing", "JobReleased"] == story(events)
    [told] = endings(events)
    assert isinstance(told, JobReleased)
    assert (delay, ERROR, True) == (told.delay, told.error, told.vetoed)
    assert ([], []) == (seen, app.failed.list())


@pytest.mark.parametrize("answer", [None, True, 0, ""], ids=repr)
def test_only_the_answer_false_is_a_veto(app: App, answer: object) -> None:
    app.listen(JobFailing, lambda _: answer)

    assert Failed(ERROR) == run(app, raising(ERROR))


def test_a_listener_that_raises_is_no_veto(app: App) -> None:
    def listener(_: JobFailing) -> None:
        raise RuntimeError

    app.listen(JobFailing, listener)

    assert Failed(ERROR) == run(app, raising(ERROR))


@pytest.mark.parametrize("decide", ["release", "delete", "fail"])
def test_a_listener_of_job_failing_has_no_other_say(app: App, events: list[Event], decide: str) -> None:
    app.listen(JobFailing, lambda event: getattr(event.delivery, decide)())

    assert Failed(ERROR) == run(app, raising(ERROR))
    assert ["JobFailed"] == [type(ending).__name__ for ending in endings(events)]


def test_a_veto_that_comes_after_the_lease_is_lost(app: App, clock: FrozenClock, events: list[Event]) -> None:
    def handle(_: Act) -> None:
        clock.advance(90)
        assert app.connection().driver.reserve(["default"]) is not None
        raise ERROR

    app.listen(JobFailing, lambda _: False)

    assert isinstance(run(app, doing(handle)), Lost)
    assert ["JobLost"] == [type(ending).__name__ for ending in endings(events)]


def test_a_vetoed_job_comes_back_and_is_asked_about_again(app: App, clock: FrozenClock) -> None:
    """Handled once: its tries are over. The listener goes on being asked until it lets it fail."""
    answers = iter([False, False, True])
    seen: list[str] = []
    app.listen(JobFailing, lambda _: next(answers))

    def handle(_: Act) -> None:
        seen.append("handle")
        raise ERROR

    outcomes = [run(app, doing(handle, failed=lambda *_: seen.append("failed")))]
    for _ in range(2):
        clock.advance(1)
        outcome = worker(app).run_next_job()
        assert outcome is not None
        outcomes.append(outcome)

    assert [Released, Released, Failed] == [type(outcome) for outcome in outcomes]
    assert ["handle", "failed"] == seen


# failed() and the lease.


def test_the_lease_is_renewed_for_failed(app: App, clock: FrozenClock) -> None:
    seen: list[float] = []

    def handle(_: Act) -> None:
        clock.advance(80)
        raise ERROR

    def failed(*_: object) -> None:
        seen.append(app.connection().listed()[0].available_at - clock.now())

    assert Failed(ERROR) == run(app, doing(handle, failed=failed))
    assert [90] == seen


def test_failed_is_not_called_for_a_job_that_others_hold(app: App, clock: FrozenClock) -> None:
    """It may yet succeed there: its clean-up would pull the floor away."""
    seen: list[str] = []

    def handle(_: Act) -> None:
        clock.advance(90)
        assert app.connection().driver.reserve(["default"]) is not None
        raise ERROR

    assert Lost(Failed(ERROR)) == run(app, doing(handle, failed=lambda *_: seen.append("failed")))
    assert [] == seen


# A driver that can do nothing but what every driver can.


@pytest.fixture
def plain(tmp_path: Path, clock: FrozenClock) -> App:
    config = Config(
        default="plain",
        failed="memory",
        store="memory",
        connections={"plain": {"driver": "plain"}, "memory": {"driver": "memory"}},
        root=tmp_path,
    )
    return App(config, clock=clock, drivers={"plain": DriverRow((), lambda *_: PlainDriver(clock))})


def test_a_driver_that_cannot_extend_runs_and_fails_jobs_all_the_same(plain: App) -> None:
    seen: list[str] = []

    assert not isinstance(plain.connection().driver, Extendable)
    assert run(plain, doing(lambda _: None), timeout=900) == Done()
    assert Failed(ERROR) == run(plain, raising(ERROR, failed=lambda *_: seen.append("failed")))
    assert (["failed"], 1) == (seen, len(plain.failed.list()))


def test_a_driver_that_cannot_extend_learns_of_a_lost_lease_at_the_end(plain: App, clock: FrozenClock) -> None:
    def handle(_: Act) -> None:
        clock.advance(90)
        assert plain.connection().driver.reserve(["default"]) is not None
        raise ERROR

    assert Lost(Failed(ERROR)) == run(plain, doing(handle))
    assert [] == plain.failed.list()


# The backend goes away.


@pytest.mark.parametrize(
    ("method", "job", "tries"),
    [
        ("delete", doing(lambda _: None), 1),
        ("delete", raising(ERROR), 1),
        ("extend", raising(ERROR), 1),
        ("release", raising(ERROR), 2),
        ("release", doing(lambda job: job.release(3)), 1),
        ("release", raising(JobInterrupted()), 1),
    ],
    ids=["success", "failure", "before failed()", "release after an error", "release", "interruption"],
)
def test_a_backend_that_cannot_be_told_has_one_ending_event_too(
    app: App, events: list[Event], monkeypatch: pytest.MonkeyPatch, method: str, job: Act, tries: int
) -> None:
    error = DriverError("gone away")

    def gone(*_: object, **__: object) -> Settled:
        raise error

    app.dispatch(job)
    monkeypatch.setattr(app.connection().driver, method, gone)

    with pytest.raises(DriverError, match="gone away"):
        worker(app, tries=tries).run_next_job()
    [ending] = endings(events)
    assert isinstance(ending, JobLost)
    assert error is ending.error
    assert [] == app.failed.list()


def test_a_store_that_cannot_be_reached_ends_the_delivery_as_lost(
    app: App, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the count of exceptions nobody knows what to decide: the job comes back after its lease."""
    error = DriverError("the store is gone")

    def gone(*_: object, **__: object) -> int:
        raise error

    raising(ERROR).with_options(max_exceptions=3, tries=0).dispatch()
    monkeypatch.setattr(app.connections.store, "increment", gone)

    with pytest.raises(DriverError, match="the store is gone"):
        worker(app).run_next_job()
    assert ["JobLost"] == [type(ending).__name__ for ending in endings(events)]
    assert app.connection().counts()[0].reserved == 1


@pytest.mark.parametrize("event", [JobProcessed, JobReleased, JobFailed], ids=lambda event: event.__name__)
def test_a_listener_of_an_ending_hears_of_it_when_the_backend_was_told(app: App, event: type[JobProcessed]) -> None:
    seen: list[tuple[int, int]] = []
    jobs: dict[object, Callable[[Act], object]] = {
        JobProcessed: lambda _: None,
        JobReleased: lambda job: job.release(0),
        JobFailed: lambda job: job.fail(),
    }
    app.listen(event, lambda _: seen.append((sum(c.ready for c in app.connection().counts()), len(app.failed.list()))))

    run(app, doing(jobs[event]))

    assert [{JobProcessed: (0, 0), JobReleased: (1, 0), JobFailed: (0, 1)}[event]] == seen
