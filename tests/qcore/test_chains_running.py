"""What the end of a link means for its chain, and who hears of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qcore import Job, StoredError, chain, job, registry
from qcore.events import Event, JobEnded
from tests.qcore.chaining import Step, acts, alert, bodies, forget, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore import App, Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


def skip(_job: Job, _call_next: Callable[[Job], object]) -> None:
    """Neither call on nor release."""


class Skipped(Step):
    def middleware(self) -> Sequence[Callable[..., object]]:
        return (skip,)


@job
def count(error: StoredError) -> None:
    log.append((error.type_name, error.text, "ValueError: bad" in error.traceback))


@job
def bare() -> None:
    log.append("bare")


@job
def broken(error: BaseException) -> None:
    raise RuntimeError(str(error))


def test_a_link_that_deletes_itself_has_succeeded(work: Callable[..., Stopped]) -> None:
    """CHN-04."""
    acts["a"] = lambda step: step.delete()
    chain(steps("ab")).dispatch()
    work()

    assert ["a", "b"] == log


def test_a_link_that_is_released_postpones_its_chain(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    """CHN-04."""
    acts["a"] = lambda step: step.release(60) if step.attempts() == 1 else None
    chain(steps("ab")).catch(alert).dispatch()
    [before] = bodies(app)
    work(tries=2)

    assert (["a"], [before]) == (log, bodies(app))
    clock.advance(60)
    work(tries=2)
    assert ["a", "a", "b"] == log


def test_a_link_that_is_tried_again_postpones_its_chain_and_calls_nobody(work: Callable[..., Stopped]) -> None:
    """CHN-04, CHN-07."""
    acts["a"] = lambda step: raising()(step) if step.attempts() < 3 else None
    chain(steps("ab")).catch(alert).dispatch()
    work(tries=3)

    assert ["a", "a", "a", "b"] == log


@pytest.mark.parametrize("ending", [raising(), lambda step: step.fail("bad")])
def test_a_link_that_fails_ends_its_chain(
    app: App, work: Callable[..., Stopped], ending: Callable[[Step], object]
) -> None:
    """CHN-04."""
    acts["b"] = ending
    chain(steps("abc")).dispatch()
    work()

    assert ["a", "b", "failed b: bad"] == log
    assert [] == app.connection().counts()


def test_a_link_that_a_middleware_skips_has_succeeded(work: Callable[..., Stopped], events: list[Event]) -> None:
    """CHN-04."""
    chain(Step("a"), Skipped("b"), Step("c")).catch(alert).dispatch()
    work()

    assert ["a", "c"] == log
    assert ["JobProcessed", "JobSkipped", "JobProcessed"] == [
        type(event).__name__ for event in events if isinstance(event, JobEnded)
    ]


def test_callbacks_hear_once_of_a_link_that_failed_for_good_and_of_the_failed_job(work: Callable[..., Stopped]) -> None:
    """CHN-07. All of them, in their order, each with as much as it asks for; after `failed()` of the job."""
    acts["b"] = raising()
    chain(steps("abc")).catch(count).catch(alert).catch(bare).catch(Step("job")).dispatch()
    work(tries=2)

    assert ["a", "b", "b", "failed b: bad"] == log[:4]
    assert [("ValueError", "bad", True), ("alert", "bad", Step("b")), "bare", "job"] == log[4:]


def test_callbacks_follow_the_chain_to_its_last_link(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-07."""
    acts["c"] = raising()
    chain(steps("abc")).catch(alert).on_queue("q").dispatch()
    work(queues=("q",), max_jobs=3)

    [callback] = bodies(app, "q")
    assert ("alert", "catch") == (callback["displayName"], callback["callback"]["event"])
    # Nothing of the chain, which may be long, goes with the failed job.
    assert "chain" not in json.loads(callback["callback"]["failure"]["body"])
    work(queues=("q",))
    assert ("alert", "bad", Step("c")) == log[-1]


def test_a_callback_that_raises_hurts_nobody_but_itself(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-08: `failed()` of the link was called, the other callbacks are, and the callback is a failed job itself."""
    acts["a"] = raising()
    chain(steps("ab")).catch(broken).catch(alert).dispatch()
    work()

    assert ["a", "failed a: bad", ("alert", "bad", Step("a"))] == log
    assert ["broken", "Step"] == [app.failed.display_name(record) for record in app.failed.list()]


def test_a_callback_that_failed_can_be_retried_and_still_hears_of_the_failure(
    app: App, work: Callable[..., Stopped]
) -> None:
    acts["a"] = raising()
    chain(steps("a")).catch(broken).dispatch()
    work()
    [record, _] = app.failed.list()
    app.failed.retry([record.id])
    work()

    assert "RuntimeError: bad" in app.failed.list()[0].exception


def test_a_link_that_cannot_be_read_ends_its_chain_loudly(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-19. Nothing is lost silently: callbacks hear of it, and the failed job keeps the rest of the chain."""

    class Gone(Job, name="gone"):
        def handle(self) -> None:
            """Never run."""

    chain(Step("a"), Gone(), Step("c")).catch(alert).dispatch()
    known, registry._classes["gone"] = registry._classes.pop("gone"), Step
    del registry._classes["gone"]
    work()

    assert "a" == log[0]
    assert ("alert", None) == (log[1][0], log[1][2])
    assert "no job named 'gone'" in log[1][1]
    registry._classes["gone"] = known
    [record] = app.failed.list()
    app.failed.retry([record.id])
    work()
    assert "c" == log[-1]


def test_a_retried_link_resumes_its_chain(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-18."""
    acts["b"] = raising()
    chain(steps("abcd")).catch(count).dispatch()
    work()
    work()
    acts.clear()
    [record] = app.failed.list()
    app.failed.retry([record.id])
    work()

    assert ["a", "b", "failed b: bad", ("ValueError", "bad", True), "b", "c", "d"] == log


def test_a_retried_link_that_fails_again_calls_back_again(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-07. Once for each failure, also when nobody has run the callback of the first one yet."""
    acts["a"] = raising()
    chain(steps("ab")).catch(Step("called").with_options(queue="slow")).dispatch()
    work()
    [record] = app.failed.list()
    app.failed.retry([record.id])
    work()
    work(queues=("slow",))

    assert [*["a", "failed a: bad"] * 2, "called", "called"] == log


def test_a_chain_that_cannot_go_on_is_found_before_its_job_runs(app: App, work: Callable[..., Stopped]) -> None:
    """The payload goes to the failed store as it is, and no worker stumbles over it."""
    chain(steps("ab")).dispatch()
    [head] = app.connection().listed("default")
    broken: dict[str, Any] = json.loads(head.payload.body)
    broken["chain"]["links"] = "no link"
    payload = head.payload._replace(id="other", body=json.dumps(broken).encode())
    app.connection().clear()
    app.connection().push_raw(payload)
    work()

    assert [] == log
    [record] = app.failed.list()
    assert payload == record.payload
    assert "the payload's chain: a link is a payload" in record.exception


def test_a_link_whose_connection_is_configured_no_more_is_not_lost(
    app: App, work: Callable[..., Stopped], caplog: pytest.LogCaptureFixture
) -> None:
    chain(steps("ab")).dispatch()
    [head] = app.connection().listed("default")
    body = head.payload.body.replace(f"'connection':'{app.config.default}'".encode(), b"'connection':'removed'")
    app.connection().clear()
    app.connection().push_raw(head.payload._replace(id="other", body=body))
    work()

    assert ["a", "b"] == log
    assert "is pushed to the connection" in caplog.text
    assert "'removed'" in caplog.text
