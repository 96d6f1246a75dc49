"""The database: its tables on every dialect, how it opens a SQLite file, and what it says when it cannot."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Payload, Push
from qcore.drivers.database import DatabaseDriver
from qcore.errors import ConfigError, DriverError, UnsupportedError
from qcore.sql import Database, ddl, generate
from qcore.sql.trouble import BusyError, LostError
from qcore.stores.database import DatabaseFailedStore
from qtest import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

TABLES = ["qcore_batch_members", "qcore_batches", "qcore_failed_jobs", "qcore_jobs", "qcore_keys", "qcore_schema"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "queue.sqlite3"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{path}")
    yield database
    database.close()


@pytest.fixture
def driver(database: Database) -> DatabaseDriver:
    return DatabaseDriver(database, SystemClock())


def column(dialect: str, name: str) -> set[str]:
    """All definitions of a column in the DDL of a dialect."""
    lines = (line.strip().rstrip(",") for line in ddl(dialect).splitlines())
    return {line.partition(" ")[2] for line in lines if line.strip('"`').replace("`", "").startswith(f"{name} ")}


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql", "mysql", "mariadb"])
def test_the_tables_can_be_written_for_every_dialect(dialect: str) -> None:
    statements = ddl(dialect).split(";\n")

    assert TABLES == sorted(
        line.split()[5] for line in statements if line.startswith("CREATE TABLE IF NOT EXISTS qcore_")
    )
    assert "qcore_jobs_due ON qcore_jobs (queue, available_at, id)" in ddl(dialect)
    assert statements[-2:] == [statements[-2], ""]
    assert statements[-2].startswith("INSERT INTO qcore_schema (version) SELECT 2 ")


def test_an_unknown_dialect_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UnsupportedError, match="'oracle': choose one of sqlite, postgresql, mysql, mariadb"):
        ddl("oracle")


@pytest.mark.parametrize(
    ("dialect", "body", "text"),
    [
        ("sqlite", "BLOB NOT NULL", "TEXT NOT NULL"),
        ("postgresql", "BYTEA NOT NULL", "TEXT NOT NULL"),
        # From this length MySQL and MariaDB choose LONGBLOB and LONGTEXT.
        ("mysql", "BLOB(16777216) NOT NULL", "TEXT(16777216) NOT NULL"),
        ("mariadb", "BLOB(16777216) NOT NULL", "TEXT(16777216) NOT NULL"),
    ],
)
def test_payloads_and_tracebacks_have_room_on_every_dialect(dialect: str, body: str, text: str) -> None:
    assert [{body}, {text}, {text}] == [column(dialect, name) for name in ("body", "exception", "verdict")]


@pytest.mark.parametrize(("dialect", "collation"), [("mysql", "utf8mb4_0900_bin"), ("mariadb", "utf8mb4_nopad_bin")])
def test_names_compare_exactly_on_mysql_and_mariadb(dialect: str, collation: str) -> None:
    exact = {f"VARCHAR(190) COLLATE {collation} NOT NULL"}

    assert [exact, exact, exact] == [column(dialect, name) for name in ("uuid", "queue", "connection")]
    assert {f"VARCHAR(255) COLLATE {collation} NOT NULL"} == column(dialect, "key")


def test_row_numbers_are_never_used_twice_on_sqlite() -> None:
    numbered = "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT"

    assert {numbered, "VARCHAR(190) NOT NULL"} == column("sqlite", "id"), "of a job, and of a batch"
    assert {numbered} == column("sqlite", "number")


def test_the_ddl_is_what_creates_the_tables(database: Database, tmp_path: Path) -> None:
    by_hand = sqlite3.connect(tmp_path / "by hand")
    by_hand.executescript(ddl("sqlite"))
    by_hand.executescript(ddl("sqlite"))  # harmless where they exist
    database.create_all()
    database.create_all()

    expected = by_hand.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    assert [(2,)] == by_hand.execute("SELECT version FROM qcore_schema").fetchall()
    by_hand.close()
    assert expected == database.connection().say("SELECT name, sql FROM sqlite_master ORDER BY name")
    assert [(2,)] == database.connection().say("SELECT version FROM qcore_schema")


@pytest.mark.parametrize("queues", [1, 2, 5])
def test_reserve_uses_the_index_and_never_sorts(database: Database, queues: int) -> None:
    statement = database.statements.reserve(queues)
    inputs = [f"queue {name}" if name.startswith("queue") else 1 for name in statement.inputs]

    plan = database.connection().raw.execute(f"EXPLAIN QUERY PLAN {statement.sql}", inputs).fetchall()

    steps = [row[3] for row in plan]
    searches = [step for step in steps if "qcore_jobs_due (queue=? AND available_at<?)" in step]
    assert queues == len(searches), steps
    assert "TEMP B-TREE" not in " ".join(steps)
    assert "SCAN qcore_jobs" not in " ".join(steps)


def test_next_due_looks_at_one_entry_of_the_index(database: Database) -> None:
    statement = database.statements.next_due

    plan = database.connection().raw.execute(f"EXPLAIN QUERY PLAN {statement.sql}", ["default"]).fetchall()

    assert ["SEARCH qcore_jobs USING COVERING INDEX qcore_jobs_due (queue=?)"] == [row[3] for row in plan]


def test_the_file_its_folder_and_its_tables_are_made_on_first_use(database: Database, path: Path) -> None:
    assert not path.parent.exists()
    assert str(path) == database.place

    assert DatabaseDriver(database, SystemClock()).size("default") == 0
    tables = database.connection().say("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    assert TABLES == [name for (name,) in tables if name.startswith("qcore_")]


def test_a_relative_path_is_that_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert f"{tmp_path}/queue.sqlite3" == Database("sqlite:///queue.sqlite3").place


def test_a_file_is_opened_in_wal_mode_with_the_durability_asked_for(path: Path) -> None:
    found = []
    for synchronous in ("NORMAL", "full"):
        database = Database(f"sqlite:///{path}", synchronous=synchronous)
        connection = database.connection()
        found.append(
            [connection.say(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "busy_timeout")]
        )
        database.close()

    assert [["wal", 1, 30_000], ["wal", 2, 30_000]] == found


def test_the_switch_to_wal_waits_for_others_who_have_the_file_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite itself refuses it at once, whatever the busy timeout."""
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.executescript("CREATE TABLE other (x); BEGIN IMMEDIATE; INSERT INTO other VALUES (1)")
    waited: list[float] = []

    def sleep(_: SystemClock, seconds: float) -> None:
        waited.append(seconds)
        other.execute("COMMIT")

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    database = Database(f"sqlite:///{path}", busy_timeout=0.1)

    assert [("wal",)] == database.connection().say("PRAGMA journal_mode")
    assert 1 == len(waited)
    database.close()
    other.close()


def test_every_thread_has_a_connection_of_its_own_which_ends_with_it(database: Database) -> None:
    mine = database.connection()
    theirs = []

    def use() -> None:
        connection = database.connection()
        theirs.append((weakref.ref(connection), connection.raw, connection is database.connection()))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    gc.collect()

    [(reference, raw, held)] = theirs
    assert (None, True) == (reference(), held)
    with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
        raw.cursor()
    assert mine is database.connection()
    assert mine.raw is not raw


def test_a_transaction_takes_the_write_lock_before_it_reads(path: Path) -> None:
    """Two that read first and then want to write would refuse each other."""
    databases = [Database(f"sqlite:///{path}", busy_timeout=0) for _ in range(2)]
    first, second = (database.connection() for database in databases)

    with first.transaction():
        with pytest.raises(DriverError, match="locked"), second.transaction():
            pass
        assert first.say("SELECT COUNT(*) FROM qcore_jobs") == [(0,)]
    for database in databases:
        database.close()


def test_a_closed_database_opens_again(database: Database, driver: DatabaseDriver) -> None:
    driver.push("default", Payload("job", b""))
    before = database.connection()
    database.close()

    assert not before.usable
    assert driver.size("default") == 1


def test_importing_the_database_driver_does_not_import_sqlalchemy() -> None:
    script = "import qcore.drivers.database, qcore.stores.database, sys; print('sqlalchemy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert found.stdout == "False\n"


# What a user can run into: one line that says what to do, and the original error as its cause.


def test_a_missing_table_says_how_to_make_it(driver: DatabaseDriver, database: Database) -> None:
    driver.size("default")
    database.connection().say("DROP TABLE qcore_jobs")

    with pytest.raises(DriverError, match=r"queue\.sqlite3 has no tables of qcore.*: run `qcore db create`$") as caught:
        driver.push("default", Payload("job", b""))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


def test_a_database_that_may_not_be_created_is_not(path: Path) -> None:
    driver = DatabaseDriver(Database(f"sqlite:///{path}", create=False), SystemClock())

    with pytest.raises(DriverError, match=r"run `qcore db create`$"):
        driver.push("default", Payload("job", b""))
    assert not path.parent.exists()


def test_tables_that_may_not_be_created_are_not(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    database = Database(f"sqlite:///{path}", create=False)

    with pytest.raises(DriverError, match=r"run `qcore db create`$"):
        database.connection()
    database.create_all()
    assert database.connection().usable
    database.close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database(f"sqlite:///{tmp_path}/file/queue.sqlite3")

    with pytest.raises(DriverError, match=r"cannot make the folder of .*/file/queue\.sqlite3: ") as caught:
        database.connection()
    assert isinstance(caught.value.__cause__, OSError)


def test_a_path_that_is_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"cannot open .*: the folder is missing or may not be written$") as caught:
        Database(f"sqlite:///{tmp_path}").connection()
    assert isinstance(caught.value.__cause__, sqlite3.Error)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_bytes(b"Dear Sir or Madam, " * 500)

    with pytest.raises(DriverError, match=r"letter\.txt is not a SQLite database"):
        Database(f"sqlite:///{file}").connection()
    assert file.read_bytes() == b"Dear Sir or Madam, " * 500


def test_a_full_disk_loses_nothing(driver: DatabaseDriver, database: Database) -> None:
    driver.push("default", Payload("kept", b""))
    connection = database.connection()
    [(pages,)] = connection.say("PRAGMA page_count")
    connection.say(f"PRAGMA max_page_count = {pages + 8}")  # the first of them would fit

    with pytest.raises(DriverError, match=r"the disk is full, .* free some space; nothing was changed$"):
        driver.bulk(Push("default", Payload(str(number), b"x" * 9999)) for number in range(5))
    assert ["kept"] == [each.payload.id for each in driver.listed("default")]


def test_a_lock_that_is_never_given_up_is_reported(path: Path) -> None:
    database = Database(f"sqlite:///{path}", busy_timeout=0)
    driver = DatabaseDriver(database, SystemClock())
    driver.size("default")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DriverError, match="stayed locked by another transaction for longer than the busy timeout"):
        driver.push("default", Payload("job", b""))
    other.close()
    driver.push("default", Payload("job", b""))
    assert driver.size("default") == 1
    database.close()


def test_tables_of_a_newer_qcore_are_left_alone(database: Database, path: Path) -> None:
    database.connection().say("UPDATE qcore_schema SET version = 99")
    database.close()

    with pytest.raises(DriverError, match=r"made by a newer qcore \(tables 99, known 2\): upgrade$"):
        Database(f"sqlite:///{path}").connection()


def test_values_that_no_column_holds_are_an_error_of_the_driver(driver: DatabaseDriver) -> None:
    with pytest.raises(DriverError, match="OverflowError"):
        driver.push("default", Payload("job", b""), delay=1e18)
    with pytest.raises(DriverError, match="UnicodeEncodeError"):
        driver.push("\udcff", Payload("job", b""))
    assert driver.counts() == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="use the memory driver, or a file"):
        Database(url).connection()


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="'sqlite' is no database URL, it has no ://: write sqlite:///FILE, postgresql://"
    ):
        Database("sqlite").connection()


def test_a_kind_of_database_that_is_not_supported_is_refused_with_those_that_are() -> None:
    with pytest.raises(
        UnsupportedError, match="'oracle' databases are not supported: write sqlite:///FILE, postgresql"
    ):
        Database("oracle://localhost/queue")


def test_postgres_is_another_word_for_postgresql() -> None:
    pytest.importorskip("psycopg")

    assert "postgresql database 'shop' at db:5433" == Database("postgres://ann:secret@db:5433/shop").place


def test_an_unknown_durability_is_refused() -> None:
    with pytest.raises(ConfigError, match="'sometimes': choose one of OFF, NORMAL, FULL, EXTRA"):
        Database("sqlite:///queue.sqlite3", synchronous="sometimes")


def test_a_home_makes_driver_and_store_neighbours(database: Database, driver: DatabaseDriver) -> None:
    assert driver.home is DatabaseFailedStore(database).home


def test_the_written_statements_are_the_compiled_ones() -> None:
    """When this fails: python -m qcore.sql.generate."""
    assert generate.text() == generate.FILE.read_text(encoding="utf-8")


def test_more_queues_than_were_written_for_are_compiled(tmp_path: Path) -> None:
    driver = DatabaseDriver(Database(f"sqlite:///{tmp_path}/q.sqlite3"), FrozenClock())
    driver.push("queue 11", Payload("last", b""))

    reservation = driver.reserve([f"queue {number}" for number in range(12)])

    assert reservation is not None
    assert "last" == reservation.payload.id


def test_a_queue_on_sqlite_works_without_sqlalchemy(tmp_path: Path) -> None:
    program = f"""
import sys
sys.modules["sqlalchemy"] = None  # an import of it raises
from qcore import App, Config, Job
class Hello(Job):
    def handle(self): raise ValueError
app = App(Config(connections={{"database": {{"driver": "database", "url": "sqlite:///{tmp_path}/q.sqlite3"}}}}))
Hello.__module__ = "hello"
app.push(Hello())
app.worker().run_next_job()
print(len(app.failed.list()), app.connection().counts())
"""

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert "1 []\n" == printed


@pytest.mark.parametrize(("trouble", "tries"), [(BusyError("busy"), 6), (LostError("lost"), 2)])
def test_a_step_that_never_succeeds_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch, trouble: DriverError, tries: int
) -> None:
    """After pauses by chance, which grow."""
    database = Database(f"sqlite:///{path}")
    longest, told = list[float](), list[bool]()

    def soon(_: float, most: float) -> float:
        longest.append(most)
        return 0

    monkeypatch.setattr("random.uniform", soon)

    def act(*, again: bool) -> None:
        told.append(again)
        raise trouble

    with pytest.raises(type(trouble)):
        database.insist(act)

    assert [False] + [isinstance(trouble, LostError)] * (tries - 1) == told
    assert ([] if told[-1] else [0.02, 0.04, 0.08, 0.16, 0.32]) == longest
