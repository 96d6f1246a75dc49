"""qcore, measured just like its peers: ``qcore work`` as it is, with every promise."""

from __future__ import annotations

import sys

from benchmarks.workers import tally
from qcore import App, Config, Job

app = App(Config(default="redis", connections={"redis": {"driver": "redis", "url": tally.url()}}))


class Handle(Job):
    """The job."""

    def __init__(self, user_id: int, path: str) -> None:
        """Keep both."""
        self.user_id = user_id
        self.path = path

    def handle(self) -> None:
        """Count the job."""
        tally.count()


def push(jobs: int) -> None:
    """Push jobs."""
    for number in range(jobs):
        app.push(Handle(number, "a.csv"))


def work() -> None:
    """Work."""
    from qcore.cli import main

    sys.argv = ["qcore", "--app", f"{__name__}:app", "work", "--quiet"]
    main()
