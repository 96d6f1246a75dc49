"""What users of other queues complain about: each complaint has a test here that says it is otherwise."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

import qtest
from qcore import App, Config, Job, PayloadError, batch, chain
from qtest import Livelock, QueueFake, like
from tests.qtest.signup import Audit, Broken, Flaky, Only, SendMail, Welcome, notify, ran, sign_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtest import FrozenClock


class Holds(Job):
    def __init__(self, value: object) -> None:
        self.value = value

    def handle(self) -> None:
        ran.append(self.value)


class Snoozes(Job, tries=0):
    def handle(self) -> None:
        self.release(60)


def test_test_mode_skips_serialisation(queue_fake: QueueFake) -> None:
    """celery#4008, laravel#37509."""
    with pytest.raises(PayloadError):
        Holds(object()).dispatch()
    Holds((1, 2)).dispatch()
    queue_fake.run_due()
    assert ran == [(1, 2)]
    assert queue_fake.pushed(Holds)[0].job is not None


def test_eager_is_an_emulation(queue_fake: QueueFake) -> None:
    """celery#2546: attempts, backoff and the failed store are those of the real worker."""
    Flaky().dispatch()
    queue_fake.run_until_idle()
    queue_fake.assert_attempts(Flaky, 4)
    assert queue_fake.app.failed.list() == []


def test_retries_cannot_be_tested(queue_fake: QueueFake) -> None:
    """celery#4661, huey#872."""
    Flaky().dispatch()
    drained = queue_fake.run_until_idle()
    queue_fake.assert_retried(Flaky, delays=[1, 5, 10])
    assert (drained.released, drained.succeeded, drained.passed) == (3, 1, 16)


def test_an_always_failing_job_loops_or_hangs_for_the_real_backoff(queue_fake: QueueFake) -> None:
    """rails#38391, dramatiq#57."""
    Broken().with_options(tries=50, backoff=(60_000,)).dispatch()
    with pytest.raises(ValueError, match="cannot read"):
        queue_fake.run_until_idle()
    queue_fake.assert_attempts(Broken, 50)


def test_a_job_that_repeats_for_ever_is_named_with_its_period(queue_fake: QueueFake) -> None:
    """rails#38391, dramatiq#57."""
    Snoozes().dispatch()
    with pytest.raises(Livelock, match=r"Snoozes ran 20 times, every 60 s"):
        queue_fake.run_until_idle(max_jobs=20)


def test_chords_and_chains_do_not_fire_in_tests(queue_fake: QueueFake) -> None:
    """celery#648."""
    chain(Welcome(1), SendMail(2), notify.job(3)).dispatch()
    queue_fake.run_due()
    assert ran == [("welcome", 1), ("mail", 2), ("notify", 3, "en")]


def test_fixtures_with_hidden_set_up(queue_fake: QueueFake) -> None:
    """celery#3642: one fixture, and nothing else, is enough."""
    sign_up(1)
    queue_fake.assert_pushed(Welcome)


@pytest.mark.parametrize("time", ["first", "second"])
def test_the_second_test_hangs_on_global_state(queue_fake: QueueFake, time: str) -> None:
    """celery#5105."""
    queue_fake.assert_nothing_pushed()
    Only("a.csv").dispatch()
    queue_fake.assert_pushed_once(Only)


def test_a_worker_thread_cannot_see_the_tests_transaction(queue_fake: QueueFake) -> None:
    """celery#4511: jobs run on the thread of the test."""
    threads: list[int] = []

    def note(job: Job, call_next: Callable[[Any], object]) -> object:
        threads.append(threading.get_ident())
        return call_next(job)

    queue_fake.app.middleware.append(note)
    Welcome(1).dispatch()
    queue_fake.run_due()
    assert threads == [threading.get_ident()]


def test_no_in_memory_double() -> None:
    """arq#397, saq#86, bull#962: without pytest's fixtures and without a server."""
    with qtest.fake() as queue:
        sign_up(1)
        queue.assert_pushed(Welcome(1))


def test_waiting_on_the_real_clock(queue_fake: QueueFake, queue_clock: FrozenClock) -> None:
    """pg-boss#689, procrastinate#1546: 30 days take no time."""
    Welcome(1).dispatch(delay=30 * 86_400)
    assert queue_fake.run_due().left == 1
    drained = queue_fake.run_until_idle()
    assert (drained.passed, ran) == (30 * 86_400, [("welcome", 1)])


def test_future_jobs_run_at_once_or_never(queue_fake: QueueFake, queue_clock: FrozenClock) -> None:
    """sidekiq#2255, huey#179."""
    sign_up(1)
    queue_clock.advance(59.999)
    queue_fake.run_due()
    assert ran == [("welcome", 1)]
    queue_clock.advance(0.001)
    queue_fake.run_due()
    assert ran == [("welcome", 1), ("mail", 1)]


def test_the_delay_cannot_be_asserted(queue_fake: QueueFake) -> None:
    """laravel#31819."""
    sign_up(1)
    queue_fake.assert_delayed(SendMail, by=60)
    with pytest.raises(AssertionError, match=r"delay +expected 61s +got 60s"):
        queue_fake.assert_delayed(SendMail, by=61)


def test_failure_text_does_not_say_what_differs(queue_fake: QueueFake) -> None:
    """rails#25983."""
    sign_up(1)
    with pytest.raises(AssertionError, match=r'user_id +expected "1" +got 1 +\(str became int\)'):
        queue_fake.assert_pushed(like(SendMail, user_id="1"))


def test_counting_hides_doubles(queue_fake: QueueFake) -> None:
    """oban#26."""
    Welcome(1).dispatch()
    Welcome(1).dispatch()
    with pytest.raises(AssertionError, match="beside what was expected"):
        queue_fake.assert_pushed_exactly(Welcome(1))


def test_partial_match_and_order(queue_fake: QueueFake) -> None:
    """oban#25, rspec-sidekiq#144."""
    sign_up(1)
    sign_up(2)
    queue_fake.assert_pushed(like(SendMail, user_id=2))
    queue_fake.assert_pushed_in_order(Welcome(1), Welcome(2), like(SendMail, user_id=2))
    with pytest.raises(AssertionError, match="not pushed in this order"):
        queue_fake.assert_pushed_in_order(Welcome(2), Welcome(1))


def test_batches_and_callbacks_cannot_run_in_tests(queue_fake: QueueFake) -> None:
    """sidekiq#2700, laravel#52270."""
    batch([Audit("a"), Audit("b")], name="import").then(notify.job(1)).dispatch()
    queue_fake.assert_batched([Audit("a"), Audit("b")], name="import")
    queue_fake.run_due()
    assert ran == [("audit", "a"), ("audit", "b"), ("notify", 1, "en")]
    queue_fake.assert_pushed(notify)


@pytest.mark.parametrize("time", ["first", "second"])
def test_locks_and_jobs_leak_into_the_next_test(queue_fake: QueueFake, time: str) -> None:
    """laravel#58533, dramatiq#243."""
    assert Only("same").dispatch() is not None
    assert Only("same").dispatch() is None
    queue_fake.assert_discarded(Only, reason="unique")


def test_after_commit_pushes_vanish_or_ignore_rollback(queue_fake: QueueFake) -> None:
    """laravel#35857."""
    with queue_fake.transaction():
        Welcome(1).dispatch(after_commit=True)
        queue_fake.assert_held(Welcome)
        queue_fake.assert_not_pushed(Welcome)
    queue_fake.assert_dispatched_after_commit(Welcome(1))
    with queue_fake.transaction(commit=False):
        Welcome(2).dispatch(after_commit=True)
    queue_fake.assert_discarded(Welcome(2), reason="rollback")
    queue_fake.assert_not_pushed(Welcome(2))


def test_errors_in_jobs_are_swallowed(queue_fake: QueueFake) -> None:
    """huey#366."""
    Broken().dispatch()
    with pytest.raises(ValueError, match=r"^cannot read a\.csv$"):
        queue_fake.run_due()


def test_several_errors_are_raised_together(queue_fake: QueueFake) -> None:
    """huey#366."""
    Broken("a").dispatch()
    Broken("b").dispatch()
    with pytest.raises(ExceptionGroup, match="2 jobs failed") as caught:
        queue_fake.run_due()
    assert [str(each) for each in caught.value.exceptions] == ["cannot read a", "cannot read b"]


def test_race_free_waiting(queue_fake: QueueFake) -> None:
    """oban#179: a virtual wait ends when the condition holds, or says that it never will."""
    sign_up(1)
    drained = queue_fake.run_until(lambda: ("mail", 1) in ran)
    assert (drained.processed, drained.passed) == (2, 60)
    with pytest.raises(AssertionError, match="nothing is left to run"):
        queue_fake.run_until(lambda: ("mail", 2) in ran)


def test_the_set_up_of_the_app_holds() -> None:
    """celery#2546: routes, hooks, middleware and listeners are those of the App, and hear nothing twice."""
    heard: list[object] = []
    app = App(Config(default="sync", connections={"sync": {"queue": "first"}}))
    app.route(Welcome, queue="slow")
    app.before_push(lambda job, *_: heard.append(job))
    with qtest.fake(app) as queue:
        Welcome(1).dispatch()
        Audit("x").dispatch(queue=None)
        notify.dispatch(1)
        queue.assert_pushed_on("slow", Welcome)
        queue.app.route(SendMail, queue="other")
        queue.app.before_push(lambda *_: heard.append("later"))
    assert len(heard) == 3
    assert app.routed(SendMail(1)).queue is None
    assert len(app.hooks.before_push) == 1
