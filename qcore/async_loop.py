"""One event loop for the async jobs of a worker."""

from __future__ import annotations

import contextvars
import logging
import threading
from typing import TYPE_CHECKING, Any

from qcore.errors import TimeLimitReached

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

logger = logging.getLogger("qcore")

GRACE = 1.0
"""Seconds a cancelled job has to end before its loop is given up."""


class AsyncLoop:
    """Runs coroutines to their end; the loop is kept from job to job."""

    def __init__(self) -> None:
        """Begin without a loop: the first coroutine makes it."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, coroutine: Coroutine[Any, Any, object], seconds: float | None) -> None:
        """Run one coroutine; it is cancelled after that many seconds (None or 0: never).

        :raises TimeLimitReached: when it was cancelled for that.
        """
        import asyncio  # 16 ms that a worker without async jobs does not pay

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            self._run(coroutine, seconds)
        else:
            # A job run in place by code that is itself async: its loop cannot be entered twice.
            _in_thread(coroutine, seconds)

    def close(self) -> None:
        """Close the loop and what hangs on it."""
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_running():
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def _run(self, coroutine: Coroutine[Any, Any, object], seconds: float | None) -> None:
        import asyncio

        loop = self._loop = self._loop or asyncio.new_event_loop()
        task = loop.create_task(coroutine)
        deadline = _Deadline(loop, task, seconds)
        try:
            loop.run_until_complete(task)
        except BaseException as error:
            if not task.done():
                self._abandon(loop, task)
            if deadline.passed and (task.cancelled() or not task.done()):
                raise TimeLimitReached from None
            if isinstance(error, RuntimeError) and not task.done():
                message = "the job stopped the event loop it was running on"
                raise RuntimeError(message) from None
            raise
        finally:
            deadline.clear()

    def _abandon(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[object]) -> None:
        """Give a coroutine that was torn out of the loop a last chance to clean up, then drop the loop."""
        task.cancel()
        stop = loop.call_later(GRACE, loop.stop)
        try:
            loop.run_until_complete(task)
        except BaseException as error:  # noqa: BLE001 - the reason why it ended is known already
            logger.debug("an abandoned job ended with %r", error)
        stop.cancel()
        if not task.done():
            logger.warning("an async job did not end when it was cancelled; its event loop is dropped")
            self._loop = None


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


def _in_thread(coroutine: Coroutine[Any, Any, object], seconds: float | None) -> None:
    ended: list[BaseException | None] = []
    context = contextvars.copy_context()

    def run() -> None:
        loop = AsyncLoop()
        try:
            context.run(loop.run, coroutine, seconds)
            ended.append(None)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that waits
            ended.append(error)
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="qcore-async-job")
    thread.start()
    thread.join()
    if ended[0] is not None:
        raise ended[0]
