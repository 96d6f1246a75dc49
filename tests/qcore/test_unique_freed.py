"""The lock of a unique job is freed when the job has ended, by its owner, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.delivery import current_delivery
from qcore.events import (
    JobBlocked,
    JobEnded,
    JobFailing,
    JobProcessing,
)
from tests.qcore.unique_jobs import Import, done, during, fail, locks, names, skipped

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


def delete_and_fail() -> None:
    current_delivery().delete()
    fail()


ENDS: dict[str, Callable[[], object]] = {
    "success": lambda: None,
    "an exception": fail,
    "fail()": lambda: current_delivery().fail("no"),
    "delete()": lambda: current_delivery().delete(),
    "delete() and an exception": delete_and_fail,
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
    app.middleware.append(lambda *_: None)
    work()
    assert ({}, []) == (locks(app), done)


def test_the_lock_is_kept_when_a_middleware_gives_the_job_back(app: App, work: Work, events: list[Event]) -> None:
    """UNQ-07."""
    app.middleware.append(lambda *_: current_delivery().block("test", 10))
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
