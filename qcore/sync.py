"""The sync connection: the memory driver, drained in the caller's thread after each push."""

from __future__ import annotations

import math
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

from qcore.driver import NONE
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.outcome import Failed
from qcore.stores.memory_batches import MemoryBatchStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qcore.clock import Clock
    from qcore.driver import Effects, Payload, Reservation, Settled
    from qcore.runner import Runner


class SyncDriver:
    """Keeps what a caller pushes for that caller, who runs it at once.

    A job pushed by a job that is being run waits until that one has ended: links of a chain follow each other,
    they do not nest. The delay of a dispatch is not waited for; that of a release is.
    Batches outlive the turn in which their members ran.
    """

    retry_after = 1e9
    """A lease without end: nobody else could take the job."""
    shared = False

    def __init__(self, clock: Clock) -> None:
        """Begin empty."""
        self.home: object = self
        self._clock = clock
        self._kept = Memory()
        self.batches = MemoryBatchStore(self, clock, memory=lambda: self._turn().memory)
        """Any caller finds them, and each pushes to its own turn, which it has to drain afterwards."""

    def drain(self, make_runner: Callable[[], Runner]) -> None:
        """Run everything this caller pushed, and raise what failed: one error as it is, several as a group."""
        turn = self._turn()
        if turn.running:
            return
        turn.running = True
        runner = make_runner()
        try:
            errors = turn.run(runner)
        finally:
            turn.over = True
            runner.close()
        if len(errors) == 1:
            raise errors[0]
        if errors:
            message = "several jobs failed"
            raise BaseExceptionGroup(message, errors)

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:  # noqa: ARG002 - see the class
        """Keep the payload for the drain that follows."""
        self._turn().driver.push(queue, payload)

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take what this caller pushed."""
        return self._turn().driver.reserve(queues, wait=wait)

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a job of this caller."""
        return self._turn().driver.delete(reservation, effects=effects, only_last=only_last)

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give back a job of this caller."""
        return self._turn().driver.release(reservation, delay=delay, count=count, verdict=verdict)

    def _turn(self) -> _Turn:
        turns = _turns.get()
        turn = turns.get(self)
        if turn is None or turn.over:
            turn = _Turn(self._kept, self._clock, self.retry_after)
            alive = {driver: other for driver, other in turns.items() if not other.over}
            _turns.set({**alive, self: turn})
        return turn


class _Turn:
    """What one caller pushed, until all of it has run."""

    def __init__(self, kept: Memory, clock: Clock, retry_after: float) -> None:
        self.running = False
        self.over = False
        self.memory = Memory(beside=kept)
        self.driver = MemoryDriver(self.memory, clock, retry_after=retry_after)

    def run(self, runner: Runner) -> list[BaseException]:
        errors = []
        while self.memory.entries:
            # In the order of the pushes, whatever their queues: nobody else works here.
            _, queue = min((first[:2], name) for name, each in self.memory.queues.items() if (first := each.first()))
            reservation = self.driver.reserve([queue], wait=math.inf)
            if reservation is not None and isinstance(outcome := runner.run(reservation), Failed):
                errors.append(outcome.error)
        return errors


# By context, not by thread: an async job may run in a thread of its own, and is part of its caller's turn.
_turns: ContextVar[Mapping[SyncDriver, _Turn]] = ContextVar("qcore_sync", default=MappingProxyType({}))
