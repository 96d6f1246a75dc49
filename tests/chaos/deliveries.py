"""What a history tells about each delivery: who had which job, from when to when, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.chaos.faults import Hit
    from tests.chaos.history import Line

SLACK = 0.3
"""Seconds by which a worker may begin to look for a job before it has one."""


@dataclass(slots=True)
class Delivery:
    """One job in the hands of one worker. Instants are seconds since 1970."""

    process: int
    id: str
    attempts: int
    since: float
    """When the worker began to look for it."""
    until: float = math.inf
    """When the worker had told the backend what became of it; without end if it never could."""
    started: float | None = None
    finished: float | None = None
    failed: float | None = None
    """When ``failed()`` ran."""
    ending: str = ""
    """The ending event, as the worker saw it."""
    excuse: str = ""
    """The fault that hit it, which may let the job run once more."""

    @property
    def accepted(self) -> bool:
        """True when the backend took this as the end of the job."""
        return self.ending in {"JobProcessed", "JobProcessed late", "JobSkipped", "JobFailed"}

    def __str__(self) -> str:
        parts = [f"attempt {self.attempts} in {self.process}", f"looked {self.since:.3f}"]
        for what, at in (
            ("started", self.started),
            ("finished", self.finished),
            ("failed()", self.failed),
            ("until", self.until),
        ):
            parts += [f"{what} {at:.3f}"] if at is not None and at < math.inf else []
        return ", ".join([*parts, self.ending or "no end", *([f"hit: {self.excuse}"] if self.excuse else [])])


def deliveries_in(lines: Iterable[Line]) -> list[Delivery]:
    """Read the deliveries of all processes out of their lines."""
    found: list[Delivery] = []
    open_in: dict[int, Delivery] = {}
    for line in lines:
        if line.what == "took":
            open_in[line.process] = Delivery(line.process, line.id, line.attempts, line.since)
            found.append(open_in[line.process])
            continue
        delivery = open_in.get(line.process)
        if delivery is None or delivery.id != line.id:
            continue
        if line.what == "start":
            delivery.started = line.at
        elif line.what == "end":
            delivery.finished = line.at
        elif line.what == "failed()":
            delivery.failed = line.at
        elif line.what == "ended":
            delivery.until, delivery.ending = line.at, line.name
    return found


def excuse(deliveries: Iterable[Delivery], hits: Iterable[Hit], lease: float) -> None:
    """Find out which deliveries a fault hit: each of them may cost one more run of its job."""
    hits = list(hits)
    for each in deliveries:
        for hit in hits:
            mine = hit.process in {None, each.process}
            if mine and each.since <= hit.ended and hit.begun <= each.until:
                each.excuse = hit.what
        # One without an end does not count here: its process died, and somebody must have killed it.
        if not each.excuse and lease - SLACK < each.until - each.since < math.inf:
            each.excuse = "it was held longer than its lease"
