"""``qcore batches``, ``batch``, ``retry-batch``, ``cancel-batch`` and ``prune-batches``."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.commands.conftest import Cli, Project

    Start = Callable[..., str]

BATCHES = """
    from qcore import Job, batch, job
    from jobs.examples import Fails, Greet


    @job
    def start(name: str, fails: int, greets: int, connection: str = "database") -> None:
        members = [Fails()] * fails + [Greet("you")] * greets
        batch(members, name=name).on_queue("batches").on_connection(connection).dispatch()
"""


@pytest.fixture
def start(project: Project, cli: Cli) -> Start:
    """Dispatch a batch, run as many of its members, and give its id."""
    project.write("jobs/starting.py", BATCHES)

    def start(name: str, *, fails: int = 0, greets: int = 0, runs: int = 0) -> str:
        cli("dispatch", "start", f"name={name}", f"fails={fails}", f"greets={greets}")
        work(cli, "default")
        for _ in range(runs):
            cli("work", "--queue", "batches", "--once", "--timeout", "0", "--memory", "0", "-q")
        return str(next(each["id"] for each in listed(cli) if each["name"] == name))

    return start


def work(cli: Cli, queue: str) -> None:
    cli("work", "--queue", queue, "--stop-when-empty", "--timeout", "0", "--memory", "0", "-q")


def listed(cli: Cli, *more: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cli("batches", "--json", *more).stdout.splitlines()]


def shown(cli: Cli, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli("batch", batch_id, "--json").stdout)
    return found


def test_batches_are_listed_the_newest_first(project: Project, cli: Cli, start: Start) -> None:
    first, second = start("first", fails=1, greets=2, runs=2), start("second", greets=1)

    finished = project.run("batches")
    headings, *rows, hint = finished.out.splitlines()
    assert (0, "") == (finished.code, finished.err)
    assert ["ID", "NAME", "STATE", "TOTAL", "PENDING", "FAILED", "PROGRESS", "CREATED"] == headings.split()
    assert [
        [second, "second", "running", "1", "1", "0", "0%"],
        [first, "first", "cancelled", "3", "1", "1", "67%"],
    ] == [row.split()[:7] for row in rows]
    assert "qcore batch ID" in hint


def test_batches_are_written_for_machines(cli: Cli, start: Start) -> None:
    batch_id = start("x", greets=2, runs=1)

    [found] = listed(cli)
    assert {
        "id": batch_id,
        "name": "x",
        "connection": "database",
        "queue": "batches",
        "state": "running",
        "total": 2,
        "pending": 1,
        "processed": 1,
        "done": 1,
        "failed": 0,
        "dropped": 0,
        "progress": 50,
        "cancelled_at": None,
        "finished_at": None,
    } == {name: value for name, value in found.items() if name != "created_at"}
    assert "T" in found["created_at"]


def test_as_many_are_listed_as_are_asked_for(cli: Cli, start: Start) -> None:
    for name in "abc":
        start(name, greets=1)

    assert ["c", "b"] == [each["name"] for each in listed(cli, "--limit", "2")]
    assert 2 == cli("batches", "--limit", "0").exit_code


def test_without_batches_the_list_says_so(cli: Cli) -> None:
    assert "There are no batches.\n" == cli("batches").stdout
    assert "" == cli("batches", "--json").stdout


def test_a_connection_without_batches_says_so(project: Project) -> None:
    finished = project.run("batches", "--connection", "null")

    assert (2, "") == (finished.code, finished.out)
    assert "the driver of the connection 'null' cannot have batches" in finished.err


def test_one_batch_is_shown_with_its_failed_members(project: Project, cli: Cli, start: Start) -> None:
    batch_id = start("x", fails=2, greets=1, runs=3)

    *facts, empty, headings, first, second, hint = cli("batch", batch_id).stdout.splitlines()
    words = {line[:10].strip(): line[11:] for line in facts}
    assert ["id", "name", "state", "jobs go to", "members", "progress", "created", "cancelled", "finished"] == [*words]
    assert (batch_id, "x", "cancelled", "database@batches") == tuple(words.values())[:4]
    assert ("3: 0 pending, 1 done, 2 failed", "100%") == (words["members"], words["progress"])
    assert ("", ["ID", "JOB", "EXCEPTION"]) == (empty, headings.split())
    assert first.split()[1:] == second.split()[1:] == ["Fails", "ValueError:", "no", "such", "thing"]
    assert f"qcore retry-batch {batch_id}" in hint
    assert [first.split()[0], second.split()[0]] == shown(cli, batch_id)["failed_ids"]


def test_a_failed_member_that_was_forgotten_is_shown_as_that(cli: Cli, start: Start) -> None:
    batch_id = start("x", fails=1, runs=1)
    cli("flush")

    assert "it is not among the failed jobs any more" in cli("batch", batch_id).stdout


def test_a_batch_that_is_not_there_ends_with_1(project: Project) -> None:
    finished = project.run("batch", "nobody")

    assert (1, "") == (finished.code, finished.out)
    assert "error: there is no batch with the id nobody; see what there is with `qcore batches`\n" == finished.err


def test_a_batch_without_a_name_and_a_queue_has_no_lines_for_them(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/plain.py", "from qcore import batch, job\n\n@job\ndef plain() -> None:\n    batch().dispatch()\n"
    )
    cli("dispatch", "plain")
    work(cli, "default")
    [found] = listed(cli)

    out = cli("batch", found["id"]).stdout
    assert "name " not in out
    assert "jobs go to database\n" in out
    assert "0: 0 pending, 0 done, 0 failed\n" in out


def test_a_worker_loads_what_a_batch_in_a_chain_needs(project: Project) -> None:
    """CHN-13, CHN-17: in a process of its own, which has made no batch itself."""
    project.write(
        "jobs/chained.py",
        """
        from qcore import batch, chain, job
        from jobs.examples import Fails, Greet

        @job
        def chained() -> None:
            inner = [Greet("c"), batch([Greet("d"), Fails()]), Greet("never")]
            chain(Greet("a"), batch([Greet("b"), inner]).finally_(Greet("e"))).dispatch()
        """,
    )
    project.run("dispatch", "chained")
    project.run("work", "--once", "-q")

    finished = project.run("work", "--stop-when-empty", "-q")
    assert 1 == finished.code
    assert [f"hello {name}" for name in "abcde"] == finished.out.splitlines()
    assert ["ValueError: no such thing"] == project.failures()


# Retry.


def test_the_failed_members_of_batches_are_pushed_anew(project: Project, cli: Cli, start: Start) -> None:
    """BAT-35."""
    first, second = start("a", fails=2, greets=1, runs=3), start("b", fails=1, runs=1)

    finished = project.run("retry-batch", first, second, first)
    assert (0, "") == (finished.code, finished.err)
    assert [
        f"2 of 2 failed members of the batch {first} wait again",
        f"1 of 1 failed members of the batch {second} wait again",
    ] == finished.out.splitlines()
    assert [None, None] == [each["cancelled_at"] for each in listed(cli)]
    assert "" == cli("failed", "--json").stdout


def test_a_retry_says_what_it_did_for_machines(cli: Cli, start: Start) -> None:
    batch_id = start("a", fails=2, runs=2)
    failed = shown(cli, batch_id)["failed_ids"]
    cli("forget", failed[0])

    result = cli("retry-batch", batch_id, "--json")
    assert 1 == result.exit_code
    assert {"id": batch_id, "failed_ids": failed, "retried": failed[1:]} == json.loads(result.stdout)
    assert f"error: {failed[0]} is not retried: it is not among the failed jobs any more\n" == result.stderr


def test_a_retry_of_a_batch_that_is_not_there_goes_on_with_the_others(cli: Cli, start: Start) -> None:
    """BAT-35."""
    batch_id = start("a", fails=1, runs=1)

    result = cli("retry-batch", "nobody", batch_id)
    assert 1 == result.exit_code
    assert "error: there is no batch with the id nobody; see" in result.stderr
    assert "1 of 1 failed members" in result.stdout


def test_a_retry_with_nothing_to_retry_ends_with_1(cli: Cli, start: Start) -> None:
    batch_id = start("a", greets=1, runs=1)

    result = cli("retry-batch", batch_id)
    assert (1, f"error: the batch {batch_id} has no failed members\n") == (result.exit_code, result.stderr)
    assert "" == result.stdout
    assert {"id": batch_id, "failed_ids": [], "retried": []} == json.loads(
        cli("retry-batch", batch_id, "--json").stdout
    )


def test_a_retry_of_what_cannot_be_pushed_ends_with_2(project: Project, cli: Cli, start: Start) -> None:
    batch_id = start("a", fails=2, runs=2)
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute("UPDATE qcore_failed_jobs SET connection = 'mars' WHERE number = 1")
    database.close()

    result = cli("retry-batch", batch_id)
    assert 2 == result.exit_code
    assert "stays failed: there is no connection 'mars'" in result.stderr
    assert f"1 of 2 failed members of the batch {batch_id} wait again\n" == result.stdout


@pytest.mark.parametrize("command", ["retry-batch", "cancel-batch", "batch"])
def test_without_an_id_nothing_is_done(cli: Cli, command: str) -> None:
    assert 2 == cli(command).exit_code


# Cancel.


def test_batches_are_cancelled(project: Project, cli: Cli, start: Start) -> None:
    first, second = start("a", greets=1), start("b", greets=1)

    finished = project.run("cancel-batch", first, second)
    assert (0, f"The batch {first} is cancelled.\nThe batch {second} is cancelled.\n") == finished[:2]
    assert ["cancelled", "cancelled"] == [each["state"] for each in listed(cli)]


def test_what_cannot_be_cancelled_ends_with_1(cli: Cli, start: Start) -> None:
    done, waits = start("a", greets=1, runs=1), start("b", greets=1)

    result = cli("cancel-batch", done, "nobody", waits, "--json")
    assert 1 == result.exit_code
    assert "there is no batch with the id nobody" in result.stderr
    assert [
        {"id": done, "cancelled": False, "state": "finished"},
        {"id": waits, "cancelled": True, "state": "cancelled"},
    ] == [json.loads(line) for line in result.stdout.splitlines()]
    again = cli("cancel-batch", waits)
    assert (1, f"The batch {waits} cannot be cancelled: it is cancelled already.\n") == (again.exit_code, again.stdout)


def test_a_batch_of_another_connection_is_not_found_there(cli: Cli, start: Start) -> None:
    batch_id = start("a", greets=1)

    assert 1 == cli("cancel-batch", batch_id, "--connection", "memory").exit_code
    assert 0 == cli("cancel-batch", batch_id, "--connection", "database").exit_code


# Prune.


@pytest.fixture
def aged(project: Project, start: Start) -> None:
    """A batch of every kind, 30 hours old, and a finished one of an hour ago."""
    start("finished", greets=1, runs=1)
    start("failed", fails=1, greets=1, runs=1)
    start("running", greets=1)
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        hours = 30 * 3600
        database.execute(
            "UPDATE qcore_batches SET created_at = created_at - ?, finished_at = finished_at - ?", (hours, hours)
        )
        database.execute("DELETE FROM qcore_jobs")
    database.close()
    start("new", greets=1, runs=1)


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize(
    ("words", "left", "said"),
    [
        ([], ["failed", "new", "running"], "1 batch deleted"),
        (["--hours", "31"], ["failed", "finished", "new", "running"], "0 batches deleted"),
        (["--hours", "0"], ["failed", "running"], "2 batches deleted"),
        (["--unfinished", "29"], ["new"], "3 batches deleted"),
        (["--cancelled", "29"], ["new", "running"], "2 batches deleted"),
        (["--hours", "31", "--cancelled=31", "--unfinished=31"], None, "0 batches deleted"),
        (["--connection", "memory"], None, "0 batches deleted"),
    ],
)
def test_old_batches_are_dropped(cli: Cli, words: list[str], left: list[str] | None, said: str) -> None:
    """BAT-35."""
    result = cli("prune-batches", *words)

    assert (0, f"{said}\n") == (result.exit_code, result.stdout)
    expected = left or ["failed", "finished", "new", "running"]
    assert expected == sorted(each["name"] for each in listed(cli))


def test_pruning_says_how_many_for_machines(cli: Cli) -> None:
    assert {"deleted": 0} == json.loads(cli("prune-batches", "--json").stdout)


@pytest.mark.parametrize("option", ["--hours", "--unfinished", "--cancelled"])
@pytest.mark.parametrize("hours", ["-1", "nan", "x"])
def test_hours_are_a_number(cli: Cli, option: str, hours: str) -> None:
    assert 2 == cli("prune-batches", option, hours).exit_code


def test_failed_members_are_shown_with_what_they_hold(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/files.py",
        """
        from qcore import Job, batch, job

        class Import(Job):
            def __init__(self, path: str, token: list[str]) -> None:
                self.path, self.token = path, token

            def handle(self) -> None:
                raise ValueError("no such file")

        @job
        def begin() -> None:
            batch([Import("a.csv", ["seven", "eight"])]).dispatch()
        """,
    )
    cli("dispatch", "begin")
    work(cli, "default")
    [found] = listed(cli)
    shown = cli("batch", found["id"], env={"COLUMNS": "200"}).stdout

    assert "  Import(path='a.csv', token=[redacted])  ValueError: no such file\n" in shown
    on_a_terminal = project.run_on_a_terminal("batch", found["id"], columns=60)
    assert "  Import(path='a.csv', to\u2026  ValueError: no such file\n" in on_a_terminal
