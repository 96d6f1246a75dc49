"""Functions under `@job`: still functions, and jobs when they are asked to be."""

from __future__ import annotations

import copy
import functools
import inspect
from typing import TYPE_CHECKING, Any

import pytest

from qcore import FunctionJob, Job, JobDefinitionError, PayloadError, current_delivery, dispatch, job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from qcore.app import App
    from qcore.worker import Stopped

calls: list[object] = []


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    calls.clear()


@job
def bare(user_id: int) -> str:
    """Say hello."""
    calls.append(user_id)
    return f"hello {user_id}"


@job(queue="mail", tries=3, backoff=[1, 5])
def with_options(user_id: int) -> None:
    calls.append(user_id)


@job()
def anything(a: int, /, b: int, *rest: int, c: int = 3, **more: int) -> None:
    calls.append((a, b, rest, c, more))


@job
async def coroutine(name: str) -> None:
    calls.append(name)


@job(tries=2)
def asks_for_its_delivery() -> None:
    calls.append(current_delivery().attempts())
    if current_delivery().attempts() == 1:
        current_delivery().release()


def test_a_job_function_is_still_a_function() -> None:
    assert bare(1) == "hello 1"
    assert [1] == calls
    assert ("bare", "Say hello.", __name__) == (getattr(bare, "__name__", None), bare.__doc__, bare.__module__)
    assert ["user_id"] == list(inspect.signature(bare).parameters)


def test_a_call_can_be_queued(app: App, work: Callable[..., Stopped]) -> None:
    job_id = bare.dispatch(7)
    [listed] = app.connection().listed()
    assert [] == calls
    assert job_id == listed.payload.id
    work()

    assert [7] == calls


def test_options_stand_in_the_decorator_and_at_the_dispatch(app: App) -> None:
    with_options.dispatch(1)
    with_options.job(2).dispatch(queue="other", delay=60)

    assert [("mail", 0), ("other", 60)] == [
        (row.queue, round(row.available_at - app.clock.now()))
        for q in ("mail", "other")
        for row in app.connection().listed(q)
    ]
    assert (3, (1, 5)) == (with_options.job_class.__job__.options.tries, with_options.job_class.__job__.options.backoff)


@pytest.mark.parametrize(
    ("call", "seen"),
    [
        (lambda f: f(1, 2), (1, 2, (), 3, {})),
        (lambda f: f(1, b=2), (1, 2, (), 3, {})),
        (lambda f: f(1, 2, 8, 9, c=4, d=5), (1, 2, (8, 9), 4, {"d": 5})),
        (lambda f: f(1, 2, a=7), (1, 2, (), 3, {"a": 7})),
    ],
)
def test_arguments_arrive_as_they_were_given(
    call: Callable[[Any], Any], seen: object, app: App, work: Callable[..., Stopped]
) -> None:
    """Positional, by keyword, starred: the same as a direct call."""
    call(anything)
    call(anything.dispatch)
    work()

    assert [seen, seen] == calls


@pytest.mark.parametrize(
    "call", [lambda f: f(), lambda f: f(1), lambda f: f(1, 2, b=2)], ids=["none", "too few", "twice"]
)
def test_arguments_that_do_not_fit_are_refused_at_once(call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"anything\(\): "):
        call(anything.job)
    with pytest.raises(TypeError, match=r"anything\(\): "):
        call(anything.dispatch)


def test_a_default_of_today_counts() -> None:
    """Only what was given is stored."""
    assert {"a": 1, "b": 2} == anything.job(1, 2).arguments


def test_calls_are_equal_when_their_arguments_are() -> None:
    assert bare.job(1) == bare.job(user_id=1)
    assert hash(bare.job(1)) == hash(bare.job(user_id=1))
    assert bare.job(1) != bare.job(2)
    assert bare.job(1) != with_options.job(1)


def test_a_call_and_its_function_show_themselves() -> None:
    assert ("bare(user_id=1)", f"<job {__name__}:bare>") == (repr(bare.job(1)), repr(bare))


def test_a_call_is_a_job() -> None:
    assert isinstance(bare.job(1), Job)
    assert isinstance(bare, FunctionJob)


def test_an_async_function_runs_to_its_end(app: App, work: Callable[..., Stopped]) -> None:
    coroutine.dispatch("a")
    work()

    assert ["a"] == calls


def test_a_function_asks_for_its_delivery(app: App, work: Callable[..., Stopped]) -> None:
    asks_for_its_delivery.dispatch()
    work()

    assert [1, 2] == calls


def test_an_argument_that_cannot_be_stored_is_named(app: App) -> None:
    with pytest.raises(PayloadError, match=r"bare\.arguments\.user_id: "):
        bare.dispatch(object())  # type: ignore[arg-type]
    assert 0 == app.connection().size()


def test_the_function_instead_of_its_call_is_refused_with_a_way_out(app: App) -> None:
    with pytest.raises(JobDefinitionError, match=r"write bare\.job\(\.\.\.\)"):
        dispatch(bare)


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize("bad", [_generator, _async_generator, functools.partial(bare, 1), print, "name", Job])
def test_only_plain_and_async_functions_are_taken(bad: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(JobDefinitionError, match="plain or async function"):
        job(bad)


def test_a_lambda_is_refused_for_it_has_no_name() -> None:
    """Two of them in a module would answer to one name."""
    with pytest.raises(JobDefinitionError, match="with def"):
        job(lambda: None)


def test_an_unknown_option_is_refused_by_its_name() -> None:
    with pytest.raises(JobDefinitionError, match="retries is no option of a job; there are name, aliases, queue"):
        job(retries=3)(_plain)
    with pytest.raises(JobDefinitionError, match="tries"):
        job(tries=-1)(_plain)


def _plain() -> None: ...


def test_an_option_among_the_arguments_is_told_where_it_goes(app: App) -> None:
    with pytest.raises(TypeError, match=r"bare\(\): .*'delay'.*: bare\.job\(\.\.\.\)\.dispatch\(delay=3\)$"):
        bare.dispatch(1, delay=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'dely'$"):
        bare.dispatch(1, dely=3)  # type: ignore[call-arg]
    assert 0 == app.connection().size()


def test_a_call_gives_its_arguments_as_attributes_defaults_included() -> None:
    @job
    def bill(order: int, language: str = "en", handle: str = "") -> None: ...

    call: Any = bill.job(7, handle="with care")

    assert (7, "en") == (call.order, call.language)
    assert callable(call.handle)  # what a job has itself counts more; the argument is in arguments
    with pytest.raises(AttributeError, match=r"bill\(\) has no attribute 'ordr'; its arguments are order, language"):
        call.ordr  # noqa: B018
    assert copy.deepcopy(call) == call
