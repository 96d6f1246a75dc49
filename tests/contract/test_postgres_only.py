"""What only PostgreSQL does: plans by the index, and notifications for those who wait."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from qcore.clock import SystemClock
from qcore.driver import Push
from qcore.drivers.database import DatabaseDriver
from qcore.sql import Database, listening
from qcore.sql.trouble import LostError
from qtest.contract_base import payload

if TYPE_CHECKING:
    from qtest.servers import PostgresServer


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> PostgresServer:
    return postgres_server


@pytest.fixture
def driver(database: Database) -> DatabaseDriver:
    return DatabaseDriver(database, SystemClock())


def explained(database: Database, sql: str, values: list[Any]) -> str:
    raw = database.connection().raw
    return "\n".join(row[0] for row in raw.execute(f"EXPLAIN {sql}", values).fetchall())


def filled(driver: DatabaseDriver) -> None:
    driver.bulk(Push(f"queue {number % 4}", payload(f"job {number}")) for number in range(4000))
    driver.home.connection().say("ANALYZE qcore_jobs")


@pytest.mark.parametrize("queues", [1, 3])
@pytest.mark.parametrize("clock", [SystemClock(), None])
def test_reserve_uses_the_index_and_never_sorts(
    database: Database, driver: DatabaseDriver, queues: int, clock: SystemClock | None
) -> None:
    filled(driver)
    statements = database.statements if clock is None else database.timed(clock).statements
    statement = statements.reserve(queues)
    inputs = [f"queue {name[-1]}" if name.startswith("queue") else 9**13 for name in statement.inputs]

    plan = explained(database, statement.sql, inputs)

    assert queues == plan.count("Index Scan using qcore_jobs_due on qcore_jobs"), plan
    assert "Sort" not in plan
    assert "Seq Scan" not in plan


def test_looking_for_what_is_due_reads_one_entry_of_the_index(database: Database, driver: DatabaseDriver) -> None:
    filled(driver)

    plan = explained(database, database.timed(SystemClock()).statements.due_in(1).sql, ["queue 1"])

    assert "Index Only Scan using qcore_jobs_due" in plan
    assert "Limit" in plan


def test_looking_for_what_a_lost_answer_gave_leaves_out_what_is_delayed_for_longer(
    database: Database, driver: DatabaseDriver
) -> None:
    driver.bulk(Push("default", payload(f"job {number}"), 3600) for number in range(2000))
    database.connection().say("ANALYZE qcore_jobs")
    statement = database.timed(SystemClock()).statements.taken_by
    values = statement.values({"queue": "default", "call": 1, "lease_end": 90_000, "now": 0})

    raw = database.connection().raw
    plan = "\n".join(row[0] for row in raw.execute(f"EXPLAIN ANALYZE {statement.sql}", values).fetchall())

    assert "qcore_jobs_due" in plan
    assert "Rows Removed by Filter" not in plan


# Notifications.


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits looks again after a minute, unless he is told to."""
    monkeypatch.setattr(listening, "_POLL", 60.0)


def waiting(database: Database) -> int:
    """Count the queues that somebody waits for."""
    held = f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {listening.IDLE}"
    [(count,)] = database.connection().say(held)
    return int(count)


def nobody_waits(database: Database) -> None:
    """Let the server notice that connections of other tests were closed."""
    while waiting(database):
        pass


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("how", ["push", "bulk", "release", "extend"])
def test_who_waits_is_told_at_once(database: Database, driver: DatabaseDriver, how: str) -> None:
    held = None
    if how in {"release", "extend"}:
        driver.push("high", payload())
        held = driver.reserve(["high"])
    with ThreadPoolExecutor(1) as pool:
        begin = SystemClock().monotonic()
        waits = pool.submit(driver.reserve, ["high", "low"], wait=60)
        while waiting(database) < 2:
            pass
        if how == "push":
            driver.push("low", payload())
        elif how == "bulk":
            driver.bulk([Push("low", payload()), Push("low", payload("2"))])
        elif how == "release":
            assert held is not None
            driver.release(held)
        else:
            assert held is not None
            driver.extend(held, 0)
        found = waits.result(55)

    assert (found and found.payload.id) == "job"
    assert SystemClock().monotonic() - begin < 50


@pytest.mark.usefixtures("patient")
def test_a_job_that_is_written_by_a_transaction_wakes_at_its_commit(database: Database, driver: DatabaseDriver) -> None:
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(driver.reserve, ["default"], wait=60)
        while waiting(database) < 1:
            pass
        raw = database.connection().raw
        with raw.transaction():
            driver.joined(raw).push("default", payload())
        found = waits.result(55)

    assert (found and found.payload.id) == "job"


def test_nobody_is_told_of_a_push_when_nobody_waits(database: Database, driver: DatabaseDriver) -> None:
    """NOTIFY takes a lock of the whole server until the commit."""
    nobody_waits(database)
    [(number,)] = database.connection().say("SELECT hashtext('default')")
    heard: list[str] = []
    with closing(database.dialect.connect()) as ear:
        ear.raw.add_notify_handler(lambda notify: heard.append(notify.channel))
        ear.say(f'LISTEN "qcore_{number}"')
        driver.push("default", payload("first"))
        driver.push("other", payload("second"))
        ear.say("SELECT 1")
        assert [] == heard

        ear.say(f"SELECT pg_advisory_lock_shared({listening.IDLE}, {number})")
        driver.push("other", payload("third"))
        driver.push("default", payload("fourth"))
        ear.say("SELECT 1")
        assert [f"qcore_{number}"] == heard


def test_who_is_busy_listens_no_more(database: Database, driver: DatabaseDriver) -> None:
    """Who finds a job without having waited for it."""
    nobody_waits(database)
    driver.push("default", payload(), delay=0.2)
    assert driver.reserve(["default"], wait=60) is not None
    assert 1 == waiting(database), "whether that was all, nobody knows"

    driver.push("default", payload("2"))
    assert driver.reserve(["default"], wait=60) is not None
    assert 0 == waiting(database)
    assert driver.reserve(["default"], wait=0.01) is None
    assert 1 == waiting(database)


def test_without_notifications_jobs_are_found_by_looking(
    database: Database, driver: DatabaseDriver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise LostError("no more connections")

    monkeypatch.setattr(listening.Ear, "_listen", refuse)
    monkeypatch.setattr(listening, "_TRY_AGAIN", 0.01)
    with caplog.at_level(logging.WARNING, "qcore"):
        for _ in range(4):
            assert driver.reserve(["default"], wait=0.1) is None
        driver.push("default", payload(), delay=0.1)
        assert driver.reserve(["default"], wait=60) is not None

    assert ["no more connections; looking for jobs every 50 ms until it listens"] == caplog.messages


def test_a_connection_that_was_idle_for_too_long_is_replaced(
    url: str, database: Database, driver: DatabaseDriver
) -> None:
    """As a server ends it that has an idle_session_timeout."""
    driver.push("default", payload("first"))
    idle = database.connection()
    ended = f"SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = {idle.raw.info.backend_pid})"
    idle.say("SET idle_session_timeout = 1")
    with closing(Database(url)) as other:
        while not other.connection().raw.execute(ended).fetchone()[0]:
            pass

    driver.push("default", payload("second"))

    assert 2 == driver.size("default")
    assert not idle.usable
