"""A process that is killed while it dispatches a batch, or ends the last member of one: ``main(NAME, FOLDER)``.

It begins on a new file again and again, and each time dies half a statement later: before one, or after it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qcore import Batch, WorkerOptions, batch, batch_members, chain
from tests.dying import die_at
from tests.qcore.killed_chains import LATER, Leave, app_in, left_in

if TYPE_CHECKING:
    from qcore import App, PendingBatch

__all__ = ["LATER", "STEPS", "Path", "found_in", "left_in", "main", "pending", "work"]


def pending(folder: Path, *members: str) -> PendingBatch:
    """A batch of three members, one of them a chain, unless others are named."""
    file = str(folder / "left")
    links = [Leave("c1", file), Leave("c2", file)]
    given: list[object] = [Leave(name, file) for name in members] or [Leave("a", file), links, Leave("b", file)]
    made = batch(given).then(Leave("then", file)).finally_(Leave("finally", file)).catch(Leave("catch", file))
    return made.progress(Leave("progress", file))


def work(app: App, *, max_jobs: int = 0, tries: int = 2) -> None:
    app.worker("this", WorkerOptions(stop_when_empty=True, memory=0, max_jobs=max_jobs, tries=tries)).run()


def found_in(app: App) -> list[Batch]:
    """The batches that there are, the oldest first."""
    return list(reversed(app.batches.list()))


def _nothing(_app: App, folder: Path) -> None:
    """Nothing is there before."""


def _dispatch(app: App, folder: Path) -> None:
    with app.activate():
        pending(folder).dispatch()


def _last_of(app: App, folder: Path, *members: str) -> None:
    with app.activate():
        pending(folder, *members).dispatch()
    work(app, max_jobs=1)
    (folder / "left").unlink()


def _one_is_left(app: App, folder: Path) -> None:
    _last_of(app, folder, "a", "last")


def _one_fails(app: App, folder: Path) -> None:
    _last_of(app, folder, "a", "bad")


def _end_of_a_chain(app: App, folder: Path) -> None:
    with app.activate():
        chain(pending(folder), Leave("next", str(folder / "left"))).dispatch()


def _run_one(app: App, _folder: Path) -> None:
    work(app, max_jobs=1, tries=1)


STEPS = {
    "dispatch": (_nothing, _dispatch),
    "last member": (_one_is_left, _run_one),
    "last member fails": (_one_fails, _run_one),
    "dispatch by a chain": (_end_of_a_chain, _run_one),
}
"""What is there before, and what is killed."""


def main(name: str, root: Path) -> None:
    """Say of each run where it was killed, and with which code it ended."""
    batch_members.CHUNK = 2  # in this process only: so that a dispatch has several steps
    prepare, act = STEPS[name]
    number = code = 0
    while number == 0 or code != 0:
        number += 1
        folder = root / str(number)
        folder.mkdir()
        app = app_in(folder)
        app.connection().size()
        prepare(app, folder)
        app.close()
        child = os.fork()
        if child == 0:
            app = app_in(folder)
            die_at(number)
            act(app, folder)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(number, code, flush=True)  # noqa: T201 - to the test
