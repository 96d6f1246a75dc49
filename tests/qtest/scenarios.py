"""Ways in which an assertion can fail, beside those of pushes in ``test_messages.py``: each has a golden file."""

from __future__ import annotations

from collections.abc import Callable
from unittest.mock import ANY

import pytest

from qcore import Job, batch, chain, current, dispatch_sync
from qcore.driver import Clearable, Payload
from qcore.response import after_response
from qtest import QueueFake, at_most, between, interactions, like
from qtest.leaks import leftovers
from tests.qtest.signup import Audit, Broken, Flaky, Only, Reminder, SendMail, Welcome, notify, plain, sign_up

Scenario = Callable[[QueueFake], object]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


class Ends(Job, tries=2):
    """Ends itself in the way that it is told."""

    def __init__(self, how: str) -> None:
        self.how = how

    def handle(self) -> None:
        if self.how == "delete":
            self.delete()
        elif self.how == "release":
            self.release(30)


@scenario
def another_class(queue: QueueFake) -> None:
    Reminder(7).dispatch()
    queue.assert_pushed(SendMail, exact=True)


@scenario
def fields_that_compare_themselves(queue: QueueFake) -> None:
    SendMail(7, "hello").dispatch()
    queue.assert_pushed(SendMail(pytest.approx(8), ANY))


@scenario
def a_field_that_is_not_there(queue: QueueFake) -> None:
    SendMail(7).dispatch()
    job = SendMail(7)
    job.urgent = True  # type: ignore[attr-defined] # a test may set what it likes
    queue.assert_pushed(job)


@scenario
def a_job_function_with_another_argument(queue: QueueFake) -> None:
    notify.dispatch(7)
    queue.assert_pushed(notify.job(7, language="de"))


@scenario
def not_due_at_once(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_immediate(SendMail)


@scenario
def too_much_on_one_queue(queue: QueueFake) -> None:
    sign_up(7)
    sign_up(8)
    queue.assert_count(at_most(1), queue="mail")


@scenario
def one_of_two_that_fit_is_missing(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    queue.assert_pushed_exactly(Welcome, Welcome(1))


@scenario
def pushed_and_not_run_in_place(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_dispatched_sync(Welcome)


@scenario
def run_in_place_and_not_pushed(queue: QueueFake) -> None:
    dispatch_sync(Welcome(7))
    queue.assert_pushed(Welcome(7))


@scenario
def held_until_the_response(queue: QueueFake) -> None:
    with after_response():
        Welcome(7).dispatch_after_response()
        queue.assert_pushed(Welcome(7))


@scenario
def pushed_and_not_after_the_response(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_dispatched_after_response(Welcome)


@scenario
def pushed_before_the_commit(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_dispatched_after_commit(Welcome)


@scenario
def pushed_and_not_held(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_held(Welcome)


@scenario
def pushed_and_not_discarded(queue: QueueFake) -> None:
    Only("a.csv").dispatch()
    queue.assert_discarded(Only)


@scenario
def discarded_for_another_reason(queue: QueueFake) -> None:
    Only("a.csv").dispatch()
    Only("a.csv").dispatch()
    queue.assert_discarded(Only, reason="rollback")


@scenario
def nothing_in_this_block(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    with queue.pushes(Welcome, times=1):
        Audit("login").dispatch()


@scenario
def one_kind_pushed_in_block(queue: QueueFake) -> None:
    with queue.no_pushes(SendMail, queue="mail"):
        sign_up(7)


@scenario
def failed_in_block_with_another_error(queue: QueueFake) -> None:
    Broken().dispatch()
    with queue.job_fails(KeyError):
        queue.run_due(raises=False)


@scenario
def batch_on_another_queue(queue: QueueFake) -> None:
    batch([Audit("a.csv")], name="import").on_queue("slow").dispatch()
    queue.assert_batched([Audit("a.csv")], queue="fast", connection="memory")


@scenario
def batch_for_which_the_callback_says_no(queue: QueueFake) -> None:
    batch([Audit("a.csv")], name="import").dispatch()
    queue.assert_batched(lambda each: each.name == "export")


@scenario
def too_many_batches(queue: QueueFake) -> None:
    for number in range(3):
        batch([Welcome(number)]).dispatch()
    queue.assert_batch_count(between(1, 2))


@scenario
def chain_in_a_batch_differs(queue: QueueFake) -> None:
    batch([[Welcome(1), SendMail(1)], Audit("a")]).dispatch()
    queue.assert_batched([[Welcome(1), SendMail(2)], Audit])


@scenario
def links_without_a_head(queue: QueueFake) -> None:
    chain(Welcome(1), SendMail(1), plain.job("x")).dispatch()
    queue.assert_pushed_without_chain(Welcome)


@scenario
def released_for_another_time(queue: QueueFake) -> None:
    Ends("release").dispatch()
    queue.run_next_job()
    queue.assert_released(Ends, delay=60)


@scenario
def not_released(queue: QueueFake) -> None:
    Ends("delete").dispatch()
    queue.run_due()
    queue.assert_released(Ends)


@scenario
def not_deleted_by_itself(queue: QueueFake) -> None:
    Ends("nothing").dispatch()
    queue.run_due()
    queue.assert_deleted(Ends)


@scenario
def not_retried(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.run_due()
    queue.assert_retried(Welcome)


@scenario
def not_timed_out(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.run_due()
    queue.assert_timed_out(Welcome)


@scenario
def not_skipped(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.run_due()
    queue.assert_skipped(Welcome)


@scenario
def not_run_yet(queue: QueueFake) -> None:
    sign_up(7)
    queue.run_due()
    queue.assert_processed(SendMail)


@scenario
def failed_against_expectation(queue: QueueFake) -> None:
    Broken().dispatch()
    Welcome(7).dispatch()
    queue.run_due(raises=False)
    queue.assert_not_failed()


@scenario
def one_failed_against_expectation(queue: QueueFake) -> None:
    Broken().dispatch()
    queue.run_due(raises=False)
    queue.assert_not_failed(like(Broken, name="a.csv"))


@scenario
def failed_with_other_arguments(queue: QueueFake) -> None:
    Broken().dispatch()
    queue.run_due(raises=False)
    queue.assert_failed(Broken, error=ValueError("cannot write a.csv"))


@scenario
def one_queue_is_not_empty(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_empty("mail")


@scenario
def other_events_too(queue: QueueFake) -> None:
    Flaky(1).dispatch()
    queue.run_until_idle()
    queue.assert_events("pushed", "reserved", "processing", "processed", strict=True)


@scenario
def waited_in_vain(queue: QueueFake) -> None:
    sign_up(7)
    queue.run_until(lambda: False)


@scenario
def repeats_for_ever(queue: QueueFake) -> None:
    Flaky(1_000).with_options(tries=0, backoff=60).dispatch()
    queue.run_until_idle(max_jobs=10)


@scenario
def nothing_to_run(queue: QueueFake) -> None:
    queue.run_due()


@scenario
def a_job_on_its_own_kept_itself(_: QueueFake) -> None:
    with interactions(Ends("nothing")) as it:
        it.job.handle()
        it.assert_released(delay=30)


@scenario
def a_job_on_its_own_released_for_another_time(_: QueueFake) -> None:
    with interactions(Ends("release")) as it:
        it.job.handle()
        it.assert_released(delay=60)


@scenario
def a_job_on_its_own_failed_otherwise(_: QueueFake) -> None:
    with interactions(Ends("nothing")) as it:
        it.job.fail(ValueError("no such order"))
        it.assert_failed(KeyError)


@scenario
def jobs_are_left_over(queue: QueueFake) -> None:
    sign_up(7)
    queue.run_due()
    raise AssertionError(leftovers(queue))


@scenario
def callback_said_nothing(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_pushed(Welcome, lambda _: None)


@scenario
def performed_and_not_pushed(queue: QueueFake) -> None:
    queue.perform(Welcome(7))
    queue.assert_pushed(Welcome)


@scenario
def an_unreadable_payload(queue: QueueFake) -> None:
    queue.app.connection().driver.push("default", Payload("unreadable", b"\xff{"))
    queue.run_due(raises=False)
    queue.assert_nothing_pushed()


class Cleared(Job):
    """Loses itself: somebody clears the queue while it runs."""

    def handle(self) -> None:
        driver = current.app().connection().driver
        assert isinstance(driver, Clearable)
        driver.clear("default")
        message = "too late"
        raise ValueError(message)


@scenario
def lost_while_it_ran(queue: QueueFake) -> None:
    Cleared().dispatch()
    queue.run_next_job(raises=False)
    queue.assert_failed(Cleared)
