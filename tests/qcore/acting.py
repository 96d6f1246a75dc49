"""A job that does what the test says, and short words for what was heard of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcore.driver import NONE
from qcore.drivers.memory import MemoryDriver
from qcore.events import (
    Event,
    JobEnded,
    JobExceptionOccurred,
    JobFailing,
    JobProcessing,
    JobTimedOut,
)
from qcore.jobs import Job
from qcore.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qcore.driver import Effects, Payload, Reservation, Settled
    from qtest.clock import FrozenClock

_OF_A_DELIVERY = (JobProcessing, JobExceptionOccurred, JobTimedOut, JobFailing, JobEnded)


class _Script(NamedTuple):
    handle: Callable[[Act], object]
    failed: Callable[[Act, BaseException], object] | None
    backoff_for: Callable[[int], object] | None


_scripts: list[_Script] = []


class Act(Job):
    """Its payload holds the number of a script; what the script does is known to the test alone."""

    def __init__(self, number: int) -> None:
        self.number = number

    def handle(self) -> object:
        return _scripts[self.number].handle(self)

    def failed(self, error: BaseException) -> object:  # type: ignore[override] # an async failed() gives a coroutine
        script = _scripts[self.number].failed
        return script(self, error) if script else None

    def backoff_for(self, attempt: int) -> float | None:
        script = _scripts[self.number].backoff_for
        return script(attempt) if script else None  # type: ignore[return-value] # tests let it answer nonsense


def doing(
    handle: Callable[[Act], object],
    *,
    failed: Callable[[Act, BaseException], object] | None = None,
    backoff_for: Callable[[int], object] | None = None,
) -> Act:
    """Make a job that does this."""
    _scripts.append(_Script(handle, failed, backoff_for))
    return Act(len(_scripts) - 1)


def raising(error: BaseException, **more: Callable[..., object]) -> Act:
    """Make a job that raises this."""

    def handle(_: Act) -> None:
        raise error

    return doing(handle, **more)


def story(events: Iterable[Event]) -> list[str]:
    """Name what was told of deliveries, in order."""
    return [type(event).__name__ for event in events if isinstance(event, _OF_A_DELIVERY)]


def endings(events: Iterable[Event]) -> list[JobEnded]:
    """Give the ending events."""
    return [event for event in events if isinstance(event, JobEnded)]


class PlainDriver:
    """The memory driver without its abilities."""

    shared = False

    def __init__(self, clock: FrozenClock) -> None:
        self.home: object = self
        self._driver = MemoryDriver(Memory(), clock)
        self.retry_after = self._driver.retry_after

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        self._driver.push(queue, payload, delay=delay)

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        return self._driver.reserve(queues, wait=wait)

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return self._driver.delete(reservation, effects=effects, only_last=only_last)

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        return self._driver.release(reservation, delay=delay, count=count, verdict=verdict)
