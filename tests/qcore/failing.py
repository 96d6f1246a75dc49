"""A job that fails as long as it is told to, and what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qcore import Job

if TYPE_CHECKING:
    from qcore.app import App

HOUR = 3600
broken = {"yes": True}
ran: list[Any] = []


class Import(Job, queue="default"):
    def __init__(self, path: str) -> None:
        self.path = path

    def handle(self) -> None:
        ran.append((self.path, self.attempts()))
        if broken["yes"]:
            password = "hunter2"
            message = f"{self.path} is bad, password={password}"
            raise ValueError(message)


def body_of(app: App, queue: str = "default") -> dict[str, Any]:
    [waits] = app.connection().listed(queue)
    body: dict[str, Any] = json.loads(waits.payload.body)
    return body
