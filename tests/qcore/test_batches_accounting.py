"""What ended members make of their batch, and which callbacks are called, how often, and with what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Batch, Config, Job, StoredError, WorkerOptions, batch, chain, current_delivery, find_batch, job
from tests.qcore.batching import (
    Step,
    acts,
    all_callbacks,
    bodies,
    counts,
    failure,
    forget,
    fresh,
    log,
    progress,
    raising,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore import Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


class Tried(Step, tries=2):
    pass


@job
def add_again(batch: Batch) -> None:
    log.append(f"then {batch.done}/{batch.total}")
    batch.add(Step("more"))


@job
def broken(batch: Batch) -> None:
    log.append("broken")
    raise RuntimeError("a callback is broken")


@job
def counted(batch: Batch, error: StoredError, failed: Job) -> None:
    log.append((batch.failed, error.type_name, "ValueError: bad" in error.traceback, failed))


@job
def with_an_argument(prefix: str, batch: Batch, error: BaseException) -> None:
    log.append(f"{prefix} {batch.failed} {error}")


@job
def bare() -> None:
    log.append("bare")


# Callbacks.


def test_progress_is_told_after_each_member_and_the_end_in_order(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-11."""
    all_callbacks(batch(steps("abc"))).progress(progress).dispatch()

    work()
    assert log == ["a", "b", "c", *["progress 100%"] * 3, "then 3/3", "finally 3/3"]


def test_progress_tells_how_far_it_is_when_it_runs(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-11, BAT-16: a callback gets the batch as it is by then."""
    batch(steps("abc")).progress(progress).on_queue("low").dispatch()

    for _ in range(3):
        app.worker(options=WorkerOptions(memory=0, queues=("low",))).run_next_job()
    assert log == ["a", "b", "c"]
    forget()
    batch([Step("a"), steps("bcd")]).progress(progress).dispatch()
    work()
    assert log == ["a", "b", "progress 50%", "c", "progress 75%", "d", "progress 100%", "progress 100%"]


def test_the_first_failure_cancels_and_is_told_once(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-12, BAT-13."""
    acts["b"], acts["c"] = raising("first"), raising("second")
    started = all_callbacks(batch(steps("abcd"))).progress(progress).dispatch()

    work()
    assert log == [
        *["a", "b", "failed b: first", "c", "failed c: second", "d"],
        *["progress 100%", "catch b: first", "progress 100%", "finally 2/4"],
    ]
    assert (fresh(started).state, fresh(started).cancelled, counts(started)) == ("cancelled", True, (4, 0, 2, 2, 0))


def test_with_failures_allowed_each_is_told_and_the_batch_goes_on(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-12, BAT-13, BAT-14."""
    acts["b"], acts["c"] = raising("first"), raising("second")
    started = all_callbacks(batch(steps("abcd"), allow_failures=failure)).dispatch()

    work()
    assert [line for line in log if len(line) > 1] == [
        *["failed b: first", "failed c: second"],
        *["failure first", "catch b: first", "failure second", "finally 2/4"],
    ]
    assert (fresh(started).state, fresh(started).cancelled) == ("failed", False)


def test_progress_is_told_of_failures_where_they_are_allowed(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-12."""
    acts["a"] = raising()
    batch(steps("ab")).allow_failures().progress(progress).dispatch()

    work()
    assert log == ["a", "failed a: bad", "b", "progress 100%", "progress 100%"]


def test_allowing_failures_can_be_said_in_several_ways(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-13."""
    cases: list[tuple[Any, int]] = [(True, 0), (failure, 1), ([failure, failure], 2), ((), 0)]
    for given, told in cases:
        forget()
        acts["a"] = raising()
        started = batch(steps("a"), allow_failures=given).dispatch()
        work()
        assert log.count("failure bad") == told
        assert not fresh(started).cancelled
    forget()
    acts["a"] = raising()
    cancelled = batch(steps("a"), allow_failures=failure).allow_failures(given=False)
    started = cancelled.dispatch()
    work()
    assert log == ["a", "failed a: bad"]
    assert fresh(started).cancelled
    for again, told in [(cancelled.allow_failures(), 0), (batch(steps("a"), allow_failures=failure), 1)]:
        forget()
        acts["a"] = raising()
        again.allow_failures().dispatch()
        work()
        assert log.count("failure bad") == told


def test_a_callback_gets_as_much_as_it_asks_for(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-16."""
    acts["a"] = raising()
    pending = batch(steps("a")).catch(counted).catch(bare).catch(Step("as it is"))
    pending.catch(with_an_argument.job_class({"prefix": "say"})).finally_(bare).dispatch()

    work()
    assert log[2:] == [(1, "ValueError", True, Step("a")), "bare", "as it is", "say 1 bad", "bare"]


def test_a_broken_callback_fails_alone(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-16."""
    started = all_callbacks(batch(steps("a")).then(broken).finally_(broken)).dispatch()

    work()
    assert log == ["a", "broken", "then 1/1", "broken", "finally 1/1"]
    assert [app.failed.display_name(record) for record in app.failed.list()] == ["broken", "broken"]
    assert counts(started) == (1, 0, 1, 0, 0)


def test_a_callback_that_failed_is_retried_with_its_batch(app: App, work: Callable[..., Stopped]) -> None:
    batch(steps("a")).then(Step("then")).dispatch()
    acts["then"] = raising()
    work()
    acts["then"] = lambda step: log.append(("of", step.batch()))

    app.failed.retry_all()
    work()
    [name, (_, found)] = log[-2:]
    assert (name, found.total) == ("then", 1)


def test_callbacks_go_where_the_batch_goes(app: App) -> None:
    batch().then(Step("a")).then(Step("b").with_options(queue="own", connection="sync")).on_queue("low").dispatch()

    assert [len(bodies(app, queue)) for queue in ("default", "low", "own")] == [0, 1, 1]
    assert log == []


def test_a_callback_goes_to_the_connection_of_the_batch_whatever_it_says(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(
        Config(default="memory", root=tmp_path, connections={"b": {"driver": "memory", "queue": "of-b"}}), clock=clock
    )

    app.batch().then(Step("a").with_options(connection="b")).dispatch()
    assert (len(bodies(app)), bodies(app, "of-b"), bodies(app, "of-b", "b")) == (1, [], [])


def test_a_callback_of_a_batch_knows_the_batch(app: App, work: Callable[..., Stopped]) -> None:
    started = batch(steps("a"), name="x").then(Step("then")).dispatch()
    acts["then"] = lambda step: log.append((step.batch(), step.batching(), current_delivery().batch_id))

    work()
    found, batching, batch_id = log[-1]
    assert (found.id, found.name, batching, batch_id) == (started.id, "x", False, started.id)


def test_closures_are_callbacks_and_members(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(Config(default="memory", root=tmp_path, keys=["k" * 32]), clock=clock)
    seen = tmp_path / "seen"
    with app.activate():
        batch([lambda: seen.write_text("ran")]).then(
            lambda done: seen.with_name("then").write_text(str(done.total))
        ).dispatch()
        app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()

    assert (seen.read_text(), seen.with_name("then").read_text()) == ("ran", "1")


# Counts.


def test_a_member_that_is_tried_again_is_counted_when_it_ends(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-10."""
    acts["a"] = lambda step: raising()(step) if step.attempts() == 1 else None
    started = all_callbacks(batch([Tried("a")])).dispatch()

    worker = app.worker(options=WorkerOptions(memory=0))
    worker.run_next_job()
    assert counts(started) == (1, 1, 0, 0, 0)
    work()
    assert log == ["a", "a", "then 1/1", "finally 1/1"]


def test_then_waits_until_all_have_succeeded_and_finally_does_not_come_again(
    app: App, work: Callable[..., Stopped]
) -> None:
    """BAT-14, BAT-15."""
    acts["b"] = raising()
    started = all_callbacks(batch(steps("abc")).allow_failures()).dispatch()
    work()
    assert log[-2:] == ["catch b: bad", "finally 2/3"]
    assert fresh(started).finished
    forget()

    app.failed.retry_all()
    work()
    assert log == ["b", "then 3/3"]
    assert (fresh(started).state, counts(started)) == ("finished", (3, 0, 3, 0, 0))


def test_a_retry_that_succeeds_undoes_the_cancellation_by_the_failure(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-15: a batch that was cancelled by somebody stays cancelled."""
    acts["a"] = raising()
    failed = all_callbacks(batch(steps("ab"))).dispatch()
    cancelled = all_callbacks(batch(steps("ac"))).dispatch()
    cancelled.cancel()
    work()
    forget()

    app.failed.retry_all()
    work()
    assert log == ["a", "a", "then 2/2"]
    assert [fresh(failed).state, fresh(cancelled).state] == ["finished", "cancelled"]
    assert [counts(failed), counts(cancelled)] == [(2, 0, 2, 0, 0)] * 2


def test_a_retry_that_fails_again_cancels_again_and_is_not_told_again(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-13, BAT-18."""
    acts["a"] = raising()
    started = all_callbacks(batch(steps("ab"))).dispatch()
    work()
    forget()
    acts["a"] = raising("worse")

    for _ in range(2):
        app.failed.retry_all()
        assert not fresh(started).cancelled
        work()
    assert log == ["a", "failed a: worse"] * 2
    assert (fresh(started).state, counts(started)) == ("cancelled", (2, 0, 1, 1, 0))


@pytest.mark.parametrize(
    ("total", "ends", "percent"), [(0, 0, 0), (3, 1, 33), (3, 2, 67), (3, 3, 100), (201, 200, 99), (201, 1, 0)]
)
def test_progress_is_in_percent_and_100_only_at_the_end(app: App, total: int, ends: int, percent: int) -> None:
    """BAT-17."""
    started = batch([Step("x")] * total).dispatch()
    worker = app.worker(options=WorkerOptions(memory=0))
    for _ in range(ends):
        worker.run_next_job()

    now = fresh(started)
    assert (now.progress, now.processed, now.pending) == (percent, ends, total - ends)


def test_a_batch_can_be_shown(app: App, work: Callable[..., Stopped], clock: FrozenClock) -> None:
    """BAT-17."""
    acts["a"] = raising()
    began = clock.now()
    started = batch([steps("ab"), Step("c")], name="x").on_queue("low").dispatch()
    clock.advance(5)
    work(queues=("low",))

    assert fresh(started).to_dict() == {
        "id": started.id,
        "name": "x",
        "connection": app.config.default,
        "queue": "low",
        "state": "cancelled",
        "total": 3,
        "pending": 0,
        "processed": 3,
        "done": 1,
        "failed": 1,
        "dropped": 1,
        "progress": 100,
        "created_at": began,
        "cancelled_at": began + 5,
        "finished_at": began + 5,
    }
    assert repr(fresh(started)) == "<Batch x: cancelled, 3 of 3, 1 failed>"


# Double deliveries.


def test_a_member_that_is_delivered_twice_is_counted_once(
    app: App, clock: FrozenClock, work: Callable[..., Stopped]
) -> None:
    """BAT-18."""
    started = all_callbacks(batch(steps("ab"))).dispatch()
    driver = app.connection().driver
    reservation = driver.reserve(["default"])
    assert reservation is not None
    clock.advance(driver.retry_after)  # its worker takes too long: another one runs the job, too
    work(tries=2)
    assert sorted(log) == ["a", "b", "finally 2/2", "then 2/2"]

    app.worker(options=WorkerOptions(memory=0)).runner.run(reservation)
    work()
    assert sorted(log) == ["a", "a", "b", "finally 2/2", "then 2/2"]
    assert counts(started) == (2, 0, 2, 0, 0)


def test_a_late_success_and_the_one_who_took_over_count_once(
    app: App, clock: FrozenClock, work: Callable[..., Stopped]
) -> None:
    """BAT-18."""
    started = all_callbacks(batch([Step("a"), Step("b").with_options(delay=1000)])).dispatch()
    driver = app.connection().driver
    first = driver.reserve(["default"])
    clock.advance(driver.retry_after)
    second = driver.reserve(["default"])
    assert first is not None
    assert second is not None

    runner = app.worker(options=WorkerOptions(memory=0, tries=2)).runner
    for reservation in (first, second):
        runner.run(reservation)
        assert counts(started) == (2, 1, 1, 0, 0)
    clock.advance(1000)
    work()
    assert log == ["a", "a", "b", "then 2/2", "finally 2/2"]
    assert counts(started) == (2, 0, 2, 0, 0)


def test_a_member_that_is_retried_twice_at_once_is_counted_once(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-18."""
    acts["a"] = raising()
    started = all_callbacks(batch(steps("ab"))).dispatch()
    work()
    acts.clear()

    now = fresh(started)
    failed = now.failed_ids()
    assert (now.retry().ids, fresh(started).retry().ids) == (failed, [])
    work()
    assert (log.count("a"), log.count("then 2/2"), counts(started)) == (2, 1, (2, 0, 2, 0, 0))


# Chains inside.


def test_when_a_link_fails_the_rest_is_dropped_and_finally_comes(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-19."""
    acts["b"] = raising()
    started = all_callbacks(batch([steps("abcd"), Step("x")])).dispatch()

    work()
    assert log == ["a", "x", "b", "failed b: bad", "catch b: bad", "finally 2/5"]
    assert counts(started) == (5, 0, 2, 1, 2)
    assert fresh(started).finished


def test_when_it_is_retried_the_rest_runs_and_then_comes(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-19, BAT-15."""
    acts["b"] = raising()
    started = all_callbacks(batch([steps("abcd"), Step("x")])).dispatch()
    work()
    forget()

    app.failed.retry_all()
    work()
    assert log == ["b", "c", "d", "then 5/5"]
    assert counts(started) == (5, 0, 5, 0, 0)


def test_a_chain_inside_has_its_own_catch(app: App, work: Callable[..., Stopped]) -> None:
    acts["b"] = raising()
    all_callbacks(batch([chain(*steps("abc")).catch(Step("own catch"))])).dispatch()

    work()
    assert log == ["a", "b", "failed b: bad", "own catch", "catch b: bad", "finally 1/3"]


def test_links_that_are_added_while_it_runs_are_no_members(app: App, work: Callable[..., Stopped]) -> None:
    acts["a"] = lambda step: step.append_to_chain(Step("added"))
    started = all_callbacks(batch([steps("ab")])).dispatch()

    work()
    assert log == ["a", "b", "added", "then 2/2", "finally 2/2"]
    assert counts(started) == (2, 0, 2, 0, 0)


# Members that add.


def test_then_that_adds_members_is_not_called_again(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-20."""
    started = batch(steps("a")).then(add_again).finally_(Step("finally")).dispatch()

    work()
    assert log == ["a", "then 1/1", "finally", "more"]
    assert (fresh(started).state, counts(started)) == ("finished", (2, 0, 2, 0, 0))


# Odd ends.


def test_a_member_that_ends_without_its_handler_counts_as_done(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-21, MID-02."""
    app.middleware.append(lambda job, call_next: None if getattr(job, "name", "") == "a" else call_next(job))
    started = all_callbacks(batch([steps("ab"), Step("c")])).dispatch()

    work()
    assert log == ["c", "b", "then 3/3", "finally 3/3"]
    assert counts(started) == (3, 0, 3, 0, 0)


def test_a_member_whose_class_is_not_known_any_more_counts_as_failed(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-21."""
    app.payload_using(lambda _connection, _queue, body: {**body, "data": body["data"]})
    started = all_callbacks(batch(steps("ab"))).dispatch()
    driver = app.connection().driver
    [first, _] = app.connection().listed()
    reservation = driver.reserve(["default"])
    assert reservation is not None
    broken_body = first.payload.body.replace(b"chaining:Step", b"chaining:Gone")
    outcome = app.worker(options=WorkerOptions(memory=0)).runner.run(
        reservation._replace(payload=reservation.payload._replace(body=broken_body))
    )

    assert type(outcome).__name__ == "Failed"
    work()
    assert counts(started) == (2, 0, 1, 1, 0)
    assert log[-1] == "finally 1/2"


def test_a_member_that_timed_out_counts_as_failed(app: App, work: Callable[..., Stopped], clock: FrozenClock) -> None:
    """BAT-34."""
    started = all_callbacks(batch(steps("ab"))).dispatch()
    driver = app.connection().driver
    reservation = driver.reserve(["default"])
    assert reservation is not None
    driver.release(reservation, verdict="it ran too long, and its worker was killed")

    work()
    assert counts(started) == (2, 0, 1, 1, 0)
    assert log[-1] == "finally 1/2"


def test_without_its_batch_a_member_runs_all_the_same(app: App, work: Callable[..., Stopped]) -> None:
    started = all_callbacks(batch([steps("ab"), Step("c")])).dispatch()
    acts["c"] = lambda step: log.append((step.batch(), step.batching()))
    assert started.delete()

    work()
    assert log == ["a", "c", (None, False), "b"]
    assert find_batch(started.id) is None


def test_a_failed_member_whose_batch_is_gone_can_be_retried(app: App, work: Callable[..., Stopped]) -> None:
    acts["a"] = raising()
    started = batch(steps("a")).dispatch()
    work()
    started.delete()
    acts.clear()

    app.failed.retry_all()
    work()
    assert log == ["a", "failed a: bad", "a"]
