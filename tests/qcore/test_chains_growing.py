"""What a running link can add to its chain, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import JobDefinitionError, NotRunningError, PayloadError, chain, current_delivery, job, links
from tests.qcore.chaining import Step, acts, alert, bodies, forget, log, raising, steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore import App, Stopped


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


def test_a_running_link_adds_links_before_and_after_those_that_follow(work: Callable[..., Stopped]) -> None:
    """CHN-10. Several and lists keep their order; what was said last comes first, and last."""

    def add(step: Step) -> None:
        step.append_to_chain(Step("x"), None, Step("y"))
        step.append_to_chain([Step("z")])
        step.prepend_to_chain([Step("2"), Step("3")])
        step.prepend_to_chain(Step("1"))

    acts["a"] = add
    chain(steps("abc")).dispatch()
    work()

    assert [*"a123bcxyz"] == log


def test_a_job_without_a_chain_begins_one(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-10."""
    acts["a"] = lambda step: step.append_to_chain(Step("b"), Step("c"))
    acts["b"] = lambda step: step.prepend_to_chain(Step("x"))
    job_id = Step("a").dispatch()
    work(max_jobs=1)

    assert job_id == bodies(app)[0]["chain"]["id"]
    work()
    assert [*"abxc"] == log


def test_a_function_job_adds_links_through_its_delivery(work: Callable[..., Stopped]) -> None:
    """CHN-10."""

    @job
    def extend() -> None:
        current_delivery().append_to_chain(Step("c"))
        current_delivery().prepend_to_chain(Step("a"))

    chain(extend.job(), Step("b")).dispatch()
    work()

    assert [*"abc"] == log


def test_added_links_go_where_the_chain_goes_and_fail_as_its_links_do(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-10."""
    acts["a"] = lambda step: step.prepend_to_chain(Step("x"))
    acts["x"] = raising()
    chain(steps("ab")).on_queue("q").catch(alert).dispatch()
    work(queues=("q",))

    assert ["a", "x", "failed x: bad", ("alert", "bad", Step("x"))] == log
    assert [] == app.connection().counts()


@pytest.mark.parametrize("ending", [raising(), lambda step: step.release()])
def test_what_was_added_is_forgotten_when_the_link_is_tried_again(
    work: Callable[..., Stopped], ending: Callable[[Step], object]
) -> None:
    """CHN-10."""

    def add(step: Step) -> None:
        step.append_to_chain(Step(f"added by attempt {step.attempts()}"))
        if step.attempts() < 3:
            ending(step)

    acts["a"] = add
    chain(steps("ab")).dispatch()
    work(tries=3)

    assert ["a", "a", "a", "b", "added by attempt 3"] == log


def test_what_was_added_is_forgotten_when_the_link_fails(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-10."""

    def add(step: Step) -> None:
        step.append_to_chain(Step("added"))
        step.fail("bad")

    acts["a"] = add
    chain(steps("ab")).dispatch()
    work()
    acts.clear()
    [record] = app.failed.list()
    app.failed.retry([record.id])
    work()

    assert ["a", "failed a: bad", "a", "b"] == log


def test_added_links_have_the_same_ids_in_every_attempt(app: App, work: Callable[..., Stopped]) -> None:
    """So that a second run of the same attempt adds nothing twice."""
    seen: list[list[str]] = []

    def add(step: Step) -> None:
        step.append_to_chain(Step("x"), Step("y"))
        step.prepend_to_chain(Step("z"))
        held = current_delivery().chain
        assert held is not None
        seen.append([links.id_of(link) for link in links.split(held["links"])])
        if step.attempts() == 1:
            step.release()

    acts["a"] = add
    chain(steps("ab")).dispatch()
    work(tries=2)

    assert seen[0] == seen[1]
    assert len(set(seen[0])) == 4


def test_what_cannot_be_added_is_refused_in_the_job(app: App, work: Callable[..., Stopped]) -> None:
    refused: list[str] = []

    def add(step: Step) -> None:
        for wrong in ("text", [Step("x"), [Step("y")]], Step(object()), Step("x" * app.codec.max_bytes)):  # type: ignore[arg-type]
            with pytest.raises((JobDefinitionError, PayloadError)) as raised:
                step.append_to_chain(wrong)
            refused.append(type(raised.value).__name__)
        with pytest.raises(PayloadError, match="a chain of 4 links takes"):
            step.append_to_chain(*(Step("x" * (app.codec.max_bytes // 3)) for _ in range(3)))

    acts["a"] = add
    chain(steps("ab")).dispatch()
    work()

    assert ["JobDefinitionError", "JobDefinitionError", "PayloadError", "PayloadError"] == refused
    assert ["a", "b"] == log


def test_only_a_running_job_has_a_chain_to_add_to() -> None:
    for add in (Step("a").append_to_chain, Step("a").prepend_to_chain):
        with pytest.raises(NotRunningError, match="no worker is running this job"):
            add(Step("b"))
