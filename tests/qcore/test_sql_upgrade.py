"""A SQLite file of an older qcore gets the tables that it lacks, and keeps what is in it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from qcore.driver import Lock, Payload, Push
from qcore.drivers.database import DatabaseDriver
from qcore.errors import DriverError
from qcore.sql import Database, ddl
from qcore.stores.database_batches import DatabaseBatchStore
from qtest import FrozenClock
from qtest.contract_records import BATCH, EVERY, dispatched

VERSION_1 = """
CREATE TABLE IF NOT EXISTS qcore_failed_jobs (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    uuid VARCHAR(190) NOT NULL,
    connection VARCHAR(190) NOT NULL,
    queue VARCHAR(190) NOT NULL,
    body BLOB NOT NULL,
    exception TEXT NOT NULL,
    failed_at DOUBLE NOT NULL,
    UNIQUE (uuid)
);
CREATE TABLE IF NOT EXISTS qcore_jobs (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    uuid VARCHAR(190) NOT NULL,
    queue VARCHAR(190) NOT NULL,
    body BLOB NOT NULL,
    attempts BIGINT NOT NULL,
    token BIGINT NOT NULL,
    verdict TEXT NOT NULL,
    available_at BIGINT NOT NULL,
    reserved_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE (uuid)
);
CREATE INDEX IF NOT EXISTS qcore_jobs_due ON qcore_jobs (queue, available_at, id);
CREATE TABLE IF NOT EXISTS qcore_keys (
    "key" VARCHAR(255) NOT NULL,
    value TEXT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY ("key")
);
CREATE INDEX IF NOT EXISTS ix_qcore_keys_expires_at ON qcore_keys (expires_at);
CREATE TABLE IF NOT EXISTS qcore_schema (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
INSERT INTO qcore_schema (version)
    SELECT 1 FROM (SELECT COUNT(*) AS known FROM qcore_schema) AS had WHERE had.known = 0;
"""
"""The tables as version 1 of them was made. It is what lies on disks: never change it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with tables of version 1, and a job in them."""
    path = tmp_path / "queue.sqlite3"
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(VERSION_1)
        old.execute("INSERT INTO qcore_jobs VALUES (7, 'old', 'default', x'00ff', 2, 117440514, '', 0, NULL, 0)")
        old.execute("INSERT INTO qcore_keys VALUES ('key', 'old', NULL)")
    return path


def schema(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
        return [(name, " ".join(sql.split())) for name, sql in rows]


def versions(path: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT version FROM qcore_schema").fetchall()


def test_a_file_of_version_1_is_upgraded_when_it_is_opened(path: Path, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    driver = DatabaseDriver(database, clock := FrozenClock())

    assert driver.push_locked(Push("default", Payload("new", b""), 0, Lock("key", "new", None))) == "old"
    reservation = driver.reserve(["default"])
    assert reservation is not None
    assert (Payload("old", b"\0\xff"), 3) == (reservation.payload, reservation.attempts)
    record = dispatched(DatabaseBatchStore(database, clock), EVERY, "a")
    database.close()

    assert (BATCH, 1) == (record.id, record.pending)
    with closing(sqlite3.connect(tmp_path / "new")) as new:
        new.executescript(ddl("sqlite"))
    assert (schema(tmp_path / "new"), [(2,)]) == (schema(path), versions(path))


def test_a_file_of_version_1_can_be_upgraded_by_hand(path: Path) -> None:
    """`qcore db create` does this, and what `qcore db sql` prints."""
    database = Database(f"sqlite:///{path}", create=False)
    before = schema(path)
    with pytest.raises(DriverError, match=r"no tables of qcore, or old ones: run `qcore db create`$"):
        database.connection()
    assert (before, [(1,)]) == (schema(path), versions(path))

    with closing(sqlite3.connect(path)) as by_hand:
        by_hand.executescript(ddl("sqlite"))
    assert DatabaseDriver(database, FrozenClock()).size("default") == 1
    database.create_all()
    database.close()

    assert [(2,)] == versions(path)


def test_several_processes_can_upgrade_a_file_at_once(path: Path) -> None:
    script = f"""
import os, sys
from qcore.batches import State
from qcore.clock import SystemClock
from qcore.sql import Database
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.contract_records import BATCH, EVERY, new_batch

batches = DatabaseBatchStore(Database("sqlite:///{path}"), SystemClock())
print("ready", flush=True)
sys.stdin.readline()
batches.create(new_batch(EVERY))
batches.add(BATCH, [str(os.getpid())], [])
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    outcomes = [process.communicate("go\n", timeout=60) for process in processes]

    assert [("", "")] * 4 == outcomes
    database = Database(f"sqlite:///{path}")
    record = DatabaseBatchStore(database, FrozenClock()).find(BATCH)
    assert record is not None
    assert ([(2,)], 4) == (versions(path), record.pending)
    assert DatabaseDriver(database, FrozenClock()).size("default") == 1
    database.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("find_batch", "SEARCH qcore_batches USING INDEX sqlite_autoindex_qcore_batches_1 (id=?)"),
        ("list_batches", "SCAN qcore_batches USING INDEX qcore_batches_newest"),
        ("member_state", "SEARCH qcore_batch_members USING PRIMARY KEY (batch_id=? AND member=?)"),
        (
            "list_members",
            "SEARCH qcore_batch_members USING COVERING INDEX qcore_batch_members_state (batch_id=? AND state=?)",
        ),
    ],
)
def test_batches_and_their_members_are_found_by_an_index(path: Path, name: str, expected: str) -> None:
    """And are never sorted."""
    database = Database(f"sqlite:///{path}")
    statement = getattr(database.statements, name)
    connection = database.connection()

    plan = connection.raw.execute(f"EXPLAIN QUERY PLAN {statement.sql}", [1] * len(statement.inputs)).fetchall()
    assert [expected] == [row[3] for row in plan]
    database.close()
