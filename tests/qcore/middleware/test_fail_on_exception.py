"""FailOnException: exceptions that are final."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from qcore.error_match import ErrorMatch
from qcore.errors import JobDefinitionError
from qcore.limits import WorkerOptions
from qcore.middleware import FailOnException
from qcore.outcome import Failed, Released
from tests.qcore.acting import raising, story
from tests.qcore.layered import heard, layered

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.events import Event
    from qcore.jobs import Job
    from qcore.outcome import Outcome

FINAL = ["JobProcessing", "JobExceptionOccurred", "JobFailing", "JobFailed"]


class RefusedError(Exception):
    pass


class HardRefusedError(RefusedError):
    pass


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    heard.clear()


def attempt(app: App, job: Job, **options: Any) -> Outcome:
    app.dispatch(job, **options)
    outcome = app.worker(options=WorkerOptions(memory=0)).run_next_job()
    assert outcome is not None
    return outcome


def throwing(error: BaseException) -> Callable[[Any], None]:
    def handle(_: Job) -> None:
        raise error

    return handle


@pytest.mark.parametrize("error", [RefusedError(), HardRefusedError(), KeyError()])
@pytest.mark.parametrize("tests", [(RefusedError, LookupError), ([RefusedError, LookupError],)])
def test_an_exception_that_is_final_fails_the_job_at_once(
    app: App, events: list[Event], error: Exception, tests: tuple[Any, ...]
) -> None:
    outcome = attempt(app, layered(FailOnException(*tests), handle=throwing(error)), tries=5)

    assert outcome == Failed(error)
    assert story(events) == FINAL
    assert len(app.failed.list()) == 1


def test_any_other_exception_leaves_the_job_its_tries(app: App) -> None:
    error = ValueError()

    assert attempt(app, layered(FailOnException(RefusedError), handle=throwing(error)), tries=5) == Released(0, error)


@pytest.mark.parametrize(
    "function",
    [
        lambda error: error.args[0] > 400,
        lambda error, job: error.args[0] > job.user_id,
        lambda error, limit=400: error.args[0] > limit,
    ],
)
def test_a_function_of_the_error_and_of_the_job_may_decide(app: App, function: Callable[..., bool]) -> None:
    layer = FailOnException(function)

    assert isinstance(attempt(app, layered(layer, handle=throwing(RefusedError(500)), user_id=400), tries=5), Failed)
    assert isinstance(attempt(app, layered(layer, handle=throwing(RefusedError(300)), user_id=400), tries=5), Released)


@pytest.mark.parametrize("answer", [1, "yes", re.match("a", "a"), None, False])
def test_only_true_is_a_yes(app: App, answer: object) -> None:
    outcome = attempt(app, layered(FailOnException(lambda _: answer), handle=throwing(RefusedError())), tries=5)

    assert isinstance(outcome, Released)


def test_a_function_that_raises_does_not_hide_the_exception_it_is_asked_about(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    error = RefusedError("secret")

    def breaks(_: Exception) -> bool:
        raise LookupError

    assert attempt(app, layered(FailOnException(breaks), handle=throwing(error)), tries=5) == Released(0, error)
    assert "asked about RefusedError, raised itself" in caplog.text


@pytest.mark.parametrize("tests", [(), ("RefusedError",), (RefusedError(),), (KeyboardInterrupt,), (str,), ([],), (5,)])
def test_what_stands_for_no_exception_is_refused(tests: tuple[Any, ...]) -> None:
    with pytest.raises(JobDefinitionError, match=r"FailOnException\(\)"):
        FailOnException(*tests)


async def later(_: Exception) -> bool:
    return True


def test_an_async_function_is_refused() -> None:
    with pytest.raises(JobDefinitionError, match="a function of the error"):
        FailOnException(later)


def test_a_function_that_does_not_tell_what_it_takes_gets_the_error(app: App, caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(attempt(app, layered(FailOnException(vars), handle=throwing(RefusedError())), tries=5), Released)
    assert caplog.text == ""


def test_it_can_be_given_to_one_dispatch(app: App) -> None:
    """In the payload classes stand by their names; nothing is looked up there, so nothing can be smuggled in."""
    job = raising(HardRefusedError())

    assert isinstance(attempt(app, job, tries=5, middleware=[FailOnException(RefusedError)]), Failed)


def test_classes_are_known_by_their_names() -> None:
    assert FailOnException(RefusedError, KeyError).final == ErrorMatch(
        (f"{__name__}:RefusedError", "builtins:KeyError")
    )
