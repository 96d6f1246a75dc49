"""What all rows share: how much is measured, how the best time is found, and what a row says."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class Effort(NamedTuple):
    """How much is measured."""

    jobs: int = 1_000
    """Jobs in one round: many short rounds find a quiet moment on a busy machine."""
    rounds: int = 25
    waiting: int = 1_000_000
    """Jobs on a long queue."""
    starts: int = 25
    """Processes of each kind."""
    idle: float = 10
    """Seconds for which an idle worker is watched."""
    note: Callable[[str], None] = lambda _: None
    """Hears how far it is."""


QUICK = Effort(jobs=100, rounds=2, waiting=2_000, starts=2, idle=0.5)
"""Enough to see that everything runs; the figures mean nothing."""


class Target(NamedTuple):
    """What a measure is held to."""

    limit: float
    of: str = "ratio"
    """``ratio`` or ``ours``."""
    at_least: bool = False

    def met(self, measured: Measure) -> bool:
        """Tell whether the measure keeps to it."""
        value = measured.ratio if self.of == "ratio" else measured.ours
        if value is None:
            message = f"{measured.name} is held to a ratio, and there is nothing beside it"
            raise ValueError(message)
        return value >= self.limit if self.at_least else value <= self.limit

    def text(self, unit: str) -> str:
        """Write it for people."""
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{'' if self.of == 'ratio' else f' {unit}'}"


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One line of the table: what qcore takes, what the bare thing takes, and their ratio."""

    name: str
    ours: float
    unit: str
    bare: float | None = None
    """None when there is no bare thing to measure."""
    beside: str = "-"
    """What the bare thing is."""
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over bare."""
        return None if self.bare is None else self.ours / self.bare

    @property
    def verdict(self) -> str:
        """``ok`` or ``MISSED``; empty without a target."""
        if self.target is None:
            return ""
        return "ok" if self.target.met(self) else "MISSED"


def seconds(work: Callable[[], object]) -> float:
    """Time some work. The garbage collector is on, as in a real process, and begins with nothing to do."""
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def best(
    contestants: Mapping[str, Callable[[], float]],
    rounds: int,
    note: Callable[[str], None] = lambda _: None,
    pick: Callable[[list[float]], float] = min,
) -> dict[str, float]:
    """Let all run in turn, several times over, and give each one's best figure: lowest is best.

    In turn, so that a machine that is busy for a while is busy for all of them. ``pick`` may choose otherwise: the
    median where two figures that are close to each other are subtracted.
    """
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number, (name, contestant) in _turns(contestants, rounds):
        note(f"round {number + 1} of {rounds}: {name}")
        found[name].append(contestant())
    return {name: pick(figures) for name, figures in found.items()}


def _turns(
    contestants: Mapping[str, Callable[[], float]], rounds: int
) -> Iterator[tuple[int, tuple[str, Callable[[], float]]]]:
    order = list(contestants.items())
    for number in range(rounds):
        # The other way round every second time: whoever comes first finds a colder machine.
        for entry in order if number % 2 == 0 else reversed(order):
            yield number, entry
