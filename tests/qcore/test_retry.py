"""A failed job that is retried is as new: its id stays, its options are those of today."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, UnknownConnectionError, WorkerOptions, job_plan, registry
from qcore.events import Event, JobQueued, JobRetryRequested
from qcore.failed_jobs import Retried
from qcore.options import JobOptions
from tests.qcore.failing import Import, body_of, broken, ran

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock


def test_a_retried_job_is_as_new_and_keeps_its_id(
    app: App, fail: Callable[..., str], work: Callable[..., Stopped]
) -> None:
    """G-34, FLD-02. It runs with attempt 1, and its delay is not applied again."""
    job_id = fail(queue="mail")
    retried = app.failed.retry([job_id])

    assert Retried([job_id], []) == retried
    assert ([], 1) == (app.failed.list(), app.connection().size("mail"))
    assert (job_id, job_id) == (body_of(app, "mail")["uuid"], body_of(app, "mail")["id"])
    broken["yes"] = False
    assert (1, 0) == work(queues=("mail",))[1:]
    assert [("a.csv", 1), ("a.csv", 1)] == ran
    assert [] == app.failed.list()


def test_a_retry_is_told(app: App, fail: Callable[..., str], events: list[Event]) -> None:
    job_id = fail()
    [record] = app.failed.list()
    events.clear()
    app.failed.retry([job_id])

    assert [JobRetryRequested(record)] == events[:1]
    assert JobQueued in [type(event) for event in events]


def test_what_is_missing_is_said_and_what_is_said_twice_is_done_once(app: App, fail: Callable[..., str]) -> None:
    job_id = fail()

    assert Retried([job_id], ["missing"]) == app.failed.retry([job_id, "missing", job_id, "missing"])
    assert Retried([], [job_id]) == app.failed.retry([job_id])
    assert 1 == app.connection().size()


def test_all_can_be_retried_in_the_order_in_which_they_failed(app: App, fail: Callable[..., str]) -> None:
    ids = [fail(name) for name in "abc"]

    assert ids == app.failed.retry_all().ids
    assert ids == [each.payload.id for each in app.connection().listed()]
    assert Retried([], []) == app.failed.retry_all()


def test_those_of_a_queue_can_be_retried(app: App, fail: Callable[..., str]) -> None:
    kept, wanted = fail(), fail(queue="mail")

    assert [wanted] == app.failed.retry_all(queue="mail").ids
    assert [kept] == [record.id for record in app.failed.list()]


def test_a_range_is_told_by_numbers_both_ends_included(app: App, fail: Callable[..., str]) -> None:
    ids = [fail(name) for name in "abcd"]
    first = app.failed.list()[-1].number

    assert ids[1:3] == app.failed.numbered(first + 1, first + 2)
    assert ids == app.failed.numbered(0, 10_000)
    assert [] == app.failed.numbered(first + 2, first + 1)
    assert ids[1:3] == app.failed.retry(app.failed.numbered(first + 1, first + 2)).ids


def test_options_come_from_the_class_of_today(app: App, fail: Callable[..., str]) -> None:
    class Changing(Import, tries=1, timeout=5): ...

    job_id = fail(job=Changing("a"), tries=1, max_exceptions=1)
    Changing.__job__ = Changing.__job__._replace(options=JobOptions(tries=7, backoff=(1, 2)))
    app.failed.retry([job_id])

    body = body_of(app)
    assert (7, [1, 2], None, None) == (body["maxTries"], body["backoff"], body["timeout"], body["maxExceptions"])
    assert {"path": "a"} == body["data"]["command"]


def test_the_time_until_which_it_may_run_is_asked_again(app: App, fail: Callable[..., str], clock: FrozenClock) -> None:
    """G-34."""

    class Until(Import):
        def retry_until(self) -> datetime:
            return datetime.fromtimestamp(clock.now() + 60, UTC)

    job_id = Until("a").dispatch()
    clock.advance(61)
    app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()
    app.failed.retry([str(job_id)])

    assert clock.now() + 60 == body_of(app)["retryUntil"]
    broken["yes"] = False
    app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()
    assert [("a", 1)] == ran


def test_exceptions_are_counted_anew_after_a_retry(app: App, work: Callable[..., Stopped]) -> None:
    class Limited(Import, tries=9, max_exceptions=2): ...

    job_id = Limited("a").dispatch()
    work()
    assert 2 == len(ran)
    app.failed.retry([str(job_id)])
    work()

    assert [1, 2, 1, 2] == [attempt for _, attempt in ran]


def test_what_cannot_be_written_anew_is_pushed_as_it_was(
    app: App, fail: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = fail()
    [record] = app.failed.list()
    monkeypatch.setattr(Import, "display_name", lambda _: "", raising=False)
    monkeypatch.setattr(job_plan, "_plans", {})
    app.failed.retry([job_id])

    assert [record.payload] == [each.payload for each in app.connection().listed()]


def test_a_job_whose_class_is_gone_is_pushed_as_it_was(
    app: App, fail: Callable[..., str], work: Callable[..., Stopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker with newer code may know it."""
    job_id = fail()
    [record] = app.failed.list()
    with monkeypatch.context() as patched:
        patched.setattr(registry, "_classes", {})
        assert "Import" == app.failed.display_name(record)
        app.failed.retry([job_id])

    assert [record.payload] == [each.payload for each in app.connection().listed()]


def test_a_job_without_a_connection_to_go_to_stays_failed(tmp_path: Path, clock: FrozenClock) -> None:
    """FLD-03."""
    both = {"old": {"driver": "database", "url": "sqlite:///old.sqlite3"}}
    app = App(Config(root=tmp_path, connections=both), clock=clock)
    with app.activate():
        Import("a").dispatch(connection="old")
        app.worker("old", WorkerOptions(stop_when_empty=True, memory=0)).run()
    app.close()

    later = App(Config(root=tmp_path), clock=clock)
    told: list[Event] = []
    later.listen(Event, told.append)
    [record] = later.failed.list()
    with pytest.raises(UnknownConnectionError, match=r"there is no connection 'old'.*there are database, memory"):
        later.failed.retry([record.id])

    assert ([record], []) == (later.failed.list(), told)
    later.close()


def test_one_job_that_cannot_be_retried_does_not_keep_the_others_back(app: App, fail: Callable[..., str]) -> None:
    orphan, other = fail("a"), fail("b")
    [_, record] = app.failed.list()
    app.connections.failed_store.add(record._replace(connection="gone"))

    with pytest.raises(UnknownConnectionError, match="'gone'"):
        app.failed.retry([orphan, other])
    assert [orphan] == [record.id for record in app.failed.list()]
    assert [other] == [each.payload.id for each in app.connection().listed()]


def test_a_job_that_fails_again_at_once_is_failed_again(app: App, fail: Callable[..., str]) -> None:
    """A worker may be faster than the retry."""
    job_id = fail()
    worker = app.worker(options=WorkerOptions(memory=0))
    app.listen(JobQueued, lambda _: worker.run_next_job())
    app.failed.retry([job_id])

    assert ([job_id], 0) == ([record.id for record in app.failed.list()], app.connection().size())


def test_a_push_that_fails_leaves_the_job_failed(
    app: App, fail: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FLD-03."""
    job_id = fail()
    monkeypatch.setattr(app.connection(), "push_again", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        app.failed.retry([job_id])
    assert [job_id] == [record.id for record in app.failed.list()]


def test_a_job_that_fails_twice_has_one_record(
    app: App, fail: Callable[..., str], work: Callable[..., Stopped]
) -> None:
    job_id, other = fail("a"), fail("b")
    app.failed.retry([job_id])
    work()
    again = app.failed.list()[0]
    app.connection().push_raw(again.payload)  # by hand, its record still there
    work()

    assert [job_id, other] == [record.id for record in app.failed.list()]
    assert app.failed.list()[0].number > again.number


def test_two_who_retry_the_same_failure_push_it_once(
    app: App, fail: Callable[..., str], work: Callable[..., Any]
) -> None:
    """The second one read the record before the first one had pushed it, and comes when a worker has run it."""
    job_id = fail()
    broken["yes"] = False
    others: list[Retried] = []

    def other(_: JobRetryRequested) -> None:
        if not others:
            others.append(Retried([], []))
            others[0] = app.failed.retry([job_id])
            work()  # and a worker has run what it pushed before the first one goes on

    app.listen(JobRetryRequested, other)
    app.failed.retry([job_id])
    work()

    assert [("a.csv", 1), ("a.csv", 1)] == ran, "once when it failed, once after the retry"
    assert [] == app.failed.list()


def test_a_retry_that_could_not_be_pushed_can_be_repeated_at_once(app: App, fail: Callable[..., str]) -> None:
    job_id = fail()

    def refuse(_: Event) -> None:
        raise KeyboardInterrupt

    end = app.listen(JobRetryRequested, refuse)
    with pytest.raises(KeyboardInterrupt):
        app.failed.retry([job_id])
    end()

    assert [job_id] == app.failed.retry([job_id]).ids
    assert 1 == app.connection().size()
