"""What only MySQL and MariaDB do: their plans, their pauses, and what a database may be set up like."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from qcore.clock import SystemClock
from qcore.driver import Effects, Lock, Payload, Push, Unlock
from qcore.drivers.database import DatabaseDriver
from qcore.errors import UnsupportedError
from qcore.sql import Database
from qcore.sql.connection import Connection
from qcore.sql.mysql import Mysql
from qcore.sql.mysql_statements import MysqlStatements
from qcore.sql.pausing import Pausing
from qcore.sql.trouble import LostError
from qcore.stores.database import DatabaseStore
from qtest.clock import FrozenClock
from qtest.contract_base import payload, reserved

if TYPE_CHECKING:
    from qtest.servers import MariaServer


@pytest.fixture(scope="module")
def server(maria_server: MariaServer) -> MariaServer:
    return maria_server


@pytest.fixture
def driver(database: Database) -> DatabaseDriver:
    return DatabaseDriver(database, SystemClock())


def explained(database: Database, sql: str, values: list[Any]) -> list[dict[str, Any]]:
    cursor = database.connection().raw.cursor()
    cursor.execute(f"EXPLAIN {sql}", values)
    names = [each[0] for each in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def filled(driver: DatabaseDriver) -> None:
    driver.bulk(Push(f"queue {number % 4}", payload(f"job {number}")) for number in range(2000))
    driver.home.connection().say("ANALYZE TABLE qcore_jobs")


@pytest.mark.parametrize("clock", [SystemClock(), None])
def test_reserve_uses_the_index_without_a_filesort(
    database: Database, driver: DatabaseDriver, clock: SystemClock | None
) -> None:
    filled(driver)
    statements = database.statements if clock is None else database.timed(clock).statements
    assert isinstance(statements, MysqlStatements)
    statement = statements.first_due

    [step] = explained(database, statement.sql, statement.values({"queue": "queue 1", "now": 9**14}))

    assert "qcore_jobs_due" == step["key"]
    assert "filesort" not in (step["Extra"] or "")


def test_looking_for_what_is_due_reads_one_entry_of_the_index(database: Database, driver: DatabaseDriver) -> None:
    filled(driver)

    plan = explained(database, database.timed(SystemClock()).statements.due_in(1).sql, ["queue 1"])

    assert ["Select tables optimized away"] == [each["Extra"] for each in plan if each["select_type"] == "SUBQUERY"]


def test_pauses_between_two_looks_grow_while_nothing_comes() -> None:
    clock, pausing = FrozenClock(), Pausing()
    pauses = []
    for _ in range(60):
        pausing.begin(clock)
        before = clock.monotonic()
        pausing.wait(60)
        pauses.append(clock.monotonic() - before)

    assert pytest.approx([0.02, 0.022]) == pauses[:2]
    assert pytest.approx(0.5) == pauses[-1]
    clock.advance(1)  # at work
    pausing.begin(clock)
    before = clock.monotonic()
    pausing.wait(60)
    assert clock.monotonic() - before == pytest.approx(0.02)


def test_many_rows_are_inserted_by_few_statements(
    database: Database, driver: DatabaseDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many that none of them is too long, in their order, and without those that are there."""
    expected = [payload(f"job {number:04}") for number in range(1000)]
    expected += [Payload(f"large {number}", b"\0" * 600_000) for number in range(3)]
    driver.push("default", expected[0])
    inserted, run = list[str](), Connection._run

    def counted(connection: Connection, sql: str, *arguments: Any, **options: Any) -> object:
        inserted.extend([sql] if sql.startswith("INSERT") else [])
        return run(connection, sql, *arguments, **options)

    monkeypatch.setattr(Connection, "_run", counted)
    driver.bulk(Push("default", each) for each in expected)

    assert 5 + 3 == len(inserted)
    assert expected == [each.payload for each in driver.listed("default", limit=2000)]


@pytest.mark.parametrize("what", ["locks", "counters"])
def test_many_who_want_one_key_wait_for_it_in_turn(
    database: Database, driver: DatabaseDriver, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """None is undone, whether the key is there, is free, or is being freed."""
    undone: list[int] = []
    monkeypatch.setattr("qcore.sql.database._let_others_pass", undone.append)
    store, meet = DatabaseStore(database, SystemClock()), threading.Barrier(4)

    def push(name: str) -> None:
        for number in range(50):
            if number % 10 == 0:
                meet.wait(30)
            own = f"{name} {number}"
            if what == "counters":
                store.increment("hits")
            elif driver.push_locked(Push(name, payload(own), 0, Lock("lock", own, None))) is None:
                driver.delete(reserved(driver, name), effects=Effects(unlocks=(Unlock("lock", own),)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(push, "abcd"))

    assert [] == undone
    assert (None if what == "locks" else "200") == store.get("hits")
    assert [] == store.held_below("lock")


def test_a_database_of_another_character_set_keeps_names_and_texts(maria_server: MariaServer) -> None:
    maria_server.say("CREATE OR REPLACE DATABASE latin CHARACTER SET latin1 COLLATE latin1_swedish_ci")
    database = Database(maria_server.url_of("latin"))
    database.create_all()
    driver, store = DatabaseDriver(database, SystemClock()), DatabaseStore(database, SystemClock())

    for name in ("\N{SNOWMAN}", "a", "A", "a "):
        driver.push(name, Payload(name, b""))
        store.put(name, f"{name}\N{SNOWMAN}")

    assert ["A", "a", "a ", "\N{SNOWMAN}"] == [each.queue for each in driver.counts()]
    assert "A\N{SNOWMAN}" == store.get("A")
    database.close()


def test_a_lock_is_that_of_the_very_owner(database: Database) -> None:
    """Also of one whose name differs in case, or by a space at the end."""
    store = DatabaseStore(database, SystemClock())
    store.put("lock", "Owner")

    assert [False, False, True] == [store.forget("lock", value=each) for each in ("owner", "Owner ", "Owner")]


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("8.0.36-0ubuntu0.22.04.1", True),
        ("8.0.16", False),
        ("5.7.44-log", False),
        ("9.1.0", True),
        ("10.11.6-MariaDB-0+deb12u1", True),
        ("5.5.5-10.5.23-MariaDB", False),
        ("5.5.5-10.6.0-MariaDB", True),
        ("11.4.2-MariaDB-ubu2404", True),
    ],
)
def test_servers_without_skip_locked_are_refused(database: Database, version: str, *, fits: bool) -> None:
    dialect = database.dialect
    assert isinstance(dialect, Mysql)
    expected = nullcontext() if fits else pytest.raises(UnsupportedError, match=f"{version}: qcore needs M.* or newer")

    with closing(dialect.connect()) as connection, expected:
        dialect._check_version(connection, version)


@pytest.mark.parametrize("code", [3169, 4031])
def test_a_connection_that_mysql_ended_is_lost_and_not_in_trouble(database: Database, code: int) -> None:
    """MySQL tells who was idle for too long by an error of its own, where MariaDB hangs up."""
    error = pymysql.OperationalError(code, "The client was disconnected by the server because of inactivity.")

    assert isinstance(database.dialect.explained(error), LostError)


def test_a_binary_log_of_statements_is_told_with_what_to_do(database: Database) -> None:
    error = pymysql.OperationalError(1665, "Cannot execute statement: impossible to write to binary log since ...")

    told = str(database.dialect.explained(error))

    assert "binary log" in told
    assert "set its binlog_format to ROW or MIXED" in told
