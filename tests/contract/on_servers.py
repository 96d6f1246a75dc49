"""What a database on a server has to stand, whatever kind it is: other processes, lost connections, odd names."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Effects, Lock, Payload, Push, Settled
from qcore.drivers.database import DatabaseDriver
from qcore.errors import DriverError
from qcore.failed import FailedJob
from qcore.sql import Database
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.contract_base import payload, reserved
from qtest.contract_records import callbacks, new_batch, options, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.sql.connection import Runs
    from qtest.servers import MariaServer, PostgresServer

NAMES = [
    " ",
    "a b",
    "a\r\ndelete 1",
    "{x}",
    "a}b{",
    "x:delayed",
    "x:reserved",
    "*",
    "?[a]",
    "../../etc/passwd",
    "';DROP TABLE qcore_jobs;--",
    '"; DROP TABLE qcore_jobs; --',
    "%s%n",
    "%(queue)s",
    "\\",
    "\\'",
    "${jndi:x}",
    "-x",
    "\u202eabc",
    "zero\u200bwidth",
    "\N{LATIN SMALL LETTER E WITH ACUTE}",
    "e\N{COMBINING ACUTE ACCENT}",
    "Default",
    "default",
    "default ",
    "DEFAULT",
    "stra\N{LATIN SMALL LETTER SHARP S}e",
    "strasse",
    "\N{SNOWMAN}\N{GRINNING FACE}",
    "x" * 190,
]

BODIES = [
    b"",
    b"null",
    b"\0",
    b"\xff\xfe\0\xd8",
    bytes(range(256)) * 300,
    b"'; DROP TABLE qcore_jobs; --",
    b"%s %(x)s \\' \\\\",
    b"\xef\xbb\xbf{}",
]


JOBS = int(os.environ.get("QCORE_TEST_JOBS", "600"))
"""How many jobs some processes share. More find more."""


class Ahead(SystemClock):
    """The clock of a machine that is an hour ahead."""

    now = staticmethod(lambda: SystemClock.now() + 3600)


class ServerContract:
    """Subclass it beside fixtures ``url``, ``database`` (with empty tables) and ``server``."""

    keeps_nul: bool
    """A text may hold the character 0."""

    others: str
    """Lists the numbers of all connections to the database but the one that asks."""
    ending: str
    """Ends the connection of a number."""

    def kill_connections(self, url: str) -> None:
        """Let the server end all connections to the database but the one that says so."""
        with closing(Database(url)) as own:
            for (number,) in own.connection().say(self.others):
                own.connection().say(self.ending.format(number))

    # The time of the server counts.

    def test_a_process_whose_clock_is_wrong_does_no_harm(self, database: Database) -> None:
        right, ahead = DatabaseDriver(database, SystemClock()), DatabaseDriver(database, Ahead())
        ahead.push("default", payload("now"))
        right.push("default", payload("later"), delay=600)
        held = reserved(right)

        assert held.payload.id == "now"
        assert ahead.reserve(["default"]) is None, "neither is the lease over, nor the delay"
        assert [("now", "reserved"), ("later", "delayed")] == [
            (each.payload.id, each.state) for each in ahead.listed("default")
        ]
        assert [(0, 1, 1)] == [(each.ready, each.delayed, each.reserved) for each in ahead.counts()]
        found = right.find("later")
        assert found is not None
        assert 590 < found.available_at - SystemClock().now() <= 601
        assert ahead.extend(held, 300) is Settled.DONE
        assert right.release(held, delay=300) is Settled.DONE
        assert ahead.reserve(["default"]) is None
        assert 290 < (right.next_due(["default"]) or 0) - SystemClock().now() <= 301
        right.push("ready", payload("ready"))
        [waited] = [each.waited for each in ahead.counts() if each.queue == "ready"]
        assert waited is not None
        assert 0 <= waited < 60

    def test_keys_live_by_the_time_of_the_server(self, database: Database) -> None:
        right, ahead = DatabaseStore(database, SystemClock()), DatabaseStore(database, Ahead())
        right.put("put", "1", ttl=600)
        assert right.add("added", "1", ttl=600)
        assert right.increment("counter", ttl=600) == 1

        assert ["1", "1", "1"] == [ahead.get(key) for key in ("put", "added", "counter")]
        assert not ahead.add("added", "2", ttl=1)
        assert ahead.increment("counter", by=5) == 6
        held = ahead.held("counter")
        assert held is not None
        assert 590 < (held.expires_at or 0) - SystemClock().now() <= 601
        driver = DatabaseDriver(database, Ahead())
        assert driver.push_locked(Push("default", payload("b"), 0, Lock("lock", "b", 60))) is None
        assert driver.push_locked(Push("default", payload("c"), 0, Lock("lock", "c", 60))) == "b"

    def test_what_is_delayed_is_never_early(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        for _ in range(20):
            begin = SystemClock().monotonic()
            driver.push("default", payload(), delay=0.003)
            while (held := driver.reserve(["default"], wait=5)) is None:
                pass
            assert SystemClock().monotonic() - begin >= 0.003
            driver.delete(held)

    def test_a_job_becomes_due_while_somebody_waits(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        driver.push("low", payload(), delay=0.3)

        assert driver.reserve(["high", "low"], wait=60) is not None

    # Names and payloads.

    def test_names_stay_apart_and_come_back_as_they_were(self, database: Database) -> None:
        driver, store = DatabaseDriver(database, SystemClock()), DatabaseStore(database, SystemClock())
        for name in NAMES:
            driver.push(name, Payload(f"id {name}"[:190], name.encode()))
            assert store.add(name, name)

        assert sorted(NAMES) == [each.queue for each in driver.counts()]
        for name in NAMES:
            held = reserved(driver, name)
            assert (name, f"id {name}"[:190], name.encode()) == (held.queue, *held.payload)
            assert driver.reserve([name]) is None
            assert store.get(name) == name

    def test_ids_stay_apart(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        for name in NAMES:
            driver.push("default", Payload(name, b""))

        assert NAMES == [each.payload.id for each in driver.listed("default")]
        assert [name for name in NAMES if driver.find(name) is not None] == NAMES

    @pytest.mark.parametrize("name", ["x" * 191, "x" * 10_000, "\N{SNOWMAN}" * 191])
    def test_names_that_no_column_holds_are_refused(self, database: Database, name: str) -> None:
        driver, store = DatabaseDriver(database, SystemClock()), DatabaseStore(database, SystemClock())

        with pytest.raises(DriverError, match=r"is too long by \d+ characters: the database keeps 190 of a queue"):
            driver.push(name, payload())
        with pytest.raises(DriverError, match="the database keeps 190 of a uuid"):
            driver.push("default", payload(name))
        with pytest.raises(DriverError, match="the database keeps 255 of a key"):
            store.add(name * 2, "value")
        assert driver.counts() == []
        assert store.held_below("") == []

    def test_a_name_with_a_nul_is_kept_or_refused(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        if self.keeps_nul:
            driver.push("a\0b", payload("nul"))
            assert ["a\0b"] == [each.queue for each in driver.counts()]
            return
        with pytest.raises(DriverError, match=r"cannot contain NUL"):
            driver.push("a\0b", payload("nul"))
        assert driver.counts() == []

    @pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
    def test_payloads_come_back_byte_by_byte(self, database: Database, body: bytes) -> None:
        driver, failed = DatabaseDriver(database, SystemClock()), DatabaseFailedStore(database)
        driver.push("default", payload("job", body))
        held = reserved(driver)
        record = FailedJob(held.payload, "database", "default", "a traceback with \0 and \udcff and \N{SNOWMAN}", 1.1)
        driver.delete(held, effects=Effects((Push("next", payload("link", body)),), record), only_last=True)

        kept = failed.find("job")
        assert [body] * 3 == [held.payload.body, reserved(driver, "next").payload.body, kept and kept.payload.body]
        assert (kept and kept.failed_at) == 1.1

    def test_attempts_do_not_overflow(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        driver.push("default", payload())
        database.connection().say("UPDATE qcore_jobs SET attempts = 3000000000")

        assert reserved(driver).attempts == 3_000_000_001

    # Connections.

    def test_a_connection_that_the_server_ended_is_replaced_without_a_word(self, url: str, database: Database) -> None:
        driver, store = DatabaseDriver(database, SystemClock()), DatabaseStore(database, SystemClock())
        driver.push("default", payload("first"))
        calls: list[Callable[[], object]] = [
            lambda: driver.push("default", payload("second")),
            lambda: driver.bulk([Push("default", payload("third"))]),
            lambda: store.increment("counter"),
            lambda: driver.size("default"),
            lambda: driver.delete(reserved(driver), effects=Effects((Push("next", payload("link")),))),
        ]
        found = []
        for call in calls:
            before = database.connection()
            self.kill_connections(url)
            found.append(call())
            assert not before.usable

        assert [None, None, 1, 3, Settled.DONE] == found
        assert (2, 1) == (driver.size("default"), driver.size("next"))

    def test_a_step_that_is_cut_off_is_undone_and_done_again(self, url: str, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        cut: list[bool] = []

        def act(runs: Runs) -> None:
            statements = database.timed(SystemClock()).statements
            runs.changed(statements.push, uuid="job", queue="default", body=b"", due=0)
            if not cut:
                cut.append(True)
                self.kill_connections(url)
            runs.changed(statements.push, uuid="job 2", queue="default", body=b"", due=0)

        database.atomically(act)

        assert ["job", "job 2"] == [each.payload.id for each in driver.listed("default")]

    def test_a_wait_is_not_disturbed_by_a_connection_that_ends(self, url: str, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        with ThreadPoolExecutor(1) as pool:
            waits = pool.submit(driver.reserve, ["default"], wait=60)
            while waits.running() and not self.connections(url):
                pass
            self.kill_connections(url)
            driver.push("default", payload())
            found = waits.result(50)

        assert (found and found.payload.id) == "job"

    def connections(self, url: str) -> int:
        """Count the others' connections to the database."""
        with closing(Database(url)) as own:
            return len(own.connection().say(self.others))

    def test_an_interrupted_call_leaves_its_connection_unused(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        driver.push("default", payload())
        interrupted = database.connection()
        raw = interrupted.raw

        class Interrupts:
            def cursor(self) -> object:
                raise KeyboardInterrupt

            def close(self) -> None:
                raw.close()

        interrupted.raw = Interrupts()
        with pytest.raises(KeyboardInterrupt):
            driver.size("default")

        assert not interrupted.usable
        assert driver.size("default") == 1

    def test_a_forked_process_opens_its_own_connection(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        driver.push("default", payload())
        mine = database.connection()
        child = os.fork()
        if child == 0:
            own = database.connection() is not mine and driver.size("default") == 1
            database.close()
            os._exit(0 if own else 1)

        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert database.connection() is mine
        assert driver.size("default") == 1

    # Many at once.

    def test_steps_that_lock_each_other_out_are_done_again(self, database: Database) -> None:
        """Each holds what the other one wants: the server undoes one of them, and nobody hears of it."""
        meet = threading.Barrier(2)
        store = DatabaseStore(database, SystemClock())
        for key in "ab":
            store.put(key, "0")
        statements = database.timed(SystemClock()).statements
        runs_of: dict[str, int] = {"ab": 0, "ba": 0}

        def both(order: str) -> None:
            def act(runs: Runs) -> None:
                runs_of[order] += 1
                runs.changed(statements.change_key, key=order[0], value=order)
                if runs_of[order] == 1:
                    meet.wait(30)
                runs.changed(statements.change_key, key=order[1], value=order)

            database.atomically(act)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(both, ["ab", "ba"]))

        assert store.get("a") == store.get("b")
        assert 3 == sum(runs_of.values())

    def test_a_row_that_somebody_holds_for_too_long_is_asked_for_again(
        self, url: str, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dialect = sys.modules[type(database.dialect).__module__]
        shorter = tuple(each.replace("= 5000", "= 100").replace("= 5", "= 1") for each in dialect._SETTINGS)
        monkeypatch.setattr(dialect, "_SETTINGS", shorter)
        database.close()
        store, other, waited = DatabaseStore(database, SystemClock()), Database(url), list[int]()
        store.put("key", "0")
        holder = other.connection()
        holder.say("BEGIN")
        holder.say("UPDATE qcore_keys SET value = '1'")

        def let_others_pass(number: int) -> None:
            waited.append(number)
            holder.say("ROLLBACK")

        monkeypatch.setattr("qcore.sql.database._let_others_pass", let_others_pass)
        store.put("key", "2")
        other.close()

        assert ([0], "2") == (waited, store.get("key"))

    def test_members_that_end_at_the_same_instant_finish_a_batch_once(self, database: Database) -> None:
        driver, batches = DatabaseDriver(database, SystemClock()), DatabaseBatchStore(database, SystemClock())
        for number in range(20):
            batches.create(new_batch(options("progress", "then", "finally"), f"batch {number}"))
            members = [f"{number} {name}" for name in "ab"]
            batches.add(f"batch {number}", members, [Push(member[-1], payload(member)) for member in members])
            batches.close(f"batch {number}", 0)
        meet = threading.Barrier(2)

        def end(queue: str) -> None:
            for _ in range(20):
                held = reserved(driver, queue)
                meet.wait(30)
                ended = step(held.payload.id, batch_id="batch " + held.payload.id[:-2])
                assert driver.delete(held, effects=Effects(batch=ended)) is Settled.DONE

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(end, ["a", "b"]))

        assert ["finally"] * 20 + ["progress"] * 40 + ["then"] * 20 == sorted(callbacks(driver))
        assert [(2, 0, 2)] * 20 == [(each.total, each.pending, each.done) for each in batches.listed()]

    def test_of_pushes_with_a_lock_at_the_same_instant_one_is_stored(self, database: Database) -> None:
        driver = DatabaseDriver(database, SystemClock())
        meet = threading.Barrier(4)

        def push(name: str) -> list[str | None]:
            owners = []
            for number in range(15):
                meet.wait(30)
                lock = Lock(f"lock {number}", f"{number} {name}", 60)
                owners.append(driver.push_locked(Push(f"queue {number}", payload(f"{number} {name}"), 0, lock)))
            return owners

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(push, "abcd"))

        assert [(f"queue {number}", 1) for number in range(15)] == sorted(
            ((each.queue, each.ready) for each in driver.counts()), key=lambda each: int(each[0][6:])
        )
        for number in range(15):
            [stored] = [each.payload.id for each in driver.listed(f"queue {number}")]
            assert {stored, None} == {owners[number] for owners in answers}

    def test_four_processes_reserve_each_job_exactly_once(self, url: str, database: Database) -> None:
        expected = [f"job {number}" for number in range(JOBS)]
        driver = DatabaseDriver(database, SystemClock())
        driver.bulk(Push(("default", "low")[number % 2], payload(job_id)) for number, job_id in enumerate(expected))
        drain = """
        sys.stdin.readline()
        while (reservation := driver.reserve(["default", "low"])) is not None:
            print(reservation.payload.id, reservation.attempts, driver.delete(reservation).value, sep=",")
        """
        outcomes = together([python(drain, url) for _ in range(4)])

        assert [""] * 4 == [errors for _, errors in outcomes]
        assert sorted(f"{job_id},1,done" for job_id in expected) == sorted(
            "".join(out for out, _ in outcomes).split("\n")[:-1]
        )

    def test_four_processes_can_push_and_reserve_at_once(self, url: str, database: Database) -> None:
        churn = """
        sys.stdin.readline()
        for number in range(50):
            driver.push("default", Payload(f"{os.getpid()} {number}", b"body"))
            held = driver.reserve(["default"], wait=60)
            effects = Effects((Push("next", Payload(f"next {os.getpid()} {number}", b"")),))
            print(driver.delete(held, effects=effects).value)
        """
        outcomes = together([python(churn, url) for _ in range(4)])

        assert [("done\n" * 50, "")] * 4 == outcomes
        driver = DatabaseDriver(database, SystemClock())
        assert (0, 200) == (driver.size("default"), driver.size("next"))

    # The server goes away.

    def test_a_server_that_is_restarted_is_found_again(
        self, url: str, database: Database, server: PostgresServer | MariaServer
    ) -> None:
        driver = DatabaseDriver(database, SystemClock())
        driver.push("default", payload())
        server.kill()
        with pytest.raises(
            DriverError, match=r"cannot connect to the .* database '.*' at 127\.0\.0\.1:\d+: "
        ) as caught:
            driver.size("default")
        server.restart()

        assert "\n" not in str(caught.value)
        assert driver.size("default") == 1
        assert driver.reserve(["default"], wait=1) is not None

    def test_workers_outlive_their_server(
        self, url: str, database: Database, server: PostgresServer | MariaServer
    ) -> None:
        """Killed in the middle of their jobs: none is lost, and what follows is there once."""
        driver = DatabaseDriver(database, SystemClock(), retry_after=8)
        driver.bulk(Push("default", payload(f"job {number}")) for number in range(JOBS))
        work = """
        import time
        driver.retry_after = 8
        sys.stdin.readline()
        while True:
            try:
                held = driver.reserve(["default"], wait=1)
                if held is not None:
                    time.sleep(0.002)
                    driver.delete(held, effects=Effects((Push("done", Payload(f"done {held.payload.id}", b"")),)))
                    print(held.payload.id, flush=True)
                elif driver.size("default") == 0:
                    break
            except DriverError as error:
                time.sleep(0.2)
        """
        processes = [python(work, url) for _ in range(3)]
        start(processes)
        for process in processes:
            assert process.stdout is not None
            for _ in range(20):
                process.stdout.readline()
        server.kill()
        server.restart()
        outcomes = [process.communicate(timeout=120) for process in processes]

        assert [""] * 3 == [errors for _, errors in outcomes]
        assert 0 == driver.size("default")
        assert sorted(f"done job {number}" for number in range(JOBS)) == sorted(
            each.payload.id for each in driver.listed("done", limit=JOBS + 1)
        )

    # Tables.

    def test_missing_tables_are_told_with_what_makes_them(self, server: PostgresServer | MariaServer) -> None:
        database = Database(server.fresh())
        driver = DatabaseDriver(database, SystemClock())

        with pytest.raises(DriverError, match="has no tables of qcore, or old ones: run `qcore db create`"):
            driver.push("default", payload())
        database.create_all()
        driver.push("default", payload())
        database.connection().say("DROP TABLE qcore_jobs")
        with pytest.raises(DriverError, match="has no tables of qcore, or old ones: run `qcore db create`"):
            driver.push("default", payload())
        database.close()

    def test_many_may_make_the_tables_at_once(self, server: PostgresServer | MariaServer) -> None:
        url = server.fresh()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: Database(url).create_all(), range(4)))
        database = Database(url)
        database.create_all()

        assert [(2,)] == [tuple(row) for row in database.connection().say("SELECT version FROM qcore_schema")]
        database.close()

    def test_old_tables_are_upgraded_by_the_command_alone(self, server: PostgresServer | MariaServer) -> None:
        url = server.fresh()
        database = Database(url)
        database.create_all()
        DatabaseDriver(database, SystemClock()).push("default", payload())
        for sql in (
            "DROP TABLE qcore_batches",
            "DROP TABLE qcore_batch_members",
            "UPDATE qcore_schema SET version = 1",
        ):
            database.connection().say(sql)
        database.close()

        newer = Database(url)
        with pytest.raises(DriverError, match="or old ones: run `qcore db create`"):
            newer.connection()
        newer.create_all()
        assert DatabaseDriver(newer, SystemClock()).size("default") == 1
        assert DatabaseBatchStore(newer, SystemClock()).listed() == []
        newer.close()


def python(script: str, url: str) -> subprocess.Popen[str]:
    """Start a plain Python process that has ``driver`` on the database."""
    begin = f"""
import os, sys
from qcore.clock import SystemClock
from qcore.driver import Effects, Payload, Push
from qcore.drivers.database import DatabaseDriver
from qcore.errors import DriverError
from qcore.sql import Database

database = Database("{url}")
driver = DatabaseDriver(database, SystemClock())
"""
    return subprocess.Popen(
        [sys.executable, "-c", begin + textwrap.dedent(script)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def together(processes: list[subprocess.Popen[str]]) -> list[tuple[str, str]]:
    """Let processes begin at the same time, and give what they wrote."""
    start(processes)
    return [process.communicate(timeout=120) for process in processes]
