"""A worker as ``qcore work`` makes it, in a process of its own: ``python -m tests.qcore.process_worker {...}``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from qcore.app import App
from qcore.clock import SystemClock
from qcore.config import Config
from qcore.limits import WorkerOptions
from qcore.process import Signals
from qcore.time_limit import AlarmLimit
from tests.qcore import process_jobs


class LaterClock(SystemClock):
    """The time some seconds from now: leases of others are over without waiting for it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.now = lambda: SystemClock.now() + self._seconds


def app_in(root: Path, *, retry_after: float = 90, later: float = 0) -> App:
    """Make the App of a folder."""
    connections = {"database": {"driver": "database", "retry_after": retry_after}}
    return App(Config(default="database", connections=connections, root=root), clock=LaterClock(later))


def main(*, root: str, retry_after: float, later: float, grace: float, rounds: int, **options: Any) -> None:
    """Work, and say how it ended; in several rounds if asked, each begun by a line from the test."""
    app = app_in(Path(root), retry_after=retry_after, later=later)
    limit = AlarmLimit(app.clock, grace=grace)
    worker = app.worker(options=WorkerOptions(memory=0, **options), time_limit=limit)
    worker.interruption = signals = Signals(lambda: worker.runner.user.is_running)
    for _ in range(rounds - 1):
        process_jobs.tell("ready")
        process_jobs.tell("stopped", worker.run().reason.value)
        process_jobs.wait_for_the_test()
        signals.signal = 0
    process_jobs.tell("ready")
    stopped = worker.run()
    signals.ignore()
    app.close()
    process_jobs.tell("stopped", stopped.reason.value, stopped.jobs, stopped.errors)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
