"""What can be done about a batch while it runs and afterwards: find, add, cancel, retry, delete, prune."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, ConfigError, PayloadError, QcoreError, batch, current_delivery, find_batch, job
from qcore.drivers.null import NullDriver
from qcore.events import BatchCancelled, BatchDispatched, BatchFinished, Event
from tests.qcore.batching import Step, acts, all_callbacks, batch_of, bodies, counts, forget, fresh, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from qcore import Stopped
    from qtest.clock import FrozenClock

HOUR = 3600


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


@job
def look() -> None:
    found = current_delivery().batch()
    log.append(None if found is None else found.name)


def story(events: Iterable[Event]) -> list[tuple[str, int, str]]:
    """What was told of batches: the event, how many members were pending by then, and who cancelled."""
    return [
        (type(event).__name__, event.record.pending, event.record.cancelled_by)
        for event in events
        if isinstance(event, BatchDispatched | BatchFinished | BatchCancelled)
    ]


# From inside.


def test_a_member_knows_its_batch(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-31."""
    acts["a"] = acts["b"] = lambda step: log.append((batch_of(step).name, batch_of(step).pending, step.batching()))
    batch([steps("ab"), look.job()], name="x").dispatch()

    work()
    assert log == ["a", ("x", 3, True), "x", "b", ("x", 1, True)]


def test_a_job_without_a_batch_has_none(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-31."""
    acts["a"] = lambda step: log.append((step.batch(), step.batching()))
    Step("a").dispatch()
    look.dispatch()

    work()
    assert log == ["a", (None, False), None]
    assert (Step("b").batch(), Step("b").batching()) == (None, False)


def test_batching_ends_with_the_cancellation(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-31, BAT-30: members that wait run all the same."""
    acts["a"] = acts["b"] = lambda step: log.append((step.batching(), batch_of(step).cancelled))
    batch(steps("ab")).dispatch().cancel()

    work()
    assert log == ["a", (False, True), "b", (False, True)]


def test_a_member_adds_members_which_are_counted_before_it_ends(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-32."""

    def add(step: Step) -> None:
        grown = batch_of(step).add([Step("b"), steps("cd")])
        log.append((grown.total, grown.pending, grown.finished))

    acts["a"] = add
    started = all_callbacks(batch(steps("a")).on_queue("low")).dispatch()

    work(queues=("low",))
    assert log == ["a", (4, 4, False), "b", "c", "d", "then 4/4", "finally 4/4"]
    assert counts(started) == (4, 0, 4, 0, 0)


def test_members_are_added_to_its_connection_and_queue(app: App) -> None:
    """BAT-32."""
    started = batch(steps("a")).on_queue("low").dispatch()

    started.add(Step("b").with_options(queue="high", connection="sync"))
    assert ([body["batchId"] for body in bodies(app, "low")], started.total) == ([started.id] * 2, 2)
    assert log == []


def test_a_wrong_member_adds_nothing(app: App) -> None:
    started = batch(steps("a")).dispatch()

    with pytest.raises(ConfigError, match="got 'text'"):
        started.add([Step("b"), "text"])
    with pytest.raises(PayloadError):
        started.add([Step("b"), Step(object())])  # type: ignore[arg-type]
    assert (counts(started)[0], len(bodies(app))) == (1, 1)


def test_adding_to_a_finished_batch_opens_it_again(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-32, BAT-20: what was called is not called again."""
    started = all_callbacks(batch(steps("a"))).dispatch()
    work()
    forget()

    assert not fresh(started).add(Step("b")).finished
    work()
    assert (log, fresh(started).state) == (["b"], "finished")


def test_a_batch_that_is_gone_takes_no_members(app: App) -> None:
    started = batch(steps("a")).dispatch()
    started.delete()

    with pytest.raises(QcoreError, match="was deleted or pruned"):
        started.add(Step("b"))
    assert len(bodies(app)) == 1


# Cancel, delete, find.


def test_a_cancelled_batch_calls_finally_and_not_then(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-30: ``then`` comes only if it was not cancelled."""
    started = all_callbacks(batch(steps("ab"))).dispatch()

    assert (started.cancel(), started.cancelled, started.cancel()) == (True, True, False)
    work()
    assert log == ["a", "b", "finally 2/2"]
    assert (fresh(started).state, fresh(started).finished) == ("cancelled", True)


def test_a_finished_batch_cannot_be_cancelled(app: App, work: Callable[..., Stopped]) -> None:
    started = batch(steps("a")).dispatch()
    work()

    assert not started.cancel()
    assert (started.state, started.cancelled) == ("finished", False)


def test_a_batch_is_found_until_it_is_deleted(app: App) -> None:
    """BAT-33."""
    started = batch(steps("a"), name="x").dispatch()

    found = find_batch(started.id)
    assert found is not None
    assert (found.name, found.total) == ("x", 1)
    assert app.find_batch(started.id, connection=app.config.default) is not None
    assert (found.delete(), found.delete(), found.fresh(), find_batch(started.id)) == (True, False, None, None)


def test_a_batch_is_found_wherever_it_is(app: App, tmp_path: Path) -> None:
    app = App(
        Config(
            default="memory",
            root=tmp_path,
            connections={"b": {"driver": "database", "url": "sqlite:///b.db"}, "c": {"driver": "memory"}},
        )
    )
    with app.activate():
        for name in ("memory", "c", "b", "sync"):
            started = batch(steps("a")).on_connection(name).dispatch()
            found = find_batch(started.id)
            assert found is not None
            assert found.connection == name
            assert find_batch(started.id, connection="memory" if name == "c" else "c") is None
        assert find_batch("nobody") is None
    app.close()


def test_looking_for_a_batch_makes_no_files(tmp_path: Path) -> None:
    app = App(Config(default="memory", root=tmp_path))

    assert app.find_batch("nobody") is None
    assert list(tmp_path.iterdir()) == []


def test_two_connections_to_one_database_share_its_batches(tmp_path: Path) -> None:
    url = {"driver": "database", "url": "sqlite:///a.db"}
    app = App(Config(default="a", root=tmp_path, connections={"a": url, "b": {**url, "queue": "low"}}))
    with app.activate():
        started = batch(steps("a")).on_connection("b").dispatch()

        assert len(bodies(app, "low", "b")) == 1
        assert [each.id for each in app.batches.list()] == [started.id]
    app.close()


# Retry.


def test_the_failed_members_of_a_batch_are_retried(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-35."""
    acts["a"] = acts["c"] = raising()
    started = all_callbacks(batch(steps("abc"))).dispatch()
    other = batch(steps("a")).dispatch()
    work()
    forget()

    failed = fresh(started)
    failed_ids = failed.failed_ids()
    assert len(failed_ids) == failed.failed == 2
    assert failed.has_failures
    assert failed.retry().ids == failed_ids
    assert (failed.cancelled, failed.finished, failed.failed, failed.pending) == (False, False, 0, 2)
    work()
    assert log == ["a", "c", "then 3/3"]
    assert not fresh(started).has_failures
    assert fresh(other).failed == 1


def test_a_retry_of_what_was_forgotten_says_so(app: App, work: Callable[..., Stopped]) -> None:
    acts["a"] = acts["b"] = raising()
    started = batch(steps("ab")).dispatch()
    work()
    first, second = started.failed_ids()
    app.failed.forget(first)

    retried = started.retry()
    assert (retried.ids, retried.missing) == ([second], [first])


def test_a_retry_with_nothing_to_retry_changes_nothing(app: App, work: Callable[..., Stopped]) -> None:
    acts["a"] = raising()
    started = batch(steps("a")).dispatch()
    work()
    app.failed.flush()

    assert started.retry().ids == []
    assert fresh(started).state == "cancelled"


# List, prune.


def test_batches_are_listed_the_newest_first(app: App, clock: FrozenClock) -> None:
    for name in "abc":
        batch(steps("x"), name=name).dispatch()
        clock.advance(1)

    assert [each.name for each in app.batches.list()] == ["c", "b", "a"]
    assert [each.name for each in app.batches.list(limit=1, connection=app.config.default)] == ["c"]
    assert app.batches.list(connection="sync") == []


@pytest.fixture
def aged(app: App, clock: FrozenClock, work: Callable[..., Stopped]) -> Callable[[], list[str]]:
    """A batch of every kind, ten hours old: gives the names of those that are left."""
    for name in ("finished", "failed", "cancelled", "running", "both"):
        if name == "failed":
            acts["x"] = raising()
        started = batch(steps("x"), name=name, allow_failures=True).on_queue(name).dispatch()
        if name in {"cancelled", "both"}:
            started.cancel()
        if name in {"finished", "failed", "both"}:
            work(queues=(name,))
        acts.clear()
    clock.advance(10 * HOUR)
    return lambda: sorted(each.name for each in app.batches.list())


@pytest.mark.parametrize(
    ("ages", "left"),
    [
        ({"hours": 10.01}, ["both", "cancelled", "failed", "finished", "running"]),
        ({"hours": 10}, ["cancelled", "running"]),
        ({"hours": 0, "unfinished": 10}, []),
        ({"hours": 24, "unfinished": 10}, ["both", "failed", "finished"]),
        ({"hours": 24, "cancelled": 10}, ["failed", "finished", "running"]),
        ({"hours": 24, "cancelled": 11, "unfinished": 11}, ["both", "cancelled", "failed", "finished", "running"]),
        ({}, ["both", "cancelled", "failed", "finished", "running"]),
    ],
)
def test_old_batches_are_pruned(app: App, aged: Callable[[], list[str]], ages: dict[str, Any], left: list[str]) -> None:
    """BAT-35."""
    count = app.batches.prune(**ages)

    assert (aged(), count) == (left, 5 - len(left))


@pytest.mark.parametrize("age", [-1, math.inf, math.nan])
def test_an_age_that_is_none_prunes_nothing(app: App, age: float) -> None:
    for name in ("hours", "unfinished", "cancelled"):
        ages: dict[str, Any] = {name: age}
        with pytest.raises(ConfigError, match="is a number of hours, 0 or more"):
            app.batches.prune(**ages)


# Events.


def test_a_batch_that_succeeds_is_dispatched_and_finished(
    app: App, work: Callable[..., Stopped], events: list[Event]
) -> None:
    batch(steps("abc")).dispatch()
    work()

    assert story(events) == [("BatchDispatched", 3, ""), ("BatchFinished", 0, "")]


def test_a_failure_cancels_once(app: App, work: Callable[..., Stopped], events: list[Event]) -> None:
    acts["a"] = acts["b"] = raising()
    batch(steps("abc")).dispatch()
    work()

    assert story(events) == [
        ("BatchDispatched", 3, ""),
        ("BatchCancelled", 2, "failure"),
        ("BatchFinished", 0, "failure"),
    ]


def test_a_cancellation_by_somebody_is_told(app: App, work: Callable[..., Stopped], events: list[Event]) -> None:
    """BAT-30."""
    acts["a"] = raising()
    batch(steps("a")).dispatch().cancel()
    work()

    assert story(events) == [
        ("BatchDispatched", 1, ""),
        ("BatchCancelled", 1, "request"),
        ("BatchFinished", 0, "request"),
    ]


def test_a_retry_is_finished_once_more(app: App, work: Callable[..., Stopped], events: list[Event]) -> None:
    acts["a"] = raising()
    batch(steps("a")).dispatch()
    work()
    acts.clear()
    app.failed.retry_all()
    work()

    assert story(events)[1:] == [
        *[("BatchCancelled", 0, "failure"), ("BatchFinished", 0, "failure")],
        ("BatchFinished", 0, ""),
    ]


def test_a_retry_that_fails_again_is_cancelled_and_finished_once_more(
    app: App, work: Callable[..., Stopped], events: list[Event], clock: FrozenClock
) -> None:
    acts["a"] = raising()
    batch(steps("a")).dispatch()
    work()
    clock.advance(1)
    app.failed.retry_all()
    work()

    assert story(events)[1:] == [
        *[("BatchCancelled", 0, "failure"), ("BatchFinished", 0, "failure")],
        *[("BatchCancelled", 0, "failure"), ("BatchFinished", 0, "failure")],
    ]


def test_a_retry_where_failures_are_allowed_is_finished_once_more(
    app: App, work: Callable[..., Stopped], events: list[Event]
) -> None:
    acts["a"] = raising()
    batch(steps("a"), allow_failures=True).dispatch()
    work()
    app.failed.retry_all()
    work()

    assert story(events)[1:] == [("BatchFinished", 0, "")] * 2


def test_without_a_listener_nobody_looks_at_the_batch(
    app: App, work: Callable[..., Stopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch(steps("a")).dispatch()
    store: Any = app.batches.store()
    monkeypatch.setattr(type(store), "find", lambda *_: pytest.fail("it was looked at"))

    work()
    assert log == ["a"]


def test_a_driver_without_batches_still_fails_and_retries(app: App, work: Callable[..., Stopped]) -> None:
    assert app.connections.batch_store("null") is None
    assert isinstance(app.connection("null").driver, NullDriver)
    acts["a"] = raising()
    Step("a").dispatch()
    work()

    assert len(app.failed.retry_all().ids) == 1


# Members that a job adds in every attempt.


def test_a_job_that_is_tried_again_adds_its_members_once(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    """BAT-32, BAT-18."""

    def add(step: Step) -> None:
        batch_of(step).add([Step("b"), Step("b"), steps("cd")])
        batch_of(step).add(Step("b"))
        if step.attempts() < 2:
            step.release(5)

    acts["a"] = add
    started = all_callbacks(batch([Step("a").with_options(tries=2)])).dispatch()
    for _ in range(2):
        work()
        clock.advance(5)

    assert (log.count("a"), log.count("b"), log.count("c"), log.count("d")) == (2, 3, 1, 1)
    assert (counts(started), log[-2:]) == ((6, 0, 6, 0, 0), ["then 6/6", "finally 6/6"])


def test_a_job_that_adds_others_in_each_attempt_adds_all(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    """BAT-32."""

    def add(step: Step) -> None:
        batch_of(step).add([Step(f"page {step.attempts()}"), steps(str(step.attempts()))])
        if step.attempts() < 2:
            step.release(5)

    acts["a"] = add
    started = batch([Step("a").with_options(tries=2)]).dispatch()
    for _ in range(2):
        work()
        clock.advance(5)
    assert (counts(started), sorted(log)) == ((5, 0, 5, 0, 0), ["1", "2", "a", "a", "page 1", "page 2"])
