"""The event loop of an async test, on which jobs run: they see virtual time, and everybody else the real one."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from qcore.async_loop import GRACE, _keep_forever
from qcore.clock import SystemClock
from qcore.errors import TimeLimitReached
from qtest.thread_sleep import Visit
from qtest.virtual_limit import alarm_on
from qtest.virtual_loop import Outside
from qtest.virtual_sleep import clock_of_job

if TYPE_CHECKING:
    import selectors
    from collections.abc import Awaitable, Callable, Iterator
    from concurrent.futures import Executor
    from contextvars import Context

    from qtest.clock import FrozenClock

    _Select = Callable[[float | None], list[tuple[selectors.SelectorKey, int]]]

    _Timer = tuple[float, int, bool, asyncio.TimerHandle]

logger = logging.getLogger("qcore")


def can_be_borrowed(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether a loop is one of asyncio's own: others, such as uvloop's, keep their timers to themselves."""
    return isinstance(loop, asyncio.SelectorEventLoop)


class BorrowedLoop:
    """Runs async jobs on the loop of a test, for a worker in another thread.

    Timers that jobs set are kept apart. When nothing else is to be done, the clock moves on to the next one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: FrozenClock) -> None:
        """Take the loop that is running here, and the clock of its jobs."""
        self.loop: Any = loop
        self._clock = clock
        self._thread = threading.get_ident()
        self._outside = Outside()
        self._timers: list[_Timer] = []
        self._lent: list[asyncio.TimerHandle] = []
        """Real timers that stand for those of jobs while the loop is not borrowed."""
        self._numbers = itertools.count()
        self._at_work = 0
        self._waits_since: tuple[int, float] = (-1, 0)

    @contextmanager
    def borrowed(self) -> Iterator[None]:
        """Look after the timers of jobs inside of the block."""
        self._outside = Outside()
        own = {"time": self._time, "call_at": self._call_at, "run_in_executor": self._run_in_thread}
        for each in self._lent:
            each.cancel()
        try:
            with _set(vars(self.loop), own), _set(vars(self.loop._selector), {"select": self._select}):  # noqa: SLF001
                yield
        finally:
            self._lend()

    def _lend(self) -> None:
        """Let what jobs have left running go on in real time: a test may wait for it."""
        now = self._clock.monotonic()
        self._lent = [self.loop.call_later(max(timer[0] - now, 0), self._ring, timer) for timer in self._timers]

    def _ring(self, timer: _Timer) -> None:
        self._timers.remove(timer)
        heapq.heapify(self._timers)
        if not timer[3].cancelled():
            timer[3]._run()  # noqa: SLF001 - as the loop does with its own

    def run(self, awaitable: Awaitable[object], seconds: float | None, context: Context | None) -> object:
        """Run a coroutine to its end, and wait for it in the thread of a worker; see ``AsyncLoop.run``."""
        ended: Future[object] = Future()
        with alarm_on(self._clock, self._thread):
            self.loop.call_soon_threadsafe(self._begin, awaitable, seconds, context, ended)
            return ended.result()

    def _begin(
        self, awaitable: Awaitable[object], seconds: float | None, context: Context | None, ended: Future[object]
    ) -> None:
        self._at_work += 1
        job = self.loop.create_task(_awaited(awaitable), context=context)
        timers = self._limit(job, seconds, ended) if seconds else []
        job.add_done_callback(partial(self._over, timers, ended))

    def _limit(self, job: asyncio.Task[object], seconds: float, ended: Future[object]) -> list[asyncio.TimerHandle]:
        """Cancel a job at its limit, and once more; give it up when that does not end it."""
        end = self._clock.monotonic() + seconds
        again = [self._add(end + late, job.cancel, is_limit=True) for late in (0, GRACE)]
        return [*again, self._add(end + 2 * GRACE, partial(self._abandon, job, ended), is_limit=True)]

    def _over(self, timers: list[asyncio.TimerHandle], ended: Future[object], job: asyncio.Task[object]) -> None:
        is_late = bool(timers) and timers[0].when() <= self._clock.monotonic()
        for each in timers:
            each.cancel()
        if ended.done():
            return  # it was given up
        self._at_work -= 1
        if job.cancelled():
            ended.set_exception(TimeLimitReached() if is_late else asyncio.CancelledError())
        elif (error := job.exception()) is not None:
            ended.set_exception(error)
        else:
            ended.set_result(job.result())

    def _abandon(self, job: asyncio.Task[object], ended: Future[object]) -> None:
        logger.warning("an async job did not end when it was cancelled; it is left behind on the loop of the test")
        self._at_work -= 1
        _keep_forever(job.get_coro())
        job._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - said here, once
        asyncio.tasks._unregister_task(job)  # noqa: SLF001 - the loop would wait for it when it is closed
        ended.set_exception(TimeLimitReached())

    # What the loop does in another way while it is borrowed.

    def _time(self) -> float:
        time: float = type(self.loop).time(self.loop) if clock_of_job() is None else self._clock.monotonic()
        return time

    def _call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if clock_of_job() is None:
            handle: asyncio.TimerHandle = type(self.loop).call_at(self.loop, when, callback, *args, context=context)
            return handle
        return self._add(when, callback, *args, context=context)

    def _add(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
        is_limit: bool = False,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self.loop, context)
        heapq.heappush(self._timers, (when, next(self._numbers), is_limit, handle))
        return handle

    def _run_in_thread(self, pool: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        start = partial(type(self.loop).run_in_executor, self.loop, pool)
        future: asyncio.Future[Any]
        if clock_of_job() is None:
            future = start(func, *args)
            return future
        visit = Visit(self.loop, self._clock)
        future = start(visit.around(func, pool), *args)
        return self._outside.awaits(future, visit)

    def _select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready; if that is nothing and a job waits for a timer, let the clock move on to it."""
        selector = self.loop._selector  # noqa: SLF001
        select: _Select = partial(type(selector).select, selector)
        timer = self._next_timer() if self._at_work else None
        asleep = self._outside.wakes_in(self._clock) if self._at_work else None
        if asleep is not None and (timer is None or asleep < timer[0] - self._clock.monotonic()):
            return self._let_threads_wake(select, asleep, timeout)
        if timer is None:
            return select(timeout)
        ready = select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if patience := self._patience(timer, timeout):
            return select(patience)  # and then the loop asks again
        self._fire(timer)
        return []

    def _let_threads_wake(
        self, select: _Select, asleep: float, timeout: float | None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready; if that is nothing, let the clock move on to where a thread of a job wakes."""
        ready = select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        patience = self._outside.patience(self.loop, asleep, at_limit=False)
        ready = select(patience if timeout is None else min(patience, timeout)) if patience else []
        if not ready:
            self._clock.pass_by(asleep)
            self._outside.wakes_in(self._clock)
        return ready

    def _next_timer(self) -> _Timer | None:
        while self._timers and self._timers[0][3].cancelled():
            heapq.heappop(self._timers)
        return self._timers[0] if self._timers else None

    def _patience(self, timer: _Timer, timeout: float | None) -> float:
        """How many real seconds are left for the world outside, and for what others on this loop wait for."""
        when, number, is_limit, _ = timer
        left = when - self._clock.monotonic()
        allowed = self._outside.patience(self.loop, left, at_limit=is_limit)
        usual = self._outside.usual(at_limit=is_limit)
        if not allowed and timeout is not None and timeout <= usual:
            allowed = min(left, usual)  # somebody else's timer is near
        now = SystemClock().monotonic()
        if self._waits_since[0] != number:
            self._waits_since = (number, now)
        allowed = max(allowed - (now - self._waits_since[1]), 0)
        return allowed if timeout is None else min(allowed, timeout)

    def _fire(self, timer: _Timer) -> None:
        heapq.heappop(self._timers)
        if (left := timer[0] - self._clock.monotonic()) > 0:
            self._clock.pass_by(left)
        self.loop._ready.append(timer[3])  # noqa: SLF001 - as the loop does with its own


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


@contextmanager
def _set(attributes: dict[str, Any], values: dict[str, Any]) -> Iterator[None]:
    before = {name: attributes[name] for name in values if name in attributes}
    attributes.update(values)
    try:
        yield
    finally:
        for name in values:
            del attributes[name]
        attributes.update(before)
