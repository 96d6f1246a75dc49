"""The database driver on real SQLite files keeps every promise, also between processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Effects, Payload, Push, Settled
from qcore.drivers.database import DatabaseDriver
from qcore.errors import DriverError
from qcore.failed import FailedJob
from qcore.sql import Database
from qtest.clock import FrozenClock
from tests.contract.on_databases import (
    DatabaseBatchStoreContract,
    DatabaseDriverContract,
    DatabaseFailedStoreContract,
    DatabaseStoreContract,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.clock import Clock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/queue.sqlite3")
    yield database
    database.close()


class TestSqliteDriver(DatabaseDriverContract):
    pass


class TestSqliteStore(DatabaseStoreContract):
    pass


class TestSqliteFailedStore(DatabaseFailedStoreContract):
    pass


class TestSqliteBatchStore(DatabaseBatchStoreContract):
    pass


def make(path: Path, clock: Clock | None = None) -> DatabaseDriver:
    return DatabaseDriver(Database(f"sqlite:///{path}"), clock or SystemClock())


def python(script: str, path: Path) -> subprocess.Popen[str]:
    """Start a plain Python process that has ``driver`` over the file."""
    start = f"""
import os, sys, threading, weakref
from qcore.clock import SystemClock
from qcore.driver import Payload
from qcore.drivers.database import DatabaseDriver
from qcore.sql import Database

database = Database("sqlite:///{path}")
driver = DatabaseDriver(database, SystemClock())
"""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", start + textwrap.dedent(script)],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_four_processes_reserve_each_of_2000_jobs_exactly_once(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    expected = [f"job {number}" for number in range(2000)]
    driver = make(path)
    driver.bulk(Push("default", Payload(job_id, b"body")) for job_id in expected)
    drain = """
    sys.stdin.readline()
    while (reservation := driver.reserve(["default"])) is not None:
        print(reservation.payload.id, reservation.attempts, driver.delete(reservation).value, sep=",")
    """
    processes = [python(drain, path) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=120) for process in processes]

    assert [""] * 4 == [errors for _, errors in outcomes]
    assert sorted(f"{job_id},1,done" for job_id in expected) == sorted(
        "".join(out for out, _ in outcomes).split("\n")[:-1]
    )


def test_four_processes_can_push_and_reserve_at_once(tmp_path: Path) -> None:
    """They also make the file, its folder and its tables at once."""
    path = tmp_path / "deep" / "er" / "queue.sqlite3"
    churn = """
    sys.stdin.readline()
    for number in range(200):
        driver.push("default", Payload(f"{os.getpid()} {number}", b"body"))
        print(driver.delete(driver.reserve(["default"], wait=60)).value)
    """
    processes = [python(churn, path) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=120) for process in processes]

    assert [("done\n" * 200, "")] * 4 == outcomes
    assert make(path).size("default") == 0


def test_a_job_of_a_process_that_was_killed_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    before = SystemClock().now()
    make(path).push("default", Payload("job", b"\0\xff"))
    process = python('print(driver.reserve(["default"]).token, flush=True); sys.stdin.readline()', path)
    assert process.stdout is not None
    token = int(process.stdout.readline())
    after = SystemClock().now()
    process.kill()
    process.communicate(timeout=60)

    assert make(path, FrozenClock(before + 89)).reserve(["default"]) is None
    found = make(path, FrozenClock(after + 91)).reserve(["default"])
    assert found is not None
    assert ("job", b"\0\xff", 2) == (*found.payload, found.attempts)
    assert found.token > token


def test_an_idle_process_wakes_for_a_push_of_another(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    process = python('print("idle", flush=True); print(driver.reserve(["default"], wait=60).payload.id)', path)
    assert process.stdout is not None
    process.stdout.readline()
    make(path).push("default", Payload("job", b""))

    assert ("job\n", "") == process.communicate(timeout=120)


def test_a_forked_process_opens_its_own_connections_and_leaves_those_of_its_parent_alone(tmp_path: Path) -> None:
    """Also those of other threads, and also when it ends the long way, by which Python frees every object."""
    path = tmp_path / "queue.sqlite3"
    process = python(
        """
        driver.push("default", Payload("of parent", b""))
        mine = database.connection()
        others, begun, done = [], threading.Event(), threading.Event()

        def hold():
            with database.connection().transaction():  # in the middle of writing
                database.connection().say("DELETE FROM qcore_jobs")
                others.append(weakref.ref(database.connection()))
                begun.set()
                done.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        begun.wait()
        child = os.fork()
        if child == 0:
            assert database.connection() is not mine
            assert driver.size("default") == 1
            assert not mine.usable
            assert others[0]() is not None, "freed, and so closed, with its thread"
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        done.set()
        thread.join()
        assert database.connection() is mine
        driver.push("default", Payload("again", b""))
        print(driver.size("default"), mine.say("PRAGMA integrity_check"))
        """,
        path,
    )

    assert ("1 [('ok',)]\n", "") == process.communicate(timeout=60)


def test_a_forked_process_never_closes_what_it_inherited(tmp_path: Path) -> None:
    """Not even as the last process on the file: closing would write the log into the file, and remove it."""
    path = tmp_path / "queue.sqlite3"
    process = python(
        """
        driver.push("default", Payload("of parent", b""))
        alive, parent = os.pipe()
        if os.fork():
            os._exit(0)
        os.close(parent)
        os.read(alive, 1)  # until the parent is gone
        database.close()
        print("ends the long way")
        """,
        path,
    )

    assert ("ends the long way\n", "") == process.communicate(timeout=60)
    assert path.with_name("queue.sqlite3-wal").exists()
    assert make(path).size("default") == 1


def test_a_connection_on_which_a_call_was_interrupted_is_never_used_again(tmp_path: Path) -> None:
    clock = FrozenClock()
    driver = make(tmp_path / "queue.sqlite3", clock)
    driver.push("default", Payload("job", b""))
    database = driver.home
    assert isinstance(database, Database)
    interrupted = database.connection()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    interrupted.raw.row_factory = interrupt  # reached when the statement has run and its answer is being read
    with pytest.raises(KeyboardInterrupt):
        driver.reserve(["default"])

    assert not interrupted.usable
    assert database.connection() is not interrupted
    clock.advance(driver.retry_after)
    assert driver.reserve(["default"]) is not None


def test_an_interrupted_transaction_is_undone(tmp_path: Path) -> None:
    driver = make(tmp_path / "queue.sqlite3")
    driver.push("default", Payload("job", b""))
    database = driver.home
    assert isinstance(database, Database)
    interrupted = database.connection()

    def interrupted_transaction() -> None:
        with interrupted.transaction():
            interrupted.say("DELETE FROM qcore_jobs")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted_transaction()

    assert not interrupted.usable
    assert driver.size("default") == 1


def test_a_delete_whose_effects_the_database_refuses_is_undone(tmp_path: Path) -> None:
    """Deleted, pushed and failed in one transaction: when the last step fails, the job is still reserved."""
    driver = make(tmp_path / "queue.sqlite3")
    driver.push("default", Payload("job", b""))
    reservation = driver.reserve(["default"])
    assert reservation is not None
    database = driver.home
    assert isinstance(database, Database)
    database.connection().say("DROP TABLE qcore_failed_jobs")
    failed = FailedJob(reservation.payload, "database", "default", "Traceback", 0)

    with pytest.raises(DriverError, match="qcore db create"):
        driver.delete(reservation, effects=Effects((Push("next", Payload("link", b"")),), failed), only_last=True)
    assert (1, 0) == (driver.size("default"), driver.size("next"))
    assert driver.delete(reservation, only_last=True) is Settled.DONE


@pytest.mark.parametrize("body", ['\'{"by": "hand"}\'', "42", "x'00ff'"], ids=["text", "a number", "bytes"])
def test_what_was_written_by_hand_comes_as_bytes(tmp_path: Path, body: str) -> None:
    database = Database(f"sqlite:///{tmp_path}/queue.sqlite3")
    driver = DatabaseDriver(database, SystemClock())
    database.connection().say(
        "INSERT INTO qcore_jobs (uuid, queue, body, attempts, token, verdict, available_at, created_at) "
        f"VALUES ('hand', 'default', {body}, 0, 0, '', 0, 0)"
    )

    [listed] = driver.listed("default")
    reservation = driver.reserve(["default"])

    assert reservation is not None
    assert bytes is type(reservation.payload.body)
    assert listed.payload == reservation.payload


def test_a_file_that_is_deleted_under_a_waiting_process_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite3"
    driver = DatabaseDriver(Database(f"sqlite:///{path}"), FrozenClock())
    assert driver.reserve(["default"], wait=1) is None

    path.unlink()

    with pytest.raises(DriverError, match=r"queue\.sqlite3 was deleted or replaced while it was in use"):
        driver.reserve(["default"], wait=1)
    driver.push("default", Payload("new", b""))
    assert path.exists()
    assert driver.reserve(["default"]) is not None


def test_tables_that_were_never_stamped_are_finished(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/queue.sqlite3"
    first = Database(url)
    first.connection().say("DELETE FROM qcore_schema")
    first.close()

    DatabaseDriver(Database(url), FrozenClock()).push("default", Payload("1", b""))

    assert [(2,)] == first.connection().say("SELECT version FROM qcore_schema")
    first.close()


def test_waiting_takes_no_write_lock(tmp_path: Path) -> None:
    """An idle worker looks without disturbing those who write."""
    clock = FrozenClock()
    path = tmp_path / "queue.sqlite3"
    driver = make(path, clock)
    driver.push("default", Payload("job", b""), delay=100)
    database = driver.home
    assert isinstance(database, Database)
    said: list[str] = []
    database.connection().raw.set_trace_callback(said.append)

    assert driver.reserve(["default"], wait=50) is None
    assert 1 == len([sql for sql in said if sql.startswith("UPDATE")])
    assert 1000 <= len([sql for sql in said if sql.startswith("PRAGMA data_version")]) <= 2500
