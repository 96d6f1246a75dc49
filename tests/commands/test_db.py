"""``qcore db``: the tables."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from qtest.servers import MariaServer, PostgresServer
    from tests.commands.conftest import Cli, Project


def tables(path: str) -> set[str]:
    database = sqlite3.connect(path)
    names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    database.close()
    return names


def test_create_makes_the_tables_and_says_where(project: Project) -> None:
    finished = project.run("db", "create")

    path = project.root / ".qcore/queue.sqlite3"
    assert (0, f"The tables are there: database ({path})\n", "") == finished
    assert {"qcore_jobs", "qcore_failed_jobs", "qcore_keys", "qcore_schema"} <= tables(str(path))


def test_create_again_does_no_harm(project: Project, cli: Cli) -> None:
    cli("dispatch", "Fails")

    assert 0 == cli("db", "create", "database").exit_code
    assert '"ready": 1' in cli("show", "--json").stdout


def test_a_connection_without_a_database_is_refused(cli: Cli) -> None:
    result = cli("db", "create", "memory")

    expected = "the connection 'memory' has no database: name one whose driver is 'database'"
    assert (2, f"error: {expected}\n") == (result.exit_code, result.stderr)


def test_sql_makes_the_same_tables(project: Project) -> None:
    finished = project.run("db", "sql")
    database = sqlite3.connect(project.root / "other.sqlite3")
    database.executescript(finished.out)
    database.close()

    project.run("db", "create")

    made = tables(str(project.root / ".qcore/queue.sqlite3"))
    assert (0, made) == (finished.code, tables(str(project.root / "other.sqlite3")))


@pytest.mark.parametrize(
    ("dialect", "word"),
    [("postgresql", "BYTEA"), ("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin"), ("sqlite", "BLOB")],
)
def test_sql_speaks_the_dialect(cli: Cli, dialect: str, word: str) -> None:
    result = cli("db", "sql", "--dialect", dialect)

    assert (0, True) == (result.exit_code, word in result.stdout)


def test_sql_speaks_the_dialect_of_the_default_connection(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, postgres_server: PostgresServer, maria_server: MariaServer
) -> None:
    """Also that of a MariaDB whose URL says MySQL."""
    for url, word in {
        postgres_server.fresh(): "BYTEA",
        maria_server.fresh().replace("mariadb://", "mysql://"): "utf8mb4_nopad_bin",
    }.items():
        monkeypatch.setenv("QCORE_CONNECTIONS_DATABASE_URL", url)
        result = cli("db", "sql")

        assert (0, True) == (result.exit_code, word in result.stdout)


def test_without_a_database_a_dialect_is_to_be_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCORE_CONNECTION", "memory")

    expected = "error: the connection 'memory' has no database: say --dialect\n"
    assert (2, expected) == ((result := cli("db", "sql")).exit_code, result.stderr)


def test_an_unknown_dialect_is_refused(cli: Cli) -> None:
    result = cli("db", "sql", "--dialect", "oracle")

    assert (2, 1) == (result.exit_code, len(result.stderr.splitlines()))
