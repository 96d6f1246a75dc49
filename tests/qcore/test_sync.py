"""The sync and the null connection: what is pushed runs at once, or never."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore import Job, job
from qcore.events import (
    Event,
    JobExceptionOccurred,
    JobFailed,
    JobFailing,
    JobProcessed,
    JobProcessing,
    JobQueued,
    JobQueueing,
    JobReleased,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qtest.clock import FrozenClock

log: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    log.clear()


class Say(Job, connection="sync"):
    def __init__(self, what: object, error: str = "") -> None:
        self.what = what
        self.error = error

    def handle(self) -> None:
        log.append(self.what)
        if self.error:
            raise ValueError(self.error)

    def failed(self, error: BaseException) -> None:
        log.append(f"failed: {error}")


class Parent(Job, connection="sync"):
    """Pushes other jobs while it runs."""

    def __init__(self, *children: Job, error: str = "") -> None:
        self.names = [getattr(child, "what", "parent") for child in children]
        self.errors = [getattr(child, "error", "") for child in children]
        self.error = error

    def handle(self) -> None:
        log.append("begin")
        for number, (name, error) in enumerate(zip(self.names, self.errors, strict=True)):
            Say(name, error).dispatch(queue=f"q{9 - number}")
        log.append("end")
        if self.error:
            raise KeyError(self.error)


@job(connection="sync")
async def say_async(what: str) -> None:
    await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(None, log.append, what), 30)


class AsyncParent(Job, connection="sync"):
    async def handle(self) -> None:
        log.append("begin")
        say_async.dispatch("child")
        log.append("end")


def test_a_job_runs_at_once_from_its_payload(app: App) -> None:
    """DRV-01."""
    said = Say(("a", "tuple"))
    assert said.dispatch() is not None

    assert [("a", "tuple")] == log


def test_the_events_are_those_of_a_push_and_of_a_run(app: App, events: list[Event]) -> None:
    Say("x").dispatch()
    with pytest.raises(ValueError, match="broken"):
        Say("x", "broken").dispatch()

    told = [JobQueueing, JobQueued, JobProcessing]
    assert [*told, JobProcessed, *told, JobExceptionOccurred, JobFailing, JobFailed] == [
        type(event) for event in events
    ]


def test_an_error_reaches_the_caller_after_failed_was_called(app: App) -> None:
    """DRV-01, FLD-08. Tries do not count, and it is stored nowhere: the caller knows."""
    with pytest.raises(ValueError, match="broken") as raised:
        Say("x", "broken").with_options(tries=5, backoff=60).dispatch()

    assert ["x", "failed: broken"] == log
    assert "handle" in [frame.name for frame in raised.traceback]
    assert [] == app.failed.list()


def test_a_job_that_fails_itself_raises_too(app: App) -> None:
    class Failing(Job):
        def handle(self) -> None:
            self.fail("by itself")

    with pytest.raises(qcore.QcoreError, match="by itself"):
        Failing().dispatch(connection="sync")
    with pytest.raises(qcore.QcoreError, match="by itself"):
        Failing().dispatch_sync()


def test_jobs_pushed_by_a_job_follow_it_in_their_order(app: App) -> None:
    """They do not nest, and their queues make no difference."""
    Parent(Say("1"), Say("2"), Say("3")).dispatch()

    assert ["begin", "end", "1", "2", "3"] == log


def test_jobs_pushed_by_a_failing_job_run_all_the_same(app: App) -> None:
    with pytest.raises(KeyError, match="parent broke"):
        Parent(Say("1"), error="parent broke").dispatch()

    assert ["begin", "end", "1"] == log


def test_several_errors_are_raised_as_a_group(app: App) -> None:
    with pytest.raises(ExceptionGroup, match="several jobs failed") as raised:
        Parent(Say("1", "one broke"), Say("2"), Say("3", "three broke"), error="parent broke").dispatch()

    assert ["'parent broke'", "one broke", "three broke"] == [str(error) for error in raised.value.exceptions]
    assert "2" in log


def test_many_jobs_all_run_and_their_errors_are_a_group(app: App, events: list[Event]) -> None:
    jobs = [Say("1", "one broke"), Say("2"), Say("3", "three broke")]
    with pytest.raises(ExceptionGroup):
        qcore.bulk(jobs)

    assert ["1", "2", "3"] == [entry for entry in log if len(entry) == 1]
    assert [JobQueued] * 3 == [type(event) for event in events[3:6]], "all are queued before the first is run"


def test_a_job_that_is_run_in_place_by_a_job_runs_in_place(app: App) -> None:
    @job(connection="sync")
    def outer() -> None:
        log.append("begin")
        Say("inner").dispatch_sync()
        log.append("end")

    outer.dispatch()

    assert ["begin", "inner", "end"] == log


def test_a_released_job_is_run_again_after_its_delay(app: App, clock: FrozenClock, events: list[Event]) -> None:
    class Patient(Job, tries=3):
        def handle(self) -> None:
            log.append((self.attempts(), clock.now()))
            if self.attempts() < 3:
                self.release(10 * self.attempts())

    start = clock.now()
    Patient().dispatch(connection="sync")

    assert [(1, start), (2, start + 10), (3, start + 30)] == log
    assert [10, 20] == [event.delay for event in events if isinstance(event, JobReleased)]


def test_a_job_that_is_released_too_often_fails(app: App) -> None:
    class Restless(Job, tries=2):
        def handle(self) -> None:
            log.append(self.attempts())
            self.release()

    with pytest.raises(qcore.JobError, match="tried 2 times already"):
        Restless().dispatch(connection="sync")
    assert [1, 2] == log


def test_a_delay_is_not_waited_for(app: App, clock: FrozenClock) -> None:
    start = clock.now()
    Say("x").dispatch(delay=3600)

    assert (["x"], start) == (log, clock.now())


def test_neither_an_interrupted_job_nor_what_it_pushed_is_run_by_the_next_push(app: App) -> None:
    class Interrupted(Job):
        def handle(self) -> None:
            log.append("interrupted")
            Say("waits for an end that never comes").dispatch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Interrupted().dispatch(connection="sync")
    Say("next").dispatch()

    assert ["interrupted", "next"] == log


def test_an_async_job_runs_without_a_loop(app: App) -> None:
    say_async.dispatch("x")
    say_async.job("y").dispatch_sync()

    assert ["x", "y"] == log


def test_what_an_async_job_leaves_running_is_ended_behind_it(app: App) -> None:
    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cleaned up")

    @job(connection="sync")
    async def leaving() -> None:
        log.append(asyncio.create_task(endless()))
        await asyncio.wait(log[-1:], timeout=0)

    leaving.dispatch()
    assert "cleaned up" == log.pop()
    leaving.job().dispatch_sync()
    assert "cleaned up" == log.pop()


def test_an_async_job_runs_inside_a_running_loop(app: App) -> None:
    """And finds the App that is in force; what it pushes still follows it."""

    async def main() -> None:
        AsyncParent().dispatch()
        log.append("main")

    asyncio.run(main())

    assert ["begin", "end", "child", "main"] == log


def test_an_error_of_an_async_job_reaches_the_coroutine_that_pushed_it(app: App) -> None:
    @job(connection="sync")
    async def broken() -> None:
        message = "async broke"
        raise ValueError(message)

    async def main() -> None:
        broken.dispatch()

    with pytest.raises(ValueError, match="async broke"):
        asyncio.run(main())


def test_threads_run_their_own_jobs(app: App) -> None:
    """Also while another thread is in the middle of one."""
    inside, done = threading.Event(), threading.Event()
    where: dict[str, int] = {}

    @job(connection="sync")
    def slow() -> None:
        inside.set()
        assert done.wait(30)
        where["slow"] = threading.get_ident()

    @job(connection="sync")
    async def quick() -> None:
        where["quick"] = threading.get_ident()

    thread = threading.Thread(target=lambda: app.dispatch(slow.job()))
    thread.start()
    assert inside.wait(30)
    quick.dispatch()
    assert {"quick": threading.get_ident()} == where
    done.set()
    thread.join()

    assert where["slow"] != where["quick"]


def test_async_jobs_of_several_threads_run_at_the_same_time(app: App) -> None:
    """Each has its own loop."""
    both = threading.Barrier(2)

    @job(connection="sync")
    async def meet() -> None:
        both.wait(30)
        log.append("met")

    threads = [threading.Thread(target=lambda: app.dispatch(meet.job())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ["met", "met"] == log


@pytest.mark.parametrize(
    "push", [lambda: Say("x").dispatch(connection="null"), lambda: qcore.bulk([Say("x")], connection="null")]
)
def test_the_null_connection_discards(push: Callable[[], object], app: App, events: list[Event]) -> None:
    """DRV-04. The push is told all the same, and has an id."""
    assert push()

    assert [] == log
    assert [JobQueueing, JobQueued] == [type(event) for event in events]
    assert app.worker("null").run_next_job() is None
