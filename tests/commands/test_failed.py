"""``qcore failed``, ``retry``, ``forget``, ``flush`` and ``prune-failed``."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


@pytest.fixture
def ids(project: Project, cli: Cli) -> list[str]:
    """Three failed jobs, numbers 1 to 3; the last one from the queue mail."""
    failed = [cli("dispatch", "Fails", "--queue", queue).stdout.strip() for queue in ("default", "default", "mail")]
    cli("work", "--queue", "default,mail", "--stop-when-empty", "--timeout", "0", "--memory", "0", "-q")
    return failed


def remaining(cli: Cli) -> list[str]:
    return [json.loads(line)["id"] for line in cli("failed", "--json").stdout.splitlines()]


def waiting(project: Project) -> list[tuple[str, int]]:
    app = project.app()
    queues = [each.queue for each in app.connection().counts()]
    found = [(each.payload.id, each.attempts) for queue in queues for each in app.connection().listed(queue)]
    app.close()
    return found


def fail_hours_ago(project: Project, *hours: float) -> None:
    """Let the failed jobs have failed so long ago, in the order of their numbers."""
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        for number, each in enumerate(hours, start=1):
            database.execute(
                "UPDATE qcore_failed_jobs SET failed_at = failed_at - ? WHERE number = ?", (each * 3600, number)
            )
    database.close()


def test_failed_jobs_are_listed_the_newest_first(project: Project, ids: list[str]) -> None:
    finished = project.run("failed")

    headings, *rows, hint = finished.out.splitlines()
    assert (0, "") == (finished.code, finished.err)
    assert ["NUMBER", "ID", "JOB", "FROM", "FAILED", "AT", "EXCEPTION"] == headings.split()
    assert [["3", ids[2], "Fails", "database@mail"], ["2", ids[1], "Fails", "database@default"]] == [
        row.split()[:4] for row in rows[:2]
    ]
    assert all(row.endswith("  ValueError: no such thing") for row in rows)
    assert "qcore retry ID" in hint


def test_failed_jobs_of_one_queue_are_listed(cli: Cli, ids: list[str]) -> None:
    [only] = cli("failed", "--queue", "mail", "--json").stdout.splitlines()

    expected = {"number": 3, "id": ids[2], "connection": "database", "queue": "mail", "job": "Fails"}
    assert {**expected, "exception": "ValueError: no such thing"}.items() <= json.loads(only).items()


def test_v_shows_tracebacks(cli: Cli, ids: list[str]) -> None:
    shown = cli("failed", "-v").stdout

    assert 3 == shown.count("    Traceback (most recent call last):\n")
    assert shown.endswith("    ValueError: no such thing\n")


@pytest.mark.parametrize("words", [["failed"], ["failed", "-v"]])
def test_what_a_job_raised_cannot_move_the_cursor(project: Project, cli: Cli, words: list[str]) -> None:
    project.write(
        "jobs/evil.py",
        r"""
        from qcore import job

        @job
        def evil() -> None:
            raise ValueError("\x1b[2J" + "x\u202ey")
        """,
    )
    cli("dispatch", "evil")
    cli("work", "--once", "--timeout", "0", "--memory", "0", "-q")

    shown = cli(*words).stdout

    assert r"ValueError: \x1b[2Jx\u202ey" in shown
    assert shown.replace("\n", "").isprintable()


def test_without_failed_jobs_the_list_says_so(cli: Cli) -> None:
    assert "There are no failed jobs.\n" == cli("failed").stdout
    assert "" == cli("failed", "--json").stdout


def test_retry_pushes_a_job_anew(project: Project, cli: Cli, ids: list[str]) -> None:
    finished = project.run("retry", ids[0], ids[2])

    assert ended(f"{ids[0]} waits again\n{ids[2]} waits again\n") == finished
    assert {(ids[0], 0), (ids[2], 0)} == set(waiting(project))
    assert [ids[1]] == remaining(cli)


def ended(out: str, err: str = "", code: int = 0) -> tuple[int, str, str]:
    return code, out, err


def test_a_missing_id_ends_with_1_and_the_others_are_retried(project: Project, cli: Cli, ids: list[str]) -> None:
    result = cli("retry", "nobody", ids[0], "3")

    assert (1, f"{ids[0]} waits again\n") == (result.exit_code, result.stdout)
    assert [
        "error: there is no failed job with the id nobody",
        "error: there is no failed job with the id 3; a number goes with --range",
    ] == result.stderr.splitlines()
    assert [(ids[0], 0)] == waiting(project)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["all"], [1, 2, 3]),
        (["--queue", "mail"], [3]),
        (["--range", "1-2"], [1, 2]),
        (["--range", "3", "--range", "1"], [1, 3]),
        (["--range", "2-99"], [2, 3]),
    ],
)
def test_many_are_retried_at_once(cli: Cli, ids: list[str], words: list[str], numbers: list[int]) -> None:
    result = cli("retry", *words)

    assert 0 == result.exit_code
    assert {ids[number - 1] for number in numbers} == {line.split()[0] for line in result.stdout.splitlines()}
    assert {each for number, each in enumerate(ids, start=1) if number not in numbers} == set(remaining(cli))


@pytest.mark.parametrize("words", [["all"], ["--queue", "mail"], ["--range", "1-5"]])
def test_nothing_to_retry_ends_with_1(cli: Cli, words: list[str]) -> None:
    result = cli("retry", *words)

    assert (1, "") == (result.exit_code, result.stdout)
    assert "error: there is nothing to retry; see what there is with `qcore failed`\n" == result.stderr


@pytest.mark.parametrize("words", [[], ["x", "--queue", "mail"], ["--queue", "mail", "--range", "1"]])
def test_retry_wants_to_know_which(cli: Cli, words: list[str]) -> None:
    result = cli("retry", *words)

    assert 2 == result.exit_code
    assert "error: say which: ids, all, --queue or --range; see qcore retry --help\n" == result.stderr


@pytest.mark.parametrize("text", ["x", "5-", "-5", "1-2-3", "٣", "1e3"])
def test_what_is_no_range_is_refused(cli: Cli, text: str) -> None:
    result = cli("retry", "--range", text)

    assert 2 == result.exit_code
    assert 1 == len(result.stderr.splitlines())


def test_a_job_whose_connection_is_gone_stays_failed_and_holds_up_no_other(
    project: Project, cli: Cli, ids: list[str]
) -> None:
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute("UPDATE qcore_failed_jobs SET connection = 'gone' WHERE number = 2")
    database.close()

    result = cli("retry", *ids)

    assert (2, f"{ids[0]} waits again\n{ids[2]} waits again\n") == (result.exit_code, result.stdout)
    assert f"error: {ids[1]} stays failed: there is no connection 'gone'" in result.stderr
    assert [ids[1]] == remaining(cli)


def test_forget_drops_one(project: Project, cli: Cli, ids: list[str]) -> None:
    finished = project.run("forget", ids[1])

    assert ended(f"{ids[1]} is forgotten\n") == finished
    assert [ids[2], ids[0]] == remaining(cli)


def test_forget_ends_with_1_when_there_is_none(project: Project) -> None:
    assert ended("", "error: there is no failed job with the id x\n", 1) == project.run("forget", "x")


def test_flush_drops_all(project: Project, cli: Cli, ids: list[str]) -> None:
    assert ended("3 failed jobs deleted\n") == project.run("flush")
    assert [] == remaining(cli)


def test_flush_with_hours_drops_the_old_ones(project: Project, cli: Cli, ids: list[str]) -> None:
    """G-44."""
    fail_hours_ago(project, 49, 47)

    assert "1 failed job deleted\n" == cli("flush", "--hours", "48").stdout
    assert [ids[2], ids[1]] == remaining(cli)


def test_prune_failed_drops_what_is_older_than_a_day(project: Project, cli: Cli, ids: list[str]) -> None:
    fail_hours_ago(project, 25, 23)

    assert ended("1 failed job deleted\n") == project.run("prune-failed")
    assert "1 failed job deleted\n" == cli("prune-failed", "--hours", "22").stdout
    assert [ids[2]] == remaining(cli)


@pytest.mark.parametrize("command", ["flush", "prune-failed"])
@pytest.mark.parametrize("hours", ["-1", "nan", "x"])
def test_hours_are_a_number(cli: Cli, command: str, hours: str) -> None:
    assert 2 == cli(command, "--hours", hours).exit_code


@pytest.mark.parametrize("message", ["one line", "two\\nlines", "an\\n  indented\\nTraceback of sorts"])
def test_the_list_names_the_exception_also_when_its_message_has_many_lines(
    project: Project, cli: Cli, message: str
) -> None:
    raising = (
        f"from qcore import Job\nclass Talks(Job):\n    def handle(self):\n        raise RuntimeError('{message}')\n"
    )
    project.write("jobs/talks.py", raising)
    cli("dispatch", "Talks")
    cli("work", "--once", "--timeout", "0", "--memory", "0", "-q")

    [shown] = cli("failed", "--json").stdout.splitlines()

    assert f"RuntimeError: {message.partition(chr(92))[0]}" == json.loads(shown)["exception"]


def test_the_list_names_what_the_worker_named_when_a_time_limit_was_over(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/long.py", "from qcore import Job\nclass Long(Job):\n    def handle(self):\n        while 1: pass\n"
    )
    cli("dispatch", "Long")
    said = cli("work", "--once", "--timeout", "0.01", "--memory", "0").stdout

    [shown] = cli("failed", "--json").stdout.splitlines()

    assert "Failed: Long (TimeoutExceededError: Long ran longer than its 0.01 seconds)" in said
    assert "qcore.errors.TimeoutExceededError: Long ran longer than its 0.01 seconds" == json.loads(shown)["exception"]


HOLDING = """
    from qcore import Job, job

    class Import(Job):
        def __init__(self, path: str) -> None:
            self.path = path

        def handle(self) -> None:
            raise ValueError("no luck")

    class Card(Job, encrypted=True):
        def __init__(self, number: str) -> None:
            self.number = number

        def handle(self) -> None:
            raise ValueError("no luck")

    @job
    def login(user: str, password: str) -> None:
        raise ValueError("no luck")
"""


def test_v_shows_what_the_jobs_hold(project: Project, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCORE_KEYS", "key-" + "1" * 40)
    project.write("jobs/holding.py", HOLDING)
    for words in (
        ["Import", f"path={'a' * 100}"],
        ["Card", "number=4711"],
        ["login", "user=bob", "password=swordfish"],
    ):
        cli("dispatch", *words)
    cli("work", "--stop-when-empty", "--timeout", "0", "--memory", "0", "-q")

    lines = cli("failed", "-v", env={"COLUMNS": "60"}).stdout.splitlines()
    assert {"    login(user='bob', password=[redacted])", f"    Import(path='{'a' * 100}')"} <= set(lines)
    shown = project.run_on_a_terminal("failed", "-v", columns=60)
    assert f"    Import(path='{'a' * 40}...\n" in shown
    assert not [line for line in lines if "4711" in line or "swordfish" in line]
    assert "    [encrypted]" in lines


def test_v_shows_failed_jobs_whose_modules_cannot_be_imported(project: Project, ids: list[str]) -> None:
    project.write("jobs/examples.py", "1 / 0")
    shown = project.run("failed", "-v")

    assert (0, "", 3) == (shown.code, shown.err, shown.out.count("ValueError: no such thing\n"))
