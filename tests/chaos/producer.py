"""A process that dispatches a scenario: ``python -m tests.chaos.producer KIND SEED SIZE``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qcore.errors import DriverError
from tests.chaos import scenario
from tests.chaos.history import CLOCK, Reader
from tests.chaos.jobs import FOLDER, history

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qcore import App
    from tests.chaos.history import Line
    from tests.chaos.scenario import Unit

SOON = 0.1
"""Seconds until something that could not be dispatched is tried again."""

PACE = 0.02
"""Seconds between two dispatches: what happens to the producer shall find it at work."""


def units_of(kind: str, seed: int, size: int) -> list[Unit]:
    return scenario.mixed(seed, size) if kind == "mixed" else scenario.backlog(size)


def attempt_of(unit: Unit, attempt: int) -> str:
    """The name under which a unit is dispatched: nobody knows what became of an attempt that raised."""
    return unit.name if attempt == 1 else f"{unit.name} again {attempt}"


def known(lines: Iterable[Line]) -> dict[str, str]:
    """Find out what became of each dispatch, by name; of one whose producer was killed over it only that it began."""
    told = [line for line in lines if line.what in {"dispatching", "dispatched", "refused", "in doubt"}]
    return {line.name: line.what for line in sorted(told, key=lambda line: line.at)}


def dispatch(app: App, units: Iterable[Unit], before: Mapping[str, str]) -> None:
    """Dispatch all, each until it works, and write down what happened.

    ``before``: what is known of those that were killed before this one.
    """
    for unit in units:
        attempt, done = 0, False
        while not done:
            attempt += 1
            done = _attempt(app, unit, attempt_of(unit, attempt), before)


def _attempt(app: App, unit: Unit, name: str, before: Mapping[str, str]) -> bool:
    if (became := before.get(name)) is not None:
        if became == "dispatching":
            history.note("in doubt", name=name, id="its producer was killed")
        return became in {"dispatched", "refused"}
    history.note("dispatching", name=name)
    try:
        done = unit.make(name).push(app)
    except DriverError as error:
        history.note("in doubt", name=name, id=str(error))
        CLOCK.sleep(SOON)
        return False
    history.note("refused" if done is None else "dispatched", name=name)
    CLOCK.sleep(PACE)
    return True


def main(kind: str, seed: str, size: str) -> None:
    from tests.chaos.apps import app

    before = known(Reader(Path(os.environ[FOLDER])).look())
    dispatch(app, units_of(kind, int(seed), int(size)), before)
    history.note("all dispatched")


if __name__ == "__main__":
    main(*sys.argv[1:])
