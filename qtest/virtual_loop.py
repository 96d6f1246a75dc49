"""An event loop on virtual time: where it would wait for a timer, the clock moves on instead."""

from __future__ import annotations

import asyncio
import selectors
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from qtest.thread_sleep import Visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from qtest.clock import FrozenClock

_T = TypeVar("_T")

_NOISE = 1e-9
"""Seconds by which a sum of floats may be wrong: the unit of the clock."""

PATIENCE = 0.1
"""Real seconds that an open socket, pipe or thread has to answer before the clock moves on to a timer of the job."""

PATIENCE_AT_LIMIT = 5.0
"""The same before the clock moves on to the time limit of the job: it awaits nothing else but an answer."""


class Outside:
    """What may still answer a job: sockets, pipes and threads. They are real, and get real time to do so."""

    def __init__(self) -> None:
        """Know the threads that are there already: nobody waits for these."""
        self._visits: set[Visit] = set()
        self._known_threads = frozenset(threading.enumerate())

    def awaits(self, future: asyncio.Future[_T], visit: Visit) -> asyncio.Future[_T]:
        """Wait for something that runs in a thread: no virtual time passes while it is at work."""
        self._visits.add(visit)
        future.add_done_callback(lambda _: self._has_ended(visit))
        return future

    def wakes_in(self, clock: FrozenClock) -> float | None:
        """In how many virtual seconds the first thread wakes, if all of them sleep; those that are due do so now."""
        now = clock.monotonic()
        dues = []
        for each in self._visits:
            due = each.due
            if due is not None and due <= now + _NOISE:
                each.wake()
                due = None
            dues.append(due)
        asleep = [due for due in dues if due is not None]
        return min(asleep) - now if asleep and len(asleep) == len(dues) else None

    def forget(self) -> None:
        """Let every thread end that is still waited for."""
        for each in self._visits:
            each.leave()

    def patience(self, loop: object, seconds: float, *, at_limit: bool) -> float:
        """How many real seconds to wait before a timer that is due in so many virtual ones; 0: nobody can answer.

        ``at_limit``: nothing but the time limit of the job is waited for.
        """
        if any(each.due is None for each in self._visits):
            return seconds
        if self._has_sockets(loop) or self._has_threads(loop):
            return min(seconds, self.usual(at_limit=at_limit))
        return 0

    def usual(self, *, at_limit: bool) -> float:
        """How many real seconds somebody has to answer."""
        return PATIENCE_AT_LIMIT if at_limit else PATIENCE

    def _has_ended(self, visit: Visit) -> None:
        self._visits.discard(visit)
        visit.leave()

    def _has_sockets(self, loop: Any) -> bool:  # noqa: ANN401 - what is asked for stands in no type
        return len(loop._selector.get_map()) > 1  # noqa: SLF001 - one is the loop's own, by which threads wake it

    def _has_threads(self, loop: object) -> bool:
        own = getattr(getattr(loop, "_default_executor", None), "_threads", ())
        return any(each not in self._known_threads and each not in own for each in threading.enumerate())


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop of async jobs under a frozen clock.

    Sockets, pipes and threads are real: they are given real time to answer before virtual time passes.
    """

    def __init__(self, clock: FrozenClock) -> None:
        """Live on that clock."""
        self.clock = clock
        self._outside = Outside()
        super().__init__(_Selector(self))
        # asyncio's name for it is a word that nothing of ours bears.
        vars(self)["run_in_executor"] = self._run_in_thread

    def time(self) -> float:
        """Seconds on the clock."""
        return self.clock.monotonic()

    def patience(self, seconds: float) -> float:
        """How many real seconds to wait for the world outside before a timer that is due in so many virtual ones."""
        return self._outside.patience(self, seconds, at_limit=self._waits_for_limit())

    def _run_in_thread(self, pool: Executor | None, func: Callable[..., _T], *args: Any) -> asyncio.Future[_T]:
        visit = Visit(self, self.clock)
        return self._outside.awaits(super().run_in_executor(pool, visit.around(func, pool), *args), visit)

    def threads_wake_in(self) -> float | None:
        """In how many virtual seconds the first thread of the job wakes, if all of them sleep."""
        return self._outside.wakes_in(self.clock)

    def close(self) -> None:
        """Close, and let threads end that nobody waits for any more."""
        self._outside.forget()
        super().close()

    def _waits_for_limit(self) -> bool:
        handle = self._scheduled[0] if self._scheduled else None  # type: ignore[attr-defined]
        callback = getattr(handle, "_callback", None)
        return getattr(callback, "__module__", "") == "qcore.async_loop"


class _Selector(selectors.DefaultSelector):
    """Answers like the real one, but does not wait for timers."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Give what is ready; if that is nothing, wait for the world outside, then let the clock move on."""
        asleep = self._loop.threads_wake_in()
        if asleep is not None and (timeout is None or asleep < timeout):
            timeout = asleep
        if timeout is None:
            return super().select(None)  # no timer at all: only somebody outside can wake the loop
        ready = super().select(0)
        if ready or timeout <= 0:
            return ready
        ready = super().select(patience) if (patience := self._loop.patience(timeout)) else []
        if not ready:
            self._loop.clock.pass_by(timeout)
            self._loop.threads_wake_in()
        return ready
