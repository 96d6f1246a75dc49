"""Callbacks: what can be one, and what it is called with."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, Job, JobDefinitionError, JobError, StoredError, WorkerOptions, batch, chain, job, links
from qcore.callback_arguments import placed
from qcore.callbacks import callback_link
from qcore.options import JobOptions
from tests.qcore.chaining import Step, acts, alert, bodies, forget, log, raising

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore import Stopped
    from qcore.callbacks import Callback
    from qtest.clock import FrozenClock

KEYS = ("callback-" + "k" * 40,)


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


class Mailer:
    """What an App gives."""


class Secret(Step, encrypted=True):
    """Cannot be read without a key."""


@job
def mail(error: BaseException, mailer: Mailer) -> None:
    log.append((str(error), type(mailer)))


@job
def defaults(error: BaseException, failed: object = "default", *rest: object, **more: object) -> None:
    log.append((str(error), failed, rest, more))


@job
def by_position(error: BaseException, failed: Job, /) -> None:
    log.append((str(error), failed))


@job
def three(one: object, two: object, three: object) -> None:
    """Asks for more than a chain has."""


@job
def keyword(*, error: BaseException) -> None:
    """Asks by name."""


@job
def say(what: str) -> None:
    log.append(what)


def test_a_function_is_called_with_what_it_asks_for_and_keeps_its_defaults(work: Callable[..., Stopped]) -> None:
    acts["a"] = raising()
    chain(Step("a")).catch(defaults).catch(by_position).dispatch()
    work()

    assert [("bad", "default", (), {}), ("bad", Step("a"))] == log[2:]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["batch"], {"batch": "B"}),
        (["done"], {"done": "B"}),
        (["error", "failed"], {"error": "E", "failed": "J"}),
        (["failed", "error"], {"failed": "J", "error": "E"}),
        (["exception"], {"exception": "E"}),
        (["one", "error"], {"one": "B", "error": "E"}),
        (["error", "one"], {"error": "E", "one": "B"}),
        (["one", "two", "three"], {"one": "B", "two": "E", "three": "J"}),
        (["one", "two", "three", "four"], {"one": "B", "two": "E", "three": "J"}),
    ],
)
def test_a_parameter_gets_what_its_name_says_else_what_its_place_says(
    names: list[str], expected: dict[str, object]
) -> None:
    assert expected == placed(names, {"batch": "B", "error": "E", "job": "J"})


def test_a_name_that_says_what_is_not_there_goes_by_its_place() -> None:
    assert {"failed": "B"} == placed(["failed"], {"batch": "B"})


def test_one_function_serves_chains_and_batches(app: App, work: Callable[..., Stopped]) -> None:
    acts["a"] = raising("of the chain")
    acts["b"] = raising("of the batch")
    chain(Step("a")).catch(alert).dispatch()
    batch([Step("b")]).catch(alert).dispatch()
    work()
    told = [each for each in log if each[0] == "alert"]
    assert [("alert", "of the chain", Step("a")), ("alert", "of the batch", Step("b"))] == told


def test_what_the_app_gives_by_type_is_not_asked_of_the_chain(app: App, work: Callable[..., Stopped]) -> None:
    app.provide(Mailer, Mailer)
    acts["a"] = raising()
    chain(Step("a")).catch(mail).dispatch()
    work()

    assert ("bad", Mailer) == log[-1]


def test_a_call_that_is_complete_is_called_as_it_is(work: Callable[..., Stopped]) -> None:
    acts["a"] = raising()
    chain(Step("a")).catch(say.job("said")).catch(Step("job")).dispatch()
    work()

    assert ["said", "job"] == log[-2:]


def test_the_app_puts_its_middleware_around_callbacks_too(app: App, work: Callable[..., Stopped]) -> None:
    def layer(given: Job, call_next: Callable[[Job], object]) -> object:
        log.append(type(given).__name__)
        return call_next(given)

    app.middleware.append(layer)
    acts["a"] = raising()
    chain(Step("a")).catch(alert).dispatch()
    work()

    assert ["Step", "a", "failed a: bad", "alert", ("alert", "bad", Step("a"))] == log


@pytest.mark.parametrize(
    ("callback", "queue"),
    [(alert, "of chain"), (Step("x"), "of chain"), (Step("x").with_options(queue="own"), "own")],
)
def test_a_callback_goes_where_it_says_or_where_its_chain_goes(
    app: App, work: Callable[..., Stopped], callback: Callback, queue: str
) -> None:
    app.route(Step, queue="routed")
    acts["a"] = raising()
    chain(Step("a")).catch(callback).on_queue("of chain").dispatch()
    work(queues=("of chain",), max_jobs=1)

    assert [queue] == [each.queue for each in app.connection().counts()]


def test_the_error_is_stored_as_text_without_secrets(app: App, work: Callable[..., Stopped]) -> None:
    heard: list[StoredError] = []

    @job
    def hear(error: StoredError) -> None:
        heard.append(error)

    acts["a"] = raising("password=hunter2")
    chain(Step("a")).catch(hear).dispatch()
    work()

    [error] = heard
    assert isinstance(error, JobError)
    assert ("ValueError", "password=[redacted]", str(error)) == (error.type_name, error.text, error.text)
    assert error.traceback.startswith("Traceback")
    assert "hunter2" not in error.traceback
    assert "StoredError(ValueError: password=[redacted])" == repr(error)


@pytest.mark.parametrize("lacking", ["nothing", "key", "extra"])
def test_a_failed_job_that_cannot_be_restored_is_none(
    tmp_path: Path, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    """Here because of what the worker of the callback lacks."""
    first, second = (
        App(Config(root=tmp_path, default="database", keys=keys), clock=clock)
        for keys in (KEYS, () if lacking == "key" else KEYS)
    )
    options = WorkerOptions(max_jobs=1, stop_when_empty=True, memory=0)
    acts["a"] = raising()
    with first.activate():
        chain(Secret("a")).catch(alert).dispatch()
    first.worker(options=options).run()
    if lacking == "extra":
        monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    second.worker(options=options).run()
    first.close()
    second.close()

    assert ("alert", "bad", Secret("a") if lacking == "nothing" else None) == log[-1]


def test_a_closure_is_a_callback_and_its_captures_are_kept(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(Config(root=tmp_path, default="memory", keys=KEYS), clock=clock)
    told = "closure"
    acts["a"] = raising()
    with app.activate():
        chain(Step("a")).catch(lambda error, failed, who=told: say.dispatch(f"{who} {error} {failed}")).dispatch()
        chain(Step("a")).catch(lambda: say.dispatch("nothing")).dispatch()
        app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()

    assert ["closure bad Step(name='a')", "nothing"] == log[-2:]


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (three, r"three\(\) asks for one, two, three; a callback gets the error and the failed job"),
        (keyword, r"keyword\(\) asks for error; a callback gets"),
        (lambda one, two, three: (one, two, three), "asks for one, two, three; a callback gets"),
        (lambda *, error: error, "asks for error; a callback gets"),
        (print, r"<built-in function print> cannot be stored: write a lambda that calls it, or a function under @job"),
        (Mailer(), r"Mailer object.* cannot be stored$"),
        (None, "None cannot be stored"),
        (Step, "cannot be stored: make an instance"),
    ],
)
def test_what_cannot_be_called_back_is_refused_at_dispatch(app: App, callback: Callback, message: str) -> None:
    with pytest.raises(JobDefinitionError, match=message):
        chain(Step("a")).catch(callback).dispatch()

    assert [] == app.connection().counts()


def test_a_callback_of_a_batch_may_ask_for_as_much_as_there_is(app: App) -> None:
    wide = JobOptions(queue="of batch")
    link = callback_link(app, three, wide, takes=3)

    assert link is not None
    push = links.batch_callback("batch", "failure", link, 0.0, member="m", told=links.failure("E", "m", "t", "{}"))
    assert ("of batch", "failure") == (push.queue, json.loads(push.payload.body)["callback"]["event"])
    with pytest.raises(JobDefinitionError, match=r"this callback gets the batch$"):
        callback_link(app, alert, wide, takes=1)


def test_a_callback_that_a_hook_drops_is_not_called(app: App, work: Callable[..., Stopped]) -> None:
    app.before_push(lambda job, _connection, _queue: job != Step("dropped"))
    acts["a"] = raising()
    chain(Step("a"), Step("b")).catch(Step("dropped")).catch(Step("kept")).dispatch()

    assert 1 == len(bodies(app)[0]["chain"]["catch"])
    work()
    assert "kept" == log[-1]
