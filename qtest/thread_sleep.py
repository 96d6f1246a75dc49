"""Sleeps in the threads of an async job, as by ``asyncio.to_thread``: they go on side by side, as its coroutines do.

A thread that sleeps waits until the loop has moved the clock so far; the loop does so when nothing else is to be done.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from concurrent.futures import Executor

    from qtest.clock import FrozenClock

_T = TypeVar("_T")


class Visit:
    """One call in a thread that a loop waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: FrozenClock) -> None:
        """Belong to a loop, which moves the clock."""
        self._loop = loop
        self._clock = clock
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._is_left = False
        self.due: float | None = None
        """When it wakes, on the clock's ``monotonic()``; None while it is at work."""

    def around(self, func: Callable[..., _T], pool: Executor | None) -> Callable[..., _T]:
        """Make a function known to its sleeps; one that another process runs stays as it is."""
        return partial(self._call, func) if pool is None or isinstance(pool, ThreadPoolExecutor) else func

    def _call(self, func: Callable[..., _T], *args: object) -> _T:
        before, _here.visit = _here.visit, self
        try:
            return func(*args)
        finally:
            _here.visit = before

    def sleep(self, seconds: float) -> None:
        """Wait until the loop has moved the clock so far, or nobody waits for this call any more."""
        with self._lock:
            if self._is_left:
                return
            self._over.clear()
            self.due = self._clock.monotonic() + seconds
        self._loop.call_soon_threadsafe(_look_again)
        self._over.wait()

    def wake(self) -> None:
        """Let it go on."""
        with self._lock:
            self.due = None
            self._over.set()

    def leave(self) -> None:
        """Let it end: nobody waits for it, so that no sleep of it takes time."""
        self._is_left = True
        self.wake()

    def is_on(self, clock: FrozenClock) -> bool:
        """Tell whether sleeps on that clock are those of this call, and not of a job that it runs in place."""
        thread = threading.get_ident()
        return clock is self._clock and not any(each.thread == thread for each in clock.alarms)


class _Here(threading.local):
    """What this thread was called for."""

    visit: Visit | None = None


_here = _Here()


def visit_here() -> Visit | None:
    """Give the call in which this thread is; None when no loop of a job has made it."""
    return _here.visit


def _look_again() -> None:
    """Do nothing, but in the loop: it sees that a thread sleeps."""
