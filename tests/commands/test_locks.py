"""What the command line says of unique jobs: ``show --locks``, ``dispatch`` and ``retry``."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from qcore.driver import pending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.store import Store
    from tests.commands.conftest import Cli, Project

KEY = "unique:jobs.unique:Import,a.csv"
JOBS = """
    from qcore import Job


    class Import(Job, unique=True, unique_for=600):
        def __init__(self, path: str) -> None:
            self.path = path

        def unique_id(self) -> str:
            return self.path

        def handle(self) -> None:
            raise ValueError("no luck")


    class Outer(Job):
        def handle(self) -> None:
            Import("b.csv").dispatch()
            Import("b.csv").dispatch()


    class Report(Job, debounce_for=30):
        def handle(self) -> None:
            print("reported", flush=True)
"""


@pytest.fixture(autouse=True)
def _jobs(project: Project) -> None:
    project.write("jobs/unique.py", JOBS)


@pytest.fixture
def store(project: Project) -> Iterator[Store]:
    with closing(project.app()) as app:
        yield app.connections.store


def dispatched(cli: Cli, *arguments: str) -> str:
    return cli("dispatch", *arguments).stdout.strip()


def work(cli: Cli) -> None:
    cli("work", "--stop-when-empty", "--timeout", "0", "--memory", "0", "-q")


def rows(cli: Cli) -> list[list[str]]:
    result = cli("show", "--locks")
    assert (0, "") == (result.exit_code, result.stderr)
    headings, *lines = result.stdout.splitlines()
    assert ["LOCK", "OWNER", "STATE", "LEFT"] == headings.split()
    return [line.split(maxsplit=2) for line in lines]


def test_without_locks_it_says_so(cli: Cli) -> None:
    assert (0, "There are no locks.\n") == ((result := cli("show", "--locks")).exit_code, result.stdout)
    assert "" == cli("show", "--locks", "--json").stdout


def test_locks_are_shown_with_their_owner_and_the_time_left(cli: Cli, store: Store) -> None:
    job_id, report = dispatched(cli, "Import", "path=a.csv"), dispatched(cli, "Report")
    store.put("overlap:,jobs.unique:Import,a", f"{job_id}:17", ttl=3 * 86_400)
    store.put("unique:kept", pending("x"))
    store.put("limits:other", "1")

    unique, kept, debounced, overlap = rows(cli)
    assert [KEY, job_id, "ready on database@default"] == [*unique[:2], unique[2][:25]]
    assert "9m 5" in unique[2]
    assert ["unique:kept", "x", "pending", "for", "ever"] == " ".join(kept).split()
    assert ["debounce:jobs.unique:Report,", report, "delayed"] == [*debounced[:2], debounced[2][:7]]
    assert ["overlap:,jobs.unique:Import,a", job_id, "ready"] == [*overlap[:2], overlap[2][:5]]
    assert "2d 23h" in overlap[2]


def test_locks_as_json(cli: Cli, store: Store) -> None:
    job_id = dispatched(cli, "Import", "path=a.csv", "--queue", "imports")
    store.put("unique:kept", "gone")
    [first, second] = [json.loads(line) for line in cli("show", "--locks", "--json").stdout.splitlines()]

    left, expires_at = first.pop("left"), first.pop("expires_at")
    assert (True, "20", "+") == (590 < left <= 600, expires_at[:2], expires_at[-6])
    assert {
        "kind": "unique",
        "key": KEY,
        "owner": job_id,
        "state": "ready",
        "connection": "database",
        "queue": "imports",
        "job": "Import",
    } == first
    assert ("gone", None, None, None) == tuple(second[name] for name in ("state", "connection", "left", "expires_at"))


def test_an_owner_that_is_gone_is_shown_as_that(project: Project, cli: Cli) -> None:
    dispatched(cli, "Import", "path=a.csv")
    cli("clear", "--force")

    assert "gone" in rows(cli)[0][2]
    assert dispatched(cli, "Import", "path=a.csv")


def test_an_owner_on_another_connection_is_found(project: Project, cli: Cli) -> None:
    """A database that is not there yet is not made by looking for it."""
    project.write(
        "qcore.toml",
        """
        default = "other"
        imports = ["jobs"]
        store = "locks"

        [connections.other]
        driver = "database"
        url = "sqlite:///other.sqlite3"

        [connections.locks]
        driver = "database"
        url = "sqlite:///locks.sqlite3"
        """,
    )
    job_id = dispatched(cli, "Import", "path=a.csv")

    assert [[KEY, job_id, "ready on other@default"]] == [[*row[:2], row[2][:22]] for row in rows(cli)]
    cli("clear", "--force")
    assert "pending" in rows(cli)[0][2]
    assert not (project.root / ".qcore").exists()


def test_a_connection_that_cannot_be_asked_hides_no_locks(project: Project, cli: Cli) -> None:
    job_id = dispatched(cli, "Import", "path=a.csv")
    cli("clear", "--force")
    project.write("broken.sqlite3", "this is no database" * 100)
    project.write(
        "qcore.toml",
        """
        imports = ["jobs"]

        [connections.broken]
        driver = "database"
        url = "sqlite:///broken.sqlite3"
        """,
    )

    assert [job_id] == [row[1] for row in rows(cli)]


def test_many_locks_are_cut_for_people_and_not_for_machines(
    cli: Cli, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        store.put(f"unique:{number}", "gone")
    monkeypatch.setattr("qcore.commands.locks.MOST", 3)

    *shown, more = cli("show", "--locks").stdout.splitlines()
    assert (4, "... and perhaps more that begin with unique: --json shows all") == (len(shown), more)
    assert 5 == len(cli("show", "--locks", "--json").stdout.splitlines())


@pytest.mark.parametrize("more", [["default"], ["--connection", "database"]])
def test_locks_belong_to_all_connections(project: Project, more: list[str]) -> None:
    result = project.run("show", "--locks", *more)

    assert (2, True) == (result.code, "--locks shows the locks of all connections" in result.err)


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_locks_in_the_memory_of_other_processes_cannot_be_shown(project: Project, flags: list[str]) -> None:
    project.write("qcore.toml", 'store = "memory"\n')
    result = project.run("show", "--locks", *flags)

    assert (2, "") == (result.code, result.out)
    assert "the locks live where only the processes that took them can see them" in result.err


def test_dispatch_says_which_job_keeps_another_away(cli: Cli) -> None:
    """UNQ-04."""
    job_id = dispatched(cli, "Import", "path=a.csv")
    result = cli("dispatch", "Import", "path=a.csv")

    assert 0 == result.exit_code
    assert "" == result.stdout  # id=$(qcore dispatch ...) stays empty
    assert result.stderr.startswith(f"Nothing was pushed: the job {job_id} holds its lock {KEY!r} for another 9m 5")
    told = json.loads(cli("dispatch", "Import", "path=a.csv", "--json").stdout)
    assert 590 < told["skipped"].pop("left") <= 600
    assert {"id": None, "job": "jobs.unique:Import", "skipped": {"key": KEY, "owner": job_id}} == told


@pytest.mark.parametrize(("name", "where"), [("Import", "database"), ("Outer", "sync")])
def test_dispatch_says_nothing_of_locks_when_its_job_was_pushed(cli: Cli, name: str, where: str) -> None:
    """Others may have been skipped, while it ran."""
    arguments = ("path=a.csv",) if name == "Import" else ()
    told = json.loads(cli("dispatch", name, *arguments, "--connection", where, "--json").stdout)

    assert (["id", "job"], True) == (sorted(told), bool(told["id"]))


def test_retry_says_which_job_keeps_another_away(cli: Cli) -> None:
    """It stays failed, and the others are retried."""
    failed = [dispatched(cli, "Import", f"path={name}.csv") for name in "ab"]
    work(cli)
    other = dispatched(cli, "Import", "path=a.csv")
    result = cli("retry", "all")

    assert 1 == result.exit_code
    assert result.stderr.startswith(
        f"error: {failed[0]} stays failed: the job {other} holds its lock {KEY!r} for another "
    )
    assert f"{failed[1]} waits again\n" == result.stdout
    assert [failed[0]] == [json.loads(line)["id"] for line in cli("failed", "--json").stdout.splitlines()]
    work(cli)
    assert (0, f"{failed[0]} waits again\n") == ((result := cli("retry", failed[0])).exit_code, result.stdout)
