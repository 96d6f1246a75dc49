"""Batches as links of chains, and chains in batches in chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, DriverError, JobDefinitionError, Lost, PayloadError, WorkerOptions, batch, chain
from qcore.events import BatchCancelled, BatchFinished, Event
from tests.qcore.batching import (
    Step,
    acts,
    all_callbacks,
    batch_of,
    bodies,
    catch,
    counts,
    failure,
    finally_,
    forget,
    fresh,
    log,
    raising,
    steps,
    then,
)
from tests.qcore.chaining import alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore import Batch, Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


def only(app: App, name: str) -> Batch:
    [found] = [each for each in app.batches.list() if each.name == name]
    return found


def test_a_chain_goes_on_when_the_batch_in_it_is_finished(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-13."""
    chain(Step("c1"), Step("c2"), all_callbacks(batch(steps("wxyz"))), Step("c3")).dispatch()

    work()
    assert log == ["c1", "c2", "w", "x", "y", "z", "then 4/4", "finally 4/4", "c3"]


def test_a_batch_may_be_the_first_and_the_last_link(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-13."""
    chain(batch(steps("ab")), Step("c"), batch(steps("de"))).dispatch()

    work()
    assert log == ["a", "b", "c", "d", "e"]


def test_nothing_of_it_is_there_before_its_turn(app: App, work: Callable[..., Stopped]) -> None:
    chain(Step("a"), batch(steps("bc"), name="x")).dispatch()
    assert (app.batches.list(), len(bodies(app))) == ([], 1)

    work()
    assert (only(app, "x").state, only(app, "x").total) == ("finished", 2)


def test_when_the_batch_fails_its_catch_is_called_then_that_of_the_chain(
    app: App, work: Callable[..., Stopped]
) -> None:
    """CHN-14: what waits beside the failed member runs all the same, what follows does not."""
    acts["2"] = raising()
    chain(Step("c1"), Step("c2"), batch(steps("123")).catch(catch).finally_(finally_), Step("c3")).catch(
        alert
    ).dispatch()

    work()
    assert log == [
        "c1",
        "c2",
        "1",
        "2",
        "failed 2: bad",
        "3",
        "catch 2: bad",
        "finally 2/3",
        ("alert", "bad", Step("2")),
    ]


def test_with_failures_allowed_the_chain_goes_on(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-15."""
    acts["2"] = raising()
    inner = batch(steps("123"), allow_failures=failure).catch(catch).then(then)
    chain(Step("c1"), inner, Step("c3")).catch(alert).dispatch()

    work()
    assert log == ["c1", "1", "2", "failed 2: bad", "3", "failure bad", "catch 2: bad", "c3"]


def test_an_empty_batch_does_not_stop_a_chain(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-16."""
    chain(Step("a"), all_callbacks(batch([])), batch([None, []]), Step("b")).dispatch()

    work()
    assert log == ["a", "then 0/0", "finally 0/0", "b"]


def nested() -> object:
    return chain(
        Step("c1"),
        batch([Step("b1"), [Step("d1"), batch(steps("ef")), Step("d2")], Step("b2")]).then(then),
        Step("c2"),
    )


def test_chains_and_batches_nest(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-17: breadth first."""
    nested().dispatch()  # type: ignore[attr-defined]

    work()
    assert log == ["c1", "b1", "d1", "b2", "e", "f", "d2", "then 5/5", "c2"]


def test_on_the_sync_connection_they_run_in_the_same_order(app: App) -> None:
    """CHN-17: the links of a chain do not nest here, so that it is breadth first, too."""
    nested().dispatch(connection="sync")  # type: ignore[attr-defined]

    assert log == ["c1", "b1", "d1", "b2", "e", "f", "d2", "then 5/5", "c2"]


def test_a_batch_in_a_batch_ends_with_it(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-17: it counts as two members of the outer one, its start and its end."""
    outer = all_callbacks(batch([Step("a"), batch(steps("bc"))])).dispatch()
    assert outer.total == 3

    work()
    assert log == ["a", "b", "c", "then 3/3", "finally 3/3"]


def test_when_an_inner_batch_fails_the_outer_one_ends(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-17, BAT-19: finally comes once no member can run any more, whatever stands between."""
    acts["e"] = raising()
    inner = batch([Step("b1"), [Step("d1"), batch(steps("ef"), name="inner"), Step("d2"), Step("d3")]])
    outer = all_callbacks(inner).dispatch()

    work()
    assert log == ["b1", "d1", "e", "failed e: bad", "f", "catch e: bad", "finally 3/5"]
    assert counts(outer) == (5, 0, 3, 1, 1)
    assert (fresh(outer).state, only(app, "inner").state) == ("cancelled", "cancelled")


def test_when_the_inner_batch_is_retried_the_outer_one_goes_on(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-18, BAT-15."""
    acts["e"] = raising()
    outer = all_callbacks(batch([[Step("d1"), batch(steps("ef")), Step("d2"), Step("d3")]])).dispatch()
    work()
    forget()

    app.failed.retry_all()
    work()
    assert log == ["e", "d2", "d3", "then 4/4"]
    assert counts(outer) == (4, 0, 4, 0, 0)
    assert fresh(outer).state == "finished"


def test_when_an_inner_batch_is_cancelled_the_outer_one_ends(app: App, work: Callable[..., Stopped]) -> None:
    acts["e"] = lambda step: log.append(batch_of(step).cancel())
    outer = batch([[Step("d1"), batch(steps("ef")), Step("d2"), Step("d3")]]).finally_(finally_).dispatch()

    work()
    assert log == ["d1", "e", True, "f", "finally 2/4"]
    assert counts(outer) == (4, 0, 2, 1, 1)


def test_a_chain_whose_batch_was_cancelled_ends(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-13."""
    acts["b"] = lambda step: log.append(batch_of(step).cancel())
    chain(Step("a"), batch(steps("bc")), Step("d")).catch(alert).dispatch()

    work()
    assert log == ["a", "b", True, "c"]


def test_a_retry_of_the_failed_member_lets_the_chain_go_on(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-18."""
    acts["b"] = raising()
    chain(Step("a"), batch(steps("bc")), Step("d")).catch(alert).dispatch()
    work()
    assert log == ["a", "b", "failed b: bad", "c", ("alert", "bad", Step("b"))]
    forget()

    app.failed.retry_all()
    work()
    assert log == ["b", "d"]


def test_a_batch_is_told_of_when_it_ends_because_of_an_inner_one(
    app: App, work: Callable[..., Stopped], events: list[Event]
) -> None:
    acts["e"] = raising()
    outer = batch([[Step("d1"), batch(steps("e")), Step("d2")]]).dispatch()
    work()

    told = [event for event in events if isinstance(event, BatchCancelled | BatchFinished)]
    assert [type(event).__name__ for event in told if event.record.id == outer.id] == [
        "BatchCancelled",
        "BatchFinished",
    ]


# Places.


@pytest.fixture
def two(tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """An App with two databases."""
    url = {"driver": "database", "url": "sqlite:///b.db", "queue": "of-b"}
    app = App(Config(default="database", root=tmp_path, connections={"b": url}), clock=clock)
    with app.activate():
        yield app
    app.close()


def work_on(app: App, *connections: str) -> None:
    for name in connections:
        queues = (app.connection(name).default_queue,)
        app.worker(name, WorkerOptions(queues=queues, stop_when_empty=True, memory=0)).run()


def test_a_chain_goes_over_a_batch_on_another_connection(two: App) -> None:
    """CHN-13: the batch pushes to its own connection only, so a link between takes the chain back."""
    chain(Step("a"), batch(steps("bc")).on_connection("b"), Step("d")).catch(alert).dispatch()

    work_on(two, "database")
    assert log == ["a"]
    work_on(two, "b")
    assert log == ["a", "b", "c"]
    work_on(two, "database")
    assert log == ["a", "b", "c", "d"]


def test_the_catch_of_a_chain_is_called_on_the_connection_of_the_batch_that_failed(two: App) -> None:
    """CHN-14."""
    acts["b"] = raising()
    chain(Step("a"), batch(steps("bc")).on_connection("b"), Step("d")).catch(alert).dispatch()

    work_on(two, "database", "b")
    assert log == ["a", "b", "failed b: bad", "c", ("alert", "bad", Step("b"))]
    work_on(two, "database", "b")
    assert log[-1] == ("alert", "bad", Step("b"))


def test_a_batch_on_another_connection_is_a_member_too(two: App) -> None:
    """CHN-17."""
    acts["c"] = raising()
    outer = all_callbacks(batch([Step("a"), batch(steps("bc")).on_connection("b")])).dispatch()

    work_on(two, "database", "b", "database")
    assert log == ["a", "b", "c", "failed c: bad", "catch c: bad", "finally 2/3"]
    assert counts(outer) == (3, 0, 2, 1, 0)


def test_a_batch_that_runs_in_the_worker_itself_leaves_the_worker_alone(app: App, work: Callable[..., Stopped]) -> None:
    acts["b"] = raising()
    chain(Step("a"), batch(steps("bc"), allow_failures=True).on_connection("sync"), Step("d")).dispatch()

    work()
    assert log == ["a", "b", "failed b: bad", "c", "d"]


def test_a_batch_goes_where_its_chain_goes_unless_it_says_otherwise(app: App, work: Callable[..., Stopped]) -> None:
    chain(Step("a"), batch(steps("b")), batch(steps("c")).on_queue("own")).on_queue("low").dispatch()

    work(queues=("low",))
    assert log == ["a", "b"]
    work(queues=("low", "own"))
    assert log == ["a", "b", "c"]


# What cannot be.


def test_a_batch_in_a_chain_has_no_before(app: App) -> None:
    with pytest.raises(JobDefinitionError, match=r"before\(\) cannot be called"):
        chain(Step("a"), batch(steps("b")).before(print)).dispatch()
    assert bodies(app) == []


def test_a_batch_that_holds_its_chain_is_refused(app: App) -> None:
    inner = batch(steps("a"))
    endless = chain(Step("b"), inner)
    inner.add([endless])

    for given in (endless, inner):
        with pytest.raises(JobDefinitionError, match="holds itself"):
            given.dispatch()
    assert (bodies(app), app.batches.list()) == ([], [])


def test_a_member_that_cannot_be_written_is_refused_when_the_chain_is_dispatched(app: App) -> None:
    with pytest.raises(PayloadError):
        chain(Step("a"), batch([Step(object())])).dispatch()  # type: ignore[arg-type]
    assert bodies(app) == []


@pytest.fixture
def _no_store(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """No members can be added."""

    def refuse(*_: object) -> bool:
        raise DriverError("the disk is full")

    monkeypatch.setattr(type(app.batches.store()), "add", refuse)


@pytest.mark.usefixtures("_no_store")
def test_a_batch_that_cannot_be_dispatched_fails_like_any_other_link(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    chain(Step("a"), batch(steps("bc"), name="x").finally_(finally_), Step("d")).catch(alert).dispatch()

    for _ in range(5):
        work()
        clock.advance(60)
    assert log[1] == "finally 0/0"
    assert [told[1] for told in log[2:]] == ["the disk is full"]
    assert [app.failed.display_name(record) for record in app.failed.list()] == ["batch x"]
    assert only(app, "x").state == "cancelled"


def test_a_batch_in_a_chain_that_is_dispatched_twice_is_one_batch(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    chain(all_callbacks(batch(steps("bc"), name="x")), Step("d")).dispatch()
    driver = app.connection().driver
    reservation = driver.reserve(["default"])
    assert reservation is not None
    clock.advance(driver.retry_after)
    work()
    runner = app.worker(options=WorkerOptions(memory=0)).runner
    outcome = runner.run(reservation)

    work()
    assert (type(outcome), only(app, "x").total) == (Lost, 2)
    assert log == ["b", "c", "then 2/2", "finally 2/2", "d"]


def test_a_batch_in_a_chain_has_a_name_for_people(app: App) -> None:
    chain(batch(steps("a"), name="nightly"), batch(steps("b"))).dispatch()

    assert [body["displayName"] for body in bodies(app)] == ["batch nightly"]


def test_what_a_chain_cannot_do_without_must_not_be_dropped(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    batch([[batch(steps("a")), Step("b")]]).dispatch()
    app.before_push(lambda given, *_: type(given).__name__ != "RestDropped")

    for _ in range(5):
        work()
        clock.advance(60)
    [failed] = app.failed.list()
    assert "a hook dropped RestDropped, which the chain cannot do without" in failed.exception
