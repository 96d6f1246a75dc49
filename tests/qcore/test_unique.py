"""A unique job: dispatched once, until it has ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qcore import DriverError, Job, bulk, dispatch, dispatch_sync
from qcore.delivery import current_delivery
from qcore.driver import Payload
from qcore.events import (
    JobBlocked,
    JobEnded,
    JobFailing,
    JobProcessed,
    JobProcessing,
    JobQueued,
    JobQueueing,
    JobSkipped,
    UniqueJobSkipped,
)
from qcore.failed_jobs import Retried
from tests.qcore.unique_jobs import Early, Import, Other, done, during, fail, greet, locks, names, send, skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.events import Event
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

    Work = Callable[..., Stopped]

KEY = "unique:tests.qcore.unique_jobs:Import,a.csv"
EARLY = "unique:tests.qcore.unique_jobs:Early,a.csv"


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    during.clear()


# Taken when it is dispatched.


def test_a_second_dispatch_is_skipped_as_long_as_the_first_job_waits(app: App, events: list[Event]) -> None:
    """UNQ-04. What it says tells which job holds the lock, and for how long."""
    first = Import().dispatch()
    assert {KEY: first} == locks(app)
    events.clear()

    assert Import().dispatch() is None
    assert 1 == app.connection().size()
    [told] = skipped(events)
    assert ("memory" if app.config.default == "memory" else "database", "default", Import(), KEY, first, 600.0, None) == (
        told.connection,
        told.queue,
        told.job,
        told.key,
        told.owner,
        told.left,
        told.delivery,
    )
    assert ["JobQueueing", "UniqueJobSkipped"] == names(events, JobQueueing, JobQueued, UniqueJobSkipped)


def test_jobs_with_another_id_or_of_another_class_are_not_kept_away(app: App) -> None:
    assert all(each.dispatch() for each in (Import(), Import("b.csv"), Early(), Other(), Other()))
    assert 5 == app.connection().size()


def test_it_can_be_dispatched_again_when_it_has_ended(app: App, work: Work) -> None:
    """UNQ-12: ``unique_for`` is how long a lock lasts at most, not at least."""
    Import().dispatch()
    work()

    assert {} == locks(app)
    assert Import().dispatch() is not None
    work()
    assert ["a.csv", "a.csv"] == done


def test_a_job_that_runs_keeps_its_likes_away(app: App, work: Work) -> None:
    """Also when it dispatches itself."""
    during.append(lambda: done.append(Import().dispatch()))
    Import().dispatch()
    work()

    assert ["a.csv", None] == done
    assert {} == locks(app)


def test_a_function_is_unique_by_its_arguments(app: App, work: Work) -> None:
    assert [True, False, True, True] == [
        bool(each) for each in (send.dispatch(1), send.dispatch(1, language="en"), send.dispatch(2), greet.dispatch(1))
    ]
    assert greet.dispatch(1, text="hello") is None
    work()
    assert [(1, "en"), (2, "en"), (1, "hi")] == done
    assert {} == locks(app)


DOORS: dict[str, Callable[[App, Job], object]] = {
    "dispatch": lambda _, job: job.dispatch(),
    "with options": lambda _, job: job.with_options(tries=5).dispatch(queue="default"),
    "function": lambda _, job: dispatch(job),
    "push": lambda app, job: app.push(job),
    "bulk": lambda _, job: bulk([Other(), job, Other()])[2:],
    "bulk twice": lambda _, job: bulk([job])[1:],
    "sync": lambda _, job: dispatch_sync(job),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_way_to_push_asks_for_the_lock(app: App, work: Work, events: list[Event], door: str) -> None:
    """UNQ-05."""
    first = Import().dispatch()
    events.clear()

    assert not DOORS[door](app, Import())
    assert [first] == [event.owner for event in skipped(events)]
    assert {KEY: first} == locks(app)
    work()
    assert 1 == done.count("a.csv")
    events.clear()
    DOORS[door](app, Import())
    work()
    assert (2, {}, []) == (done.count("a.csv"), locks(app), skipped(events))


def test_of_two_in_one_bulk_the_first_is_pushed(app: App, work: Work) -> None:
    ids = bulk([Import(), Other(), Import(), Import("b.csv")])

    assert 3 == len(ids)
    assert {KEY: ids[0]}.items() <= locks(app).items()
    work()
    assert ["a.csv", "b.csv", "other"] == sorted(map(str, done))


def test_what_is_refused_before_the_push_takes_no_lock(app: App) -> None:
    class Broken(Import, name="test:BrokenUnique"):
        def __init__(self, path: object) -> None:
            self.path = path  # type: ignore[assignment]

        def unique_id(self) -> object:
            return "a"

    with pytest.raises(Exception, match="cannot be stored"):
        Broken(lambda: None).dispatch()
    app.before_push(lambda *_: False)
    assert Import().dispatch() is None
    assert {} == locks(app)


def test_a_push_that_fails_leaves_no_lock(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DriverError("no space left")

    driver = app.connection().driver
    monkeypatch.setattr(driver.home, "push" if app.config.default == "memory" else "connection", refuse)
    with pytest.raises(DriverError):
        Import().dispatch()
    monkeypatch.undo()

    assert Import().dispatch() is not None


# Freed when it has ended, by its owner.


def test_the_lock_is_kept_over_retries_and_freed_by_success(app: App, work: Work, clock: FrozenClock) -> None:
    """UNQ-07."""
    job_id = Import().with_options(tries=3, backoff=10).dispatch()
    during.extend([fail, fail])
    for _ in range(2):
        work()
        assert {KEY: job_id} == locks(app)
        assert Import().dispatch() is None
        clock.advance(10)
    work()

    assert (3, {}) == (len(done), locks(app))


def test_the_lock_is_kept_over_a_release_by_the_job(app: App, work: Work, clock: FrozenClock) -> None:
    """UNQ-07."""
    during.append(lambda: current_delivery().release(10))
    job_id = Import().with_options(tries=2).dispatch()
    work()
    assert {KEY: job_id} == locks(app)
    clock.advance(10)
    work()
    assert {} == locks(app)


ENDS: dict[str, Callable[[], object]] = {
    "success": lambda: None,
    "an exception": fail,
    "fail()": lambda: current_delivery().fail("no"),
    "delete()": lambda: current_delivery().delete(),
    "delete() and an exception": lambda: (current_delivery().delete(), fail()),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_lock_is_freed_when_the_job_ends(app: App, work: Work, how: str) -> None:
    """UNQ-07."""
    during.append(ENDS[how])
    Import().dispatch()
    work()

    assert {} == locks(app)
    assert Import().dispatch() is not None


def test_the_lock_is_freed_when_a_listener_or_a_middleware_skips_the_job(app: App, work: Work) -> None:
    """UNQ-07."""
    Import().dispatch()
    end = app.listen(JobProcessing, lambda event: event.delivery.delete())
    work()
    end()
    assert ({}, []) == (locks(app), done)

    Import().dispatch()
    app.middleware.append(lambda job, call_next: None)
    work()
    assert ({}, []) == (locks(app), done)


def test_the_lock_is_kept_when_a_middleware_gives_the_job_back(app: App, work: Work, events: list[Event]) -> None:
    """UNQ-07."""
    app.middleware.append(lambda job, call_next: current_delivery().block("test", 10))
    job_id = Import().dispatch()
    work()

    assert ["JobBlocked"] == names(events, JobBlocked)
    assert {KEY: job_id} == locks(app)
    assert Import().dispatch() is None


def test_the_lock_is_kept_when_a_listener_keeps_the_job_from_failing(app: App, work: Work) -> None:
    app.listen(JobFailing, lambda _: False)
    during.append(fail)
    job_id = Import().dispatch()
    work()

    assert {KEY: job_id} == locks(app)


def test_the_lock_is_freed_when_the_worker_finds_that_the_tries_are_over(
    app: App, work: Work, clock: FrozenClock
) -> None:
    Import().dispatch()
    driver = app.connection().driver
    driver.reserve(["default"])  # by a worker that died
    clock.advance(driver.retry_after)
    work()

    assert ([], {}, 1) == (done, locks(app), len(app.failed.list()))


def test_the_lock_is_freed_when_the_job_cannot_be_restored(
    app: App, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNQ-10: what is needed for it stands in the payload, not in the class."""
    Import().dispatch()
    monkeypatch.setattr("qcore.registry._classes", {})
    work()

    assert ({}, 1) == (locks(app), len(app.failed.list()))


def test_a_job_that_cannot_be_restored_frees_no_lock_of_another_one(
    app: App, work: Work, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UNQ-10."""
    Import().dispatch()
    clock.advance(600)
    other = Import().dispatch(delay=60)
    monkeypatch.setattr("qcore.registry._classes", {})
    work()

    assert ({KEY: other}, 1) == (locks(app), len(app.failed.list()))


def test_the_lock_is_freed_before_what_the_job_leads_to_is_told(app: App, work: Work) -> None:
    seen: list[object] = []
    app.listen(JobEnded, lambda _: seen.append(locks(app)))
    Import().dispatch()
    work()

    assert [{}] == seen


# Time.


def test_the_lock_lasts_from_when_the_job_is_due(app: App, clock: FrozenClock) -> None:
    """UNQ-02: the delay and ``unique_for``."""
    Import().dispatch(delay=100)
    clock.advance(699)
    assert Import().dispatch() is None
    clock.advance(1)
    assert Import().dispatch() is not None


def test_a_job_whose_lock_is_over_runs_and_leaves_the_next_ones_lock(
    app: App, work: Work, clock: FrozenClock, events: list[Event]
) -> None:
    """UNQ-09: a lock is freed by its owner only."""
    Import().dispatch(queue="low")
    clock.advance(600)
    second = Import().dispatch(delay=60)
    assert second is not None
    work(queues=("low",))

    assert (["a.csv"], {KEY: second}, []) == (done, locks(app), skipped(events))
    assert Import().dispatch() is None
    clock.advance(60)
    work()
    assert (["a.csv"] * 2, {}) == (done, locks(app))


@pytest.mark.parametrize("left", [600.0, 0.001])
def test_an_event_says_for_how_long_the_lock_lasts(
    app: App, clock: FrozenClock, events: list[Event], left: float
) -> None:
    Import().dispatch()
    clock.advance(600 - left)
    Import().dispatch()

    [told] = skipped(events)
    assert left == pytest.approx(told.left, abs=0.0005)


# A job that is gone.


def test_a_lock_whose_job_was_cleared_away_is_free(app: App) -> None:
    """UNQ-11: nobody freed it, but its owner is not live."""
    first = Import().dispatch()
    app.connection().clear()
    assert {KEY: first} == locks(app)

    second = Import().dispatch()
    assert {KEY: second} == locks(app)


def test_a_job_that_comes_back_after_its_worker_died_still_has_its_lock(
    app: App, work: Work, clock: FrozenClock
) -> None:
    """UNQ-11: it is held until a later attempt has ended, and no longer."""
    job_id = Import().with_options(tries=2).dispatch()
    driver = app.connection().driver
    driver.reserve(["default"])
    assert Import().dispatch() is None
    clock.advance(driver.retry_after)
    assert ({KEY: job_id}, None) == (locks(app), Import().dispatch())
    work()

    assert (["a.csv"], {}) == (done, locks(app))


# Retries.


def test_a_retried_job_takes_its_lock_again(app: App, work: Work) -> None:
    during.append(fail)
    job_id = str(Import().dispatch())
    work()
    assert {} == locks(app)
    assert Retried([job_id], []) == app.failed.retry([job_id])

    assert {KEY: job_id} == locks(app)
    assert Import().dispatch() is None
    work()
    assert (["a.csv", "a.csv"], {}) == (done, locks(app))


def test_a_retry_is_skipped_while_another_job_holds_the_lock(app: App, work: Work, events: list[Event]) -> None:
    """The job stays failed, and can be retried when the other one has ended."""
    during.append(fail)
    job_id = str(Import().dispatch())
    work()
    other = Import().dispatch()
    events.clear()

    assert Retried([], ["missing"], (job_id,)) == app.failed.retry([job_id, "missing"])
    [told] = skipped(events)
    assert (job_id, other, KEY) == (told.job_id, told.owner, told.key)
    assert [job_id] == [record.id for record in app.failed.list()]
    work()
    assert Retried([job_id], []) == app.failed.retry([job_id]), "at once: the claim was given back"
    work()
    assert (3, {}, []) == (len(done), locks(app), app.failed.list())


def test_a_retry_follows_todays_class(app: App, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    during.extend([fail, fail])
    was_unique, was_plain = str(Import().dispatch()), str(Other().dispatch())
    work()
    unique, plain = Import.__job__, Other.__job__
    monkeypatch.setattr(Import, "__job__", unique._replace(unique=None))
    monkeypatch.setattr(Other, "__job__", plain._replace(unique=unique.unique))
    monkeypatch.setattr("qcore.job_plan._plans", {})
    app.failed.retry([was_unique, was_plain])

    assert {"unique:tests.qcore.unique_jobs:Other,": was_plain} == locks(app)
    work()
    assert {} == locks(app)


# Until it begins.


def test_until_processing_the_lock_is_free_when_the_handler_begins(app: App, work: Work) -> None:
    """UNQ-08."""
    during.append(lambda: done.append(Early().dispatch() is not None))
    first = Early().dispatch()
    assert {EARLY: first} == locks(app)
    assert Early().dispatch() is None
    work()

    assert ["a.csv", True, "a.csv"] == done
    assert {} == locks(app)


def test_until_processing_the_lock_is_held_in_middleware(app: App, work: Work) -> None:
    """UNQ-08: it is freed after the middleware."""

    def look(job: Any, call_next: Callable[[Any], object]) -> object:
        done.append(len(locks(app)))
        return call_next(job)

    app.middleware.append(look)
    during.append(lambda: done.append(len(locks(app))))
    Early().dispatch()
    work()

    assert [1, "a.csv", 0] == done


def test_until_processing_a_skip_frees_the_lock_and_a_release_keeps_it(
    app: App, work: Work, clock: FrozenClock
) -> None:
    """UNQ-08."""
    app.middleware.append(lambda job, call_next: current_delivery().release(10))
    job_id = Early().dispatch()
    work()
    assert {EARLY: job_id} == locks(app)
    app.middleware[:] = [lambda job, call_next: None]
    clock.advance(10)
    work()

    assert ([], {}) == (done, locks(app))


def test_until_processing_a_later_attempt_frees_no_lock_of_a_later_dispatch(
    app: App, work: Work, clock: FrozenClock
) -> None:
    """UNQ-09."""
    during.append(fail)
    Early().with_options(tries=2, backoff=10).dispatch()
    work()
    assert {} == locks(app)
    second = Early().dispatch(delay=60)
    clock.advance(10)
    work()

    assert (["a.csv", "a.csv"], {EARLY: second}) == (done, locks(app))


def test_until_processing_a_later_attempt_frees_the_lock_that_the_first_one_did_not(
    app: App, work: Work, clock: FrozenClock
) -> None:
    """UNQ-09: its worker died in a middleware."""
    job_id = Early().with_options(tries=2).dispatch()
    driver = app.connection().driver
    driver.reserve(["default"])
    clock.advance(driver.retry_after)
    assert {EARLY: job_id} == locks(app)
    during.append(lambda: done.append(len(locks(app))))
    work()

    assert ["a.csv", 0] == done


# Payloads as they are.


def test_a_raw_payload_is_pushed_whoever_holds_its_lock(app: App, work: Work) -> None:
    Import().dispatch()
    body = json.loads(app.connection().listed()[0].payload.body)
    for number in range(2):
        body["id"] = body["uuid"] = f"raw-{number}"
        app.connection().push_raw(Payload(body["id"], json.dumps(body).encode()))
    work()

    assert (3, {}) == (len(done), locks(app))


@pytest.mark.parametrize(
    "field",
    [
        5,
        "x",
        [],
        {},
        {"key": 5, "ttl": 5},
        {"key": "", "ttl": 5},
        {"key": "x" * 256, "ttl": 5},
        {"key": "x", "ttl": "5"},
        {"key": "x", "ttl": -1},
        {"key": "x", "ttl": 5, "rule": "refuse"},
        {"key": "x", "ttl": 5, "rule": {}},
        {"key": "x", "ttl": 5, "rule": "replace", "maxWait": "5"},
    ],
)
def test_a_field_that_makes_no_sense_stops_nothing(app: App, work: Work, field: object) -> None:
    """Anybody may have written it."""
    Other().dispatch()
    body = json.loads(app.connection().listed()[0].payload.body) | {"id": "raw", "uuid": "raw", "unique": field}
    app.connection().push_raw(Payload("raw", json.dumps(body).encode()))

    assert (2, 0) == work()[1:]
    assert ["other", "other"] == done


def test_each_delivery_has_one_ending(app: App, work: Work, events: list[Event]) -> None:
    Import().dispatch()
    work()

    assert ["JobProcessing", "JobProcessed"] == names(events, JobProcessing, JobProcessed, JobSkipped)
