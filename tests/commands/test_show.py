"""``qcore show``: what is on the queues."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


@pytest.fixture
def ids(cli: Cli) -> list[str]:
    words = [["Greet", "name=bob"], ["add", "a=1", "--delay", "1000"], ["Greet", "name=eve", "--queue", "mail"]]
    return [cli("dispatch", *each).stdout.strip() for each in words]


def test_queues_are_shown_with_what_is_on_them(project: Project, ids: list[str]) -> None:
    finished = project.run("show")

    place, headings, *rows = finished.out.splitlines()
    assert (0, "") == (finished.code, finished.err)
    assert f"Connection database ({project.root}/.qcore/queue.sqlite3)" == place
    assert ["QUEUE", "READY", "DELAYED", "RESERVED", "OLDEST READY"] == re.split(r"  +", headings)
    assert [["default", "1", "1", "0"], ["mail", "1", "0", "0"]] == [row.split()[:4] for row in rows]


def test_jobs_of_a_queue_are_shown_in_their_order(cli: Cli, ids: list[str]) -> None:
    _, headings, first, second = cli("show", "default").stdout.splitlines()

    assert ["ID", "JOB", "STATE", "ATTEMPTS", "AVAILABLE"] == headings.split()
    assert [ids[0], "Greet", "ready", "0", "now"] == first.split()
    assert [ids[1], "add", "delayed", "0", "in", "16m"] == second.split()[:6]


def test_json_is_one_object_a_line(cli: Cli, ids: list[str]) -> None:
    queues = [json.loads(line) for line in cli("show", "--json").stdout.splitlines()]
    jobs = [json.loads(line) for line in cli("show", "default", "--json").stdout.splitlines()]

    assert [("database", "default", 1, 1, 0), ("database", "mail", 1, 0, 0)] == [
        tuple(each[name] for name in ("connection", "queue", "ready", "delayed", "reserved")) for each in queues
    ]
    assert [(ids[0], "Greet", "ready", 0), (ids[1], "add", "delayed", 0)] == [
        tuple(each[name] for name in ("id", "job", "state", "attempts")) for each in jobs
    ]


def test_v_shows_what_jobs_hold_without_secrets(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/login.py",
        """
        from qcore import job

        @job
        def login(user: str, password: str) -> None: ...
        """,
    )
    cli("dispatch", "login", "user=bob", "password=hunter2")

    shown = cli("show", "default", "-v").stdout
    [as_json] = [json.loads(line) for line in cli("show", "default", "-v", "--json").stdout.splitlines()]

    assert '"user": "bob"' in shown
    assert "hunter2" not in shown
    assert {"user": "bob", "password": "[redacted]"} == as_json["payload"]["data"]["command"]["arguments"]
    assert "payload" not in json.loads(cli("show", "default", "--json").stdout)


def test_what_is_empty_says_so(cli: Cli) -> None:
    assert "Nothing is on its queues.\n" in cli("show").stdout
    assert "Nothing is on the queue mail.\n" in cli("show", "mail").stdout
    assert "" == cli("show", "--json").stdout


def test_a_payload_that_cannot_be_read_is_shown_escaped(project: Project, cli: Cli, ids: list[str]) -> None:
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute("UPDATE qcore_jobs SET body = x'1b5b324aff', queue = 'a' || x'0a' || 'b'")
    database.close()

    queues = cli("show").stdout
    project.run("show", "default", "-v")

    assert r"a\nb " in queues
    assert queues.replace("\n", "").isprintable()


def test_a_body_that_cannot_be_read_is_shown_escaped(project: Project, cli: Cli, ids: list[str]) -> None:
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute("UPDATE qcore_jobs SET body = x'1b5b324aff'")
    database.close()

    shown = cli("show", "mail", "-v").stdout

    assert "(unreadable payload)" in shown
    assert rf"{ids[2]} " in shown
    assert "[2J" in shown
    assert shown.replace("\n", "").isprintable()


def test_more_jobs_than_fit_are_counted(project: Project, cli: Cli) -> None:
    project.write("jobs/many.py", "from qcore import job\n\n@job\ndef many() -> None: ...\n")
    cli("dispatch", "many")
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 102) "
            "INSERT INTO qcore_jobs (uuid, queue, body, attempts, token, verdict, available_at, created_at) "
            "SELECT uuid || i, queue, body, 0, 0, '', available_at, created_at FROM qcore_jobs, n"
        )
    database.close()

    assert "... and 3 more\n" in cli("show", "default").stdout


def test_broken_jobs_do_not_keep_anybody_from_looking(project: Project, cli: Cli, ids: list[str]) -> None:
    project.write("jobs/broken.py", "rhubarb()")

    assert (0, 0, 0) == tuple(cli(*each).exit_code for each in (["show"], ["show", "default", "-v"], ["failed"]))


# What is paused.


def rows(shown: str) -> dict[str, list[str]]:
    """The cells of the table by queue."""
    lines = [re.split(r"  +", line) for line in shown.splitlines()]
    return {cells[0]: cells[1:] for cells in lines if len(cells) > 1}


def test_a_paused_queue_has_a_mark_also_when_it_is_empty(cli: Cli, ids: list[str]) -> None:
    cli("pause", "mail")
    cli("pause", "slow", "--for", "3600")

    shown = rows(cli("show").stdout)
    queues = [json.loads(line) for line in cli("show", "--json").stdout.splitlines()]

    assert ("PAUSED", "-", "yes") == (shown["QUEUE"][-1], shown["default"][-1], shown["mail"][-1])
    assert shown["slow"][-1].startswith("until 2")
    assert [("default", False), ("mail", True), ("slow", True)] == [(each["queue"], each["paused"]) for each in queues]
    assert [False] * 3 == [each["maintenance"] for each in queues]
    assert (0, 0, 0, None) == tuple(queues[2][name] for name in ("ready", "delayed", "reserved", "oldest"))


def test_the_pause_of_all_is_a_line(project: Project, cli: Cli) -> None:
    cli("pause", "--all")

    shown = cli("show").stdout
    [queue] = [json.loads(line) for line in cli("show", "--json").stdout.splitlines()]

    assert "Paused: all queues of all connections, until `qcore resume --all`.\n" in shown
    assert ["0", "0", "0", "-", "yes"] == [cell.strip() for cell in rows(shown)["default"]]
    assert ("default", True) == (queue["queue"], queue["paused"])


def test_maintenance_is_a_line(cli: Cli) -> None:
    cli("down")

    shown = cli("show").stdout
    [queue] = [json.loads(line) for line in cli("show", "--json").stdout.splitlines()]

    assert "Maintenance until `qcore up`: workers take no jobs.\n" in shown
    assert "PAUSED" not in shown
    assert ("default", False, True) == (queue["queue"], queue["paused"], queue["maintenance"])


def test_the_jobs_of_a_paused_queue_are_shown_below_a_line_that_says_so(cli: Cli, ids: list[str]) -> None:
    cli("pause", "mail")

    assert "Paused: the queue mail of database, until `qcore resume mail --connection database`.\n" in (
        cli("show", "mail").stdout
    )
    assert "Paused" not in cli("show", "default").stdout


def test_a_pause_of_another_connection_is_not_shown(project: Project, cli: Cli) -> None:
    cli("pause", "default", "--connection", "memory")

    assert "Nothing is on its queues.\n" in cli("show").stdout
    assert "PAUSED" in cli("show", "--connection", "memory").stdout


def test_a_store_that_nobody_shares_is_not_asked(project: Project, cli: Cli, ids: list[str]) -> None:
    project.write("qcore.toml", "store = 'memory'")

    assert "PAUSED" not in cli("show").stdout
