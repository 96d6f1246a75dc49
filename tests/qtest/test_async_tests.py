"""Tests that are async themselves: pytest-asyncio, and anyio on asyncio and on trio."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio
import pytest

import qtest
from qcore import Done, Job, QcoreError, Released, job
from qcore.errors import TimeoutExceededError
from tests.qtest.awaited import (
    OUT_OF_TIME,
    Act,
    IsInTime,
    IsStubborn,
    SleepsOfAnyio,
    WaitsForNothing,
    acts,
    done,
    sleep_aside,
)
from tests.qtest.signup import Broken, Flaky, Welcome, ran

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest import FrozenClock, QueueFake

TWINS = ["run_next_job", "run_due", "run_until_idle", "run_until", "perform"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    done.clear()
    yield
    acts.clear()


@pytest.mark.anyio
async def test_every_way_to_run_has_a_twin(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()
    assert Done() == await queue_fake.arun_next_job()
    Welcome(2).dispatch()
    assert 1 == (await queue_fake.arun_due()).succeeded
    Flaky().dispatch()
    assert 16 == (await queue_fake.arun_until_idle()).passed
    Welcome(3).dispatch(delay=60)
    await queue_fake.arun_until(lambda: ("welcome", 3) in ran)
    assert Done() == await queue_fake.aperform(Welcome(4))
    assert isinstance(await queue_fake.aperform(Flaky(), raises=False), Released)

    assert [("welcome", 1), ("welcome", 2), "flaky", ("welcome", 3), ("welcome", 4)] == ran


@pytest.mark.anyio
@pytest.mark.parametrize("name", TWINS)
async def test_the_plain_form_names_its_twin(name: str, queue_fake: QueueFake) -> None:
    twin = f"a{name}" if name == "perform" else f"arun_{name.removeprefix('run_')}"

    with pytest.raises(QcoreError, match=rf"{name}\(\) would block the event loop.* `await queue\.{twin}\("):
        getattr(queue_fake, name)(*[lambda: True] if name == "run_until" else [Welcome(1)] * (name == "perform"))


@pytest.mark.anyio
async def test_the_plain_form_is_refused_after_its_twin_was_awaited(queue_fake: QueueFake) -> None:
    await queue_fake.aperform(Welcome(1))

    with pytest.raises(QcoreError, match="would block"):
        queue_fake.run_due()


@pytest.mark.anyio
async def test_a_failure_is_raised_where_it_is_awaited(queue_fake: QueueFake) -> None:
    Broken().dispatch()

    with queue_fake.job_fails(ValueError, match="cannot read"):
        await queue_fake.arun_due()


# Time limits.


def out_of_time(queue: QueueFake, kind: type[Job], before: float) -> None:
    assert OUT_OF_TIME[kind] == queue.clock.now() - before
    queue.assert_timed_out(kind)
    queue.assert_failed(kind, error=TimeoutExceededError, match="ran longer than its 60 seconds")


@pytest.mark.parametrize("kind", OUT_OF_TIME)
def test_a_time_limit_in_a_plain_test(kind: type[Job], queue_fake: QueueFake) -> None:
    before = queue_fake.clock.now()
    kind().dispatch()

    queue_fake.run_due(raises=False)

    out_of_time(queue_fake, kind, before)


@pytest.mark.anyio
@pytest.mark.parametrize("kind", OUT_OF_TIME)
async def test_a_time_limit_in_a_test_of_anyio(kind: type[Job], queue_fake: QueueFake) -> None:
    before = queue_fake.clock.now()
    kind().dispatch()

    await queue_fake.arun_due(raises=False)

    out_of_time(queue_fake, kind, before)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", OUT_OF_TIME)
async def test_a_time_limit_in_a_test_of_asyncio(kind: type[Job], queue_fake: QueueFake) -> None:
    before = queue_fake.clock.now()
    kind().dispatch()

    await queue_fake.arun_due(raises=False)

    out_of_time(queue_fake, kind, before)


@pytest.mark.asyncio
async def test_a_time_limit_when_user_code_is_frozen_too(queue_fake: QueueFake, queue_clock: FrozenClock) -> None:
    before = queue_clock.now()
    WaitsForNothing().dispatch()

    await queue_fake.arun_due(raises=False)

    out_of_time(queue_fake, WaitsForNothing, before)


@pytest.mark.anyio
async def test_what_runs_at_once_takes_the_time_of_the_longest(queue_fake: QueueFake) -> None:
    IsInTime().dispatch()

    drained = await queue_fake.arun_due()

    assert (30, ["in time"]) == (drained.passed, done)


@pytest.mark.asyncio
async def test_a_job_out_of_time_that_is_to_be_tried_again_is_released(queue_fake: QueueFake) -> None:
    SleepsOfAnyio().with_options(tries=2, backoff=10).dispatch()

    drained = await queue_fake.arun_until_idle(raises=False)

    assert (2, 130) == (drained.processed, drained.passed)
    queue_fake.assert_retried(SleepsOfAnyio, delays=[10])


# Jobs and the loop of the test.


@pytest.mark.asyncio
async def test_a_job_waits_in_real_time_for_what_the_test_does(queue_fake: QueueFake) -> None:
    event = asyncio.Event()
    acts["now"] = event.wait

    async def later() -> None:
        await asyncio.sleep(0.01)  # noqa: TID251 - the real time of the test
        event.set()

    Act().dispatch()
    drained, _ = await asyncio.gather(queue_fake.arun_due(), later())

    assert (1, 0, [True]) == (drained.succeeded, drained.passed, done)


@pytest.mark.asyncio
async def test_a_test_that_ticks_for_ever_does_not_hold_up_the_time_of_jobs(
    queue_fake: QueueFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtest.virtual_loop.PATIENCE_AT_LIMIT", 0.05)

    async def ticks() -> None:
        while True:  # noqa: ASYNC110 - something like a heartbeat
            await asyncio.sleep(0.001)  # noqa: TID251

    ticking = asyncio.create_task(ticks())
    WaitsForNothing().dispatch()
    drained = await queue_fake.arun_due(raises=False)
    ticking.cancel()

    assert (1, 60) == (drained.failed, drained.passed)


@pytest.mark.asyncio
async def test_a_job_talks_to_a_server_of_the_test(queue_fake: QueueFake) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)

    async def ask() -> bytes:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        try:
            return await asyncio.wait_for(reader.readline(), 30)
        finally:
            writer.close()
            await writer.wait_closed()

    acts["now"] = ask
    Act().dispatch()
    drained = await queue_fake.arun_due()
    server.close()

    assert (0, [b"hello\n"]) == (drained.passed, done)


@pytest.mark.asyncio
async def test_a_thread_of_a_job_is_waited_for(queue_fake: QueueFake) -> None:
    free = threading.Event()
    acts["now"] = lambda: asyncio.to_thread(free.wait)
    timer = threading.Timer(0.02, free.set)
    timer.start()
    Act().dispatch()

    drained = await queue_fake.arun_due()
    timer.join()

    assert (0, [True]) == (drained.passed, done)


@pytest.mark.asyncio
@pytest.mark.parametrize(("seconds", "passed", "failed"), [(40, 40, 0), (1000, 60, 1)])
async def test_threads_of_a_job_sleep_side_by_side_and_not_beyond_its_limit(
    seconds: float, passed: float, failed: int, queue_fake: QueueFake
) -> None:
    acts["now"] = lambda: asyncio.gather(sleep_aside(30), sleep_aside(seconds))
    Act().with_options(tries=1).dispatch()

    drained = await queue_fake.arun_due(raises=False)

    assert (passed, failed) == (drained.passed, drained.failed)


@pytest.mark.asyncio
async def test_the_loop_of_the_test_is_left_as_it_was(queue_fake: QueueFake) -> None:
    loop = asyncio.get_running_loop()
    before = dict(vars(loop)).keys(), vars(loop._selector).keys()  # type: ignore[attr-defined]
    IsInTime().dispatch()

    await queue_fake.arun_due()

    assert before == (vars(loop).keys(), vars(loop._selector).keys())  # type: ignore[attr-defined]


def test_a_stubborn_job_does_not_keep_the_loop_from_closing() -> None:
    async def run() -> None:
        with qtest.fake() as queue:
            IsStubborn().dispatch()
            assert 1 == (await queue.arun_due(raises=False)).failed
            assert {asyncio.current_task()} == asyncio.all_tasks()

    asyncio.run(run())


@pytest.mark.asyncio
async def test_what_a_job_leaves_running_goes_on_with_the_next_one(queue_fake: QueueFake) -> None:
    left: list[asyncio.Task[None]] = []

    async def later() -> None:
        await asyncio.sleep(10)  # noqa: TID251
        done.append("later")

    async def begin() -> None:
        left.append(asyncio.create_task(later()))

    acts["now"] = begin
    Act().dispatch()
    await queue_fake.arun_due()
    acts["now"] = lambda: asyncio.sleep(20)  # noqa: TID251
    Act().dispatch()
    drained = await queue_fake.arun_due()

    assert (20, [None, "later", None]) == (drained.passed, done)


@pytest.mark.asyncio
async def test_a_test_may_wait_for_what_a_job_left_running(queue_fake: QueueFake) -> None:
    left: list[asyncio.Task[None]] = []

    async def begin() -> None:
        left.extend(asyncio.create_task(asyncio.sleep(seconds)) for seconds in (0.01, 3600))  # noqa: TID251

    acts["now"] = begin
    Act().dispatch()
    await queue_fake.arun_due()
    await left[0]
    acts["now"] = lambda: asyncio.sleep(30)  # noqa: TID251
    Act().dispatch()

    assert 30 == (await queue_fake.arun_due()).passed
    left[1].cancel()


@pytest.mark.asyncio
async def test_time_that_the_test_moves_counts_for_the_job(queue_fake: QueueFake) -> None:
    """The job is cancelled at once; the code of the test is none of the job, and goes on."""
    event = asyncio.Event()

    async def hang() -> None:
        event.set()
        await asyncio.Event().wait()

    async def move() -> str:
        await event.wait()
        queue_fake.clock.advance(100)
        return "went on"

    acts["now"] = hang
    Act().dispatch()
    drained, moved = await asyncio.gather(queue_fake.arun_due(raises=False), move())

    assert ("went on", 1, 100) == (moved, drained.failed, drained.passed)
    queue_fake.assert_timed_out(Act)


@pytest.mark.asyncio
async def test_on_a_loop_of_another_maker_async_jobs_have_one_of_their_own(
    queue_fake: QueueFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtest.calling_thread.can_be_borrowed", lambda _: False)
    loops: list[object] = []

    @job
    async def note_loop() -> None:
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(3600)  # noqa: TID251

    note_loop.dispatch()
    before = queue_fake.clock.now()
    await queue_fake.arun_due(raises=False)

    assert 60 == queue_fake.clock.now() - before
    assert asyncio.get_running_loop() not in loops


@pytest.mark.anyio
async def test_a_fake_may_end_inside_of_an_async_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when its jobs had loops of their own, which are closed where another one is running."""
    monkeypatch.setattr("qtest.calling_thread.can_be_borrowed", lambda _: False)

    with qtest.fake() as queue:
        IsInTime().dispatch()
        assert 30 == (await queue.arun_due()).passed


@pytest.mark.anyio
async def test_a_plain_job_may_run_a_loop_of_its_own(queue_fake: QueueFake) -> None:
    @job
    def runs_anyio() -> None:
        anyio.run(anyio.sleep, 0)
        done.append("ran")

    runs_anyio.dispatch()
    await queue_fake.arun_due()

    assert ["ran"] == done
