"""``qcore work`` as a real process: what it says, to whom."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from datetime import datetime
from json import loads
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


def test_json_is_one_object_a_line(project: Project, cli: Cli) -> None:
    job_id = cli("dispatch", "Fails").stdout.strip()

    starting, failed = project.run("work", "--once", "--json").entries

    known = {"id": job_id, "connection": "database", "queue": "default", "job": "Fails", "attempts": 1}
    assert known.items() <= starting.items()
    assert known.items() <= failed.items()
    assert {"level": "info", "status": "starting"}.items() <= starting.items()
    error = {"exception": "ValueError", "message": "no such thing"}
    assert {"level": "warning", "status": "failed", **error}.items() <= failed.items()
    assert {"duration"} == failed.keys() - starting.keys() - error.keys()
    assert datetime.fromisoformat(starting["timestamp"]) <= datetime.fromisoformat(failed["timestamp"])


def test_a_pipe_gets_the_lines_of_a_log(project: Project, cli: Cli) -> None:
    ids = [cli("dispatch", *each).stdout.strip() for each in (["Greet", "name=bob"], ["FailsOnce"], ["Fails"])]

    finished = project.run("work", "--stop-when-empty")

    lines = [line.partition("]")[2] for line in finished.out.splitlines() if line.startswith("[")]
    assert lines == [
        f"[{ids[0]}] Processing: Greet",
        f"[{ids[0]}] Processed: Greet",
        f"[{ids[1]}] Processing: FailsOnce",
        f"[{ids[1]}] Released: FailsOnce (ValueError: not yet)",
        f"[{ids[2]}] Processing: Fails",
        f"[{ids[2]}] Failed: Fails (ValueError: no such thing)",
        f"[{ids[1]}] Processing: FailsOnce",
        f"[{ids[1]}] Processed: FailsOnce",
    ]
    assert "\x1b" not in finished.out
    assert "" == finished.err


def test_a_worker_that_stays_says_where_it_works_also_to_a_log(project: Project) -> None:
    place = project.root / ".qcore/queue.sqlite3"

    text = project.run("work", "--queue", "mail,low", "--max-time", "0.01").out
    json = project.run("work", "--max-time", "0.01", "--json", "--name", "w1")

    assert text.partition("] ")[2] == f"Started: on the queues mail,low of database ({place})\n"
    known = {"level": "info", "worker": "w1", "connection": "database", "queue": "default", "status": "started"}
    assert (known | {"place": str(place)}).items() <= loads(json.out).items()


@pytest.mark.parametrize("how", ["--once", "--stop-when-empty", "--drain", "--quiet"])
def test_a_worker_that_does_not_stay_or_is_to_be_quiet_does_not_say_where(project: Project, how: str) -> None:
    for more in ([], ["--json"]):
        assert (0, "", "") == project.run("work", how, "--max-time", "0.01", *more)


def test_q_says_nothing(project: Project, cli: Cli) -> None:
    cli("dispatch", "Fails")

    assert (1, "", "") == project.run("work", "--once", "-q")


def test_what_a_job_raises_cannot_forge_a_line_or_tell_a_secret(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/evil.py",
        r"""
        from qcore import Job

        class Evil(Job):
            def handle(self) -> None:
                raise ValueError("\x1b[2J\n[2026-01-01 00:00:00][1] Processed: Evil password=hunter2")

            def display_name(self) -> str:
                return "Evil\r\x1b]0;owned\x07"
        """,
    )
    cli("dispatch", "Evil")

    finished = project.run("work", "--once", "-v")

    assert finished.out.replace("\n", "").isprintable()
    assert "hunter2" not in finished.out
    assert (
        r"Failed: Evil\r\x1b]0;owned\x07 (ValueError: \x1b[2J\n[2026-01-01 00:00:00][1] Processed: Evil" in finished.out
    )
    assert not [line for line in finished.out.splitlines() if line.startswith("[2026-01-01")]


def test_a_poison_payload_has_its_two_lines(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute("UPDATE qcore_jobs SET body = x'00ff'")
    database.close()

    finished = project.run("work", "--once")

    begin, end = finished.out.splitlines()
    assert begin.endswith("Processing: (unreadable payload)")
    assert "Failed: (unreadable payload) (PayloadError: " in end


def test_a_terminal_shows_running_and_what_became_of_it_in_colour(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")
    cli("dispatch", "Fails")

    shown = project.run_on_a_terminal("work", "--stop-when-empty", columns=70)

    banner, running, hello, done, _, fail, error = shown.splitlines()
    place = project.root / ".qcore/queue.sqlite3"
    assert f"Processing jobs from the [default] queues on database ({place})." == banner
    assert "hello bob" == hello
    assert " Greet " in running
    assert running.endswith("\x1b[33mRUNNING\x1b[0m")
    assert "ms " in done
    assert done.endswith("\x1b[32mDONE\x1b[0m")
    assert fail.endswith("\x1b[31mFAIL\x1b[0m")
    assert "    \x1b[31mValueError: no such thing\x1b[0m" == error


def test_lines_on_a_terminal_are_as_wide_as_it_is(project: Project, cli: Cli) -> None:
    cli("dispatch", "FailsOnce")

    shown = project.run_on_a_terminal("work", "--drain", "--backoff", "0.2", columns=70, NO_COLOR="1")

    _, *lines = shown.splitlines()
    assert "\x1b" not in shown
    assert [70, 70, 70, 70] == [len(line) for line in lines if "FailsOnce" in line]
    assert lines[1].endswith("again in 200.00ms RELEASED")


def test_v_says_where_a_job_comes_from_and_shows_tracebacks(project: Project, cli: Cli) -> None:
    job_id = cli("dispatch", "Fails").stdout.strip()

    shown = project.run_on_a_terminal("work", "--once", "-v", columns=160, NO_COLOR="1")

    assert f" Fails {job_id} database default attempt 1 " in shown
    assert " MB ..." in shown
    assert "    Traceback (most recent call last):\n" in shown


def test_a_worker_of_a_connection_that_others_cannot_reach_says_so(project: Project) -> None:
    finished = project.run("work", "memory", "--once")

    expected = "the connection 'memory' lives in one process: what others push there does not reach this worker"
    assert (0, f"warning: {expected}\n") == (finished.code, finished.err)


def test_what_qcore_logs_is_one_escaped_line(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/bad_end.py",
        """
        from qcore import Job

        class BadEnd(Job):
            def handle(self) -> None:
                raise ValueError("first")

            def failed(self, error: BaseException) -> None:
                raise RuntimeError("token=abc\\nsecond")
        """,
    )
    job_id = cli("dispatch", "BadEnd").stdout.strip()
    cli("dispatch", "BadEnd")

    plain = project.run("work", "--once")
    as_json = project.run("work", "--once", "--json")

    said = f"ERROR: failed() of BadEnd ({job_id}) raised; the job counts as failed (RuntimeError: token=[redacted]"
    assert said in plain.err
    assert 1 == len(plain.err.splitlines()) == len(as_json.err.splitlines())
    assert '"exception": "RuntimeError"' in as_json.err


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_worker_without_standard_streams_works(project: Project, cli: Cli, closed: str) -> None:
    cli("dispatch", "Greet", "name=bob")

    command = ["sh", "-c", f'exec "$0" -m qcore work --once {closed}', sys.executable]
    finished = subprocess.run(command, cwd=project.root, capture_output=True, check=False)

    assert (0, b"") == (finished.returncode, finished.stderr)
    assert (0, 0, 0) == project.counts()
    assert [] == project.failures()


def test_what_children_of_a_job_print_never_reaches_the_database(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/prints.py",
        """
        import os
        from qcore import job

        @job
        def prints() -> None:
            for number in (0, 1, 2):
                print(number, os.readlink(f"/proc/self/fd/{number}"), file=open("streams", "a"))
        """,
    )
    cli("dispatch", "prints")

    subprocess.run(
        ["sh", "-c", 'exec "$0" -m qcore work --once <&- >&- 2>&-', sys.executable], cwd=project.root, check=True
    )

    assert "0 /dev/null\n1 /dev/null\n2 /dev/null\n" == (project.root / "streams").read_text()


def test_a_worker_that_may_run_jobs_longer_than_their_lease_says_so(project: Project) -> None:
    project.write("qcore.toml", "[connections.database]\nretry_after = 30")

    long, short = project.run("work", "--once"), project.run("work", "--once", "--timeout", "29")

    assert "warning: a job may run 60 s here, but comes back 30 s after it was reserved" in long.err
    assert "" == short.err
