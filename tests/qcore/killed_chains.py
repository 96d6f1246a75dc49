"""A worker that is killed in the middle of a chain: ``main(NAME, FOLDER)`` in a process of its own.

It works on a new copy again and again, and each time dies half a statement later: before one, or after it.
"""

from __future__ import annotations

import os
from pathlib import Path

from qcore import App, Config, Job, PendingBatch, WorkerOptions, batch, chain
from qtest.clock import FrozenClock
from tests.dying import die_at

LATER = 1_000
"""Seconds after which every lease is over."""


class Leave(Job):
    """Leaves its name in a file."""

    def __init__(self, name: str, file: str) -> None:
        self.name = name
        self.file = file

    def handle(self) -> None:
        with Path(self.file).open("a") as file:
            file.write(f"{self.name}\n")
        if self.name == "add":
            self.append_to_chain(Leave("added", self.file))
        if self.name == "bad":
            raise ValueError


class OnOther(Leave, connection="other"):
    """Goes to the other database."""


CASES = {
    "links": ("a", "b", "add", "c"),
    "failure": ("a", "bad", "c"),
    "links elsewhere": ("a", "B", "C", "d", "E"),
    "failure elsewhere": ("a", "bad", "c"),
    "batch": ("a", "(x y)", "c"),
    "batch that fails": ("a", "(x bad)", "c"),
}
"""Capital letters live on the other connection; in parentheses are members of a batch."""


def app_in(folder: Path, *, later: float = 0) -> App:
    connections = {name: {"driver": "database", "url": f"sqlite:///{folder / name}"} for name in ("this", "other")}
    clock = FrozenClock()
    clock.advance(later)
    return App(Config(default="this", connections=connections, root=folder), clock=clock)


def dispatch(name: str, folder: Path, app: App) -> None:
    file = str(folder / "left")
    links = [_link(each, file) for each in CASES[name]]
    callback = OnOther("caught", file) if name == "failure elsewhere" else Leave("caught", file)
    with app.activate():
        chain(links).catch(callback).dispatch()


def _link(name: str, file: str) -> Job | PendingBatch:
    if name.startswith("("):
        return batch([Leave(each, file) for each in name.strip("()").split()])
    return (OnOther if name.isupper() else Leave)(name, file)


def work(app: App) -> None:
    """Work on both connections until nothing is left on either."""
    options = WorkerOptions(stop_when_empty=True, memory=0, tries=2)
    while sum(app.worker(name, options).run().jobs for name in ("this", "other")):
        pass


def left_in(folder: Path) -> list[str]:
    file = folder / "left"
    return file.read_text().split() if file.exists() else []


def main(name: str, root: Path) -> None:
    """Say of each run where the worker was killed, and with which code it ended."""
    number = code = 0
    while number == 0 or code != 0:
        number += 1
        folder = root / str(number)
        folder.mkdir()
        app = app_in(folder)
        dispatch(name, folder, app)
        for each in ("this", "other"):
            app.connection(each).size()
        app.close()
        child = os.fork()
        if child == 0:
            app = app_in(folder)
            die_at(number)
            work(app)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(number, code, flush=True)  # noqa: T201 - to the test
