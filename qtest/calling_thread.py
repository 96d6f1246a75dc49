"""Runs a worker beside the event loop of an async test: qcore's own code in a thread, the jobs where the test is.

Async jobs run on the loop of the test, so that they share with it what belongs to a loop. Plain ones run on its thread,
so that they see its transaction.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qcore.async_loop import AsyncLoop
from qcore.errors import TimeLimitReached
from qcore.function_job import FunctionCall
from qcore.user_code import UserCode
from qtest.virtual_sleep import clock_of_job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextvars import Context

    from qcore.runner import Runner
    from qcore.time_limit import TimeLimit


class Aside:
    """The loop of the test that a worker runs beside; shared by all workers of a fake."""

    loop: asyncio.AbstractEventLoop | None = None

    async def run(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the function gives
        """Call a function that runs jobs, in a thread."""
        try:
            self.loop = asyncio.get_running_loop()
        except RuntimeError:
            return function()  # a loop of another kind: nothing of asyncio runs here
        try:
            with _virtual_sleeps():
                return await asyncio.to_thread(function)
        finally:
            self.loop = None

    def equip(self, runner: Runner, limit: TimeLimit) -> None:
        """Let a runner run jobs where the test is."""
        runner.user = _Shipped(limit, self, runner)


class _Shipped(UserCode):
    def __init__(self, limit: TimeLimit, aside: Aside, runner: Runner) -> None:
        super().__init__(limit)
        self._aside = aside
        self._runner = runner
        self._loop = _Loop(aside)

    def call(self, function: Callable[..., object], timeout: float, *args: object) -> object:
        loop = self._aside.loop
        if loop is None or _is_async(self._runner):
            return super().call(function, timeout, *args)
        ended: Future[object] = Future()

        def call_here() -> None:
            with _no_loop_running():
                try:
                    ended.set_result(super(_Shipped, self).call(function, timeout, *args))
                except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
                    ended.set_exception(error)

        loop.call_soon_threadsafe(call_here)
        return ended.result()


class _Loop(AsyncLoop):
    def __init__(self, aside: Aside) -> None:
        super().__init__()
        self._aside = aside

    def run(self, awaitable: Awaitable[object], seconds: float | None, context: Context | None = None) -> object:
        loop = self._aside.loop
        if loop is None or _runs_here():
            return super().run(awaitable, seconds, context)
        ended: Future[object] = Future()
        begun: list[asyncio.Task[object]] = []

        async def wait() -> object:
            return await awaitable

        def begin() -> None:
            job = loop.create_task(wait(), context=context)
            begun.append(job)
            job.add_done_callback(lambda _: _hand_over(job, ended))

        loop.call_soon_threadsafe(begin)
        try:
            return ended.result(seconds or None)
        except TimeoutError:
            if ended.done():
                raise  # the job's own
            loop.call_soon_threadsafe(begun[0].cancel)
            raise TimeLimitReached from None


def _hand_over(job: asyncio.Task[object], ended: Future[object]) -> None:
    if job.cancelled():
        ended.set_exception(asyncio.CancelledError())
    elif (error := job.exception()) is not None:
        ended.set_exception(error)
    else:
        ended.set_result(job.result())


@contextmanager
def _virtual_sleeps() -> Iterator[None]:
    """Let ``asyncio.sleep`` take virtual time in jobs: the loop of the test runs on real time."""
    real = asyncio.sleep  # noqa: TID251 - here it is replaced

    async def sleep(delay: float, result: Any = None) -> Any:  # noqa: ANN401 - as the one it stands for
        clock = clock_of_job()
        if clock is None:
            return await real(delay, result)
        clock.sleep(delay)
        return await real(0, result)

    held = [module for module in list(sys.modules.values()) if getattr(module, "__dict__", {}).get("sleep") is real]
    for module in held:
        module.__dict__["sleep"] = sleep
    try:
        yield
    finally:
        for module in held:
            module.__dict__["sleep"] = real


_here = threading.local()


def _runs_here() -> bool:
    """Tell whether this is the thread of the loop, which a job that runs on it cannot wait for."""
    return getattr(_here, "is_shipped", False)


@contextmanager
def _no_loop_running() -> Iterator[None]:
    """Let code believe that it runs in a plain thread, as it does in a worker; it is a callback of a loop."""
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)  # noqa: SLF001 - for this there is no other way, and the loop waits meanwhile
    _here.is_shipped = True
    try:
        yield
    finally:
        _here.is_shipped = False
        asyncio._set_running_loop(loop)  # noqa: SLF001


def _is_async(runner: Runner) -> bool:
    job: Any = None if runner.delivery is None else runner.delivery.job
    function = type(job).function if isinstance(job, FunctionCall) else getattr(job, "handle", None)
    return inspect.iscoroutinefunction(function)
