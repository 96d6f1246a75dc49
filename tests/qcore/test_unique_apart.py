"""Unique jobs whose lock lives in another backend than their queue: two steps, and nobody is kept away for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import App, DriverError, Job, WorkerOptions, dispatch_sync
from qcore.driver import LockRule, Push, pending
from qcore.events import Event, JobDebounced
from qcore.failed_jobs import Retried
from tests.backends import apart
from tests.qcore.unique_jobs import Early, Import, Other, Patient, Report, done, during, fail, locks, skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.queue import Queue
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock
    from tests.backends import Backend

    Work = Callable[..., Stopped]

KEY = "unique:tests.qcore.unique_jobs:Import,a.csv"


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    during.clear()


@pytest.fixture
def app(backend: Backend, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """An App with its queue in one backend, and its locks in another."""
    app = App(backend.config(tmp_path, store=apart(backend)), clock=clock)
    with app.activate():
        yield app
    app.close()


def test_it_is_unique_all_the_same(app: App, work: Work, events: list[Event]) -> None:
    first = Import().dispatch()
    assert first is not None
    assert {KEY: pending(first)} == locks(app)
    assert Import().dispatch() is None
    assert [(first, 600.0)] == [(event.owner, event.left) for event in skipped(events)]
    work()
    assert (["a.csv"], {}) == (done, locks(app))
    assert Import().dispatch() is not None


def test_the_lock_is_kept_over_retries_and_freed_by_a_failure(app: App, work: Work, clock: FrozenClock) -> None:
    """UNQ-07."""
    during.extend([fail, fail])
    job_id = str(Import().with_options(tries=2, backoff=5).dispatch())
    work()
    assert {KEY: pending(job_id)} == locks(app)
    clock.advance(5)
    work()
    assert ({}, 1) == (locks(app), len(app.failed.list()))
    other = Import().dispatch()
    assert Retried([], [], (job_id,)) == app.failed.retry([job_id])
    work()
    assert Retried([job_id], []) == app.failed.retry([job_id])
    assert ({KEY: pending(job_id)}, True) == (locks(app), other is not None)


def test_until_processing(app: App, work: Work) -> None:
    """UNQ-08."""
    during.append(lambda: done.append(Early().dispatch() is not None))
    Early().dispatch()
    work()

    assert (["a.csv", True, "a.csv"], {}) == (done, locks(app))


def test_a_lock_in_other_hands_is_not_freed(app: App, work: Work, clock: FrozenClock) -> None:
    """UNQ-09."""
    Import().dispatch()
    clock.advance(600)
    second = str(Import().dispatch(delay=60))
    work()

    assert (["a.csv"], {KEY: pending(second)}) == (done, locks(app))


def test_a_lock_without_a_job_ends_by_itself(app: App, clock: FrozenClock) -> None:
    """UNQ-11: nobody beside the lock can know that the job is gone, so its time has to pass."""
    Import().dispatch()
    app.connection().clear()
    clock.advance(599)
    assert Import().dispatch() is None
    clock.advance(1)
    assert Import().dispatch() is not None


@pytest.mark.parametrize("job", [Import(), Early()])
def test_a_push_that_fails_leaves_no_lock(app: App, monkeypatch: pytest.MonkeyPatch, job: Import) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DriverError("no space left")

    monkeypatch.setattr(app.connection().driver, "push", refuse)
    with pytest.raises(DriverError):
        job.dispatch()
    monkeypatch.undo()

    assert {} == locks(app)
    assert job.dispatch() is not None


def test_no_connection_steals_the_lock_of_a_job_on_another_one(app: App, backend: Backend) -> None:
    """Beside the lock that job is not to be found, and yet it is live."""
    beside = apart(backend)
    first = str(Import().dispatch())

    assert app.connections.store.home is app.connection(beside).driver.home
    assert Import().dispatch(connection=beside) is None
    assert {KEY: pending(first)} == locks(app)


def test_the_last_of_several_debounced_jobs_runs(app: App, work: Work, clock: FrozenClock, events: list[Event]) -> None:
    """DEB-02."""
    for version in range(3):
        Report(version).dispatch()
    Patient(3).dispatch(delay=0)
    Patient(4).dispatch(delay=0)
    clock.advance(30)
    work()

    assert ([4, 2], 3) == (done, sum(isinstance(event, JobDebounced) for event in events))


def test_a_debounced_job_that_cannot_be_pushed_replaces_nothing(
    app: App, work: Work, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise nothing would run at all."""

    def refuse(*_: object, **__: object) -> None:
        raise DriverError("no space left")

    Report(1).dispatch()
    monkeypatch.setattr(app.connection().driver, "push", refuse)
    with pytest.raises(DriverError):
        Report(2).dispatch()
    monkeypatch.undo()
    clock.advance(30)
    work()

    assert [1] == done


# Run at once.


def test_a_sync_run_is_kept_away_by_a_job_that_waits(app: App, work: Work) -> None:
    """UNQ-05."""
    Import().dispatch()
    assert [None, None] == [dispatch_sync(Import()), Import().dispatch(connection="sync")]
    assert [] == done
    work()
    assert [True, True] == [bool(dispatch_sync(Import())), bool(Import().dispatch(connection="sync"))]
    assert (["a.csv"] * 3, {}) == (done, locks(app))


def test_a_sync_run_keeps_others_away(app: App) -> None:
    """Itself, too, wherever it is dispatched."""

    def dispatch() -> None:
        done.append(len(locks(app)))
        done.extend([Import().dispatch(connection=name) for name in (None, "sync", "memory")])
        done.append(dispatch_sync(Import()))

    during.append(dispatch)
    dispatch_sync(Import())

    assert (["a.csv", 1, None, None, None, None], {}) == (done, locks(app))


def test_a_sync_run_that_fails_frees_its_lock(app: App) -> None:
    during.append(fail)
    with pytest.raises(ValueError, match="no luck"):
        dispatch_sync(Import())

    assert {} == locks(app)


def test_a_sync_run_until_processing(app: App) -> None:
    during.append(lambda: done.append(len(locks(app))))
    dispatch_sync(Early())

    assert ["a.csv", 0] == done


# Kept for a commit.


@pytest.fixture(params=["apart", "beside"])
def either(
    request: pytest.FixtureRequest, app: App, backend: Backend, clock: FrozenClock, tmp_path: Path
) -> Iterator[App]:
    """Locks in another backend than the queue, or in the same."""
    if request.param == "apart":
        yield app
        return
    beside = App(backend.config(tmp_path / "beside"), clock=clock)
    with beside.activate():
        yield beside
    beside.close()


def prepared(app: App, job: Job, rule: LockRule = LockRule.REFUSE) -> tuple[Queue, Push]:
    queue = app.connection()
    push = queue.prepare(job, app.complete(job, job.with_options().options), rule=rule)
    assert push is not None
    return queue, push


def test_a_lock_can_be_kept_until_a_commit(either: App) -> None:
    queue, push = prepared(either, Import())
    assert queue.locks.reserve(push) is None
    assert {KEY: pending(push.payload.id)} == locks(either)
    assert (None, 0) == (Import().dispatch(), queue.size())
    other_queue, other = prepared(either, Import())
    assert push.payload.id == other_queue.locks.reserve(other)
    other_queue.locks.cancel(other)

    assert [push.payload.id] == queue.send([(push, None)])
    assert None is Import().dispatch()
    either.worker(options=WorkerOptions(stop_when_empty=True)).run()
    assert (["a.csv"], {}) == (done, locks(either))


def test_a_rollback_frees_it(either: App) -> None:
    queue, push = prepared(either, Import())
    queue.locks.reserve(push)
    queue.locks.cancel(push)

    assert {} == locks(either)
    assert Import().dispatch() is not None
    queue.locks.cancel(push)
    assert 1 == len(locks(either)), "of another dispatch"


def test_a_process_that_dies_before_the_commit_keeps_nobody_away_for_long(either: App, clock: FrozenClock) -> None:
    class Long(Import, unique_for=1_000_000, name="test:Long"): ...

    queue, push = prepared(either, Long())
    queue.locks.reserve(push)
    clock.advance(3599)
    assert Long().dispatch() is None
    clock.advance(1)
    assert Long().dispatch() is not None


def test_the_lock_lasts_from_the_commit_on(either: App, clock: FrozenClock) -> None:
    queue, push = prepared(either, Import())
    queue.locks.reserve(push)
    clock.advance(599)
    queue.send([(push, None)])
    clock.advance(599)
    assert Import().dispatch() is None


def test_what_replaces_or_shares_is_not_reserved(either: App) -> None:
    """A rollback would have replaced something for nothing."""
    Report(0).dispatch()
    before = locks(either, "debounce:")
    queue, push = prepared(either, Report(1))
    assert queue.locks.reserve(push) is None
    queue.locks.cancel(push)
    assert before == locks(either, "debounce:")

    queue, shared = prepared(either, Import(), LockRule.SHARE)
    assert (None, {}) == (queue.locks.reserve(shared), locks(either))
    queue, plain = prepared(either, Other())
    assert queue.locks.reserve(plain) is None
    queue.locks.cancel(plain)
