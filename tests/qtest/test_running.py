"""Running what is held: outcomes, counts, and whose the errors are."""

from __future__ import annotations

import asyncio
import threading
import time  # noqa: TID251 - what jobs of users do
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import Done, Failed, Job, QcoreError, Released, job
from qcore.middleware import Skip
from qtest import ExpectationError, Livelock
from tests.qtest.signup import Audit, Broken, Flaky, Only, SendMail, Welcome, fetch, ran, sign_up

if TYPE_CHECKING:
    from qtest import QueueFake

where: list[object] = []


class Sleeps(Job, timeout=60):
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def handle(self) -> None:
        time.sleep(self.seconds)


class Deletes(Job):
    def handle(self) -> None:
        self.delete()


class Skips(Job):
    def middleware(self) -> list[Skip]:
        return [Skip.when(lambda _: True)]

    def handle(self) -> None:
        raise AssertionError


class Syncs(Job, tries=5):
    def __init__(self, order: int) -> None:
        self.order = order

    def handle(self) -> None:
        if self.attempts() < 3:
            self.release(30)
        else:
            self.fail("gave up")


@job
async def note_where() -> None:
    where.append((threading.get_ident(), asyncio.get_running_loop()))
    await asyncio.sleep(30)  # noqa: TID251 - what jobs of users do


@job
def note_thread() -> None:
    where.append(threading.get_ident())


def test_one_step_gives_the_outcome(queue_fake: QueueFake) -> None:
    sign_up(1)

    assert isinstance(queue_fake.run_next_job(), Done)
    assert queue_fake.run_next_job() is None
    assert queue_fake.run_next_job("mail") is None


def test_the_next_job_of_one_queue(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()
    Audit("x").dispatch()

    queue_fake.run_next_job("audit")

    assert ran == [("audit", "x")]


def test_a_job_that_was_retried_and_succeeded_raises_nothing(queue_fake: QueueFake) -> None:
    Flaky(fails=1).dispatch()

    drained = queue_fake.run_until_idle()

    assert (drained.errors, drained.failed, drained.processed) == ([], 0, 2)


def test_errors_can_be_collected(queue_fake: QueueFake) -> None:
    Broken().dispatch()

    drained = queue_fake.run_due(raises=False)

    assert (drained.failed, drained.left) == (1, 0)
    assert [str(error) for error in drained.errors] == ["cannot read a.csv"]


def test_jobs_pushed_by_jobs_run_too(queue_fake: QueueFake) -> None:
    @job
    def first() -> None:
        Welcome(1).dispatch()

    first.dispatch()
    queue_fake.run_due()

    assert ran == [("welcome", 1)]


def test_the_end_of_a_lease_is_an_instant_to_jump_to(queue_fake: QueueFake) -> None:
    Welcome(1).with_options(tries=2).dispatch()
    queue_fake.app.connection().driver.reserve(["default"])

    drained = queue_fake.run_until_idle()

    assert (drained.passed, ran) == (90, [("welcome", 1)])


def test_a_pause_ends_a_run(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()
    queue_fake.app.signals.pause("default")

    assert queue_fake.run_until_idle().left == 1


def test_exactly_so_many_jobs_as_allowed_are_no_livelock(queue_fake: QueueFake) -> None:
    for number in range(10):
        Welcome(number).dispatch()
    assert queue_fake.run_until_idle(10).processed == 10
    for number in range(11):
        Welcome(number).dispatch()
    with pytest.raises(Livelock, match="Welcome"):
        queue_fake.run_until_idle(10)


def test_a_time_limit_is_one_of_the_frozen_clock(queue_fake: QueueFake) -> None:
    Sleeps(59).dispatch()
    Sleeps(61).dispatch()

    queue_fake.run_due(raises=False)

    queue_fake.assert_processed(Sleeps(59))
    queue_fake.assert_timed_out(Sleeps(61))


def test_outcomes_of_what_was_run(queue_fake: QueueFake) -> None:
    Deletes().dispatch()
    Skips().dispatch()
    Syncs(1).dispatch()

    queue_fake.run_until_idle(raises=False)

    queue_fake.assert_deleted(Deletes)
    queue_fake.assert_skipped(Skips)
    queue_fake.assert_released(Syncs, delay=30)
    queue_fake.assert_failed(Syncs, match="gave up")
    queue_fake.assert_attempts(Syncs, 3)
    queue_fake.assert_not_failed(Deletes)
    with pytest.raises(AssertionError, match="released"):
        queue_fake.assert_released(Syncs, delay=31)
    with pytest.raises(AssertionError):
        queue_fake.assert_not_failed()


def test_performing_goes_the_whole_way_and_stores_nothing(queue_fake: QueueFake) -> None:
    assert queue_fake.perform(Welcome(1)) == Done()
    assert ran == [("welcome", 1)]
    queue_fake.assert_nothing_pushed()
    queue_fake.assert_empty()
    outcome = queue_fake.perform(Flaky(), attempts=2)
    assert isinstance(outcome, Released)
    assert outcome.delay == 5
    assert isinstance(queue_fake.perform(Flaky(9), attempts=4, raises=False), Failed)
    queue_fake.assert_retried(Flaky, delays=[5])
    assert queue_fake.perform(Only("a")) == Done()
    queue_fake.assert_no_locks()
    with pytest.raises(QcoreError, match="perform\\(\\) takes a job"):
        queue_fake.perform(Welcome)  # type: ignore[arg-type]


def test_performing_an_async_job(queue_fake: QueueFake) -> None:
    queue_fake.perform(fetch.job("x"))

    assert ran == [("fetch", "x")]


@pytest.mark.parametrize("call", ["run_due", "run_until_idle", "run_next_job"])
def test_the_plain_form_inside_a_loop_names_its_twin(call: str, queue_fake: QueueFake) -> None:
    async def in_loop() -> None:
        getattr(queue_fake, call)()

    with pytest.raises(QcoreError, match=rf"await queue\.a{call}\("):
        asyncio.run(in_loop())


@pytest.mark.asyncio
async def test_async_jobs_run_on_the_loop_of_an_async_test(queue_fake: QueueFake) -> None:
    where.clear()
    note_where.dispatch()
    note_thread.dispatch()

    drained = await queue_fake.arun_due()

    here = threading.get_ident()
    assert where == [(here, asyncio.get_running_loop()), here]
    assert (drained.succeeded, drained.passed) == (2, 30)


@pytest.mark.asyncio
async def test_the_twins_raise_what_failed(queue_fake: QueueFake) -> None:
    Broken().dispatch()
    with pytest.raises(ValueError, match="cannot read"):
        await queue_fake.arun_due()
    Flaky().dispatch()
    assert (await queue_fake.arun_until_idle()).processed == 4
    sign_up(1)
    assert await queue_fake.arun_next_job() == Done()
    assert await queue_fake.aperform(fetch.job("x")) == Done()
    await queue_fake.arun_until(lambda: ("mail", 1) in ran)


def test_interactions_without_a_queue() -> None:
    with qtest.interactions(Syncs(7), attempts=2) as it:
        it.job.handle()

        it.assert_released(delay=30)
        it.assert_not_failed()
        it.assert_not_deleted()
        with pytest.raises(AssertionError, match=r"released with the delay 30s, expected 31s"):
            it.assert_released(delay=31)
        with pytest.raises(AssertionError, match=r"Syncs did not call fail\(\)\n  it was: released, delay 30s"):
            it.assert_failed()


def test_interactions_of_a_job_that_fails(queue_fake: QueueFake) -> None:
    with qtest.interactions(Syncs(7), attempts=3) as it:
        it.job.handle()

        it.assert_failed(match="gave up")
        it.assert_not_released()
        with pytest.raises(AssertionError, match="failed with another error"):
            it.assert_failed(ValueError)
        with pytest.raises(ExpectationError):
            it.assert_failed("boom")  # type: ignore[arg-type]
    with qtest.interactions(Deletes()) as deleted:
        deleted.job.handle()
        deleted.assert_deleted()


def test_what_a_job_dispatches_by_itself_is_held() -> None:
    @job
    def starts() -> None:
        Welcome(1).dispatch()

    with qtest.interactions(starts.job()) as it:
        it.job.handle()

    assert ran == []


def test_sleeping_outside_of_jobs_is_real(queue_fake: QueueFake) -> None:
    SendMail(1).dispatch()
    queue_fake.run_due()
    before = queue_fake.clock.now()
    time.sleep(0.001)
    assert queue_fake.clock.now() == before


def test_a_run_until_that_comes_to_rest_lists_the_jobs(queue_fake: QueueFake) -> None:
    Welcome(7).dispatch()

    with pytest.raises(AssertionError) as raised:
        queue_fake.run_until(lambda: False)

    lines = str(raised.value).splitlines()
    assert "1 job ran and 0 s went by; nothing is left to run, and it does not hold" in lines[0]
    assert "#1 Welcome(user_id=7)" in lines[2]
