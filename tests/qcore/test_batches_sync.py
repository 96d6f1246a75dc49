"""Batches on the sync connection: they run before the dispatch returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, batch
from qcore.events import BatchDispatched, BatchFinished, Event, JobFailed, JobProcessed
from tests.qcore.batching import Step, acts, all_callbacks, batch_of, failure, forget, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qcore import Batch


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


@pytest.fixture
def sync(tmp_path: Path) -> Iterator[App]:
    app = App(Config(default="sync", store="memory", failed="memory", root=tmp_path))
    with app.activate():
        yield app


def last(app: App) -> Batch:
    [found] = app.batches.list()
    return found


def test_a_batch_has_run_when_its_dispatch_returns(sync: App) -> None:
    done = all_callbacks(batch([Step("a"), steps("bc")])).dispatch()

    assert log == ["a", "b", "c", "then 3/3", "finally 3/3"]
    assert (done.state, done.total, done.done, done.finished) == ("finished", 3, 3, True)
    assert last(sync).to_dict() == done.to_dict()


def test_an_error_is_raised_when_all_members_were_counted(sync: App) -> None:
    """BAT-22: the others run, finally comes, and the batch is there."""
    acts["b"] = raising()

    with pytest.raises(ValueError, match="bad"):
        all_callbacks(batch(steps("abc"))).dispatch()
    assert log == ["a", "b", "failed b: bad", "c", "catch b: bad", "finally 2/3"]
    assert (last(sync).state, last(sync).done, last(sync).failed, last(sync).pending) == ("cancelled", 2, 1, 0)


def test_several_errors_are_raised_together(sync: App) -> None:
    """BAT-22."""
    acts["a"], acts["c"] = raising("one"), raising("two")

    with pytest.raises(BaseExceptionGroup) as raised:
        all_callbacks(batch(steps("abc"), allow_failures=failure)).dispatch()
    assert [str(error) for error in raised.value.exceptions] == ["one", "two"]
    assert [line for line in log if not line.startswith("failed")] == [
        *["a", "b", "c", "failure one", "catch a: one", "failure two", "finally 1/3"]
    ]
    assert (last(sync).failed, last(sync).done) == (2, 1)


def test_a_member_adds_members(sync: App) -> None:
    """BAT-32."""
    acts["a"] = lambda step: batch_of(step).add(steps("bc"))

    done = all_callbacks(batch(steps("a"))).dispatch()
    assert log == ["a", "b", "c", "then 3/3", "finally 3/3"]
    assert done.total == 3


def test_members_that_are_added_afterwards_run_at_once(sync: App) -> None:
    done = all_callbacks(batch(steps("a"))).dispatch()
    forget()

    assert done.add(Step("b")).state == "finished"
    assert (log, done.total) == (["b"], 2)


def test_what_happens_is_told_in_order(sync: App) -> None:
    told: list[Event] = []
    sync.listen(Event, told.append)
    acts["b"] = raising()

    with pytest.raises(ValueError, match="bad"):
        batch(steps("ab"), allow_failures=True).dispatch()
    ends = (BatchDispatched, BatchFinished, JobProcessed, JobFailed)
    assert [type(event) for event in told if isinstance(event, ends)] == [
        BatchDispatched,
        JobProcessed,
        BatchFinished,
        JobFailed,
    ]


def test_a_batch_inside_a_job_runs_after_that_job(sync: App) -> None:
    def dispatch(_: Step) -> None:
        all_callbacks(batch(steps("bc"))).dispatch()
        log.append("end of a")

    acts["a"] = dispatch
    Step("a").dispatch()
    assert log == ["a", "end of a", "b", "c", "then 2/2", "finally 2/2"]
