"""What failed in a batch is retried: the batch runs again, and so does what waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Job, batch, chain, find_batch
from qcore.errors import DriverError
from qcore.events import BatchFinished, Event
from tests.qcore.batching import Step, acts, all_callbacks, batch_of, counts, forget, fresh, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore import Batch, Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


class Only(Job, unique=True):
    """One at a time; fails the first time."""

    def handle(self) -> None:
        log.append("only")
        if log.count("only") == 1:
            raise ValueError("once")


def only(app: App, name: str) -> Batch:
    [found] = [each for each in app.batches.list() if each.name == name]
    return found


@pytest.mark.parametrize("allowed", [False, True])
def test_a_retried_member_is_in_a_running_batch(app: App, work: Callable[..., Stopped], *, allowed: bool) -> None:
    """BAT-31, BAT-14: not finished, as it may still run; and then comes once."""
    acts["a"] = raising()
    started = all_callbacks(batch([steps("ab"), Step("c")], allow_failures=allowed)).dispatch()
    work()
    assert counts(started) == (3, 0, 1, 1, 1)
    forget()
    acts["a"] = acts["b"] = lambda step: log.append((step.batching(), batch_of(step).pending))

    started.retry()
    assert counts(started) == (3, 2, 1, 0, 0)
    assert (fresh(started).finished, fresh(started).state) == (False, "running")
    work()
    assert log == ["a", (True, 2), "b", (True, 1), "then 3/3"]


def test_a_batch_with_several_retried_members_is_finished_once_more(
    app: App, work: Callable[..., Stopped], events: list[Event]
) -> None:
    """BAT-15."""
    acts["a"] = acts["b"] = raising()
    started = batch(steps("ab")).dispatch()
    work()
    acts.clear()
    started.retry()
    work()

    assert sum(isinstance(event, BatchFinished) for event in events) == 2


def test_a_member_whose_retry_is_refused_stays_failed(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-35, BAT-18: the batch would wait for it for ever."""
    started = batch([Only()]).dispatch()
    work()
    before = fresh(started).to_dict()
    Only().dispatch()

    retried = started.retry()
    assert (retried.ids, list(retried.skipped)) == ([], started.failed_ids())
    assert fresh(started).to_dict() == before
    work()
    assert started.retry().ids
    work()
    assert (log, fresh(started).state) == (["only"] * 3, "finished")


def test_a_retry_that_cannot_be_pushed_frees_the_lock(
    app: App, work: Callable[..., Stopped], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = batch([Only()]).dispatch()
    work()
    [failed] = started.failed_ids()

    def refuse(*_: object) -> bool:
        raise DriverError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(type(app.connection().driver), "push_locked", refuse)
        with pytest.raises(DriverError):
            app.failed.retry([failed])
    assert Only().dispatch()
    work()
    assert app.failed.retry([failed]).ids == [failed]
    work()
    assert fresh(started).state == "finished"


# A batch inside a batch.


def nested() -> Batch:
    inner = batch([steps("e"), Step("f")], name="inner")
    return all_callbacks(batch([[Step("d1"), inner, Step("d2"), Step("d3")]])).dispatch()


def test_then_of_the_outer_batch_comes_after_a_retry_inside(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-18, BAT-15."""
    acts["e"] = raising()
    outer = nested()
    work()
    assert (fresh(outer).state, counts(outer)) == ("cancelled", (4, 0, 2, 1, 1))
    forget()
    acts["d2"] = lambda step: log.append(step.batching())

    only(app, "inner").retry()
    assert counts(outer) == (4, 2, 2, 0, 0)
    work()
    assert log == ["e", "d2", True, "d3", "then 4/4"]
    assert fresh(outer).state == "finished"


def test_a_retry_of_the_outer_batch_reaches_what_failed_inside(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-35."""
    acts["e"] = raising()
    outer = nested()
    work()
    acts.clear()

    retried = outer.retry()
    assert (retried.ids, retried.missing) == ([each.id for each in app.failed.list()] or retried.ids, [])
    work()
    assert (fresh(outer).state, counts(outer)) == ("finished", (4, 0, 4, 0, 0))


def test_an_outer_batch_ends_again_when_the_inner_one_fails_again(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-17, BAT-19."""
    acts["e"] = raising()
    outer = nested()
    for _ in range(2):
        work()
        assert (fresh(outer).state, counts(outer)) == ("cancelled", (4, 0, 2, 1, 1))
        assert fresh(outer).finished
        assert len(outer.retry().ids) == 1
    acts.clear()
    work()
    assert fresh(outer).state == "finished"


def test_what_went_on_is_left_alone_by_a_retry_inside(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-15: the chain went on, and failed by itself; that is not what is retried."""
    acts["e"] = acts["d2"] = raising()
    inner = batch(steps("e"), name="inner", allow_failures=True)
    outer = batch([[inner, Step("d2"), Step("d3")]]).dispatch()
    work()
    before = counts(outer)
    del acts["e"]

    only(app, "inner").retry()
    work()
    assert (counts(outer), fresh(outer).state) == (before, "cancelled")


def test_what_was_dropped_is_counted_however_long_the_backend_is_away(
    app: App, work: Callable[..., Stopped], clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BAT-19: the outer batch would wait for ever."""
    acts["e"] = raising()
    outer = nested()
    store: Any = app.batches.store()

    def refuse(*_: object) -> None:
        raise DriverError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(type(store), "settle", refuse)
        for _ in range(10):
            work()
            clock.advance(600)
    assert not fresh(outer).finished
    work()
    assert (fresh(outer).finished, counts(outer)) == (True, (4, 0, 2, 1, 1))


# A batch in a chain that cannot be dispatched.


@pytest.fixture
def broken(app: App, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Members are added, and the batch cannot be closed; what is given takes that back."""
    kind: Any = type(app.batches.store())
    close = kind.close

    def refuse(*_: object) -> None:
        raise DriverError("the disk is full")

    monkeypatch.setattr(kind, "close", refuse)
    return lambda: monkeypatch.setattr(kind, "close", close)


def linked() -> None:
    link = all_callbacks(batch(steps("bc"), name="x"))
    chain(Step("a"), link, Step("d")).catch(Step("catch of the chain")).dispatch()


def through(work: Callable[..., Stopped], clock: FrozenClock) -> None:
    for _ in range(6):
        work()
        clock.advance(60)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("ending", ["done", "failed", "cancelled"])
def test_a_batch_that_could_not_be_dispatched_ends_and_the_chain_hears_of_it_once(
    app: App, work: Callable[..., Stopped], clock: FrozenClock, ending: str
) -> None:
    """CHN-14."""
    if ending != "done":
        acts["b"] = raising() if ending == "failed" else lambda step: batch_of(step).cancel()
    linked()
    through(work, clock)

    assert [log.count(word) for word in ("b", "c", "catch of the chain", "d")] == [1, 1, 1, 0]
    assert [word.partition(" ")[0] for word in log if str(word).startswith(("then", "finally"))] == ["finally"]
    assert (only(app, "x").finished, only(app, "x").state) == (True, "cancelled")


def test_a_retry_of_a_batch_that_could_not_be_dispatched_lets_the_chain_go_on(
    app: App, work: Callable[..., Stopped], clock: FrozenClock, broken: Callable[[], None]
) -> None:
    """CHN-18."""
    linked()
    through(work, clock)
    broken()
    forget()

    app.failed.retry_all()
    through(work, clock)
    assert log == ["then 2/2", "d"]
    found = find_batch(only(app, "x").id)
    assert found is not None
    assert found.state == "finished"


def test_a_retry_of_such_a_batch_waits_for_its_failed_members(
    app: App, work: Callable[..., Stopped], clock: FrozenClock, broken: Callable[[], None]
) -> None:
    """CHN-18: the chain goes on when they, too, were retried."""
    acts["b"] = raising()
    linked()
    through(work, clock)
    broken()
    forget()

    link, member = sorted(app.failed.list(), key=lambda each: app.failed.display_name(each) != "batch x")
    app.failed.retry([link.id])
    through(work, clock)
    assert "d" not in log
    app.failed.retry([member.id])
    through(work, clock)
    assert log[-3:] == ["b", "then 2/2", "d"]
