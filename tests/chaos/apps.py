"""The App of every process of a run: ``qcore --app tests.chaos.apps:app work``. The environment tells its settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore import App, Config, settlement
from qcore.events import JobEnded, JobPopped, WorkerIdle, WorkerStarting
from tests.chaos.jobs import FOLDER, history

if TYPE_CHECKING:
    from qcore.clock import Clock

SETTINGS = "CHAOS_CONNECTION"
"""The variable of the environment that holds the settings of the connection, as JSON."""

LEASE = 2.0
"""Seconds. Each worker that dies costs a test as much."""


def app_on(connection: dict[str, Any], folder: Path, clock: Clock | None = None) -> App:
    """Make an App whose only connection is that one."""
    config = Config(default="chaos", connections={"chaos": {"retry_after": LEASE, **connection}}, root=folder)
    return App(config, clock=clock)


class Watch:
    """Writes down what a worker takes, and what becomes of it."""

    def __init__(self, app: App) -> None:
        self._since = 0.0
        """When it can have begun to look for the next job: in the step that ended the one before, or idle."""
        app.listen(WorkerStarting, self._starts)
        app.listen(WorkerIdle, self._waits)
        app.listen(JobPopped, self._took)
        app.listen(JobEnded, self._ended)

    def _starts(self, _event: WorkerStarting) -> None:
        history.note("ready")
        self._since = history.written_at

    def _waits(self, _event: WorkerIdle) -> None:
        self._since = history.clock.now()

    def _took(self, event: JobPopped) -> None:
        taken = event.reservation
        history.note("took", id=taken.payload.id, attempts=taken.attempts, since=self._since)

    def _ended(self, event: JobEnded) -> None:
        self._since = history.written_at
        late = getattr(event, "late", False)
        name = f"{type(event).__name__}{' late' if late else ''}"
        history.note("ended", id=event.delivery.id, name=name, attempts=event.delivery.attempts())


def made_here() -> App:
    """Make the App of this process."""
    app = app_on(json.loads(os.environ[SETTINGS]), Path(os.environ[FOLDER]))
    Watch(app)
    # A worker that dies in failed() would else keep the others waiting for a minute and a half.
    settlement.FAILED_LEASE = LEASE
    return app


if SETTINGS in os.environ:
    app = made_here()
