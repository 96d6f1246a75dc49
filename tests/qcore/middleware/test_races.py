"""Middleware between processes that share one SQLite file: at once, and when one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import qcore
from qcore.limits import WorkerOptions
from qcore.outcome import Done, Released
from qcore.windows import Window
from tests.qcore.middleware import killed
from tests.qcore.middleware.racing import ROOM, Alone, Holding, Limited
from tests.qcore.process_worker import app_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.app import App

DEADLINE = 120.0
"""Seconds after which a process has failed. Nothing here waits for a time to pass."""
JOBS = 40


class Racer:
    """A worker process that begins when it is told to."""

    def __init__(self, root: Path, later: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.qcore.middleware.racing", str(root), str(later)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=root,
            text=True,
            env=os.environ | {"PYTHONPATH": str(Path(qcore.__file__).parents[1])},
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            pytest.fail(f"the worker ended: {self.process.communicate(timeout=DEADLINE)[1]}")
        return line

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def lines(self) -> list[str]:
        out, errors = self.process.communicate(timeout=DEADLINE)
        assert (self.process.returncode, errors) == (0, "")
        return out.splitlines()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Racer]]:
    started: list[Racer] = []

    def start(later: float = 0) -> Racer:
        racer = Racer(tmp_path, later)
        started.append(racer)
        assert racer.line() == "ready"
        return racer

    yield start
    for racer in started:
        racer.process.kill()
        racer.process.communicate()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = app_in(tmp_path)
    with app.activate():
        yield app
    app.close()


def race(start: Callable[..., Racer]) -> list[str]:
    """Let two processes begin at once; give what their jobs told."""
    racers = [start(), start()]
    for racer in racers:
        racer.go()
    return [line for racer in racers for line in racer.lines()]


def test_two_processes_together_run_no_more_jobs_than_a_limit_allows(app: App, start: Callable[..., Racer]) -> None:
    for _ in range(JOBS):
        Limited().dispatch()

    lines = race(start)

    assert len(lines) == ROOM
    (counts,) = app.connection().counts()
    assert (counts.ready, counts.delayed, counts.reserved) == (0, JOBS - ROOM, 0)
    assert app.failed.list() == []
    store, clock = app.connections.store, app.clock
    assert Window(store, clock, "limit:race,1000/3600,", 3600).full_for(ROOM) is not None
    assert Window(store, clock, "limit:race,1000/3600,", 3600).full_for(ROOM + 1) is None  # all others taken back


def test_two_processes_never_run_jobs_that_may_not_overlap_at_once(app: App, start: Callable[..., Racer]) -> None:
    for _ in range(JOBS):
        Alone().dispatch()

    lines = race(start)

    assert [line for line in lines if not line.startswith("ran")] == []
    assert len(lines) == JOBS
    assert app.connection().size() == 0
    assert app.failed.list() == []


def test_the_lock_of_a_process_that_was_killed_passes_to_the_same_job_and_keeps_others_away(
    app: App, start: Callable[..., Racer]
) -> None:
    """MID, WithoutOverlapping; WRK-75: a kill leaves the lock behind."""
    Holding().dispatch()
    first = start()
    first.go()
    assert first.line() == "holds 1"
    first.process.kill()
    first.process.wait()

    Holding().dispatch()
    assert app.worker(options=WorkerOptions(memory=0)).run_next_job() == Released(600, counted=False)

    second = start(later=app.connection().driver.retry_after)
    second.go()
    assert second.lines() == ["holds 2"]
    assert app.failed.list() == []


def test_a_process_that_is_killed_after_any_statement_leaves_no_lock_no_debt_and_no_lost_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.qcore.middleware.killed", tmp_path],
        cwd=Path(qcore.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    *deaths, last = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    assert last[1] == 0
    assert {-signal.SIGKILL} == {code for _, code in deaths}
    assert len(deaths) > 20

    for number, _ in deaths:
        root = tmp_path / str(number)
        monkeypatch.chdir(root)
        # After the lease; then, at the latest, after the window of the limiter.
        for later in (killed.app_in(root).connection().driver.retry_after, killed.HOUR + 100):
            app = killed.app_in(root, later=later)
            killed.work(app)
            app.close()
        app = killed.app_in(root, later=killed.HOUR + 100)
        assert app.connection().size() == 0, f"killed after statement {number}"
        assert app.failed.list() == []
        assert 2 <= (root / "ran").stat().st_size <= 3  # the one that raised, the one that succeeded, one repeated
        assert app.connections.store.get(f"overlap:,{killed.__name__}:Fragile,killed") is None
        app.close()


def test_two_threads_together_run_no_more_jobs_than_a_limit_allows(app: App) -> None:
    for _ in range(JOBS):
        Limited().dispatch()
    outcomes: list[object] = []
    both = threading.Barrier(2)

    def work() -> None:
        worker = app.worker(options=WorkerOptions(memory=0))
        both.wait()
        while (outcome := worker.run_next_job()) is not None:
            outcomes.append(outcome)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)

    assert len(outcomes) == JOBS
    assert outcomes.count(Done()) == ROOM
