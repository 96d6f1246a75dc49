"""``qcore work`` as a real process: signals, time limits and crashes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.commands.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


@pytest.fixture
def gate(project: Project) -> str:
    """What the job ``Waits`` waits for: it ends when the test opens it."""
    os.mkfifo(project.root / "go")
    return "go"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("how", [(), ("--once",)], ids=["daemon", "once"])
def test_a_signal_lets_the_job_finish_and_ends_with_0(
    project: Project, cli: Cli, gate: str, number: signal.Signals, how: tuple[str, ...]
) -> None:
    cli("dispatch", "Waits")
    cli("dispatch", "Greet", "name=bob")

    with project.start("work", *how) as running:
        running.wait_for("started 1\n")
        running.process.send_signal(number)
        project.open_gate(gate)
        finished = running.finish()

    assert (0, "") == (finished.code, finished.err)
    assert "finished\n" in finished.out
    assert "Processed: Waits" in finished.out
    assert (1, 0, 0) == project.counts()


def test_a_second_sigterm_gives_the_job_back_and_ends_with_0(project: Project, cli: Cli, gate: str) -> None:
    cli("dispatch", "Waits")

    with project.start("work") as running:
        running.wait_for("started 1\n")
        running.process.terminate()
        while not running.says("Released: Waits", within=0.05):
            running.process.terminate()  # again and again: two in a moment may arrive as one
        finished = running.finish()

    assert (0, "") == (finished.code, finished.err)
    assert "Released: Waits" in finished.out
    assert "finished" not in finished.out
    assert (1, 0, 0) == project.counts()
    assert [0] == [each.attempts for each in project.listed()]


def test_an_idle_worker_ends_on_a_signal(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")

    with project.start("work", "--sleep", "1000") as running:
        running.wait_for("Processed: Greet\n")
        running.process.send_signal(signal.SIGTERM)
        finished = running.finish()

    assert (0, "") == (finished.code, finished.err)


def test_a_worker_that_nobody_reads_ends_after_its_job(project: Project, cli: Cli) -> None:
    for name in ("bob", "eve"):
        cli("dispatch", "Greet", f"name={name}")

    with project.start("work") as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        assert 1 == running.process.wait(PATIENCE)
        assert running.process.stderr is not None
        assert "" == running.process.stderr.read()

    assert (1, 0, 0) == project.counts()


# Time limits and crashes.

SLOW = """
    from qcore import Job

    class Slow(Job, timeout=0.3):
        def handle(self) -> None:
            try:
                open("never").read()  # a named pipe that nobody writes to
            finally:
                print("cleaned up", flush=True)
"""


@pytest.fixture
def slow(project: Project, cli: Cli) -> None:
    project.write("jobs/slow.py", SLOW)
    os.mkfifo(project.root / "never")
    cli("dispatch", "Slow")


@pytest.mark.usefixtures("slow")
def test_a_job_over_its_time_limit_is_released_while_tries_are_left(project: Project) -> None:
    finished = project.run("work", "--once", "--json", "--tries", "2", "--backoff", "30")

    assert 1 == finished.code
    _, ending = finished.out.splitlines()
    assert "cleaned up\n" == finished.err, "what jobs print does not stand between the objects"
    assert '"status": "released"' in ending
    assert '"exception": "qcore.errors.TimeoutExceededError"' in ending
    assert (0, 1, 0) == project.counts()


@pytest.mark.usefixtures("slow")
def test_a_job_over_its_time_limit_fails_when_no_tries_are_left(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")

    finished = project.run("work", "--stop-when-empty")

    assert 1 == finished.code
    assert "Failed: Slow (TimeoutExceededError: Slow ran longer than its 0.3 seconds)" in finished.out
    assert "hello bob" in finished.out
    assert ["qcore.errors.TimeoutExceededError: Slow ran longer than its 0.3 seconds"] == project.failures()


def test_a_job_whose_worker_was_killed_runs_again_as_attempt_2(project: Project, cli: Cli, gate: str) -> None:
    project.write("qcore.toml", "[connections.database]\nretry_after = 1\n[worker]\ntries = 2\ntimeout = 0.9")
    project.write("jobs/patient.py", "from jobs.examples import Waits\n\nclass Patient(Waits, timeout=0):\n    pass\n")
    cli("dispatch", "Patient")

    with project.start("work") as first:
        first.wait_for("started 1\n")
        first.process.kill()
        assert -signal.SIGKILL == first.finish().code
    assert (0, 0, 1) == project.counts()

    with project.start("work", "--drain") as second:
        second.wait_for("started 2\n")
        project.open_gate(gate)
        finished = second.finish()

    assert 0 == finished.code
    assert "Processed: Patient" in finished.out
    assert (0, 0, 0) == project.counts()


def test_the_first_ctrl_c_says_what_happens_and_what_the_second_one_does(project: Project, cli: Cli, gate: str) -> None:
    cli("dispatch", "Waits")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "qcore", "work"]
    with subprocess.Popen(command, cwd=project.root, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = read_until(ours, "started 1")
        process.send_signal(signal.SIGINT)
        # Not waited for: who is about to wait in the system when a signal comes hears of it afterwards.
        project.open_gate(gate)
        shown += read_until(ours, "DONE")
        assert 0 == process.wait(PATIENCE)
    os.close(ours)

    assert 1 == shown.count("\rStopping: finishing the job in hand; once more to interrupt it\r\n")
    assert shown.index("Stopping: ") < shown.index("finished") < shown.index("DONE")


def read_until(terminal: int, text: str) -> str:
    shown = ""
    while text not in shown:
        shown += os.read(terminal, 4096).decode()
    return shown


@pytest.mark.parametrize("how", ["--stop-when-empty", "--drain"])
def test_queues_that_nobody_works_on_are_named(project: Project, cli: Cli, how: str) -> None:
    for words in ([], ["--queue", "mail"], ["--queue", "mail", "--delay", "1000"], ["--queue", "reports"]):
        cli("dispatch", "Greet", "name=bob", *words)

    finished = project.run("work", how)
    everywhere = project.run("work", "--stop-when-empty", "--queue", "mail,reports")

    assert (0, "3 jobs wait on other queues: mail (2), reports (1)\n") == (finished.code, finished.err)
    assert (0, "") == (everywhere.code, everywhere.err)


def test_of_many_queues_that_nobody_works_on_the_fullest_are_named(project: Project, cli: Cli) -> None:
    for number in range(7):
        cli("dispatch", "Greet", "name=bob", "--queue", f"q{number}")
    cli("dispatch", "Greet", "name=bob", "--queue", "q6")

    finished = project.run("work", "--stop-when-empty")

    assert "8 jobs wait on other queues: q6 (2), q0 (1), q1 (1), q2 (1), q3 (1) and 2 more\n" == finished.err


@pytest.mark.parametrize("how", [["--json"], ["-q"]])
def test_only_people_hear_of_queues_that_nobody_works_on(project: Project, cli: Cli, how: list[str]) -> None:
    cli("dispatch", "Greet", "name=bob", "--queue", "mail")

    assert (0, "", "") == project.run("work", "--stop-when-empty", *how)
