"""A batch is dispatched: what may be a member, where members go, and what a wrong one leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import (
    App,
    Batch,
    Config,
    ConfigError,
    Job,
    JobDefinitionError,
    PayloadError,
    PendingBatch,
    QcoreError,
    UnknownConnectionError,
    UnsupportedError,
    batch,
    batch_members,
    chain,
    current,
    find_batch,
    job,
)
from qcore.events import BatchDispatched, BatchFinished, Event, JobQueued, JobQueueing
from tests.qcore.batching import Step, all_callbacks, bodies, counts, forget, fresh, log, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore import Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


class Elsewhere(Step, queue="slow", connection="sync", delay=60):
    pass


class Shy(Step):
    def prepare_for_dispatch(self) -> bool:
        return False


class Unwritable(Job):
    def __init__(self) -> None:
        self.lock = object()

    def handle(self) -> None:
        raise AssertionError


@job
def greet(name: str) -> None:
    log.append(f"hello {name}")


def waiting(app: App, queue: str = "default") -> list[str]:
    return [body["displayName"] for body in bodies(app, queue)]


# Members.


def test_members_run_and_the_batch_counts_them(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-02."""
    pending = all_callbacks(batch(steps("abc"), name="letters"))

    started = pending.dispatch()
    assert (started.name, started.state, counts(started)) == ("letters", "running", (3, 3, 0, 0, 0))

    work()
    assert log == ["a", "b", "c", "then 3/3", "finally 3/3"]
    assert (fresh(started).state, counts(started)) == ("finished", (3, 0, 3, 0, 0))


def test_functions_prepared_jobs_and_chains_are_members_and_what_is_false_is_none(
    app: App, work: Callable[..., Stopped]
) -> None:
    """BAT-01, BAT-07: an empty list inside the list is left out, too."""
    members: list[object] = [
        None,
        Step("a"),
        [],
        0,
        "",
        False,
        greet.job("you"),
        Step("b").with_options(tries=3),
        chain(Step("c")),
    ]

    started = batch(members).dispatch()

    work()
    assert log == ["a", "hello you", "b", "c"]
    assert counts(started) == (4, 0, 4, 0, 0)


def test_one_job_alone_is_a_member(app: App, work: Callable[..., Stopped]) -> None:
    batch(Step("a")).add(Step("b")).add([Step("c"), Step("d")]).dispatch()

    work()
    assert log == ["a", "b", "c", "d"]


def test_a_list_inside_is_a_chain_and_each_of_its_links_a_member(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-06."""
    started = batch([steps("abc"), Step("x"), tuple(steps("yz"))]).dispatch()
    assert counts(started) == (6, 6, 0, 0, 0)

    work()
    assert log == ["a", "x", "y", "b", "z", "c"]
    assert counts(started) == (6, 0, 6, 0, 0)


def test_the_body_of_a_member_bears_the_id_of_its_batch(app: App) -> None:
    """BAT-06."""
    started = batch([Step("a"), steps("bc")]).dispatch()

    assert [body["batchId"] for body in bodies(app)] == [started.id] * 2
    assert started.id in bodies(app)[1]["chain"]["links"]


@pytest.mark.parametrize(
    ("members", "says"),
    [
        pytest.param(["text"], "got 'text'", id="a text"),
        pytest.param("text", "got 'text'", id="a text alone"),
        pytest.param([Step], "make an instance", id="a class"),
        pytest.param([greet], r"write greet\.job\(\.\.\.\)", id="a job function"),
        pytest.param([print], "write a lambda", id="a builtin"),
        pytest.param([[Step("a"), [Step("b")]]], "a list is no link", id="a list in a list in the list"),
        pytest.param([[Step("a"), "b"]], "got 'b'", id="a text in a chain"),
        pytest.param(7, "got 7", id="a number alone"),
    ],
)
def test_what_is_no_job_is_refused_when_it_is_given(app: App, members: object, says: str) -> None:
    """BAT-01."""
    with pytest.raises(JobDefinitionError, match=says):
        batch(members)
    with pytest.raises(JobDefinitionError, match=says):
        batch().add(members)


def test_members_stand_in_one_list(app: App) -> None:
    with pytest.raises(JobDefinitionError, match=r"write batch\(\[Step\(.*\), Step\(.*\)\]\)"):
        batch(Step("a"), Step("b"))  # type: ignore[arg-type]


def test_a_batch_that_holds_itself_is_refused(app: App) -> None:
    inner = batch([Step("a")])
    outer = batch([Step("b"), inner])
    inner.add([outer])
    endless: list[Any] = [Step("c")]
    endless.append(endless)

    with pytest.raises(JobDefinitionError, match="a batch holds itself"):
        outer.dispatch()
    with pytest.raises(JobDefinitionError, match="a list is no link"):
        batch([endless])
    assert waiting(app) == []
    assert app.batches.list() == []


@pytest.mark.parametrize("name", [7, b"x", "x" * 191])
def test_a_name_that_is_none_is_refused(app: App, name: str) -> None:
    with pytest.raises(JobDefinitionError, match="the name of a batch is a text"):
        batch(name=name)


def test_a_job_that_drops_itself_is_no_member(app: App, work: Callable[..., Stopped]) -> None:
    started = batch([Shy("a"), Step("b"), [Shy("c"), Step("d")], [Shy("e")]]).dispatch()

    work()
    assert log == ["b", "d"]
    assert counts(started) == (2, 0, 2, 0, 0)


# Where they go.


def test_all_members_go_to_the_connection_of_the_batch_and_keep_their_queue(app: App) -> None:
    """BAT-03."""
    batch([Elsewhere("a"), Step("b"), [Elsewhere("c"), Step("d")]]).dispatch()

    assert waiting(app) == ["Step"]
    assert waiting(app, "slow") == ["Elsewhere", "Elsewhere"]
    assert log == []


def test_a_queue_of_the_batch_beats_those_of_the_members(app: App) -> None:
    """BAT-03, BAT-05."""
    batch([Elsewhere("a"), Step("b"), [Elsewhere("c"), Step("d")]]).on_queue("batches").dispatch()

    assert waiting(app, "batches") == ["Step", "Elsewhere", "Elsewhere"]
    assert waiting(app, "slow") == []


def test_links_behind_the_first_one_go_there_too(app: App, work: Callable[..., Stopped]) -> None:
    """BAT-03."""
    batch([[Step("a"), Elsewhere("b").with_options(delay=0)]]).on_queue("batches").dispatch()

    work(queues=("batches",))
    assert log == ["a", "b"]


def test_options_of_the_dispatch_beat_those_of_all_members(app: App, clock: FrozenClock) -> None:
    """BAT-05."""
    members = [Step("a"), Step("b").with_options(tries=2, queue="slow"), steps("cd")]

    batch(members).on_queue("never").dispatch(queue="now", delay=30, tries=5)

    assert [(body["maxTries"], body["displayName"]) for body in bodies(app, "now")] == [(5, "Step")] * 3
    assert {each.available_at for each in app.connection().listed("now")} == {clock.now() + 30}


def test_options_of_one_member_are_not_those_of_the_next(app: App) -> None:
    batch([Step("a"), Step("b").with_options(tries=3), Step("c")]).dispatch()

    assert [body["maxTries"] for body in bodies(app)] == [None, 3, None]


def test_a_delay_is_for_the_first_link_of_a_chain(app: App, clock: FrozenClock, work: Callable[..., Stopped]) -> None:
    batch([steps("ab")]).dispatch(delay=30)

    clock.advance(30)
    work()
    assert log == ["a", "b"]


def test_a_batch_goes_where_it_is_sent(app: App) -> None:
    """BAT-05."""
    sent = batch(steps("a")).on_connection("sync").dispatch()

    assert log == ["a"]
    assert (sent.connection, sent.queue, sent.finished) == ("sync", None, True)
    assert waiting(app) == []


def test_a_connection_that_cannot_have_batches_says_so(app: App) -> None:
    with pytest.raises(UnsupportedError, match="the driver of the connection 'null' cannot have batches: take"):
        batch(steps("a")).dispatch(connection="null")
    with pytest.raises(UnknownConnectionError, match="there is no connection 'mars'"):
        batch(steps("a")).on_connection("mars").dispatch()


def test_an_option_that_is_none_is_refused(app: App) -> None:
    with pytest.raises(JobDefinitionError, match="colour is no option"):
        batch(steps("a")).dispatch(colour="red")
    assert app.batches.list() == []


def test_a_test_that_took_over_the_process_keeps_a_batch_from_real_connections(app: App, tmp_path: Path) -> None:
    real = App(Config(default="database", root=tmp_path / "real"))
    current.override(app)
    try:
        with pytest.raises(QcoreError, match="would reach a real connection"):
            all_callbacks(real.batch([])).dispatch()
        with pytest.raises(QcoreError, match="would reach a real connection"):
            real.batch([]).dispatch()
    finally:
        current.override(None)


def test_an_app_makes_batches_for_itself(app: App, tmp_path: Path) -> None:
    other = App(Config(default="memory", root=tmp_path))

    assert other.batch(steps("a"), name="x", allow_failures=True).dispatch().total == 1
    assert (len(other.batches.list()), app.batches.list(), waiting(app)) == (1, [], [])


# Callbacks.


@pytest.mark.parametrize("event", ["then", "catch", "finally_", "progress", "allow_failures"])
@pytest.mark.parametrize(
    ("callback", "error", "says"),
    [
        pytest.param(print, JobDefinitionError, "cannot be stored", id="a builtin"),
        pytest.param("text", JobDefinitionError, "cannot be stored", id="a text"),
        pytest.param(Step, JobDefinitionError, "make an instance", id="a class"),
        pytest.param(lambda: None, ConfigError, "key", id="a closure without a key"),
        pytest.param(Unwritable(), PayloadError, "lock", id="a job that cannot be written"),
    ],
)
def test_a_callback_that_cannot_be_stored_is_an_error_and_nothing_is_pushed(
    app: App, event: str, callback: object, error: type[QcoreError], says: str
) -> None:
    pending = batch(steps("ab"))
    getattr(pending, event)([callback] if event == "allow_failures" else callback)

    with pytest.raises(error, match=says):
        pending.dispatch()
    assert waiting(app) == []
    assert app.batches.list() == []


def test_before_is_called_in_place_with_the_batch_before_anything_is_pushed(app: App) -> None:
    """BAT-02."""
    seen: list[tuple[str, int, int]] = []

    def look(started: Batch) -> None:
        seen.append((started.state, started.total, len(waiting(app))))

    batch(steps("ab")).before(look).before(look).dispatch()

    assert seen == [("adding", 0, 0)] * 2
    assert len(waiting(app)) == 2


def test_an_error_of_before_leaves_nothing_behind(app: App) -> None:
    """BAT-02."""

    def refuse(_: Batch) -> None:
        raise ValueError("not today")

    with pytest.raises(ValueError, match="not today"):
        all_callbacks(batch(steps("ab"))).before(refuse).dispatch()
    assert waiting(app) == []
    assert app.batches.list() == []


def test_before_takes_what_can_be_called_here_and_now(app: App) -> None:
    async def late(_: Batch) -> None: ...

    for wrong in (late, "text"):
        with pytest.raises(JobDefinitionError, match=r"before\(\) takes a plain function"):
            batch().before(wrong)  # type: ignore[arg-type]


# Empty, on condition.


def test_an_empty_batch_completes_at_once(app: App, work: Callable[..., Stopped], events: list[Event]) -> None:
    """BAT-07, G-22."""
    empties: tuple[object, ...] = ([], None, [None, [None, ""]], [Shy("a")], iter(()))
    for empty in empties:
        forget()
        done = all_callbacks(batch(empty)).dispatch()
        assert (done.state, done.progress, counts(done)) == ("finished", 0, (0, 0, 0, 0, 0))

        work()
        assert log == ["then 0/0", "finally 0/0"]
    assert [type(event) for event in events if isinstance(event, BatchDispatched | BatchFinished)] == [
        BatchDispatched,
        BatchFinished,
    ] * 5


def test_it_is_dispatched_on_a_condition(app: App) -> None:
    """BAT-04."""
    pending = batch(steps("a"))

    assert pending.dispatch_if(condition=False) is None
    assert pending.dispatch_unless(lambda given: given is pending) is None
    assert waiting(app) == []
    assert isinstance(pending.dispatch_if(lambda given: given is pending, queue="x"), Batch)
    assert isinstance(pending.dispatch_unless(condition=False, queue="x"), Batch)
    assert len(waiting(app, "x")) == 2


def test_a_batch_of_a_list_can_be_dispatched_twice(app: App) -> None:
    pending = batch(steps("ab"))

    first, second = pending.dispatch(), pending.dispatch()

    assert first.id != second.id
    assert (counts(first)[0], counts(second)[0], len(waiting(app))) == (2, 2, 4)


def test_a_batch_of_a_generator_can_be_dispatched_once(app: App) -> None:
    pending = batch(Step(name) for name in "ab")

    assert pending.dispatch().total == 2
    with pytest.raises(JobDefinitionError, match="an iterator, which can be read only once"):
        pending.dispatch()
    assert len(waiting(app)) == 2


def test_a_batch_shows_how_many_members_it_has() -> None:
    assert repr(batch(steps("ab"), name="x")) == "<PendingBatch x: 2 members>"
    assert repr(PendingBatch(iter(steps("ab")))) == "<PendingBatch: many members>"


# Many.


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two members in one step, and up to four are written before the first is pushed."""
    monkeypatch.setattr(batch_members, "CHUNK", 2)
    monkeypatch.setattr(batch_members, "AT_ONCE", 4)


def made(names: str, heard: list[str]) -> Iterator[Step]:
    for name in names:
        heard.append(name)
        yield Step(name)


@pytest.mark.usefixtures("small")
def test_members_are_pushed_some_at_a_time_and_the_caller_hears_how_many(app: App) -> None:
    told: list[tuple[int, int | None]] = []
    tell: Callable[[int, int | None], None] = lambda done, total: told.append((done, total))  # noqa: E731

    batch(steps("abc")).dispatch(progress=tell)
    batch(steps("abcdef")).dispatch(progress=tell)
    batch([*steps("abcd"), steps("xyz")]).dispatch(progress=tell)
    batch(iter(steps("abc"))).dispatch(progress=tell)

    assert told[:2] == [(2, 3), (3, 3)]
    assert told[2:5] == [(2, 6), (4, 6), (6, 6)]
    assert told[5:8] == [(2, None), (4, None), (7, None)]
    assert told[8:] == [(2, None), (3, None)]


@pytest.mark.usefixtures("small")
def test_of_a_generator_no_more_is_held_than_is_pushed_in_one_step(app: App) -> None:
    heard: list[str] = []

    batch(made("abcde", heard)).dispatch(progress=lambda done, _: heard.append(str(done)))

    assert heard == ["a", "b", "2", "c", "d", "4", "e", "5"]


@pytest.mark.usefixtures("small")
def test_a_wrong_member_of_a_list_pushes_nothing(app: App) -> None:
    """BAT-02."""
    with pytest.raises(PayloadError, match="lock"):
        all_callbacks(batch([*steps("abc"), Unwritable()])).dispatch()
    assert waiting(app) == []
    assert app.batches.list() == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", [list, iter])
def test_a_wrong_member_in_the_first_step_of_many_leaves_nothing_behind(app: App, kind: Callable[..., Any]) -> None:
    """BAT-02."""
    with pytest.raises(PayloadError, match="lock") as raised:
        all_callbacks(batch(kind([Step("a"), Unwritable(), *steps("bcd")]))).dispatch()
    assert waiting(app) == []
    assert app.batches.list() == []
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("kind", [list, iter])
def test_a_wrong_member_in_a_later_step_cancels_the_batch_and_tells_what_was_pushed(
    app: App, work: Callable[..., Stopped], kind: Callable[..., Any]
) -> None:
    """BAT-02."""
    with pytest.raises(PayloadError, match="lock") as raised:
        all_callbacks(batch(kind([*steps("abcd"), Unwritable(), Step("e")]))).dispatch()

    [left] = app.batches.list()
    assert raised.value.__notes__ == [f"4 members of the batch {left.id} were pushed before that; it is cancelled"]
    assert (left.state, left.total) == ("cancelled", 4)
    work()
    assert log == ["a", "b", "c", "d", "finally 4/4"]


@pytest.mark.usefixtures("small")
def test_what_is_no_job_in_a_generator_is_found_when_it_comes(app: App) -> None:
    with pytest.raises(JobDefinitionError, match="got 'text'"):
        batch(iter([*steps("abc"), "text"])).dispatch()

    [left] = app.batches.list()
    assert (left.state, left.total) == ("cancelled", 2)


def test_a_batch_that_is_deleted_before_members_are_added_is_an_error(app: App) -> None:
    with pytest.raises(QcoreError, match="deleted the batch, so that nothing was pushed"):
        batch(steps("a")).before(lambda started: started.delete()).dispatch()
    assert waiting(app) == []


def test_a_chain_too_long_for_a_payload_is_refused(tmp_path: Path) -> None:
    app = App(Config(default="memory", root=tmp_path, payload={"max_bytes": 5000}))
    with app.activate():
        with pytest.raises(PayloadError, match=r"a chain of 30 members takes \d+ bytes"):
            batch([Step("x"), [Step("a")] * 30]).dispatch()
        assert waiting(app) == []


# Events.


def test_what_is_pushed_is_told(app: App, events: list[Event]) -> None:
    started = batch([Step("a"), steps("bc")]).dispatch()

    told = [(type(event), getattr(event, "job", None)) for event in events]
    assert told == [
        (JobQueueing, Step("a")),
        (JobQueueing, None),
        (JobQueued, Step("a")),
        (JobQueued, None),
        (BatchDispatched, None),
    ]
    assert isinstance(events[-1], BatchDispatched)
    assert events[-1].record.id == started.id
    assert find_batch(started.id) is not None
