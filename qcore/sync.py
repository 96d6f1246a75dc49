"""The sync connection: the memory driver, drained in the caller's thread after each push."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

from qcore.driver import NONE
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.clock import Clock
    from qcore.driver import Effects, Payload, Reservation, Settled
    from qcore.runner import Runner


class SyncDriver:
    """Keeps what a thread pushes for that thread, which runs it at once.

    A job pushed by a job that is being run waits until that one has ended: links of a chain follow each other,
    they do not nest. The delay of a dispatch is not waited for; that of a release is.
    """

    retry_after = 1e9
    """A lease without end: nobody else could take the job."""
    shared = False

    def __init__(self, clock: Clock) -> None:
        """Begin empty."""
        self.home: object = self
        self._clock = clock
        self._local = threading.local()

    def drain(self, runner: Runner) -> None:
        """Run everything this thread pushed, and raise what failed: one error as it is, several as a group."""
        if getattr(self._local, "draining", False):
            return
        self._local.draining = True
        try:
            errors = self._run_all(runner)
        finally:
            self._local.draining = False
        if len(errors) == 1:
            raise errors[0]
        if errors:
            message = "several jobs failed"
            raise BaseExceptionGroup(message, errors)

    def _run_all(self, runner: Runner) -> list[BaseException]:
        errors = []
        while counts := self._mine.counts():
            reservation = self._mine.reserve([count.queue for count in counts], wait=math.inf)
            if reservation is not None and isinstance(outcome := runner.run(reservation), Failed):
                errors.append(outcome.error)
        return errors

    @property
    def _mine(self) -> MemoryDriver:
        driver: MemoryDriver | None = getattr(self._local, "driver", None)
        if driver is None:
            driver = self._local.driver = MemoryDriver(Memory(), self._clock, retry_after=self.retry_after)
        return driver

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:  # noqa: ARG002 - see the class
        """Keep the payload for the drain that follows."""
        self._mine.push(queue, payload)

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take what this thread pushed."""
        return self._mine.reserve(queues, wait=wait)

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a job of this thread."""
        return self._mine.delete(reservation, effects=effects, only_last=only_last)

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give back a job of this thread."""
        return self._mine.release(reservation, delay=delay, count=count, verdict=verdict)
