"""Chains are written in one go: what can be a link, where it goes, and what the first one carries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore import (
    App,
    Config,
    ConfigError,
    Job,
    JobDefinitionError,
    PayloadError,
    UnknownConnectionError,
    WorkerOptions,
    chain,
    job,
    links,
)
from qcore.events import Event, JobQueued, JobQueueing
from tests.qcore.chaining import Step, acts, alert, bodies, forget, log, steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore import Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


class OnMail(Step, queue="mail"):
    """Names its queue itself."""


class Empty(Job):
    """A job that is false."""

    def __len__(self) -> int:
        return 0

    def handle(self) -> None:
        log.append("empty")


class Unwilling(Step):
    def prepare_for_dispatch(self) -> bool | None:
        return False


class Alone(Step, unique=True):
    """Unique."""


@job
def say(what: str) -> None:
    log.append(what)


def test_links_run_one_after_the_other_and_only_the_first_is_pushed(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-01, CHN-03."""
    job_id = chain(Step("a"), Step("b"), Step("c")).dispatch()

    [head] = bodies(app)
    assert (job_id, job_id, 2) == (head["id"], head["chain"]["id"], len(links.split(head["chain"]["links"])))
    assert (3, 0) == work()[1:]
    assert ["a", "b", "c"] == log
    assert [] == app.connection().counts()


def test_what_is_false_is_left_out_but_not_a_job_that_is_false(work: Callable[..., Stopped]) -> None:
    """CHN-01."""
    chain(None, Step("a"), "", 0, bool(log), [], Empty()).dispatch()
    work()

    assert ["a", "empty"] == log


def test_an_empty_chain_can_grow_and_cannot_be_dispatched(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-01."""
    chain().append(Step("a")).dispatch()
    work()

    assert ["a"] == log
    with pytest.raises(JobDefinitionError, match=r"without links.*append\(\)"):
        chain(None, []).dispatch()
    assert [] == app.connection().counts()


def test_jobs_functions_and_jobs_with_options_are_links(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-02."""
    chain([Step("a"), say.job("b"), Step("c").with_options(queue="slow", tries=7)]).dispatch()
    work(queues=("default", "slow"))

    assert ["a", "b", "c"] == log


def test_closures_are_links_and_callbacks(tmp_path: Path, clock: FrozenClock) -> None:
    """CHN-02."""
    app = App(Config(root=tmp_path, default="memory", keys=("closure-" + "k" * 40,)), clock=clock)
    names: list[str] = ["b", "bad"]

    def fail(this: Job) -> None:
        say.dispatch(names[0])
        this.fail(names[1])

    def catch(error: BaseException, failed: Job) -> None:
        say.dispatch(f"{error} {failed.display_name()}")

    with app.activate():
        app.chain(lambda: say.dispatch("a"), fail, lambda: say.dispatch("never")).catch(catch).dispatch()
        app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()

    assert ["a", "b"] == log[:2]
    assert "bad Closure (test_chains.py" in log[2]


def test_the_same_job_object_twice_is_two_links(work: Callable[..., Stopped]) -> None:
    step = Step("a")
    chain(step, step).dispatch()
    work()

    assert ["a", "a"] == log


def test_a_chain_can_be_dispatched_twice(work: Callable[..., Stopped]) -> None:
    pending = chain(Step("a"), Step("b"))

    assert pending.dispatch() != pending.dispatch()
    work()
    assert ["a", "a", "b", "b"] == log


def test_prepended_and_appended_links_keep_their_order(work: Callable[..., Stopped]) -> None:
    """CHN-11."""
    chain(Step("a")).prepend([Step("x"), Step("y")]).append(Step("b"), None, Step("c")).prepend(
        Step("first")
    ).dispatch()
    work()

    assert ["first", "x", "y", "a", "b", "c"] == log


def test_a_chain_is_dispatched_if_a_condition_holds(app: App) -> None:
    """CHN-12."""
    pending = app.chain(Step("a"))

    assert None is pending.dispatch_if(0) is pending.dispatch_unless(lambda each: each is pending)
    assert None is not pending.dispatch_if(lambda each: each is pending) != pending.dispatch_unless(0, queue="mail")
    assert ["default", "mail"] == [each.queue for each in app.connection().counts()]


def test_the_queue_of_a_chain_holds_for_links_that_name_none(app: App, work: Callable[..., Stopped]) -> None:
    """CHN-05, DSP-25. What a link says itself holds for that link alone."""
    app.route(Step, queue="routed")
    chain(Step("a"), OnMail("b"), Step("c").with_options(queue="slow"), Step("d")).on_queue("chain").dispatch()

    ran = []
    for queue in ("chain", "mail", "slow", "chain"):
        assert [queue] == [each.queue for each in app.connection().counts()]
        ran.append(work(queues=(queue,)).jobs)
    assert ([1, 1, 1, 1], ["a", "b", "c", "d"]) == (ran, log)


def test_without_a_word_of_the_chain_each_link_goes_where_it_would_go_alone(app: App) -> None:
    """DSP-25."""
    app.route(Step, queue="routed")
    chain(OnMail("a"), Step("b")).dispatch()

    [head] = bodies(app, "mail")
    following = links.following(head["chain"], 0.0)
    assert following is not None
    assert "routed" == following[1].queue


def test_the_connection_of_a_chain_holds_for_links_that_name_none(tmp_path: Path, clock: FrozenClock) -> None:
    """CHN-05, DSP-25. A link on another connection is pushed there."""
    app = App(Config(root=tmp_path, default="null"), clock=clock)
    with app.activate():
        chain([Step("a"), Step("b").with_options(connection="database"), Step("c")]).catch(alert).dispatch(
            connection="memory", queue="q"
        )
        acts["c"] = lambda step: step.fail("bad")
        for connection in ("memory", "database", "memory"):
            worker = app.worker(connection, WorkerOptions(queues=("q",), stop_when_empty=True, memory=0))
            log.append(worker.run().jobs)
    app.close()

    assert ["a", 1, "b", 1, "c", "failed c: bad", ("alert", "bad", Step("c")), 2] == log


def test_the_delay_of_a_chain_is_that_of_its_first_link_if_it_names_none(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    """CHN-06."""
    chain(Step("a"), Step("b")).delay(timedelta(seconds=60)).dispatch()
    chain(Step("c").with_options(delay=5), Step("d").with_options(delay=30)).delay(60).dispatch()

    seen = []
    for seconds in (5, 30, 25):
        clock.advance(seconds)
        seen.append([work().jobs, *log])
    assert [[1, "c"], [1, "c", "d"], [2, "c", "d", "a", "b"]] == seen


def test_a_link_that_waits_for_a_moment_waits_for_that_moment(
    app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    """However long the links before it took."""
    moment = datetime.fromtimestamp(clock.now() + 100, UTC)
    chain(Step("a").with_options(delay=90), Step("b").with_options(delay=moment)).dispatch()

    clock.advance(90)
    assert 1 == work().jobs
    clock.advance(10)
    assert 1 == work().jobs


def test_a_link_is_told_like_any_other_push(app: App, work: Callable[..., Stopped], events: list[Event]) -> None:
    chain(Step("a"), Step("b")).dispatch()
    work()

    told = [event for event in events if isinstance(event, JobQueueing | JobQueued)]
    assert [JobQueueing, JobQueued] * 2 == [type(event) for event in told]
    assert [Step("a"), Step("a"), None, None] == [event.job for event in told]


def test_links_that_a_hook_or_the_job_itself_drops_are_left_out(app: App, work: Callable[..., Stopped]) -> None:
    app.before_push(lambda job, _connection, _queue: job != Step("b"))
    job_id = chain(Unwilling("x"), Step("a"), Step("b"), Step("c")).dispatch()

    assert job_id == bodies(app)[0]["id"]
    work()
    assert ["a", "c"] == log
    assert None is chain(Unwilling("x"), Step("b")).dispatch()


def test_a_unique_first_link_that_is_there_already_keeps_the_chain_away(app: App, work: Callable[..., Stopped]) -> None:
    Alone("a").dispatch()

    assert None is chain(Alone("a"), Step("b")).dispatch()
    work()
    assert ["a"] == log


def test_a_unique_link_further_on_takes_the_lock_when_its_turn_comes(app: App, work: Callable[..., Stopped]) -> None:
    acts["b"] = lambda _: log.append(Alone("b").dispatch())
    chain(Step("a"), Alone("b"), Step("c")).dispatch()
    work()

    assert ["a", "b", None, "c"] == log


def test_the_ids_of_links_follow_from_the_chain_and_their_position(app: App) -> None:
    chain(Step("a"), Step("b"), Step("b")).dispatch()

    [head] = bodies(app)
    ids = [links.id_of(link) for link in links.split(head["chain"]["links"])]
    assert [links.derived_id(head["id"], str(position)) for position in (1, 2)] == ids


WRONG = [
    (
        lambda: chain(Step("a"), object()),  # type: ignore[arg-type]
        "is an instance of a class derived from Job, got <object",
    ),
    (lambda: chain(Step("a"), "b"), "is an instance of a class derived from Job, got 'b'"),
    (lambda: chain(Step), "make an instance"),
    (lambda: chain(say), r"write say\.job\(\.\.\.\)"),
    (lambda: chain(Step("a"), steps("bc")), r"a list is no link.*write chain\(A\(\), B\(\)\).*batch\("),
    (
        lambda: chain(Step("a"), chain(Step("b"))),  # type: ignore[arg-type]
        "write its links into the chain itself",
    ),
    (
        lambda: chain(Step("a")).append([[Step("b")]]),  # type: ignore[list-item]
        "a list is no link",
    ),
    (lambda: chain(Step("a")).on_queue(""), "cannot be a queue name"),
    (lambda: chain(Step("a")).delay("soon"), "delay"),  # type: ignore[arg-type]
    (lambda: chain(Step("a")).dispatch(tries=3), "tries: of a chain delay, queue, connection.* can be said"),
    (lambda: chain(Step("a")).catch(log.append).dispatch(), "cannot be stored: write a lambda"),
    (lambda: chain(Step("a")).catch("alert").dispatch(), "'alert' cannot be stored"),  # type: ignore[arg-type]
    (lambda: chain(Step("a")).catch(Step).dispatch(), "cannot be stored: make an instance"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_what_cannot_be_is_refused_and_nothing_is_pushed(app: App, wrong: Callable[[], Any], message: str) -> None:
    with pytest.raises(JobDefinitionError, match=message):
        wrong()

    assert [] == app.connection().counts()


def test_a_link_that_cannot_be_written_keeps_the_whole_chain_away(app: App) -> None:
    with pytest.raises(PayloadError, match=r"Step\.name"):
        chain(Step("a"), Step(object())).dispatch()  # type: ignore[arg-type]
    with pytest.raises(UnknownConnectionError):
        chain(Step("a"), Step("b").with_options(connection="nowhere")).dispatch()
    with pytest.raises(ConfigError, match="cannot be signed"):
        chain(Step("a")).catch(lambda: None).dispatch()

    assert [] == app.connection().counts()


def test_a_chain_that_is_too_long_is_refused_and_says_so(tmp_path: Path) -> None:
    app = App(Config(root=tmp_path, default="memory", payload={"max_bytes": 4_000}))

    with pytest.raises(PayloadError, match=r"a chain of 50 links takes \d+ bytes.*limit is 4000.*another chain"):
        app.chain([Step("a") for _ in range(50)]).dispatch()
    assert [] == app.connection().counts()
    assert app.chain([Step("a") for _ in range(5)]).dispatch()


def test_the_first_payload_grows_as_the_chain_and_no_faster(app: App) -> None:
    """CHN-20."""
    for count in (100, 200):
        chain([Step("a") for _ in range(count)]).dispatch()

    short, long = (len(each.payload.body) for each in app.connection().listed("default"))
    assert 1.9 < long / short < 2.1


def test_a_thousand_links_run(app: App, work: Callable[..., Stopped]) -> None:
    chain(Step(str(number)) for number in range(1_000)).dispatch()

    assert (1_000, 0) == work()[1:]
    assert [str(number) for number in range(1_000)] == log


def test_a_chain_shows_its_links() -> None:
    assert "chain(Step(name='a'), Step(name='b'))" == repr(qcore.chain(Step("a"), Step("b")))
