"""Unique and debounced jobs as links of chains, and as members of batches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, DriverError, Job, WorkerOptions, batch, chain
from qcore.driver import pending
from qcore.events import Event, JobEnded, JobQueued
from qcore.failed_jobs import Retried
from tests.backends import apart
from tests.qcore.unique_jobs import Early, Import, Other, Report, debounced, done, during, fail, locks, names, skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock
    from tests.backends import Backend

    Work = Callable[..., Stopped]

KEY = "unique:tests.qcore.unique_jobs:Import,a.csv"


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    during.clear()


@pytest.fixture(params=["locks beside", "locks apart"])
def app(request: pytest.FixtureRequest, backend: Backend, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """An App whose locks live beside its queue, or in another backend."""
    store = apart(backend) if request.param == "locks apart" else "default"
    app = App(backend.config(tmp_path, store=store), clock=clock)
    with app.activate():
        yield app
    app.close()


def owner(app: App) -> str:
    [value] = locks(app).values()
    return value.removeprefix(pending(""))


def test_a_chain_whose_first_link_is_there_already_is_not_pushed(app: App, work: Work, events: list[Event]) -> None:
    """UNQ-05: its head is dispatched like any other job."""
    first = Import().dispatch()

    assert chain(Import(), Other("never")).dispatch() is None
    assert [first] == [event.owner for event in skipped(events)]
    work()
    assert (["a.csv"], {}) == (done, locks(app))
    assert chain(Import(), Other("then")).dispatch() is not None
    assert Import().dispatch() is None
    work()
    assert (["a.csv", "a.csv", "then"], {}) == (done, locks(app))


def test_a_link_whose_lock_is_held_is_skipped_and_the_chain_goes_on(
    app: App, work: Work, events: list[Event], clock: FrozenClock
) -> None:
    """UNQ-06: it does not stop silently. The event says which job holds the lock."""
    held = Import().dispatch(delay=60)
    chain(Other("one"), Import(), Other("three")).dispatch()
    work()

    assert (["one", "three"], {KEY: held}) == (done, {key: owner(app) for key in locks(app)})
    [told] = skipped(events)
    assert (held, Import(), 660.0) == (told.owner, told.job, told.left)
    assert told.delivery is not None
    assert (told.job_id, "default") == (told.delivery.id, told.queue)
    assert ["JobProcessed", "JobSkipped", "JobProcessed"] == names(events, JobEnded)
    clock.advance(60)
    work()
    assert (["one", "three", "a.csv"], {}) == (done, locks(app))


def test_a_link_takes_its_lock_and_gives_it_back(app: App, work: Work) -> None:
    """UNQ-06."""
    during.extend([lambda: None, lambda: done.append(Import().dispatch())])
    chain(Other("one"), Import(), Other("three")).dispatch()
    work()

    assert (["one", "a.csv", None, "three"], {}) == (done, locks(app))


def test_links_that_wait_hold_no_lock(app: App, work: Work) -> None:
    """It is taken when the link is pushed, not when the chain is dispatched."""
    during.append(lambda: done.append(bool(Import().dispatch(queue="low"))))
    chain(Other("one"), Import()).dispatch()
    work()
    assert ["one", True] == done
    work(queues=("low",))

    assert (["one", True, "a.csv"], {}) == (done, locks(app))


def test_a_lock_that_is_free_when_the_link_is_delivered_is_enough(app: App, work: Work, clock: FrozenClock) -> None:
    """UNQ-06: what counts is whether the other one is still there when the link would run."""
    Import().dispatch(delay=30)
    chain(Other("one"), Import().with_options(delay=60)).dispatch()
    work()
    clock.advance(30)
    work()
    assert (["one", "a.csv"], {}) == (done, locks(app))
    clock.advance(30)
    during.append(lambda: done.append(len(locks(app))))
    work()

    assert (["one", "a.csv", "a.csv", 1], {}) == (done, locks(app))


def test_links_that_need_the_same_lock_follow_each_other(app: App, work: Work, events: list[Event]) -> None:
    during.extend([lambda: done.append(len(locks(app)))] * 3)
    chain(Import(), Import(), Import()).dispatch()
    work()

    assert (["a.csv", 1] * 3, {}, []) == (done, locks(app), skipped(events))


def test_links_that_need_the_same_lock_follow_each_other_over_connections(
    app: App, backend: Backend, work: Work, events: list[Event]
) -> None:
    """A worker of the other connection may be faster than the delete here."""
    there = apart(backend)
    during.append(lambda: None)
    chain(Import(), Import().with_options(connection=there), Import()).dispatch()
    work()
    app.worker(there, WorkerOptions(stop_when_empty=True)).run()
    work()

    assert (["a.csv"] * 3, {}, []) == (done, locks(app), skipped(events))


def test_a_fast_worker_of_another_connection_runs_the_link_that_needs_the_same_lock(
    app: App, backend: Backend, work: Work, events: list[Event]
) -> None:
    """It is there before the delete of the one before it."""
    there = apart(backend)
    run = WorkerOptions(stop_when_empty=True)
    chain(Import(), Import().with_options(connection=there), Other("end")).dispatch()
    end = app.listen(JobQueued, lambda event: app.worker(there, run).run() if event.connection == there else None)
    work()
    end()

    assert (["a.csv", "a.csv", "end"], []) == (done, skipped(events))


def test_a_fast_worker_finds_the_lock_free_when_the_link_is_there(
    app: App, work: Work, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the lock is freed after the delete, too."""
    driver = app.connection().driver
    delete = driver.delete

    def delete_and_run(*arguments: Any, **effects: Any) -> object:
        settled = delete(*arguments, **effects)
        work()
        return settled

    monkeypatch.setattr(driver, "delete", delete_and_run)
    chain(Import(), Import(), Import()).dispatch()
    work()

    assert (["a.csv"] * 3, {}, []) == (done, locks(app), skipped(events))


def test_a_lock_that_the_link_does_not_need_is_kept_until_the_delete(app: App, backend: Backend, work: Work) -> None:
    there = apart(backend)
    app.listen(JobQueued, lambda event: done.append(len(locks(app))) if event.connection == there else None)
    chain(Import(), Other("end").with_options(connection=there)).dispatch()
    chain(Import("b.csv"), Import("c.csv").with_options(connection=there)).dispatch()
    work()

    assert ["a.csv", 2, "b.csv", 2] == done


def test_a_link_keeps_its_lock_over_retries(app: App, work: Work, clock: FrozenClock, events: list[Event]) -> None:
    """And it is not taken for another job's when the link comes back."""
    chain(Other("one"), Import().with_options(tries=3, backoff=10), Other("three")).dispatch()
    during.extend([lambda: None, fail, fail])
    for _ in range(2):
        work()
        assert Import().dispatch() is None
        clock.advance(10)
    events.clear()
    work()

    assert (["one", "a.csv", "a.csv", "a.csv", "three"], {}, []) == (done, locks(app), skipped(events))


def test_a_link_that_was_begun_is_not_skipped_later(app: App, work: Work, clock: FrozenClock) -> None:
    """UNQ-09: until processing, its lock may be a later dispatch's when it is tried again."""
    chain(Other("one"), Early().with_options(tries=2, backoff=10), Other("three")).dispatch()
    during.extend([lambda: None, fail])
    work()
    later = Early().dispatch(delay=60)
    assert later is not None
    clock.advance(10)
    work()

    assert (["one", "a.csv", "a.csv", "three"], later) == (done, owner(app))


def test_a_link_that_waits_behind_a_middleware_keeps_its_lock(app: App, work: Work, clock: FrozenClock) -> None:
    def later(job: Job, call_next: Callable[[Job], object]) -> object:
        if isinstance(job, Early) and not passed:
            passed.append(True)
            job.release(10)
            return None
        return call_next(job)

    passed: list[object] = []
    app.middleware.append(later)
    chain(Other("one"), Early(), Other("three")).dispatch()
    work()
    assert Early().dispatch() is None
    clock.advance(10)
    work()

    assert (["one", "a.csv", "three"], {}) == (done, locks(app))


def test_a_link_that_fails_frees_its_lock_and_is_retried_as_a_job_of_its_own(
    app: App, work: Work, events: list[Event]
) -> None:
    during.extend([lambda: None, fail])
    chain(Other("one"), Import(), Other("three")).dispatch()
    work()
    [record] = app.failed.list()
    assert {} == locks(app)
    Import().dispatch()
    assert Retried([], [], (record.id,)) == app.failed.retry([record.id])
    work()
    assert Retried([record.id], []) == app.failed.retry([record.id])
    assert "rule" not in json.loads(app.connection().listed()[0].payload.body)["unique"]
    work()

    assert (["one", "a.csv", "a.csv", "a.csv", "three"], {}) == (done, locks(app))


def test_a_debounced_link_is_put_off_and_may_be_replaced(
    app: App, work: Work, clock: FrozenClock, events: list[Event]
) -> None:
    """DEB-02: in a chain that counts as done."""
    chain(Other("one"), Report(1), Other("three")).dispatch()
    work()
    assert ["one"] == done
    clock.advance(10)
    Report(2).dispatch()
    clock.advance(20)
    work()
    assert (["one", "three"], 1) == (done, len(debounced(events)))
    clock.advance(10)
    work()
    assert ["one", "three", 2] == done


def test_a_member_whose_lock_is_held_counts_as_done(app: App, work: Work, events: list[Event]) -> None:
    """UNQ-05."""
    first = Import().dispatch(delay=60)
    events.clear()
    made = batch([Import(), Other("one"), Import("b.csv")]).then(Other("then")).dispatch()
    assert made is not None
    assert 3 == names(events, JobQueued).count("JobQueued")
    work()

    assert {"one", "b.csv", "then"} == set(done)
    assert [(first, made.id)] == [
        (event.owner, event.delivery.batch_id if event.delivery else "") for event in skipped(events)
    ]
    found = made.fresh()
    assert found is not None
    assert (3, 0, 0) == (found.done, found.pending, found.failed)


def test_a_chain_in_a_batch_goes_on_when_its_first_link_is_skipped(app: App, work: Work, events: list[Event]) -> None:
    """UNQ-05: it is a member, and not a dispatch of its own."""
    Import().dispatch(delay=60)
    made = batch([[Import(), Other("two"), Import(), Other("four")]]).then(Other("then")).dispatch()
    work()

    assert (["two", "four", "then"], 2) == (done, len(skipped(events)))
    found = made.fresh()
    assert (4, 0) == (found and found.done, found and found.pending)


def test_members_with_the_same_id_run_once(app: App, work: Work, events: list[Event]) -> None:
    """UNQ-05: whoever comes first has the lock, until it has ended."""
    batch([Import(), Import()]).dispatch()
    reserved = app.connection().driver.reserve(["default"])
    assert reserved is not None
    work()

    assert ([], 1) == (done, len(skipped(events)))
    assert Import().dispatch() is None


def test_a_member_takes_its_lock_when_the_batch_is_dispatched(app: App, work: Work) -> None:
    batch([Import(), Other("one")]).dispatch()
    assert Import().dispatch() is None
    work()

    assert ({"a.csv", "one"}, {}) == (set(done), locks(app))


def test_members_that_cannot_be_added_leave_no_lock(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bool:
        raise DriverError("no space left")

    store = app.connections.batch_store(app.config.default)
    monkeypatch.setattr(store, "add", refuse)
    with pytest.raises(DriverError):
        batch([Import()]).dispatch()

    assert {} == locks(app)


def test_a_debounced_member_replaces_and_can_be_replaced(
    app: App, work: Work, clock: FrozenClock, events: list[Event]
) -> None:
    """DEB-02: in a batch that counts as done."""
    Report(0).dispatch()
    made = batch([Report(1), Report(2, "stock"), Report(3, "now").with_options(delay=0)]).dispatch()
    assert made is not None
    Report(4, "stock").dispatch()
    clock.advance(30)
    work()

    assert ({1, 3, 4}, 2) == (set(done), len(debounced(events)))
    found = made.fresh()
    assert (3, True) == (found and found.done, found and found.finished)


def test_a_sync_batch_and_a_sync_chain(app: App) -> None:
    batch([Import(), Other("one")]).then(Other("then")).on_connection("sync").dispatch()
    chain(Import(), Import(), Other("end")).on_connection("sync").dispatch()
    assert (["a.csv", "one", "then", "a.csv", "a.csv", "end"], {}) == (done, locks(app))
    done.clear()
    Import().dispatch()
    batch([Import(), Other("one")]).then(Other("then")).on_connection("sync").dispatch()
    chain(Other("begin"), Import(), Other("end")).on_connection("sync").dispatch()

    assert ["one", "then", "begin", "end"] == done
