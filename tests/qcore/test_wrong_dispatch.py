"""A dispatch that cannot work says what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Job, JobDefinitionError, job

if TYPE_CHECKING:
    from collections.abc import Callable


class Mail(Job):
    def __init__(self, user: object = 1, *, copy: bool = False) -> None:
        self.user = user
        self.copy = copy

    def handle(self) -> None: ...


class Urgent(Mail):
    def dispatch(self, **options: Any) -> str | None:
        return super().dispatch(queue="urgent", **options)


@job
def charge(order: int) -> None: ...


given: Any = Mail
YES, NO = True, False


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: given.dispatch(7), "dispatch() was called on a class: make an instance: Mail(7).dispatch()"),
        (given.dispatch, "make an instance: Mail().dispatch()"),
        (lambda: given.dispatch(7, copy=True, delay=60), "Mail(7, copy=True).dispatch(delay=60)"),
        (lambda: given.dispatch_if(YES, 7), "Mail(7).dispatch_if(True)"),
        (lambda: given.dispatch_unless(NO, 7, queue="a"), "Mail(7).dispatch_unless(False, queue='a')"),
        (lambda: given.dispatch_sync(7), "Mail(7).dispatch_sync()"),
        (lambda: given.dispatch_after_response(7), "Mail(7).dispatch_after_response()"),
        (lambda: given.with_options(7, tries=3), "Mail(7).with_options(tries=3)"),
    ],
)
def test_a_dispatch_on_the_class_names_the_class_and_the_call_to_write(
    call: Callable[[], object], says: str, app: App
) -> None:
    with pytest.raises(JobDefinitionError) as raised:
        call()

    assert str(raised.value).endswith(says)
    assert 0 == app.connection().size()


def test_a_method_called_by_way_of_the_class_gets_its_job(app: App) -> None:
    Job.dispatch(Mail(7))
    Mail.dispatch_if(Urgent(7), YES)

    assert (1, 1) == (app.connection().size(), app.connection().size("urgent"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"countdown": 60}, "countdown is no option of a job; there are delay, .*; did you mean delay= for countdown="),
        ({"eta": 60, "dlay": 3}, "did you mean delay= for dlay=, delay= for eta="),
        ({"prio": 1}, "prio is no option of a job; there are delay, queue, connection, .*within$"),
        ({"tries": 2}, r"tries cannot be said in dispatch\(\), .*: write \.with_options\(tries=2\)\.dispatch\(\)"),
    ],
)
def test_an_option_that_a_dispatch_does_not_take_is_told_where_it_is_said(
    options: dict[str, Any], says: str, app: App
) -> None:
    with pytest.raises(JobDefinitionError, match=says):
        Mail(7).dispatch(**options)
    assert 0 == app.connection().size()


def test_an_option_of_another_queue_is_told_by_its_name_here() -> None:
    with pytest.raises(JobDefinitionError, match=r"did you mean tries= for max_retries=, timeout= for time_limit=\?"):
        Mail(7).with_options(time_limit=1, max_retries=2)
    with pytest.raises(JobDefinitionError, match=r"did you mean backoff= for retry_delay=\?"):
        type("Bad", (Job,), {}, retry_delay=2)


@pytest.mark.parametrize("word", ["delay", "apply_async", "enqueue"])
def test_a_job_function_tells_how_it_is_dispatched_to_those_who_say_another_word(word: str) -> None:
    with pytest.raises(
        AttributeError, match=rf"no attribute '{word}'; write charge\.dispatch\(\.\.\.\), or charge\.job"
    ):
        getattr(charge, word)


def test_a_job_function_has_no_hint_for_what_nobody_knows() -> None:
    with pytest.raises(AttributeError, match=r"a job function has no attribute 'colour'$"):
        charge.colour  # type: ignore[attr-defined] # noqa: B018
