"""A job between its middleware, killed after each statement: ``python -m tests.qcore.middleware.killed FOLDER``.

Each time it begins in a folder of its own, and dies one statement later. It tells how often, and how each ended.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import qcore
from qcore.app import App
from qcore.config import Config
from qcore.jobs import Job
from qcore.limits import WorkerOptions
from qcore.middleware import Limit, RateLimited, ThrottlesExceptions, WithoutOverlapping
from qcore.sql.connection import Connection
from qtest.clock import FrozenClock

MOST = 2
HOUR = 3600

qcore.limiter("killed", lambda _: [Limit(MOST, HOUR), Limit(100, 2 * HOUR)])


class Fragile(Job, tries=0, timeout=30):
    """Raises at first, so that its middleware counts that, too."""

    def middleware(self) -> list[Any]:
        return [WithoutOverlapping("killed"), RateLimited("killed"), ThrottlesExceptions(5, HOUR)]

    def handle(self) -> None:
        with Path("ran").open("a") as ran:
            ran.write("x")
        if Path("ran").stat().st_size == 1:
            raise ConnectionError


def app_in(root: Path, *, later: float = 0) -> App:
    """Make the App of a folder, at an instant that is the same for everybody."""
    return App(Config(default="database", root=root), clock=FrozenClock(FrozenClock().now() + later))


def work(app: App) -> None:
    """Run whatever is due."""
    app.worker(options=WorkerOptions(memory=0, stop_when_empty=True)).run()


def begin(root: Path, deadly: int) -> None:
    """Push the job and run it twice; die after that many statements."""
    root.mkdir()
    os.chdir(root)
    app = app_in(root)
    app.dispatch(Fragile())
    ran, left = Connection._run, [deadly]

    def deadly_run(connection: Connection, sql: str, values: list[Any], *, many: bool = False) -> Any:  # noqa: ANN401
        result = ran(connection, sql, values, many=many)
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Connection._run = deadly_run  # type: ignore[assignment,method-assign] # it dies with the process
    work(app)


def main(folder: str) -> None:
    """Kill one child after the other, each a statement later, until one comes to its end."""
    code = -signal.SIGKILL
    number = 0
    while code == -signal.SIGKILL:
        number += 1
        child = os.fork()
        if not child:
            begin(Path(folder, str(number)), number)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(number, code, flush=True)  # noqa: T201 - what the test reads


if __name__ == "__main__":
    # By its real name: a job of the script that is being run has none that a payload could hold.
    from tests.qcore.middleware import killed

    killed.main(*sys.argv[1:])
