"""Sleeping in a job takes virtual time; sleeping anywhere else is what it was."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time  # noqa: TID251 - what is patched here
from threading import Event, Thread
from time import sleep as nap  # noqa: TID251 - the form that a patch of the module `time` does not reach
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, Job
from qcore.outcome import Done, Failed
from qtest import virtual_sleep
from qtest.clock import FrozenClock
from qtest.virtual_limit import VirtualLimit
from qtest.virtual_sleep import VirtualSleep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., Any]


class Real:
    """In a class: as names of this module they would be replaced, too."""

    sleep = staticmethod(time.sleep)
    new_loop = staticmethod(asyncio.new_event_loop)


acts: dict[str, Callable[[], Any]] = {}
seen: list[Any] = []


class Act(Job, timeout=600):
    def handle(self) -> None:
        acts["now"]()


class ActAsync(Job, timeout=600):
    async def handle(self) -> None:
        await acts["now"]()


class Limited(ActAsync, timeout=60, tries=1):
    pass


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(0)


@pytest.fixture
def app(clock: FrozenClock) -> Iterator[App]:
    seen.clear()
    app = App(Config(default="memory"), clock=clock)
    with app.activate():
        yield app
    app.close()


@pytest.fixture
def run(app: App, clock: FrozenClock) -> Run:
    def run(act: Callable[[], object], job: Job | None = None) -> object:
        acts["now"] = act
        (job or Act()).dispatch()
        worker = app.worker(time_limit=VirtualLimit(clock))
        with VirtualSleep():
            outcome = worker.run_next_job()
        worker.runner.close()
        return outcome

    return run


def real_seconds(began: float) -> float:
    return time.perf_counter() - began


def test_a_job_sleeps_on_the_clock(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: time.sleep(300))
    assert 300 == clock.now()


def test_a_job_sleeps_on_the_clock_also_by_a_name_of_its_own_module(run: Run, clock: FrozenClock) -> None:
    """`from time import sleep` in the job's module."""
    assert Done() == run(lambda: nap(300))
    assert 300 == clock.now()


def test_a_module_that_is_loaded_by_the_job_sleeps_on_the_clock(run: Run, clock: FrozenClock, tmp_path: Path) -> None:
    (tmp_path / "loaded_late.py").write_text("from time import sleep\ndef rest():\n    sleep(300)\n")
    sys.path.insert(0, str(tmp_path))
    try:
        assert Done() == run(lambda: __import__("loaded_late").rest())
    finally:
        sys.path.remove(str(tmp_path))
    late = sys.modules.pop("loaded_late")

    assert 300 == clock.now()
    assert late.sleep is Real.sleep


def test_other_threads_sleep_in_real_time(run: Run, clock: FrozenClock) -> None:
    def act() -> None:
        thread = Thread(target=nap, args=[0.002])
        began = time.perf_counter()
        thread.start()
        thread.join()
        seen.append(real_seconds(began))

    assert Done() == run(act)
    assert 0 == clock.now()
    assert seen[0] >= 0.002


def test_the_test_itself_sleeps_in_real_time(app: App, clock: FrozenClock) -> None:
    began = time.perf_counter()
    with VirtualSleep():
        nap(0.002)

    assert real_seconds(began) >= 0.002
    assert 0 == clock.now()


def test_a_job_on_real_time_sleeps_in_real_time() -> None:
    app = App(Config(default="memory"))
    acts["now"] = lambda: nap(0.002)
    with app.activate(), VirtualSleep():
        began = time.perf_counter()
        Act().dispatch()
        app.worker().run_next_job()

    assert real_seconds(began) >= 0.002


def test_a_wait_for_another_process_is_real(run: Run, clock: FrozenClock) -> None:
    """The loop of subprocess sleeps until the process ends: in virtual time its timeout would be over at once."""

    def act() -> None:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            process.communicate(b"\n", timeout=60)
        with subprocess.Popen([sys.executable, "-c", ""]) as process:
            seen.append(process.wait(timeout=60))

    assert Done() == run(act)
    assert ([0], 0) == (seen, clock.now())


def test_a_sleep_that_a_test_replaced_stays_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", seen.append)

    assert Done() == run(lambda: time.sleep(300))
    assert [300] == seen
    assert time.sleep == seen.append


def test_a_test_may_replace_sleep_while_it_is_virtual(app: App) -> None:
    with VirtualSleep(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", seen.append)
        time.sleep(300)
    assert [300] == seen
    assert time.sleep is Real.sleep


def test_a_module_that_was_mocked_when_it_was_first_seen_is_reached_later(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("mocked_at_first")
    module.sleep = seen.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mocked_at_first", module)
    assert Done() == run(lambda: module.sleep(300))
    module.sleep = Real.sleep  # type: ignore[attr-defined]
    assert Done() == run(lambda: module.sleep(300))

    assert ([300], 300) == (seen, clock.now())


def test_a_module_that_gets_a_sleep_later_is_reached(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("filled_later")
    monkeypatch.setitem(sys.modules, "filled_later", module)
    with VirtualSleep():
        pass
    module.rest = Real.sleep  # type: ignore[attr-defined]

    assert Done() == run(lambda: module.rest(300))
    assert 300 == clock.now()


def test_a_module_that_was_loaded_anew_is_reached(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        module = ModuleType("loaded_anew")
        module.rest = Real.sleep  # type: ignore[attr-defined]
        module.number = number  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "loaded_anew", module)
        assert Done() == run(lambda: sys.modules["loaded_anew"].rest(300))
        assert module.rest is Real.sleep

    assert 600 == clock.now()


@pytest.mark.parametrize(("seconds", "error"), [(-1, ValueError), ("1", TypeError), (None, TypeError)])
def test_it_refuses_what_the_real_one_refuses(run: Run, seconds: float, error: type[Exception]) -> None:
    def act() -> None:
        with pytest.raises(error):
            nap(seconds)
        seen.append("refused")

    assert Done() == run(act)
    assert ["refused"] == seen


def test_nothing_is_patched_before_and_after() -> None:
    def held() -> tuple[object, ...]:
        return time.sleep, nap, asyncio.new_event_loop, asyncio.events.new_event_loop

    before = held()
    patch = VirtualSleep()
    assert before == held()
    with pytest.raises(KeyError), patch:  # noqa: PT012
        assert (virtual_sleep.virtual_sleep,) * 2 == held()[:2]
        raise KeyError
    assert (Real.sleep, Real.sleep, Real.new_loop, Real.new_loop) == before == held()


def test_two_that_overlap_end_with_the_last() -> None:
    first, second = VirtualSleep(), VirtualSleep()
    first.install()
    first.install()
    second.install()
    first.undo()
    assert time.sleep is nap is virtual_sleep.virtual_sleep
    second.undo()
    second.undo()
    assert time.sleep is Real.sleep


def test_modules_that_load_on_first_use_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Freezegun's way, dir() and getattr() on every module, would import them all."""

    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> object:
            seen.append(name)
            return super().__getattribute__(name)

        def __getattr__(self, name: str) -> object:
            seen.append(name)
            raise AttributeError(name)

    seen.clear()
    monkeypatch.setitem(sys.modules, "lazy_module", Lazy("lazy_module"))
    monkeypatch.setitem(sys.modules, "no_module", object())
    with VirtualSleep():
        pass

    assert [] == seen


# Async jobs.


def test_an_async_job_sleeps_on_the_clock(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: asyncio.sleep(300), ActAsync())  # noqa: TID251
    assert 300 == clock.now()


def test_thirty_days_in_an_async_job_are_exact(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        for _ in range(30):
            await asyncio.sleep(86_400)  # noqa: TID251

    class_ = type("Month", (ActAsync,), {}, timeout=0)

    assert Done() == run(act, class_())
    assert pytest.approx(30 * 86_400, abs=1e-6) == clock.now()


def test_the_parts_of_an_async_job_sleep_side_by_side(run: Run, clock: FrozenClock) -> None:
    async def part(seconds: float) -> None:
        await asyncio.sleep(seconds)  # noqa: TID251
        seen.append((seconds, clock.now()))

    async def act() -> None:
        await asyncio.gather(part(30), part(10), part(20))

    assert Done() == run(act, ActAsync())
    assert [(10, 10), (20, 20), (30, 30)] == seen


def test_timeouts_and_loop_time_are_on_the_clock(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.sleep(60)  # noqa: TID251
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 7)
        seen.append(loop.time() - before)

    assert Done() == run(act, ActAsync())
    assert ([12], 12) == (seen, clock.now())


def test_a_thread_of_an_async_job_is_waited_for(run: Run, clock: FrozenClock) -> None:
    """Its timeout must not be over before the thread has begun."""

    def work() -> str:
        Real.sleep(0.02)
        return "worked"

    async def act() -> None:
        seen.append(await asyncio.wait_for(asyncio.to_thread(work), 5))

    assert Done() == run(act, ActAsync())
    assert (["worked"], 0) == (seen, clock.now())


def test_a_sleep_that_an_async_job_moves_to_a_thread_is_virtual(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: asyncio.to_thread(time.sleep, 300), ActAsync())
    assert 300 == clock.now()


def test_threads_of_an_async_job_sleep_side_by_side(run: Run, clock: FrozenClock) -> None:
    def twice() -> None:
        time.sleep(5)
        time.sleep(5)
        seen.append(clock.monotonic())

    async def act() -> None:
        await asyncio.gather(asyncio.to_thread(time.sleep, 20), asyncio.to_thread(twice))
        seen.append(clock.monotonic())

    assert Done() == run(act, ActAsync())
    assert ([10, 20], 20) == (seen, clock.now())


def test_a_sleep_in_a_thread_does_not_go_beyond_the_limit_of_an_async_job(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        await asyncio.to_thread(time.sleep, 1000)

    outcome = run(act, Limited())
    assert isinstance(outcome, Failed)
    assert 60 == clock.now()


def test_a_thread_that_nobody_waits_for_does_not_keep_the_job(run: Run, clock: FrozenClock) -> None:
    async def act() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(time.sleep, 1000), 5)
        seen.append(asyncio.create_task(asyncio.to_thread(time.sleep, 1000)))
        await asyncio.sleep(1)  # noqa: TID251

    assert Done() == run(act, ActAsync())
    assert 6 == clock.now()


def test_a_socket_of_an_async_job_is_waited_for(run: Run, clock: FrozenClock) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def act() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            seen.append(await asyncio.wait_for(reader.readline(), 5))
            writer.close()

    assert Done() == run(act, ActAsync())
    assert ([b"hello\n"], 0) == (seen, clock.now())


def test_somebody_outside_who_answers_a_socket_is_waited_for(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtest.virtual_loop.PATIENCE", 60)
    ours, theirs = socket.socketpair()

    def answer() -> None:
        theirs.sendall(theirs.recv(10))
        theirs.close()

    thread = Thread(target=answer)  # begun before the loop: what it does is not the loop's to know
    thread.start()

    async def act() -> None:
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"hello")
        seen.append(await asyncio.wait_for(reader.read(), 5))
        writer.close()

    assert Done() == run(act, ActAsync())
    assert ([b"hello"], 0) == (seen, clock.now())
    thread.join()


def test_a_thread_that_was_there_before_does_not_stop_virtual_time(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtest.virtual_loop.PATIENCE", 60)
    end = Event()
    thread = Thread(target=end.wait)
    thread.start()
    try:
        assert Done() == run(lambda: asyncio.sleep(300), ActAsync())  # noqa: TID251
    finally:
        end.set()
        thread.join()
    assert 300 == clock.now()


def test_an_idle_socket_does_not_stop_virtual_time(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qtest.virtual_loop.PATIENCE", 0.001)
    ours, theirs = socket.socketpair()

    async def act() -> None:
        _, writer = await asyncio.open_connection(sock=ours)
        await asyncio.sleep(300)  # noqa: TID251
        writer.close()

    assert Done() == run(act, ActAsync())
    assert 300 == clock.now()
    theirs.close()


def test_a_process_of_an_async_job_is_waited_for_before_its_limit(
    run: Run, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing in the job sleeps, so there is no reason to let time pass."""
    monkeypatch.setattr("qtest.virtual_loop.PATIENCE", 0)
    monkeypatch.setattr("qtest.virtual_loop.PATIENCE_AT_LIMIT", 60)

    async def act() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        seen.append(await process.wait())

    assert Done() == run(act, ActAsync())
    assert ([0], 0) == (seen, clock.now())


def test_asyncio_run_in_a_job_is_on_the_clock(run: Run, clock: FrozenClock) -> None:
    assert Done() == run(lambda: asyncio.run(asyncio.sleep(300)))  # noqa: TID251
    assert 300 == clock.now()


def test_an_async_job_is_on_the_clock_of_its_worker_whatever_app_is_in_force(app: App, clock: FrozenClock) -> None:
    acts["now"] = lambda: asyncio.sleep(300)  # noqa: TID251
    ActAsync().dispatch()
    worker = app.worker(time_limit=VirtualLimit(clock))
    with App(Config(default="memory")).activate(), VirtualSleep():
        assert Done() == worker.run_next_job()
    worker.runner.close()

    assert 300 == clock.now()


def test_a_job_run_in_place_is_on_the_clock(app: App, clock: FrozenClock) -> None:
    acts["now"] = lambda: asyncio.sleep(300)  # noqa: TID251
    with VirtualSleep():
        ActAsync().dispatch_sync()
        acts["now"] = lambda: nap(300)
        Act().dispatch_sync()

    assert 600 == clock.now()


@pytest.mark.asyncio
async def test_the_loop_of_the_test_is_left_alone(app: App, clock: FrozenClock) -> None:
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    with VirtualSleep():
        await asyncio.sleep(0.002)  # noqa: TID251
        other = asyncio.new_event_loop()
    assert real_seconds(began) >= 0.002
    assert (0, type(loop)) == (clock.now(), type(other))
    other.close()
