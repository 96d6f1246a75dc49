"""A process that is killed over its unique jobs: ``python -m tests.qcore.killed_unique NAME FOLDER``.

It begins anew in a new folder again and again, and each time dies half a statement later: before one, or after it.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from qcore import App, Config, Job, WorkerOptions
from qtest.clock import FrozenClock
from tests.dying import die_at

LATER = 100
"""Seconds after which every lease is over, and no lock."""
MUCH_LATER = 1_000
"""Seconds after which every lock is over."""


class Leave(Job, unique=True, unique_for=600, tries=5):
    """Leaves its name in a file, and fails for good, once, if its name says so."""

    def __init__(self, file: str, name: str = "job") -> None:
        self.file = file
        self.name = name

    def unique_id(self) -> object:
        return "it"

    def handle(self) -> None:
        before = left_in(Path(self.file).parent)
        note(self.file, f"ran {self.name}")
        if self.name == "fails" and "ran fails" not in before:
            self.fail()


class LeaveEarly(Leave, unique_until_processing=True):
    """Frees its lock when it begins."""


class LeaveLast(Leave, unique=False, debounce_for=30):
    """Lets only the last dispatch run."""


def note(file: str, line: str) -> None:
    with Path(file).open("a") as opened:
        opened.write(f"{line}\n")


def left_in(folder: Path) -> list[str]:
    file = folder / "left"
    return file.read_text().splitlines() if file.exists() else []


def app_in(folder: Path, name: str, *, later: float = 0) -> App:
    """Make the App; in the cases called apart, the locks are in another database than the queue."""
    connections = {each: {"driver": "database", "url": f"sqlite:///{folder / each}"} for each in ("queue", "locks")}
    store = "locks" if name.endswith("apart") else "queue"
    clock = FrozenClock()
    clock.advance(later)
    return App(Config(default="queue", connections=connections, store=store, root=folder), clock=clock)


def work(app: App) -> None:
    app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()


def job_of(name: str, folder: Path, version: str = "job") -> Job:
    kind = {"debounce": LeaveLast, "early": LeaveEarly}.get(name.split(",", maxsplit=1)[0], Leave)
    return kind(str(folder / "left"), version)


def act(name: str, folder: Path, app: App) -> None:
    """Dispatch and run; note what was dispatched when that has returned."""
    first = name.split(",", maxsplit=1)[0]
    for version in {"debounce": ["1", "2"], "failure": ["fails"]}.get(first, ["job"]):
        if job_of(name, folder, version).dispatch() is not None:
            note(str(folder / "left"), f"dispatched {version}")
    if first == "debounce":
        app.clock.advance(30)  # type: ignore[attr-defined] # it is a frozen one
    work(app)
    if first == "failure":
        app.failed.retry_all()
        work(app)


CASES = tuple(f"{name}{where}" for name in ("success", "failure", "early", "debounce") for where in ("", ", apart"))


def main(name: str, root: Path) -> None:
    number = code = 0
    while number == 0 or code == -signal.SIGKILL:
        number += 1
        folder = root / str(number)
        folder.mkdir()
        app = app_in(folder, name)
        app.connection().size()
        app.connections.store.get("")
        app.close()
        child = os.fork()
        if child == 0:
            app = app_in(folder, name)
            app.connection().size()
            app.connections.store.get("")
            die_at(number)
            with app.activate():
                act(name, folder, app)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(number, code, flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    from tests.qcore import killed_unique  # a job of the script that is being run is refused

    killed_unique.main(sys.argv[1], Path(sys.argv[2]))
