"""One event loop for the async jobs of a worker."""

from __future__ import annotations

import logging
import threading
import weakref
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING

from qcore.errors import TimeLimitReached

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from contextvars import Context

logger = logging.getLogger("qcore")

GRACE = 1.0
"""Seconds a cancelled job has to end before its loop is given up."""


class AsyncLoop:
    """Runs coroutines to their end; the loop is kept from job to job."""

    def __init__(self) -> None:
        """Begin without a loop: the first coroutine makes it."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._job: asyncio.Task[object] | None = None
        self._is_cancelled = False

    def run(self, awaitable: Awaitable[object], seconds: float | None, context: Context | None = None) -> object:
        """Run one coroutine and give what it returned; it is cancelled after that many seconds (None or 0: never).

        It runs in ``context``, or in a copy of this one.

        :raises TimeLimitReached: when it was cancelled for that.
        """
        import asyncio  # 16 ms that a worker without async jobs does not pay

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._run(awaitable, seconds, context)
        # A job run in place by code that is itself async: its loop cannot be entered twice.
        loop, context = AsyncLoop(), context or copy_context()

        def run() -> object:
            try:
                return loop.run(awaitable, seconds, context)
            finally:
                loop.close()

        return _in_thread(run, loop.cancel)

    def cancel(self) -> None:
        """Cancel what runs, or is about to run, from another thread."""
        self._is_cancelled = True
        loop, job = self._loop, self._job
        if loop is not None and job is not None:
            loop.call_soon_threadsafe(job.cancel)

    def close(self) -> None:
        """End what jobs left running, and close the loop."""
        loop, self._loop = self._loop, None
        if loop is None or loop.is_running():
            return
        import asyncio

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            _close(loop)
        else:
            _in_thread(partial(_close, loop), partial(loop.call_soon_threadsafe, loop.stop))

    def _opened(self) -> asyncio.AbstractEventLoop:
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # For those who step a worker and never close it: the loop's own clean-up would do this with a warning.
            weakref.finalize(self, _close_quietly, self._loop)
        return self._loop

    def _run(self, awaitable: Awaitable[object], seconds: float | None, context: Context | None) -> object:
        import asyncio

        loop = self._opened()
        coroutine = awaitable if asyncio.iscoroutine(awaitable) else _awaited(awaitable)
        job = self._job = loop.create_task(coroutine, context=context)
        deadline = _Deadline(loop, job, seconds)
        if self._is_cancelled:
            job.cancel()
        try:
            return loop.run_until_complete(job)
        except BaseException as error:
            ended = job.done()
            if not ended:
                self._abandon(loop, job)
            elif not job.cancelled():
                job.exception()  # it is on its way up: nobody needs to be told that it was never looked at
            if deadline.passed and (job.cancelled() or not ended):
                raise TimeLimitReached from (error if isinstance(error, asyncio.CancelledError) else None)
            if isinstance(error, RuntimeError) and not ended:
                message = "the job stopped the event loop it was running on"
                raise RuntimeError(message) from None
            raise
        finally:
            self._job = None
            deadline.clear()

    def _abandon(self, loop: asyncio.AbstractEventLoop, job: asyncio.Task[object]) -> None:
        """Give a coroutine that was torn out of the loop a last chance to clean up, then drop the loop."""
        job.cancel()
        stop = loop.call_later(GRACE, loop.stop)
        try:
            loop.run_until_complete(job)
        except BaseException as error:  # noqa: BLE001 - the reason why it ended is known already
            logger.debug("an abandoned job ended with %r", error)
        stop.cancel()
        if not job.done():
            self._loop = None
            _keep_forever(job.get_coro())
            job._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - said here, once
            loop.close()
            logger.warning("an async job did not end when it was cancelled; its event loop is dropped")


def _close(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_until_complete(_end_all(loop))
    finally:
        loop.close()


def _close_quietly(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_running():
        loop.close()


async def _awaited(awaitable: Awaitable[object]) -> object:
    return await awaitable


async def _end_all(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    for each in others:
        each.cancel()
    if others:
        _, stubborn = await asyncio.wait(others, timeout=GRACE)
        for each in stubborn:
            _keep_forever(each.get_coro())
            each._log_destroy_pending = False  # type: ignore[attr-defined] # noqa: SLF001 - said here, once
            logger.warning("%r was left behind by a job and did not end when it was cancelled", each)
    await asyncio.wait({asyncio.ensure_future(loop.shutdown_asyncgens())}, timeout=GRACE)


class _Deadline:
    """Cancels a running coroutine when its time is over, and stops the loop when that does not help."""

    def __init__(self, loop: asyncio.AbstractEventLoop, job: asyncio.Task[object], seconds: float | None) -> None:
        self.passed = False
        self._job = job
        self._timers = (
            [loop.call_later(seconds, self._cancel), loop.call_later(seconds + GRACE, loop.stop)] if seconds else []
        )

    def _cancel(self) -> None:
        self.passed = True
        self._job.cancel()

    def clear(self) -> None:
        for timer in self._timers:
            timer.cancel()


def _in_thread(function: Callable[[], object], give_up: Callable[[], object]) -> object:
    """Call a function where no loop is running; ``give_up`` tells it when nobody waits for it any more."""
    returned: list[object] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(function())
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            raised.append(error)

    # A daemon: when this thread gives up on it, it shall not keep the process alive.
    thread = threading.Thread(target=run, name="qcore-async-job", daemon=True)
    try:
        thread.start()
        thread.join()
    except BaseException:
        give_up()
        raise
    if raised:
        raise raised[0]
    return returned[0]


def _keep_forever(coroutine: object) -> None:
    """Never free a coroutine that swallows its end: freeing throws GeneratorExit into it, and would not return."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(coroutine))
