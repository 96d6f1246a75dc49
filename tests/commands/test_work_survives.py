"""``qcore work`` as a real process: what jobs do to it, and what it does all the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

JOBS = """
import asyncio, os, signal, sys
from qcore import job

@job
def closes_streams():
    sys.stdout.close(); sys.stderr.close()

@job
def presses_ctrl_c():
    raise KeyboardInterrupt

@job(tries=1, timeout=0.1)
async def never_ends():
    while True:
        try:
            await asyncio.sleep(100)
        except BaseException:
            pass

@job
def ignores_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)

@job
def forks():
    if os.fork() == 0:
        sys.exit(7)
    os.wait()

@job
def leaves_a_mark(path: str):
    open(path, "w").close()
"""

needs_a_full_disk = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


@pytest.fixture(autouse=True)
def _jobs(project: Project) -> None:
    project.write("jobs/rude.py", JOBS)


@pytest.mark.parametrize("name", ["closes_streams", "presses_ctrl_c", "never_ends", "ignores_signals", "forks"])
def test_the_next_job_runs_and_the_worker_ends(project: Project, cli: Cli, tmp_path: Path, name: str) -> None:
    cli("dispatch", name)
    cli("dispatch", "leaves_a_mark", f"path={tmp_path}/mark")

    finished = project.run("work", "--stop-when-empty")

    assert (1 if name in {"presses_ctrl_c", "never_ends"} else 0) == finished.code
    assert (tmp_path / "mark").exists()
    assert (0, 0, 0) == project.counts()


def test_a_job_that_pressed_ctrl_c_is_tried_and_failed_like_others(project: Project, cli: Cli) -> None:
    cli("dispatch", "presses_ctrl_c")

    finished = project.run("work", "--once")

    assert 1 == finished.code
    assert "Failed: presses_ctrl_c (JobError: the job raised KeyboardInterrupt)" in finished.out


def test_a_worker_whose_job_ignores_signals_can_still_be_told_to_stop(project: Project, cli: Cli) -> None:
    os.mkfifo(project.root / "go")
    cli("dispatch", "ignores_signals")
    cli("dispatch", "Waits")

    with project.start("work") as running:
        running.wait_for("started 1\n")
        running.process.send_signal(signal.SIGTERM)
        project.open_gate("go")
        finished = running.finish()

    assert 0 == finished.code
    assert "Processed: Waits" in finished.out


@needs_a_full_disk
def test_a_full_log_disk_stops_no_job(project: Project, cli: Cli, tmp_path: Path) -> None:
    cli("dispatch", "leaves_a_mark", f"path={tmp_path}/mark")

    finished = project.run_shell("work --stop-when-empty >/dev/full 2>/dev/full")

    assert 0 == finished.code
    assert (tmp_path / "mark").exists()


@needs_a_full_disk
def test_output_that_cannot_be_written_is_one_line(project: Project, cli: Cli) -> None:
    cli("dispatch", "forks")

    finished = project.run_shell("show >/dev/full")

    assert 2 == finished.code
    assert finished.err.startswith("error: ")
    assert 1 == len(finished.err.splitlines())


def test_a_folder_that_is_gone_is_one_line(project: Project, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()

    finished = project.run_shell("show", before="cd gone && rmdir ../gone && ")

    said = "error: the current folder does not exist any more: go to that of your project\n"
    assert (2, said) == (finished.code, finished.err)
