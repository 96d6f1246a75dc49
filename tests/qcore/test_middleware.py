"""The way of a job through its middleware: order, ends, errors, time, and what stands in its payload."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore.async_loop import GRACE
from qcore.errors import (
    JobDefinitionError,
    MaxAttemptsExceededError,
    NotRunningError,
    PayloadError,
    TimeoutExceededError,
)
from qcore.events import Event, JobBlocked, JobEnded, JobExceptionOccurred, JobReleased, JobSkipped
from qcore.function_job import job
from qcore.jobs import Job
from qcore.limits import WorkerOptions
from qcore.middleware import Middleware, Release, Skip
from qcore.outcome import Done, Failed, Outcome, Released, Skipped
from qcore.pipeline import Pipeline
from tests.qcore.acting import doing, endings, raising, story
from tests.qcore.layered import Foreign, Layered, Telling, giving, heard, layered, run, telling

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from qcore.app import App
    from qcore.closures import Dispatchable
    from qcore.layers import Layer, Next
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    heard.clear()


def attempt(app: App, job: Dispatchable | None = None, **options: Any) -> Outcome:
    """Dispatch a job, if one is given, and run one attempt of whatever is due."""
    if job is not None:
        app.dispatch(job, **options)
    outcome = app.worker(options=WorkerOptions(memory=0)).run_next_job()
    assert outcome is not None
    return outcome


def payload_of(app: App) -> dict[str, Any]:
    """Read the one payload that waits."""
    (listed,) = app.connection().listed()
    body: dict[str, Any] = json.loads(listed.payload.body)
    return body


# The order, and what is called.


def test_the_app_stands_outside_the_job_and_the_job_outside_the_dispatch(app: App) -> None:
    """MID-01. Of each list the first is the outermost."""
    app.middleware += [telling("app 1"), telling("app 2")]
    given = layered(telling("job 1"), telling("job 2"))

    assert attempt(app, given, middleware=[Telling("dispatch 1"), Telling("dispatch 2")]) == Done()

    names = ["app 1", "app 2", "job 1", "job 2", "dispatch 1", "dispatch 2"]
    assert heard == [*(f"{name} in" for name in names), "ran", *(f"{name} out" for name in reversed(names))]


def test_any_callable_that_takes_a_job_and_the_next_is_a_layer(app: App) -> None:
    """MID-01."""

    def function(job: Job, call_next: Next) -> object:
        heard.append("function")
        return call_next(job)

    class Keeper:
        def method(self, job: Job, call_next: Next) -> object:
            heard.append("method")
            return call_next(job)

    def bound(word: str, job: Job, call_next: Next) -> object:
        heard.append(word)
        return call_next(job)

    attempt(app, layered(function, Keeper().method, partial(bound, "partial"), lambda job, call: call(job)))

    assert heard == ["function", "method", "partial", "ran"]


def test_a_job_is_asked_for_its_middleware_in_each_attempt_as_it_was_restored(app: App) -> None:
    """MID-01."""
    asked: list[Layered] = []

    def middleware(job: Layered) -> list[Any]:
        asked.append(job)
        return []

    def handle(job: Layered) -> None:
        job.user_id = 99
        if job.attempts() == 1:
            job.release()

    attempt(app, giving(middleware, handle=handle, user_id=7), tries=2)
    attempt(app)

    assert [job.attempts() for job in asked] == [1, 1]  # no worker runs them any more
    assert asked[0] is not asked[1]
    assert [job.user_id for job in asked] == [99, 99]


def test_the_next_attempt_begins_with_what_the_payload_holds(app: App) -> None:
    """MID-05. What layers and handler wrote into the job is gone."""
    seen: list[int] = []

    def writes(job: Layered, call_next: Next) -> object:
        seen.append(job.user_id)
        job.user_id += 1
        return call_next(job)

    given = layered(writes, handle=lambda job: job.release() if job.attempts() == 1 else None, user_id=7)
    attempt(app, given, tries=2)
    attempt(app)

    assert seen == [7, 7]


def test_middleware_may_be_given_one_by_one(app: App) -> None:
    def middleware(_: Job) -> Iterator[Any]:
        yield telling("first")
        yield telling("second")

    attempt(app, giving(middleware))

    assert heard == ["first in", "second in", "ran", "second out", "first out"]


def test_call_next_returns_when_an_async_handler_has_ended(app: App) -> None:
    async def handle(_: Job) -> str:
        heard.append("awaited")
        return "a value"

    def layer(job: Job, call_next: Next) -> object:
        heard.append(f"got {call_next(job)}")
        return None

    assert attempt(app, layered(layer, handle=handle)) == Done()
    assert heard == ["awaited", "got a value"]


def test_a_layer_may_run_the_rest_twice(app: App) -> None:
    def again(job: Job, call_next: Next) -> object:
        call_next(job)
        return call_next(job)

    assert attempt(app, layered(again, telling("inner"))) == Done()
    assert heard == ["inner in", "ran", "inner out"] * 2


def test_the_job_that_a_layer_passes_on_is_the_one_that_is_handled(app: App) -> None:
    """It is the one that may release itself meanwhile; the one that was restored is told of failure."""
    told: list[object] = []

    def handle(job: Job) -> None:
        heard.append(f"other, attempt {job.attempts()}")
        job.release(5)
        raise ValueError

    other = doing(handle, failed=lambda job, _: told.append(job))

    def swaps(job: Job, call_next: Next) -> object:
        try:
            return call_next(other)
        except ValueError:
            job.release(6)
            raise

    app.dispatch(layered(swaps), tries=2)
    outcome = attempt(app)

    assert isinstance(outcome, Released)
    assert outcome.delay == 6
    assert heard == ["other, attempt 1"]
    with pytest.raises(NotRunningError):
        other.release()


def test_a_job_function_and_a_job_without_middleware_of_its_own_pass_the_middleware_of_the_app(app: App) -> None:
    app.middleware.append(telling("app"))

    attempt(app, greet.job("ada"))

    assert heard == ["app in", "hello ada", "app out"]


@job
def greet(name: str) -> None:
    heard.append(f"hello {name}")


def test_middleware_that_is_added_to_the_app_later_is_passed_from_then_on(app: App) -> None:
    worker = app.worker(options=WorkerOptions(memory=0))
    for _ in range(2):
        app.dispatch(layered())
        worker.run_next_job()
        app.middleware.append(telling("app"))

    assert heard == ["ran", "app in", "ran", "app out"]


def test_a_plain_job_is_called_directly(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who uses no middleware does not pay for it."""

    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(Pipeline, "_run", refuse)

    assert attempt(app, doing(run)) == Done()


def test_a_job_that_runs_in_place_passes_its_middleware(app: App) -> None:
    """MID-03, differently: there is one way to run a job."""
    app.middleware.append(telling("app"))
    app.dispatch_sync(layered(telling("job")))
    layered().dispatch(connection="sync")

    assert heard == ["app in", "job in", "ran", "job out", "app out", "app in", "ran", "app out"]


def test_a_handler_that_a_test_calls_passes_none() -> None:
    """MID-03."""
    layered(telling("job")).handle()

    assert heard == ["ran"]


# How a job can end there.


def test_a_job_that_no_layer_calls_on_is_skipped_and_gone(app: App, events: list[Event]) -> None:
    """MID-02."""
    assert attempt(app, layered(lambda *_: None)) == Skipped()
    assert heard == []
    assert app.connection().size() == 0
    assert app.failed.list() == []
    (ending,) = endings(events)
    assert isinstance(ending, JobSkipped)


def forgetful(job: Job, call_next: Next) -> None:
    """It forgets to call on."""


def test_a_skipped_job_says_which_layer_did_not_call_on(app: App, events: list[Event]) -> None:
    assert attempt(app, layered(lambda job, call_next: call_next(job), forgetful)) == Skipped()

    (ending,) = endings(events)
    assert ending.delivery.blocked_by == "forgetful"


def test_to_call_on_without_the_job_is_an_error_that_says_so(app: App) -> None:
    outcome = attempt(app, layered(lambda _, call_next: call_next()))

    assert isinstance(outcome, Failed)
    assert "call_next(job) takes the job to run" in str(outcome.error)


def test_a_skipped_link_lets_its_chain_go_on(app: App, work: Callable[..., Stopped]) -> None:
    """MID-02."""
    qcore.chain(layered(lambda *_: None), layered()).dispatch()
    work()

    assert heard == ["ran"]


@pytest.mark.parametrize("release", [0, 30])
def test_a_layer_that_releases_the_job_gives_the_attempt_back(app: App, clock: FrozenClock, release: int) -> None:
    """MID-04, differently: only what was tried counts."""

    def puts_off(job: Job, call_next: Next) -> object:
        if len(seen) < 50:
            seen.append(job.attempts())
            job.release(release)
            return None
        return call_next(job)

    seen: list[int] = []
    app.dispatch(layered(puts_off), tries=1)
    for _ in range(50):
        assert attempt(app) == Released(release, counted=False)
        clock.advance(release)

    assert attempt(app) == Done()
    assert seen == [1] * 50
    assert heard == ["ran"]


def test_a_release_by_a_layer_after_the_handler_has_run_counts(app: App) -> None:
    """MID-04. What was tried counts, whoever asks for more."""

    def again(job: Job, call_next: Next) -> object:
        call_next(job)
        job.release()
        return None

    assert attempt(app, layered(again), tries=1) == Released(0)
    assert isinstance(attempt(app), Failed)
    assert heard == ["ran"]


def test_a_job_that_is_blocked_for_ever_ends_with_its_retry_until(app: App, clock: FrozenClock) -> None:
    """MID-23. Attempts that are given back do not outlive the moment that the job has named."""
    given = layered(Release.when(True, after=40), retry_until=clock.now() + 100)  # noqa: FBT003
    app.dispatch(given, tries=1)
    outcomes = []
    for _ in range(4):
        outcomes.append(attempt(app))
        clock.advance(40)

    assert outcomes[:3] == [Released(40, counted=False)] * 3
    assert isinstance(outcomes[3], Failed)
    assert isinstance(outcomes[3].error, MaxAttemptsExceededError)


@pytest.mark.parametrize("early", [True, False], ids=["before the handler", "after it"])
def test_an_exception_of_a_layer_is_the_job_s(app: App, events: list[Event], *, early: bool) -> None:
    def breaks(job: Job, call_next: Next) -> object:
        if not early:
            call_next(job)
        raise LookupError(job)

    app.dispatch(layered(breaks), tries=2, backoff=7)
    first = attempt(app)
    app.clock.sleep(7)
    second = attempt(app)

    assert isinstance(first, Released)
    assert (first.delay, first.counted) == (7, True)
    assert isinstance(second, Failed)
    assert isinstance(second.error, LookupError)
    begun = "JobProcessing", "JobExceptionOccurred"
    assert story(events) == [*begun, "JobReleased", *begun, "JobFailing", "JobFailed"]


def test_a_layer_that_fails_the_job_ends_it(app: App) -> None:
    error = LookupError("gone")

    def fails(job: Job, _: Next) -> object:
        job.fail(error)
        return None

    assert attempt(app, layered(fails), tries=5) == Failed(error)
    assert heard == []


def test_a_layer_may_swallow_what_the_handler_raises(app: App, events: list[Event]) -> None:
    def swallows(job: Job, call_next: Next) -> object:
        try:
            return call_next(job)
        except ValueError:
            return None

    def breaks(_: Job) -> None:
        raise ValueError

    assert attempt(app, layered(swallows, handle=breaks)) == Done()
    assert JobExceptionOccurred not in map(type, events)


def test_failed_and_backoff_stand_outside_all_middleware(app: App) -> None:
    app.middleware.append(telling("app"))
    error = ValueError()
    given = raising(
        error,
        failed=lambda *_: heard.append("failed"),
        backoff_for=lambda attempt: heard.append(f"backoff {attempt}"),
    )

    assert attempt(app, given) == Failed(error)
    assert heard == ["app in", "app out", "backoff 1", "failed"]


# Time.


class _Watched:
    """A time limit that notes what it is asked to enforce."""

    def __init__(self) -> None:
        self.asked: list[float | None] = []

    @contextmanager
    def enforce(self, seconds: float | None) -> Iterator[None]:
        self.asked.append(seconds)
        yield

    def rest(self) -> None: ...


def test_the_time_limit_holds_around_all_middleware_and_an_async_handler_gets_what_is_left(
    app: App, clock: FrozenClock
) -> None:
    limit = _Watched()

    async def handle(_: Job) -> None: ...

    def slow(job: Job, call_next: Next) -> object:
        clock.advance(25)
        return call_next(job)

    app.dispatch(layered(slow, handle=handle), timeout=60)
    app.worker(options=WorkerOptions(memory=0), time_limit=limit).run_next_job()

    assert limit.asked == [60, 35 + 3 * GRACE]


def test_without_a_time_limit_an_async_handler_has_none(app: App) -> None:
    limit = _Watched()

    async def handle(_: Job) -> None: ...

    app.dispatch(layered(telling("job"), handle=handle), timeout=0)
    app.worker(options=WorkerOptions(memory=0), time_limit=limit).run_next_job()

    assert limit.asked == [0, None]


def test_an_async_handler_whose_middleware_used_up_the_time_has_none(app: App, clock: FrozenClock) -> None:
    async def handle(_: Job) -> None:
        import asyncio

        await asyncio.Event().wait()

    def slow(job: Job, call_next: Next) -> object:
        clock.advance(61)
        return call_next(job)

    outcome = attempt(app, layered(slow, handle=handle), timeout=60)

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, TimeoutExceededError)


def test_a_layer_knows_the_time_limit_of_the_attempt(app: App) -> None:
    seen: list[float] = []

    def looks(job: Job, call_next: Next) -> object:
        seen.append(qcore.current_delivery().timeout)
        return call_next(job)

    attempt(app, layered(looks), timeout=7)
    attempt(app, layered(looks))

    assert seen == [7, WorkerOptions().timeout]


# What is no middleware.


async def asynchronous(job: Job, call_next: Next) -> object:
    return call_next(job)


def generator(job: Job, call_next: Next) -> Iterator[object]:
    yield call_next(job)


async def async_generator(job: Job, call_next: Next) -> AsyncIterator[object]:
    yield call_next(job)


class AsyncCall:
    async def __call__(self, job: Job, call_next: Next) -> object:
        return call_next(job)


def too_few(job: Job) -> object:
    return job


def too_many(job: Job, call_next: Next, third: object) -> object:
    return call_next(third)


NO_LAYERS = [
    pytest.param(Skip, "is a class: give an instance", id="a class"),
    pytest.param("imports", "cannot be called", id="text"),
    pytest.param(asynchronous, "is async", id="async"),
    pytest.param(AsyncCall(), "is async", id="an async __call__"),
    pytest.param(generator, "is a generator", id="a generator"),
    pytest.param(async_generator, "is async", id="an async generator"),
    pytest.param(too_few, "cannot be called with a job and call_next", id="one argument"),
    pytest.param(too_many, "cannot be called with a job and call_next", id="three arguments"),
]


@pytest.mark.parametrize(("layer", "reason"), NO_LAYERS)
def test_what_is_no_middleware_is_an_error_that_says_so(app: App, layer: Layer, reason: str) -> None:
    outcome = attempt(app, layered(layer))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, JobDefinitionError)
    assert reason in str(outcome.error)
    assert "def layer(job, call_next)" in str(outcome.error)
    assert heard == []


def test_a_callable_that_does_not_tell_what_it_takes_is_given_a_chance() -> None:
    layered().with_options(middleware=[max])


@pytest.mark.parametrize(("layer", "reason"), NO_LAYERS)
def test_what_is_no_middleware_is_refused_at_the_dispatch_that_gives_it(app: App, layer: Layer, reason: str) -> None:
    with pytest.raises(JobDefinitionError, match=reason):
        app.dispatch(layered(), middleware=[layer])

    assert app.connection().size() == 0


async def forgotten() -> list[Any]:
    return []


@pytest.mark.parametrize(
    "middleware",
    [
        pytest.param(lambda _: None, id="nothing"),
        pytest.param(lambda _: telling("alone"), id="no list"),
        pytest.param(lambda _: "imports", id="text"),
        pytest.param(lambda _: forgotten(), id="a coroutine"),
    ],
)
def test_middleware_that_is_no_list_is_an_error_that_says_so(app: App, middleware: Callable[[Any], object]) -> None:
    outcome = attempt(app, giving(middleware))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, JobDefinitionError)
    assert "Layered.middleware() is a list of middleware" in str(outcome.error)
    assert heard == []


def test_a_layer_that_returns_something_to_await_is_an_error(app: App) -> None:
    outcome = attempt(app, layered(lambda *_: forgotten()))

    assert isinstance(outcome, Failed)
    assert "returned something to await" in str(outcome.error)


def test_a_type_error_of_the_handler_is_its_own(app: App) -> None:
    error = TypeError("mine")

    def handle(_: Job) -> None:
        raise error

    assert attempt(app, layered(telling("job"), handle=handle)) == Failed(error)


@pytest.mark.parametrize("passed", [None, "a job"])
def test_a_layer_that_passes_on_no_job_is_told(app: App, passed: object) -> None:
    outcome = attempt(app, layered(lambda _, call_next: call_next(passed)))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, JobDefinitionError)
    assert "call_next(job) takes the job to run" in str(outcome.error)


def test_middleware_is_no_class_keyword() -> None:
    with pytest.raises(JobDefinitionError, match=r"Keyword: middleware is a method .* def middleware\(self\)"):

        class Keyword(Job, middleware=[Skip.when(True)]):  # noqa: FBT003
            def handle(self) -> None: ...


def test_middleware_is_no_attribute_of_a_class() -> None:
    with pytest.raises(JobDefinitionError, match=r"Attribute: middleware is a method .* def middleware\(self\)"):

        class Attribute(Job):
            middleware = [Skip.when(True)]  # type: ignore[assignment] # noqa: FBT003, RUF012

            def handle(self) -> None: ...


# Given to one dispatch.


def test_the_middleware_of_a_dispatch_stands_in_its_payload_and_nowhere_else(app: App) -> None:
    app.dispatch(layered().with_options(middleware=[Telling("here")]))
    layered().dispatch()

    assert payload_of_first(app)["middleware"] == [{"$object": ["tests.qcore.layered:Telling", {"name": "here"}]}]
    assert attempt(app) == Done()
    assert "middleware" not in payload_of(app)
    assert heard == ["here in", "ran", "here out"]


def payload_of_first(app: App) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(app.connection().listed()[0].payload.body)
    return body


DISPATCHES: list[Any] = [
    pytest.param(lambda given, layers: given.dispatch(middleware=layers), id="job.dispatch"),
    pytest.param(lambda given, layers: given.with_options(middleware=layers).dispatch(), id="with_options"),
    pytest.param(lambda given, layers: given.with_options(tries=2).dispatch(middleware=layers), id="Prepared.dispatch"),
    pytest.param(lambda given, layers: qcore.dispatch(given, middleware=layers), id="qcore.dispatch"),
    pytest.param(lambda given, layers: qcore.bulk([given], middleware=layers), id="qcore.bulk"),
    pytest.param(lambda given, layers: qcore.chain(given.with_options(middleware=layers)).dispatch(), id="a chain"),
    pytest.param(lambda given, layers: qcore.batch([given.with_options(middleware=layers)]).dispatch(), id="a batch"),
]


@pytest.mark.parametrize("dispatch", DISPATCHES)
def test_each_way_to_dispatch_takes_middleware(
    app: App, work: Callable[..., Stopped], dispatch: Callable[[Job, Sequence[Any]], object]
) -> None:
    dispatch(layered(), [Telling("given")])
    work()

    assert heard == ["given in", "ran", "given out"]


def test_a_function_job_that_runs_in_place_takes_middleware(app: App) -> None:
    app.dispatch_sync(greet.job("ada").with_options(middleware=[Telling("given")]))

    assert heard == ["given in", "hello ada", "given out"]


def test_a_worker_need_not_have_imported_the_shipped_middleware(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.dispatch(layered(), middleware=[Skip.when(True)])  # noqa: FBT003
    for name in [name for name in sys.modules if name.startswith("qcore.middleware")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(qcore, "middleware")

    assert attempt(app) == Skipped()


def test_no_middleware_beats_the_one_that_was_said_before(app: App) -> None:
    layered().with_options(middleware=[Telling("given")]).dispatch(middleware=[])
    attempt(app)

    assert heard == ["ran"]


def test_the_middleware_of_a_dispatch_is_kept_for_each_attempt_and_over_a_retry(
    app: App, work: Callable[..., Stopped]
) -> None:
    def breaks(_: Job) -> None:
        raise ValueError

    job_id = app.dispatch(layered(handle=breaks), tries=2, middleware=[Telling("given")])
    work()
    app.failed.retry([str(job_id)])
    work()

    assert heard == ["given in", "given out"] * 3  # after a retry the options are those of the class: one try


@dataclass(frozen=True)
class Holding(Middleware):
    content: object

    def __call__(self, job: Job, call_next: Next) -> object:
        return call_next(job)


@pytest.mark.parametrize(
    ("layers", "path"),
    [
        ([lambda job, call_next: call_next(job)], r"Layered.middleware\[0\]: .* cannot be stored"),
        ([Telling("a"), Foreign("b")], r"Layered.middleware\[1\]: Foreign\(name='b'\) cannot be stored"),
        ([Holding(content=print)], r"Layered.middleware\[0\].content: .* cannot be stored"),
        ([Skip.when(lambda _: True)], r"Layered.middleware\[0\].condition: function cannot be stored"),
    ],
)
def test_middleware_that_cannot_be_written_is_refused_with_its_path_and_nothing_is_pushed(
    app: App, layers: list[Any], path: str
) -> None:
    with pytest.raises(PayloadError, match=path):
        layered().dispatch(middleware=layers)

    assert app.connection().size() == 0


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ([{"$object": ["tests.qcore.layered:Foreign", {"name": "x"}]}], "derived from qcore.middleware.Middleware"),
        ([{"$object": ["subprocess:Popen", {"args": "x"}]}], "standard library"),
        ([{"$object": ["nowhere:Layer", {}]}], "not imported by this process"),
        ({"$object": ["tests.qcore.layered:Telling", {"name": "x"}]}, "is a list of objects"),
        (["qcore.middleware.skip:Skip"], "is a list of objects"),
        ("x", "is a list of objects"),
        (None, "is a list of objects"),
    ],
)
def test_a_payload_that_names_what_is_no_middleware_fails_and_runs_nothing(
    app: App, field: object, reason: str
) -> None:
    """Whoever can write a payload does not choose what is called here."""
    app.payload_using(lambda *_: {"middleware": field})
    outcome = attempt(app, doing(run))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, PayloadError)
    assert reason in str(outcome.error)
    assert heard == []


# What is told of a block.


def test_a_block_says_who_blocked_and_for_how_long(app: App, events: list[Event]) -> None:
    attempt(app, layered(Release.when(True, after=40)))  # noqa: FBT003
    attempt(app, layered(Skip.when(True)))  # noqa: FBT003

    blocks = [event for event in events if isinstance(event, JobBlocked)]
    assert [(event.by, event.delay) for event in blocks] == [("Release", 40), ("Skip", None)]
    assert [event.delivery.blocked_by for event in events if isinstance(event, JobEnded)] == ["Release", "Skip"]
    told = [type(event) for event in events if isinstance(event, JobBlocked | JobReleased | JobSkipped)]
    assert told == [JobBlocked, JobReleased, JobBlocked, JobSkipped]


def test_a_layer_of_one_s_own_blocks_under_its_own_name(app: App, events: list[Event]) -> None:
    def only_at_night(job: Job, call_next: Next) -> object:
        qcore.current_delivery().block("at night", 3600)
        return None

    assert attempt(app, layered(only_at_night), tries=1) == Released(3600, counted=False)
    assert [event.by for event in events if isinstance(event, JobBlocked)] == ["at night"]
