"""Jobs that race, and a worker process for them: ``python -m tests.qcore.middleware.racing root later``."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import qcore
from qcore.jobs import Job
from qcore.limits import WorkerOptions
from qcore.middleware import Limit, RateLimited, WithoutOverlapping
from tests.qcore.process_jobs import tell, wait_for_the_test
from tests.qcore.process_worker import app_in

ROOM = 7

# Outside of a limiter's own window nothing is left of it: each test has a folder, and so a store, of its own.
qcore.limiter("race", lambda _: [Limit(1000, 3600), Limit(ROOM, 7200)])


class Limited(Job, tries=1):
    def middleware(self) -> list[RateLimited]:
        return [RateLimited("race")]

    def handle(self) -> None:
        tell("ran", os.getpid())


class Alone(Job, tries=1):
    """Tells when it meets another one: a file is there while one runs."""

    def middleware(self) -> list[WithoutOverlapping]:
        return [WithoutOverlapping("the file")]

    def handle(self) -> None:
        try:
            os.close(os.open("taken", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            tell("met another one")
            return
        for _ in range(200):
            os.sched_yield()
        with suppress(FileNotFoundError):
            Path("taken").unlink()
        tell("ran", os.getpid())


class Holding(Job, tries=3, timeout=60):
    def middleware(self) -> list[WithoutOverlapping]:
        return [WithoutOverlapping("held", release_after=600)]

    def handle(self) -> None:
        tell("holds", self.attempts())
        if self.attempts() == 1:
            wait_for_the_test()


def main(root: str, later: str) -> None:
    """Wait for the test, then work until nothing is due."""
    app = app_in(Path(root), later=float(later))
    tell("ready")
    wait_for_the_test()
    app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()
    app.close()


if __name__ == "__main__":
    # By its real name: a job of the script that is being run has none that a payload could hold.
    from tests.qcore.middleware import racing

    racing.main(*sys.argv[1:])
