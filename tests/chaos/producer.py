"""A process that dispatches a scenario: ``python -m tests.chaos.producer KIND SEED SIZE``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from qcore.errors import DriverError
from tests.chaos import scenario
from tests.chaos.history import CLOCK
from tests.chaos.jobs import history

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore import App
    from tests.chaos.scenario import Unit

SOON = 0.1
"""Seconds until something that could not be dispatched is tried again."""


def units_of(kind: str, seed: int, size: int) -> list[Unit]:
    return scenario.mixed(seed, size) if kind == "mixed" else scenario.backlog(size)


def attempt_of(unit: Unit, attempt: int) -> str:
    """The name under which a unit is dispatched: nobody knows what became of an attempt that raised."""
    return unit.name if attempt == 1 else f"{unit.name} again {attempt}"


def dispatch(app: App, units: Iterable[Unit]) -> None:
    """Dispatch all, each until it works, and write down what happened."""
    for unit in units:
        attempt = 0
        while True:
            attempt += 1
            name = attempt_of(unit, attempt)
            history.note("dispatching", name=name)
            try:
                done = unit.make(name).push(app)
            except DriverError as error:
                history.note("in doubt", name=name, id=str(error))
                CLOCK.sleep(SOON)
            else:
                history.note("refused" if done is None else "dispatched", name=name)
                break


def main(kind: str, seed: str, size: str) -> None:
    from tests.chaos.apps import app

    dispatch(app, units_of(kind, int(seed), int(size)))
    history.note("all dispatched")


if __name__ == "__main__":
    main(*sys.argv[1:])
