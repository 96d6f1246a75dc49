"""What happens to a run: when, to whom, and how long. All of it follows from the seed."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.apps import LEASE
from tests.chaos.history import CLOCK
from tests.chaos.places import HARMLESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.chaos.places import Place
    from tests.chaos.processes import Crew, Process


class Fault(NamedTuple):
    """Something that is done to a run when a part of its jobs has run."""

    part: float
    """Of the jobs, between 0 and 1."""
    what: str
    whom: int
    """Which worker, if it is done to one."""
    seconds: float


class Hit(NamedTuple):
    """A fault that was done. Instants are seconds since 1970."""

    what: str
    process: int | None
    """Whom it hit; None: everybody."""
    begun: float
    ended: float

    def __str__(self) -> str:
        return f"{self.what} on {self.process or 'all'}, {self.begun:.3f} to {self.ended:.3f}"


def kill(worker: Process, _seconds: float) -> None:
    worker.kill()


def freeze(worker: Process, seconds: float) -> None:
    """Stop a worker until its lease is over, and somebody else may have its job."""
    worker.signal(signal.SIGSTOP)
    CLOCK.sleep(LEASE + seconds)
    worker.signal(signal.SIGCONT)


def terminate(worker: Process, _seconds: float) -> None:
    worker.stop()
    worker.wait()


def terminate_twice(worker: Process, _seconds: float) -> None:
    """The second signal gives the job back that is at work."""
    worker.stop()
    worker.stop()
    worker.wait()


ON_WORKERS: dict[str, Callable[[Process, float], None]] = {
    "kill": kill,
    "freeze": freeze,
    "terminate": terminate,
    "terminate twice": terminate_twice,
}
_WEIGHTS = {"kill": 4, "freeze": 2}

KILL_PRODUCER = "kill the producer"
"""The one that takes its place knows what it has written down, and dispatches the rest."""


def schedule(seed: int, count: int, place: Place) -> list[Fault]:
    """Choose what happens."""
    dice = random.Random(f"faults {seed}")
    kinds = [*ON_WORKERS, KILL_PRODUCER, *place.faults]
    weights = [_WEIGHTS.get(kind, 1 if kind in ON_WORKERS else 2) for kind in kinds]
    chosen = dice.choices(kinds, weights, k=count)
    faults = [Fault(dice.uniform(0.05, 0.9), what, dice.randrange(100), dice.uniform(0.2, 1.0)) for what in chosen]
    return sorted(faults)


def done(fault: Fault, crew: Crew, place: Place) -> Iterable[Hit]:
    """Do it; gives what was hit, and replaces a worker that is gone."""
    begun = CLOCK.now()
    if fault.what in place.faults:
        crew.server_was_away = True
        place.faults[fault.what](fault.seconds)
        return [] if fault.what in HARMLESS else [Hit(fault.what, None, begun, CLOCK.now())]
    if fault.what == KILL_PRODUCER:
        crew.kill_producer()
        return []  # it excuses nothing: no job of it runs twice
    ready = crew.ready()
    worker = ready[fault.whom % len(ready)]
    ON_WORKERS[fault.what](worker, fault.seconds)
    ended = CLOCK.now()
    crew.fill()
    return [Hit(fault.what, worker.pid, begun, ended)]
