"""A job that says its name and does what the test says, and what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qcore import Job, job

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore import App

log: list[Any] = []
acts: dict[str, Callable[[Step], object]] = {}
"""What a step does beside saying its name."""


def forget() -> None:
    """Begin anew."""
    log.clear()
    acts.clear()


class Step(Job):
    def __init__(self, name: str) -> None:
        self.name = name

    def handle(self) -> None:
        log.append(self.name)
        if self.name in acts:
            acts[self.name](self)

    def failed(self, error: BaseException) -> None:
        log.append(f"failed {self.name}: {error}")


@job
def alert(error: BaseException, failed: Job) -> None:
    log.append(("alert", str(error), failed))


def raising(message: str = "bad") -> Callable[[Step], object]:
    def act(_: Step) -> None:
        raise ValueError(message)

    return act


def steps(names: str) -> list[Step]:
    return [Step(name) for name in names]


def bodies(app: App, queue: str = "default", connection: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(each.payload.body) for each in app.connection(connection).listed(queue)]
