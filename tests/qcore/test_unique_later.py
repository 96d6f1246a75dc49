"""Unique jobs that are lost, retried, begun early, or written by somebody else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from qcore.delivery import current_delivery
from qcore.driver import Payload
from qcore.events import (
    JobProcessed,
    JobProcessing,
    JobSkipped,
)
from qcore.failed_jobs import Retried
from tests.qcore.unique_jobs import Early, Import, Other, done, during, fail, locks, names, skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore import Job
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

    def look(job: Job, call_next: Callable[[Job], object]) -> object:
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
    app.middleware.append(lambda *_: current_delivery().release(10))
    job_id = Early().dispatch()
    work()
    assert {EARLY: job_id} == locks(app)
    app.middleware[:] = [lambda *_: None]
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
        {"key": "\ud800", "ttl": 5},
        {"key": "\ud800", "ttl": 5, "rule": "share"},
        {"key": "x\0", "ttl": 5},
        {"key": ["x"], "ttl": 5},
        {"key": "x", "ttl": True},
        {"key": "x", "ttl": 5, "untilProcessing": "no"},
        None,
        {"key": "x", "ttl": "5"},
        {"key": "x", "ttl": -1},
        {"key": "x", "ttl": 5, "rule": "refuse"},
        {"key": "x", "ttl": 5, "rule": {}},
        {"key": "x", "ttl": 5, "rule": "replace", "maxWait": "5"},
    ],
)
def test_a_job_whose_lock_cannot_be_read_fails_rather_than_run_without_it(app: App, work: Work, field: object) -> None:
    """Anybody may have written it."""
    Other().dispatch()
    body = json.loads(app.connection().listed()[0].payload.body) | {"id": "raw", "uuid": "raw", "unique": field}
    app.connection().push_raw(Payload("raw", json.dumps(body).encode()))

    assert (2, 1) == work()[1:]
    assert ["other"] == done
    [record] = app.failed.list()
    assert "the payload's unique" in record.exception


def test_each_delivery_has_one_ending(app: App, work: Work, events: list[Event]) -> None:
    Import().dispatch()
    work()

    assert ["JobProcessing", "JobProcessed"] == names(events, JobProcessing, JobProcessed, JobSkipped)
