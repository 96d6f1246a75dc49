"""Batches as links of chains: the chain goes on when the batch has done its work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import (
    App,
    Batch,
    Config,
    Job,
    JobDefinitionError,
    PayloadError,
    WorkerOptions,
    batch,
    chain,
    find_batch,
    job,
)
from tests.qcore.chaining import Step, acts, alert, bodies, forget, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore import Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


@job
def batch_failed(found: Batch, error: BaseException) -> None:
    log.append(("batch failed", found.name, str(error)))


@job
def said(found: Batch) -> None:
    log.append(("then", found.done))


def test_a_chain_waits_for_all_members_of_a_batch(work: Callable[..., Stopped]) -> None:
    """CHN-13. Side by side: all members are queued at once, and links of chains among them after those."""
    members = [Step("b1"), chain(Step("b2"), Step("b3")), Step("b4")]
    chain(Step("c1"), Step("c2"), batch(members).then(said), Step("c3")).dispatch()
    work()

    assert ["c1", "c2", "b1", "b2", "b4", "b3"] == log[:6]
    assert {("then", 4), "c3"} == set(log[6:])


def test_a_batch_that_fails_ends_its_chain_and_both_hear_of_it(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-14. Members that are queued already run."""
    acts["b2"] = raising()
    pending = batch([Step("b1"), chain(Step("b2"), Step("b2a")), Step("b3")], name="n").catch(batch_failed)
    chain(Step("c1"), pending, Step("c3")).catch(alert).dispatch()
    work()

    assert ["c1", "b1", "b2", "failed b2: bad", "b3"] == [each for each in log if isinstance(each, str)]
    assert [("batch failed", "n", "bad"), ("alert", "bad", Step("b2"))] == [each for each in log if type(each) is tuple]
    assert [] == app.connection().counts()


def test_a_batch_that_allows_failures_lets_its_chain_go_on(work: Callable[..., Stopped]) -> None:
    """CHN-15."""
    acts["b1"] = raising()
    pending = batch(steps("b"), name="n").add([Step("b1")]).catch(batch_failed).allow_failures()
    chain(Step("c1"), pending, Step("c3")).catch(alert).dispatch()
    work()

    assert ["c1", "b", "b1", "failed b1: bad"] == log[:4]
    assert {("batch failed", "n", "bad"), "c3"} == set(log[4:])


def test_an_empty_batch_lets_its_chain_go_on(work: Callable[..., Stopped]) -> None:
    """CHN-16."""
    chain(Step("a"), batch([]), batch([None]), Step("b")).dispatch()
    work()

    assert ["a", "b"] == log


def test_a_chain_may_begin_and_end_with_a_batch(app: App, work: Callable[..., Stopped]) -> None:
    job_id = chain(batch(steps("ab")), batch(steps("cd"))).dispatch()

    assert [job_id] == [body["id"] for body in bodies(app)]
    work()
    assert [*"abcd"] == log


def test_chains_and_batches_may_hold_each_other(work: Callable[..., Stopped], clock: FrozenClock) -> None:
    """CHN-17. The outer batch is finished when the inner one is, also when that is the last link of its chain."""
    inner = chain(Step("2"), batch([Step("3"), Step("4").with_options(delay=60)]))
    chain(Step("1"), batch([inner, Step("x")]).then(Step("then")), Step("5")).dispatch()
    work()

    assert ["1", "2", "x", "3"] == log
    clock.advance(60)
    work()
    assert "4" == log[4]
    assert {"then", "5"} == set(log[5:])


def test_a_failure_in_the_innermost_batch_ends_all_around_it(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-17. Nothing waits for ever: the outer batch knows that the rest of its chain will not run."""
    acts["3"] = raising()
    inner = chain(Step("2"), batch([Step("3"), Step("4")]), Step("after 4")).catch(alert)
    outer = batch([inner, Step("x")], name="outer").catch(batch_failed).finally_(Step("finally"))
    chain(Step("1"), outer, Step("5")).catch(Step("chain failed")).dispatch()
    work()

    names = [each for each in log if isinstance(each, str)]
    assert {"1", "2", "x", "3", "failed 3: bad", "4", "finally", "chain failed"} == set(names)
    assert len(names) == len(set(names))
    assert [("alert", "bad", Step("3"))] == [each for each in log if type(each) is tuple and each[0] == "alert"]
    assert [] == app.connection().counts()


def test_a_cancelled_batch_ends_its_chain_and_nobody_hears_of_a_failure(work: Callable[..., Stopped]) -> None:
    """CHN-13."""
    acts["b"] = lambda step: step.batch().cancel()  # type: ignore[union-attr]
    chain(batch(steps("b")), Step("c")).catch(alert).dispatch()
    work()

    assert ["b"] == log


def test_a_retried_member_lets_the_chain_go_on(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-18."""
    acts["b"] = raising()
    chain(Step("a"), batch(steps("bx")), Step("c")).catch(alert).dispatch()
    work()
    acts.clear()
    [record] = app.failed.list()
    app.failed.retry([record.id])
    work()

    assert [("alert", "bad", Step("b")), "b", "c"] == log[-3:]


def test_a_running_link_adds_a_batch(work: Callable[..., Stopped]) -> None:
    """CHN-10."""
    acts["a"] = lambda step: step.prepend_to_chain(batch(steps("xy")))
    chain(steps("ab")).dispatch()
    work()

    assert [*"axyb"] == log


def test_a_chain_goes_on_where_it_belongs_after_a_batch_elsewhere(tmp_path: Path, clock: FrozenClock) -> None:
    """CHN-05, CHN-13. Its callbacks, too."""
    app = App(Config(root=tmp_path, default="memory"), clock=clock)
    seen: list[tuple[str, int]] = []

    def work() -> None:
        for connection in ("memory", "database") * 2:
            worker = app.worker(connection, WorkerOptions(stop_when_empty=True, memory=0))
            seen.append((connection, worker.run().jobs))

    with app.activate():
        chain(Step("a"), batch(steps("b")).on_connection("database"), Step("c")).catch(alert).dispatch()
        work()
        assert [*"abc"] == log
        acts["b"] = raising()
        chain(Step("a"), batch(steps("b")).on_connection("database"), Step("c")).catch(alert).dispatch()
        work()
    app.close()

    assert ("alert", "bad", Step("b")) == log[-1]
    assert ("memory", 1) in seen


def test_on_a_connection_that_runs_at_once_a_batch_in_a_chain_runs_in_its_place(
    tmp_path: Path, clock: FrozenClock
) -> None:
    """CHN-13, CHN-17."""
    app = App(Config(root=tmp_path, default="sync"), clock=clock)
    with app.activate():
        chain(Step("a"), batch([chain(Step("b"), batch(steps("cd")), Step("e"))]), Step("f")).dispatch()
    app.close()

    assert [*"abcdef"] == log


def test_a_cycle_is_refused(app: App) -> None:
    inner = batch(steps("a"))
    pending = chain(Step("b"), inner)
    inner.add([pending])

    with pytest.raises(JobDefinitionError, match="it would never end"):
        pending.dispatch()
    assert [] == app.connection().counts()


def test_a_member_that_cannot_be_written_keeps_the_whole_chain_away(app: App) -> None:
    class Main(Job):
        def __init__(self) -> None:
            self.held = object()

        def handle(self) -> None:
            """Never run."""

    with pytest.raises(PayloadError, match="held"):
        chain(Step("a"), batch([Step("b"), Main()])).dispatch()
    assert [] == app.connection().counts()
    assert None is find_batch("none")
