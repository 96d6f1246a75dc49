"""One event loop for the async jobs of a worker: kept from job to job, given up when a job does not end."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import signal
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from qcore import async_loop
from qcore.async_loop import AsyncLoop
from qcore.delivery import current_delivery
from qcore.errors import JobInterrupted, TimeLimitReached, TimeoutExceededError
from qcore.outcome import Done, Failed, Released
from tests.qcore.acting import Act, doing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator

    from qcore.app import App

SOON = 0.03

wait = asyncio.tasks.sleep
"""The loop's own clock is real: deadlines of it are what is tested."""


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[AsyncLoop]:
    monkeypatch.setattr(async_loop, "GRACE", SOON)
    loop = AsyncLoop()
    yield loop
    loop.close()


async def running() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_the_loop_is_kept_from_job_to_job(loop: AsyncLoop) -> None:
    first = loop.run(running(), None)

    assert isinstance(first, asyncio.AbstractEventLoop)
    assert first is loop.run(running(), 60)
    loop.close()
    assert first.is_closed()
    assert first is not loop.run(running(), 0)


def test_what_the_job_returns_and_raises_comes_through(loop: AsyncLoop) -> None:
    async def answer() -> int:
        await wait(0)
        return 42

    async def fail() -> None:
        await wait(0)
        raise KeyError("x")

    assert loop.run(answer(), 60) == 42
    with pytest.raises(KeyError, match="x"):
        loop.run(fail(), 60)
    assert loop.run(answer(), 60) == 42


def test_an_awaitable_that_is_no_coroutine_is_awaited(loop: AsyncLoop) -> None:
    class Answer:
        def __await__(self) -> Generator[None, None, int]:
            yield from wait(0).__await__()
            return 42

    assert loop.run(Answer(), None) == 42


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, JobInterrupted, GeneratorExit, ValueError])
def test_no_exception_is_reported_a_second_time(loop: AsyncLoop, kind: type[BaseException]) -> None:
    """As `Task exception was never retrieved`, whenever the garbage collector finds the task."""
    tasks: list[Any] = []

    async def fail() -> None:
        tasks.append(asyncio.current_task())
        raise kind

    with pytest.raises(kind):
        loop.run(fail(), None)
    assert tasks[0]._log_traceback is False
    assert isinstance(loop.run(running(), None), asyncio.AbstractEventLoop)


# Deadlines.


def test_a_job_is_cancelled_at_its_deadline_and_cleans_up(loop: AsyncLoop) -> None:
    cleaned: list[str] = []

    async def slow() -> None:
        try:
            await wait(60)
        finally:
            await wait(0)
            cleaned.append("up")

    first = loop.run(running(), None)
    with pytest.raises(TimeLimitReached):
        loop.run(slow(), SOON)
    assert ["up"] == cleaned
    assert first is loop.run(running(), None)


def test_the_traceback_of_a_deadline_shows_where_the_job_was(loop: AsyncLoop) -> None:
    async def slow() -> None:
        await wait(60)

    with pytest.raises(TimeLimitReached) as caught:
        loop.run(slow(), SOON)
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


def test_a_job_that_was_cancelled_and_finished_all_the_same_is_done(loop: AsyncLoop) -> None:
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await wait(60)
        return "finished"

    assert loop.run(stubborn(), SOON) == "finished"


def test_a_job_that_cancels_itself_did_not_reach_its_limit(loop: AsyncLoop) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        loop.run(cancelled(), 60)


def test_a_deadline_is_not_left_behind(loop: AsyncLoop) -> None:
    loop.run(running(), SOON)

    assert loop.run(wait(2 * SOON, "slept"), 60) == "slept"


def test_a_job_that_swallows_its_cancellation_loses_its_loop_and_the_next_one_gets_another(
    loop: AsyncLoop, caplog: pytest.LogCaptureFixture
) -> None:
    is_over = False
    swallowed: list[int] = []

    async def never() -> None:
        while not is_over:
            try:
                await wait(60)
            except asyncio.CancelledError:
                swallowed.append(1)

    first = loop.run(running(), None)
    with pytest.raises(TimeLimitReached):
        loop.run(never(), SOON)
    is_over = True  # for the garbage collector, which ends it now

    assert isinstance(first, asyncio.AbstractEventLoop)
    assert len(swallowed) == 2
    assert first.is_closed()
    assert first is not loop.run(running(), None)
    gc.collect()
    assert ["an async job did not end when it was cancelled; its event loop is dropped"] == [
        record.message for record in caplog.records
    ]


def test_dropped_loops_cost_no_open_files(loop: AsyncLoop) -> None:
    """A hundred jobs that hang must not end a worker with `too many open files`."""
    is_over = False

    async def never() -> None:
        while not is_over:
            with suppress(asyncio.CancelledError):
                await wait(60)

    def hang() -> None:
        with pytest.raises(TimeLimitReached):
            loop.run(never(), 0.001)

    hang()
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as cheap as it gets
    for _ in range(5):
        hang()
    is_over = True

    assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_a_job_that_stops_its_loop_gets_an_error_that_says_so(loop: AsyncLoop) -> None:
    async def stop() -> None:
        asyncio.get_running_loop().stop()
        await wait(60)

    with pytest.raises(RuntimeError, match=r"^the job stopped the event loop it was running on$"):
        loop.run(stop(), 60)
    assert isinstance(loop.run(running(), None), asyncio.AbstractEventLoop)


# Interruptions.


def test_an_interruption_between_two_steps_of_the_loop_cancels_the_job(loop: AsyncLoop) -> None:
    """A signal most likely meets a loop that waits for its file descriptors."""
    seen: list[str] = []

    def interrupt(*_: object) -> None:
        raise JobInterrupted

    async def job() -> None:
        try:
            asyncio.get_running_loop().call_later(0, lambda: None)
            threading.Timer(SOON, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            await wait(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(JobInterrupted):
            loop.run(job(), 60)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ["cancelled"] == seen
    assert isinstance(loop.run(running(), None), asyncio.AbstractEventLoop)


# What jobs leave behind.


def test_what_a_job_left_running_ends_when_the_loop_is_closed(
    loop: AsyncLoop, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    kept: list[object] = []

    async def background() -> None:
        try:
            await wait(60)
        finally:
            seen.append("ended")

    async def generator() -> AsyncGenerator[int]:
        try:
            yield 1
        finally:
            seen.append("closed")

    async def job() -> None:
        kept.append(asyncio.create_task(background()))
        numbers = generator()
        kept.append(numbers)
        await anext(numbers)
        await wait(0)

    loop.run(job(), None)
    assert [] == seen
    loop.close()
    assert ["ended", "closed"] == seen
    gc.collect()
    assert [] == caplog.records


def test_what_does_not_end_does_not_hold_the_worker(loop: AsyncLoop, caplog: pytest.LogCaptureFixture) -> None:
    is_over = False
    kept: list[object] = []

    async def stubborn() -> None:
        while not is_over:
            with suppress(asyncio.CancelledError):
                await wait(60)

    async def job() -> None:
        kept.append(asyncio.create_task(stubborn(), name="stubborn"))
        await wait(0)

    loop.run(job(), None)
    loop.close()
    is_over = True
    kept.clear()
    gc.collect()

    assert ["was left behind by a job and did not end when it was cancelled"] == [
        record.message.rpartition("> ")[2] for record in caplog.records
    ]


def test_closing_twice_or_without_a_loop_is_nothing() -> None:
    loop = AsyncLoop()
    loop.close()
    loop.run(running(), None)
    loop.close()
    loop.close()


def test_a_loop_that_nobody_closed_is_closed_silently() -> None:
    """Warnings are errors in these tests, so a warning of the loop would fail this one."""
    loop = AsyncLoop()
    inner = loop.run(running(), None)
    assert isinstance(inner, asyncio.AbstractEventLoop)

    del loop
    gc.collect()

    assert inner.is_closed()


# A job that is run in place, by code that is itself async.


def test_inside_a_running_loop_the_job_runs_in_a_thread(loop: AsyncLoop) -> None:
    number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)

    async def inner() -> tuple[int, bool]:
        await wait(0)
        return number.get(), threading.current_thread() is threading.main_thread()

    async def failing() -> None:
        raise KeyError("inner")

    async def outer() -> object:
        number.set(7)
        with pytest.raises(KeyError, match="inner"):
            AsyncLoop().run(failing(), None)
        with pytest.raises(TimeLimitReached):
            AsyncLoop().run(wait(60), SOON)
        return AsyncLoop().run(inner(), None)

    assert (7, False) == loop.run(outer(), None)
    assert [] == [thread.name for thread in threading.enumerate() if thread.name == "qcore-async-job"]


@pytest.mark.usefixtures("_no_collector")
def test_what_interrupts_the_thread_that_waits_cancels_the_job_in_the_other(
    loop: AsyncLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qcore.async_loop.GRACE", 20.0)  # a busy machine shall not have the job given up
    seen: list[str] = []
    ended = threading.Event()

    def interrupt(*_: object) -> None:
        raise JobInterrupted

    async def inner() -> None:
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
            await wait(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            ended.set()

    async def outer() -> None:
        AsyncLoop().run(inner(), None)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with pytest.raises(JobInterrupted):
            loop.run(outer(), None)
        assert ended.wait(20)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ["cancelled"] == seen


def test_a_job_that_was_cancelled_before_it_began_does_not_begin(loop: AsyncLoop) -> None:
    """The thread that waits may be interrupted before the other one has made a task of the job."""
    seen: list[str] = []

    async def job() -> None:
        seen.append("began")

    loop.cancel()

    with pytest.raises(asyncio.CancelledError):
        loop.run(job(), None)
    assert [] == seen


# Through the runner.


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_loop, "GRACE", SOON)


def test_an_async_job_sees_its_delivery_in_everything_it_starts(app: App) -> None:
    seen: list[object] = []

    async def part() -> None:
        await wait(0)
        seen.append(current_delivery().id)

    async def handle(job: Act) -> None:
        await asyncio.gather(part(), asyncio.create_task(part()))
        seen.append(await asyncio.to_thread(lambda: current_delivery().id))
        job.release(5)

    job_id = doing(handle).dispatch()
    worker = app.worker()

    assert worker.run_next_job() == Released(5)
    assert [job_id] * 3 == seen
    worker.runner.close()


def test_an_async_job_that_runs_too_long_fails_by_its_own_deadline(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """No alarm is needed for that, so it holds in every thread."""

    async def handle(_: Act) -> None:
        await wait(60)

    doing(handle).with_options(timeout=SOON).dispatch()
    worker = app.worker()

    outcome = worker.run_next_job()

    assert isinstance(outcome, Failed)
    assert (TimeoutExceededError, f"Act ran longer than its {SOON:g} seconds") == (
        type(outcome.error),
        str(outcome.error),
    )
    assert "in handle\n" in app.failed.list()[0].exception
    doing(lambda _: None).dispatch()
    assert worker.run_next_job() == Done()
    assert [] == [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_after_an_async_job_that_does_not_end_the_worker_goes_on(app: App) -> None:
    is_over = False
    seen: list[str] = []

    async def never(_: Act) -> None:
        while not is_over:
            with suppress(asyncio.CancelledError):
                await wait(60)

    async def quick(_: Act) -> None:
        await wait(0)
        seen.append("quick")

    doing(never).with_options(timeout=SOON).dispatch()
    doing(quick).with_options(timeout=SOON).dispatch()
    worker = app.worker()

    outcomes = [worker.run_next_job() for _ in range(2)]
    is_over = True

    assert [Failed, Done] == [type(outcome) for outcome in outcomes]
    assert ["quick"] == seen


def test_an_async_job_may_run_another_one_in_place(app: App) -> None:
    seen: list[str] = []

    async def inner(_: Act) -> None:
        await wait(0)
        seen.append(current_delivery().connection)

    async def outer(job: Act) -> None:
        doing(inner).dispatch_sync()
        seen.append("outer" if current_delivery().job is job else "somebody else")

    doing(outer).dispatch()

    assert app.worker().run_next_job() == Done()
    assert ["sync", "outer"] == seen
