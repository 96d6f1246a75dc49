"""Chains on a connection that runs what it is given: link after link, and not one inside the other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, chain
from qcore.events import Event, JobFailed, JobProcessed
from tests.qcore.chaining import Step, acts, alert, forget, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qtest.clock import FrozenClock


@pytest.fixture
def app(tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    app = App(Config(default="sync", root=tmp_path), clock=clock)
    with app.activate():
        yield app
    app.close()


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


def test_an_error_in_the_third_link_fails_the_third_link_alone_and_is_raised(app: App, events: list[Event]) -> None:
    """CHN-09. The callback is called once."""
    acts["c"] = raising()
    with pytest.raises(ValueError, match="bad"):
        chain(steps("abcd")).catch(alert).dispatch()

    assert ["a", "b", "c", "failed c: bad", ("alert", "bad", Step("c"))] == log
    assert ["Step", "Step"] == [event.delivery.name for event in events if isinstance(event, JobProcessed)][:2]
    [failed] = [event for event in events if isinstance(event, JobFailed)]
    assert Step("c") == failed.delivery.job
    assert app.failed.list() == []


def test_links_do_not_nest(app: App) -> None:
    """CHN-09. However long a chain is, its last link is called from no deeper than its first."""
    depths = []

    def measure(_: Step) -> None:
        depth, frame = 0, sys._getframe()
        while frame.f_back is not None:
            depth, frame = depth + 1, frame.f_back
        depths.append(depth)

    acts["0"] = acts["999"] = measure
    chain(Step(str(number)) for number in range(1_000)).dispatch()

    assert len(log) == 1_000
    assert depths[0] == depths[1]


def test_a_link_that_adds_links_is_followed_by_them(app: App) -> None:
    """CHN-10."""
    acts["a"] = lambda step: step.prepend_to_chain(Step("x"))
    acts["x"] = lambda step: step.append_to_chain(Step("y"))
    chain(steps("ab")).dispatch()

    assert [*"axby"] == log


def test_a_released_link_runs_again_before_the_next_one(app: App) -> None:
    """CHN-04."""
    acts["a"] = lambda step: step.release(60) if step.attempts() == 1 else None
    chain(Step("a").with_options(tries=2), Step("b")).dispatch()

    assert [*"aab"] == log


def test_a_chain_crosses_from_a_connection_that_runs_to_one_that_waits(app: App) -> None:
    chain(Step("a"), Step("b").with_options(connection="memory"), Step("c")).dispatch()

    assert ["a"] == log
    assert 1 == app.connection("memory").size()
