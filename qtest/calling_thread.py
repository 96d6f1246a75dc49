"""Runs a worker beside the event loop of an async test: qcore's own code in a thread, the jobs where the test is.

Async jobs run on the loop of the test, so that they share with it what belongs to a loop. Plain ones run on its thread,
so that they see its transaction.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from qcore.async_loop import AsyncLoop
from qcore.function_job import FunctionCall
from qcore.user_code import UserCode
from qtest.borrowed_loop import BorrowedLoop, can_be_borrowed
from qtest.loops import elsewhere, unsniffed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextvars import Context

    from qcore.runner import Runner
    from qcore.time_limit import TimeLimit
    from qtest.clock import FrozenClock


class Aside:
    """The loop of the test that a worker runs beside; shared by all workers of a fake."""

    def __init__(self, clock: FrozenClock) -> None:
        """Take the clock of the jobs."""
        self._clock = clock
        self.loop: asyncio.AbstractEventLoop | None = None
        """The loop on whose thread plain jobs run; None when no loop of asyncio is running."""
        self.borrowed: BorrowedLoop | None = None
        """The same for async jobs; None: they run on a loop of their own."""
        self._kept: BorrowedLoop | None = None

    async def run(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the function gives
        """Call a function that runs jobs, in a thread."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            with elsewhere():
                return function()  # a loop of another kind: nothing of asyncio runs here
        with self._beside(loop), unsniffed():
            return await asyncio.to_thread(function)

    @contextmanager
    def _beside(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        kept = self._kept
        if can_be_borrowed(loop) and (kept is None or kept.loop is not loop):
            kept = self._kept = BorrowedLoop(loop, self._clock)
        self.loop, self.borrowed = loop, kept if can_be_borrowed(loop) else None
        try:
            with self.borrowed.borrowed() if self.borrowed is not None else nullcontext():
                yield
        finally:
            self.loop = self.borrowed = None

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
        borrowed = self._aside.borrowed
        if borrowed is None or _runs_here():
            return super().run(awaitable, seconds, context)
        return borrowed.run(awaitable, seconds, context)


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
