"""A process is killed between any two statements that dispatch or end a unique job: nothing is kept away for ever."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.qcore.killed_unique import CASES, LATER, MUCH_LATER, app_in, job_of, left_in, work
from tests.qcore.unique_jobs import locks

if TYPE_CHECKING:
    from qcore.app import App

ROOT = Path(__file__).parents[2]

EXPECTED = {
    "success": ["dispatched job", "ran job"],
    "failure": ["dispatched fails", "ran fails", "ran fails"],
    "early": ["dispatched job", "ran job"],
    "debounce": ["dispatched 1", "dispatched 2", "ran 2"],
}


def killed_in(name: str, root: Path) -> list[Path]:
    """Run the program that is killed again and again; give the folders that it left behind."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "tests.qcore.killed_unique", name, str(root)]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout
    *killed, last = [tuple(map(int, line.split())) for line in output.splitlines()]
    assert 0 == last[1]
    assert {-signal.SIGKILL} == {code for _, code in killed}
    assert EXPECTED[name.split(",", maxsplit=1)[0]] == left_in(root / str(last[0]))
    return [root / str(number) for number, _ in killed]


def is_dispatched(name: str, folder: Path, app: App) -> bool:
    with app.activate():
        return job_of(name, folder, "again").dispatch() is not None


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("debounce")])
def test_a_dispatch_after_a_kill_goes_through_when_the_job_is_gone(name: str, tmp_path: Path) -> None:
    """UNQ-11. Where lock and queue are apart, at the latest when the lock's time is over."""
    apart = name.endswith("apart")
    refused_for_nothing = 0
    folders = killed_in(name, tmp_path)
    assert len(folders) > 15
    for folder in folders:
        app = app_in(folder, name)
        is_live = app.connection().size() > 0
        # Until processing: a lock that was freed for the handler is free, although its job is live.
        if not (is_live and name.startswith("early") and not locks(app)):
            goes_through = is_dispatched(name, folder, app)
            refused_for_nothing += not goes_through and not is_live
            assert goes_through is False or not is_live, f"{folder.name}: two at once"
            assert goes_through or is_live or apart, f"{folder.name}: kept away by a job that is gone"
        app.close()

        app = app_in(folder, name, later=LATER)
        with app.activate():
            work(app)
            app.failed.retry_all()
            work(app)
        assert (0, []) == (app.connection().size(), app.failed.list()), folder.name
        dispatched = [line for line in left_in(folder) if line.startswith("dispatched")]
        assert not dispatched or any(line.startswith("ran") for line in left_in(folder)), f"{folder.name}: lost"
        assert apart or {} == locks(app), f"{folder.name}: a lock was left behind"
        app.close()

        app = app_in(folder, name, later=MUCH_LATER)
        assert is_dispatched(name, folder, app), f"{folder.name}: kept away for ever"
        work(app)
        assert {} == locks(app)
        app.close()
    assert refused_for_nothing > 0 if apart else refused_for_nothing == 0


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("debounce")])
def test_the_last_debounced_job_runs_whoever_is_killed(name: str, tmp_path: Path) -> None:
    """DEB-02: a dispatch that returned is not lost to one that did not."""
    folders = killed_in(name, tmp_path)
    assert len(folders) > 15
    for folder in folders:
        dispatched = [line.split()[1] for line in left_in(folder) if line.startswith("dispatched")]
        for later in (30, LATER, MUCH_LATER):
            app = app_in(folder, name, later=later)
            work(app)
            app.close()
        ran = [line.split()[1] for line in left_in(folder) if line.startswith("ran")]
        assert not dispatched or (ran and ran[-1] >= dispatched[-1]), f"{folder.name}: {dispatched}, but {ran}"
