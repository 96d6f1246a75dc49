"""Workers as processes of their own on one SQLite file: killed, told to stop, hung, and many at once."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from tests.qcore import process_jobs
from tests.qcore.process_worker import app_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.app import App

DEADLINE = 60.0
"""Seconds after which a process that says nothing has failed. Nothing here waits for a time to pass."""

DEFAULTS: dict[str, Any] = {"retry_after": 90, "later": 0, "grace": 30, "rounds": 1, "sleep": 0.05}


class WorkerProcess:
    """A worker to talk with, line by line."""

    def __init__(self, root: Path, *, prefix: tuple[str, ...] = (), **options: Any) -> None:
        said = json.dumps({"root": str(root), **DEFAULTS, **options})
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.qcore.process_worker", said],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pipesize=4096,
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(Path(qcore.__file__).parents[1])},
        )
        self._rest = b""

    def line(self) -> str:
        """Read the next line it writes."""
        assert self.process.stdout is not None
        while b"\n" not in self._rest:
            if not select.select([self.process.stdout], [], [], DEADLINE)[0]:
                pytest.fail(f"the worker says nothing; so far {self._rest!r}")
            read = os.read(self.process.stdout.fileno(), 65536)
            if not read:
                _, errors = self.process.communicate(timeout=DEADLINE)
                pytest.fail(f"the worker ended with {self.process.returncode}: {errors.decode()}")
            self._rest += read
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()

    def until(self, *wanted: str) -> None:
        """Read until that line."""
        while self.line() != " ".join(wanted):
            pass

    def go_on(self) -> None:
        """Let the job that waits go on."""
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), b"\n")

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            self.process.send_signal(number)

    def end(self) -> tuple[int, list[str], str]:
        """Wait for its end: the exit code, the lines not read yet, and what it wrote to stderr."""
        lines, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, (self._rest + lines).decode().splitlines(), errors.decode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., WorkerProcess]]:
    """Start a worker; when the test is over none is left."""
    started: list[WorkerProcess] = []

    def start(**options: Any) -> WorkerProcess:
        started.append(WorkerProcess(tmp_path, **options))
        return started[-1]

    yield start
    for worker in started:
        worker.process.kill()
        worker.process.communicate()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = app_in(tmp_path)
    with app.activate():
        yield app
    app.close()


# Killed.


def test_a_job_of_a_worker_that_was_killed_runs_again_after_its_lease(
    app: App, start: Callable[..., WorkerProcess]
) -> None:
    """G-09, with the second that the lease lasts."""
    process_jobs.Block().with_options(tries=2, timeout=0).dispatch()
    first = start(retry_after=1)
    first.until("started", "1")
    first.process.kill()
    assert first.end()[0] == -signal.SIGKILL

    second = start(retry_after=1, drain=True)
    second.until("started", "2")
    second.go_on()

    assert (0, ["finished", "stopped drained 1 0"], "") == second.end()
    assert [] == app.failed.list()


def test_a_job_whose_worker_was_killed_in_failed_fails_again_and_has_one_record(
    app: App, start: Callable[..., WorkerProcess]
) -> None:
    job_id = process_jobs.BlockInFailed().dispatch()
    first = start()
    first.until("failing", "1", "ValueError")
    first.process.kill()
    first.end()
    assert [] == app.failed.list()

    second = start(later=100, drain=True)
    second.until("failing", "2", "MaxAttemptsExceededError")
    second.go_on()

    assert (0, ["stopped drained 1 1"], "") == second.end()
    assert [job_id] == [record.id for record in app.failed.list()]


def test_a_job_that_ends_its_process_is_no_success(app: App, start: Callable[..., WorkerProcess]) -> None:
    process_jobs.HangOnce("leave").with_options(tries=2).dispatch()
    assert (0, ["ready", "started 1"], "") == start().end()

    assert (0, ["ready", "started 2", "stopped drained 1 0"], "") == start(later=100, drain=True).end()


# Hung.


@pytest.mark.parametrize("how", ["hold_the_gil", "swallow", "take_the_alarm"])
def test_a_job_that_will_not_end_is_ended_with_its_process_and_comes_back(
    app: App, start: Callable[..., WorkerProcess], how: str
) -> None:
    process_jobs.HangOnce(how).with_options(tries=2, timeout=0.05).dispatch()

    code, lines, errors = start(grace=0.2).end()

    assert code == 1
    assert ["ready", "started 1"] == [line for line in lines if line != "swallowed"]
    assert errors.startswith("Timeout (0:00:0")
    assert f"in {how}" in errors
    assert (0, ["ready", "started 2", "stopped drained 1 0"], "") == start(later=100, drain=True).end()


def test_a_worker_that_waits_is_not_taken_for_one_that_hangs(app: App, start: Callable[..., WorkerProcess]) -> None:
    """The watchdog of its last job would have fired four times meanwhile."""
    process_jobs.Tell(1).with_options(timeout=0.01).dispatch()
    process_jobs.Tell(2).with_options(timeout=0.01).dispatch(delay=0.7)

    ended = start(grace=0.02, drain=True, rest=0.2).end()

    assert (0, ["ready", "ran 1", "ran 2", "stopped drained 2 0"], "") == ended


def test_a_worker_without_stderr_has_a_watchdog_all_the_same(app: App, start: Callable[..., WorkerProcess]) -> None:
    process_jobs.Tell(1).dispatch()

    code, lines, _ = start(prefix=("/bin/sh", "-c", 'exec "$0" "$@" 2>&-'), stop_when_empty=True).end()

    assert (0, ["ready", "ran 1", "stopped empty 1 0"]) == (code, lines)


# Told to stop.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_lets_the_job_finish_and_ends_the_worker(
    app: App, start: Callable[..., WorkerProcess], number: signal.Signals
) -> None:
    """G-37."""
    process_jobs.Block().dispatch()
    process_jobs.Block().dispatch()
    worker = start()
    worker.until("started", "1")

    worker.signal(number)
    worker.go_on()

    assert (0, ["finished", "stopped interrupted 1 0"], "") == worker.end()
    assert app.connection().size() == 1


def test_a_signal_ends_a_worker_that_waits(start: Callable[..., WorkerProcess]) -> None:
    worker = start(sleep=3600)
    worker.until("ready")

    worker.signal(signal.SIGTERM)

    assert (0, ["stopped interrupted 0 0"], "") == worker.end()


@pytest.mark.parametrize(
    ("job", "started", "lines", "attempts"),
    [
        (process_jobs.Block(), "started 1", [], 0),
        (process_jobs.AsyncBlock(), "started 1", ["cleaned up"], 0),
        (process_jobs.BlockInFailed(), "failing 1 ValueError", [], 1),
    ],
    ids=["plain", "async", "failed()"],
)
def test_a_second_signal_gives_the_job_back(
    app: App,
    start: Callable[..., WorkerProcess],
    job: qcore.Job,
    started: str,
    lines: list[str],
    attempts: int,
) -> None:
    """The attempt is given back too, unless it was over."""
    job.dispatch()
    worker = start()
    worker.until(started)

    worker.signal(signal.SIGTERM, signal.SIGINT)

    assert (0, [*lines, "stopped interrupted 1 0"], "") == worker.end()
    [listed] = app.connection().listed()
    assert ("ready", attempts) == (listed.state, listed.attempts)


def test_a_process_that_a_job_forks_dies_of_its_signals(app: App, start: Callable[..., WorkerProcess]) -> None:
    process_jobs.Fork().dispatch()

    code, lines, errors = start(stop_when_empty=True).end()

    assert (0, "") == (code, errors)
    assert ["ready", f"child ended by {signal.SIGTERM.value} in Fork", "stopped empty 1 0"] == lines


@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("raise", 1), ("return", 0), ("return async", 0)])
def test_a_process_that_a_job_forks_is_no_second_worker(
    app: App, start: Callable[..., WorkerProcess], how: str, code: int
) -> None:
    """It would settle the job of its parent, and then take the next one."""
    process_jobs.Escape(how).dispatch()
    process_jobs.Tell(1).dispatch()

    ended, lines, errors = start(stop_when_empty=True).end()

    assert (0, ["ready", f"child {code}", "ran 1", "stopped empty 2 0"]) == (ended, lines)
    assert ("ValueError: raise" in errors) is (how == "raise")
    assert [] == app.failed.list()


WORKERS, ROUNDS = 6, 5
SIGNALS = [
    (signal.SIGTERM,),
    (signal.SIGINT,),
    (signal.SIGTERM, signal.SIGINT),
    (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT),
    (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM, signal.SIGINT),
]


def test_signals_at_any_moment_end_a_worker_cleanly(app: App, start: Callable[..., WorkerProcess]) -> None:
    """No traceback, the right exit code, and no job lost: thirty times a worker is stopped somewhere.

    The lines of the jobs are long, so that the pipe holds a few of them and a worker cannot run far ahead.
    """
    dice = random.Random(20_261_121)
    total = 4000
    app.bulk(process_jobs.Tell(number, width=500) for number in range(total))
    ran: Counter[str] = Counter()
    workers = [start(rounds=ROUNDS) for _ in range(WORKERS)]
    for left in reversed(range(ROUNDS)):
        for worker in workers:
            worker.until("ready")
            ran.update(worker.line().rstrip() for _ in range(dice.randrange(60)))
            worker.signal(*dice.choice(SIGNALS))
        for worker in workers if left else ():
            while (line := worker.line()) != "stopped interrupted":
                ran[line.rstrip()] += 1
            worker.go_on()
    for worker in workers:
        code, lines, errors = worker.end()
        assert (0, "") == (code, errors)
        assert lines[-1].startswith("stopped interrupted ")
        ran.update(line.rstrip() for line in lines[:-1])

    left = app.connection().size()
    assert left > 0
    code, lines, errors = start(stop_when_empty=True).end()
    ran.update(line.rstrip() for line in lines[1:-1])

    assert (0, f"stopped empty {left} 0", "") == (code, lines[-1], errors)
    assert {f"ran {number}" for number in range(total)} == set(ran)
    # Whoever was interrupted in a job gave it back, at most one each time.
    assert sum(ran.values()) - total <= WORKERS * ROUNDS


# Many at once.


def test_four_workers_run_two_thousand_jobs_each_exactly_once(app: App, start: Callable[..., WorkerProcess]) -> None:
    app.bulk(process_jobs.Tell(number) for number in range(2000))
    workers = [start(stop_when_empty=True) for _ in range(4)]

    ran: Counter[str] = Counter()
    jobs = 0
    for worker in workers:
        code, lines, errors = worker.end()
        assert (0, "") == (code, errors)  # nothing of "database is locked"
        ran.update(lines[1:-1])
        jobs += int(lines[-1].split()[2])

    assert {f"ran {number}": 1 for number in range(2000)} == ran
    assert jobs == 2000
    assert app.connection().size() == 0
    assert [] == app.failed.list()
