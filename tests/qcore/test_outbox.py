"""Jobs that the caller's own transaction writes: `dispatch(job, within=session)` on the database driver."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import qcore
from qcore import App, Config, ConfigError, Job, JobDefinitionError, PayloadError, UnsupportedError, batch, bulk, chain
from qcore.driver import pending
from qcore.errors import DriverError
from qcore.events import Event, JobQueued, JobQueueing, UniqueJobSkipped
from qcore.sql.callers import SqliteCallers
from qcore.sql.sqlite import Sqlite
from qcore.unique import key_of
from tests.qcore.shop import Order, begin, names, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

ROOT = Path(__file__).parents[2]
said: list[object] = []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.sqlite3"


@pytest.fixture
def app(file: Path, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """An App whose queues live in the shop's own database."""
    said.clear()
    app = App(Config(connections={"database": {"url": f"sqlite:///{file}"}}, root=tmp_path), clock=clock)
    app.connection().size()  # makes the tables
    with app.activate():
        yield app
    app.close()


@pytest.fixture
def engine(app: App, file: Path) -> Iterator[Engine]:
    engine = opened(file, connect_args={"timeout": 0.1})
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session that has written something, and so keeps everybody else from writing."""
    with Session(engine) as session:
        session.add(Order(name="first"))
        session.flush()
        yield session


class Say(Job):
    def __init__(self, what: object = "hello") -> None:
        self.what = what

    def handle(self) -> None:
        said.append(self.what)


class Waits(Say, after_commit=True):
    pass


class Once(Say, unique=True):
    def unique_id(self) -> object:
        return self.what


class Last(Say, debounce_for=30):
    pass


class LastInTime(Say, debounce_for=(30, 60)):
    pass


class RefusedError(Exception):
    pass


def waiting(app: App, queue: str = "default") -> list[str]:
    """The ids on the queue, as others see it."""
    return [each.payload.id for each in app.connection().listed(queue)]


def lock_of(app: App, job: Job | None = None) -> str | None:
    return app.connections.store.get(key_of(job or Once()))


# Written by the transaction.


def test_a_job_is_written_by_the_transaction_of_the_caller(
    app: App, session: Session, engine: Engine, work: Callable[..., Stopped]
) -> None:
    job_id = Say().dispatch(within=session)
    assert waiting(app) == []

    session.commit()

    assert waiting(app) == [job_id]
    work()
    assert said == ["hello"]
    assert names(engine) == ["first"]


def test_a_rollback_leaves_neither_job_nor_lock(app: App, session: Session, engine: Engine) -> None:
    Once().dispatch(within=session)

    session.rollback()

    assert (waiting(app), lock_of(app), names(engine)) == ([], None, [])
    assert Once().dispatch() is not None


def test_a_savepoint_takes_its_jobs_along(app: App, session: Session) -> None:
    kept = Say().dispatch(within=session)
    with contextlib.suppress(RefusedError), session.begin_nested():
        Once().dispatch(within=session)
        raise RefusedError

    session.commit()

    assert waiting(app) == [kept]
    assert lock_of(app) is None


def test_a_worker_that_waits_sees_the_job_after_the_commit(app: App, engine: Engine) -> None:
    """Whether it begins to wait before the transaction begins, or while it is open."""
    # On the clock on the wall: nothing here waits for it, and nothing else would tell a worker of the commit.
    with contextlib.closing(App(app.config)) as other, ThreadPoolExecutor(1) as pool, other.activate():
        driver = other.connection().driver
        for begins in ("before", "while"):
            taken = pool.submit(driver.reserve, [begins], wait=60) if begins == "before" else None
            with Session(engine) as session:
                job_id = Say().dispatch(within=session, queue=begins)
                taken = taken or pool.submit(driver.reserve, [begins], wait=60)
                session.commit()
            reservation = taken.result(60)
            assert reservation is not None
            assert reservation.payload.id == job_id


def test_the_events_come_with_the_writing(app: App, session: Session, events: list[Event]) -> None:
    Say().dispatch(within=session)

    assert list(map(type, events)) == [JobQueueing, JobQueued]
    session.rollback()
    assert len(events) == 2


def test_hooks_and_options_count_as_ever(app: App, session: Session, clock: FrozenClock) -> None:
    app.payload_using(lambda *_: {"tenant": 7})
    app.before_push(lambda *pushed: pushed[-1] != "forbidden")

    assert Say().dispatch(within=session, queue="forbidden") is None
    Say().dispatch(within=session, queue="slow", delay=60)
    session.commit()

    [listed] = app.connection().listed("slow")
    assert listed.available_at - clock.now() == pytest.approx(60, abs=0.1)
    assert b'"tenant":7' in listed.payload.body


def test_what_cannot_be_written_leaves_the_transaction_as_it_was(app: App, session: Session, engine: Engine) -> None:
    with pytest.raises(PayloadError):
        Say(print).dispatch(within=session)

    session.commit()
    assert (waiting(app), names(engine)) == ([], ["first"])


def test_within_beats_what_class_and_connection_say_of_commits(app: App, session: Session) -> None:
    app.connection().after_commit = True
    app.transactions(lambda: session)

    Waits().dispatch(within=session)

    assert session.connection().exec_driver_sql("SELECT count(*) FROM qcore_jobs").scalar() == 1


def test_other_ways_in(app: App, session: Session) -> None:
    ids = [
        qcore.dispatch(Say(), within=session),
        Say().with_options(within=session).dispatch(),
        *bulk([Say(), Once(), Once()], within=session),
        chain(Say(1), Say(2)).dispatch(within=session),
    ]
    at_once = app.connection("memory")
    Say().dispatch(connection="memory")

    session.commit()

    assert len(ids) == 5
    assert sorted(waiting(app)) == sorted(map(str, ids))
    assert at_once.size() == 1


def test_a_chain_runs_in_its_order(app: App, session: Session, work: Callable[..., Stopped]) -> None:
    chain(Once(1), Once(2), Say(3)).dispatch(within=session)

    session.commit()
    work()

    assert said == [1, 2, 3]


def test_nothing_keeps_the_jobs_of_one_transaction_from_being_many(app: App, session: Session) -> None:
    sent = bulk([Say(number) for number in range(1000)], within=session)

    session.commit()

    assert waiting(app)[:100] == sent[:100]
    assert app.connection().size() == 1000


# Unique jobs.


def test_the_lock_is_taken_in_the_same_transaction(app: App, session: Session, events: list[Event]) -> None:
    first = Once().dispatch(within=session)

    assert lock_of(app) is None
    assert Once().dispatch(within=session) is None
    assert isinstance(events[-1], UniqueJobSkipped)
    session.commit()
    assert lock_of(app) == first
    assert Once().dispatch() is None


def test_a_lock_in_other_hands_refuses_the_job(app: App, engine: Engine) -> None:
    first = Once().dispatch()
    with Session(engine) as session:
        assert Once().dispatch(within=session) is None
        session.commit()

    assert waiting(app) == [first]


def test_a_lock_whose_job_is_gone_is_free(app: App, engine: Engine) -> None:
    app.connections.store.put(key_of(Once()), "gone")
    with Session(engine) as session:
        job_id = Once().dispatch(within=session)
        session.commit()

    assert lock_of(app) == job_id


def test_of_debounced_jobs_the_last_one_counts(
    app: App, engine: Engine, clock: FrozenClock, work: Callable[..., Stopped]
) -> None:
    Last(1).dispatch()
    with Session(engine) as session:
        Last(2).dispatch(within=session)
        session.commit()
    with Session(engine) as session:
        Last(3).dispatch(within=session)
        session.rollback()
    clock.advance(31)

    work()

    assert said == [2]


def test_the_lock_has_to_live_where_the_job_does(session: Session, file: Path, tmp_path: Path) -> None:
    app = App(Config(connections={"database": {"url": f"sqlite:///{file}"}}, store="memory", root=tmp_path))
    with app.activate():
        with pytest.raises(UnsupportedError, match="set store = 'database', or say after_commit="):
            Once().dispatch(within=session)
        assert Say().dispatch(within=session)
    app.close()


def test_the_lock_has_to_live_where_the_job_does_under_one_name(session: Session, file: Path, tmp_path: Path) -> None:
    """Two names of one file are two homes: nothing makes one step of what is written in both."""
    Path("link.sqlite3").symlink_to(file)
    settings = {
        name: {"driver": "database", "url": f"sqlite:///{tmp_path}/{name}.sqlite3"} for name in ("shop", "link")
    }
    app = App(Config(default="shop", connections=settings, store="link", root=tmp_path))
    with app.activate(), pytest.raises(UnsupportedError, match="set store = 'shop'"):
        Once().dispatch(within=session)
    app.close()


# Whose transactions.


def test_a_scoped_session(app: App, engine: Engine) -> None:
    scope = scoped_session(sessionmaker(engine))

    job_id = Say().dispatch(within=scope)
    assert waiting(app) == []
    scope.commit()

    assert waiting(app) == [job_id]
    scope.remove()


def test_a_connection_of_sqlalchemy(app: App, engine: Engine) -> None:
    with engine.connect() as connection:
        job_id = Say().dispatch(within=connection)
        assert waiting(app) == []
        connection.commit()
        Say().dispatch(within=connection)
        connection.rollback()
    with engine.begin() as connection:
        second = Once().dispatch(within=connection)

    assert waiting(app) == [job_id, second]


def test_an_engine_as_python_has_it(app: App, file: Path) -> None:
    """Python's module begins a transaction with the first statement that writes."""
    engine = create_engine(f"sqlite:///{file}")
    with Session(engine) as session:
        Once("rolled back").dispatch(within=session)
        session.rollback()
        job_id = Once().dispatch(within=session)
        assert waiting(app) == []
        session.commit()
    engine.dispose()

    assert waiting(app) == [job_id]
    assert lock_of(app, Once("rolled back")) is None


@pytest.mark.parametrize("row_factory", [None, sqlite3.Row, lambda *_: {"row": 1}])
def test_a_connection_of_sqlite3(app: App, file: Path, row_factory: Callable[..., Any]) -> None:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.row_factory = row_factory
        Once("rolled back").dispatch(within=connection)
        connection.rollback()
        job_id = Once().dispatch(within=connection)
        assert Once().dispatch(within=connection) is None
        assert waiting(app) == []
        connection.commit()

    assert waiting(app) == [job_id]
    assert connection.row_factory is row_factory


def test_an_async_session_is_used_by_what_awaits_it(app: App, file: Path, tmp_path: Path) -> None:
    async def use() -> str | None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
        async with AsyncSession(engine) as session:
            with pytest.raises(UnsupportedError, match=r"await session\.run_sync\(lambda session"):
                Say().dispatch(within=session)
            job_id = await session.run_sync(lambda session: Once().dispatch(within=session))
            assert waiting(app) == []
            await session.commit()
        async with engine.connect() as connection:
            with pytest.raises(UnsupportedError, match=r"await session\.run_sync\(lambda session"):
                Say().dispatch(within=connection)
        await engine.dispose()
        return job_id

    job_id = asyncio.run(use())

    assert waiting(app) == [job_id]


def test_a_session_with_several_databases_hands_over_the_connection(app: App, engine: Engine, tmp_path: Path) -> None:
    with Session(binds={Order: engine}) as session:
        with pytest.raises(ConfigError, match=r"session\.connection\(bind_arguments="):
            Say().dispatch(within=session)
        connection = session.connection(bind_arguments={"mapper": Order})
        job_id = Say().dispatch(within=connection)
        session.commit()

    assert waiting(app) == [job_id]


@pytest.mark.parametrize("how", ["relative", "link"])
def test_one_file_may_have_many_names(app: App, file: Path, how: str) -> None:
    other = file.relative_to(Path.cwd())
    if how == "link":
        other = Path("other.sqlite3")
        other.symlink_to(file)
    engine = create_engine(f"sqlite:///{other}")
    with Session(engine) as session:
        Say().dispatch(within=session)
        session.commit()
    engine.dispose()

    assert len(waiting(app)) == 1


# Refused.


def test_another_database_is_refused(app: App, file: Path, tmp_path: Path) -> None:
    engine = opened(tmp_path / "other.sqlite3")
    with Session(engine) as session, pytest.raises(ConfigError) as caught:
        Say().dispatch(within=session)
    engine.dispose()

    for words in (str(file), str(tmp_path / "other.sqlite3"), "say after_commit= instead"):
        assert words in str(caught.value)


def test_a_database_in_memory_is_refused(app: App) -> None:
    in_memory = contextlib.closing(sqlite3.connect(":memory:"))
    with in_memory as connection, pytest.raises(ConfigError, match="it is on another database"):
        Say().dispatch(within=connection)


def test_another_kind_of_database_is_refused_without_a_word_to_it(app: App) -> None:
    engine = create_engine("mysql+pymysql://", module=types.SimpleNamespace(paramstyle="pyformat"))
    with Session(engine) as session, pytest.raises(ConfigError, match="it is on another database"):
        Say().dispatch(within=session)


@pytest.mark.parametrize("connection", ["memory", "sync", "null"])
def test_a_connection_without_a_database_is_refused(app: App, session: Session, connection: str) -> None:
    with pytest.raises(UnsupportedError, match=f"'{connection}' cannot write.* say after_commit= instead of within="):
        Say().dispatch(within=session, connection=connection)

    assert said == []


def test_a_database_without_tables_is_refused(tmp_path: Path) -> None:
    engine = opened(tmp_path / "new.sqlite3")
    app = App(Config(connections={"database": {"url": f"sqlite:///{tmp_path / 'new.sqlite3'}"}}, root=tmp_path))
    with app.activate(), Session(engine) as session:
        with pytest.raises(DriverError, match="has no tables of qcore, or old ones: run `qcore db create`"):
            Say().dispatch(within=session)
        session.add(Order(name="goes on"))
        session.commit()
    assert names(engine) == ["goes on"]
    engine.dispose()


def test_a_connection_that_commits_each_statement_is_refused(app: App, file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}", isolation_level="AUTOCOMMIT")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection, Session(engine) as session:
        for caller in (connection, session):
            with pytest.raises(ConfigError, match="commits each statement by itself: begin one"):
                Say().dispatch(within=caller)
        connection.execute("BEGIN")
        Say().dispatch(within=connection)
        connection.execute("COMMIT")
    engine.dispose()

    assert len(waiting(app)) == 1


@pytest.mark.parametrize(
    ("in_transaction", "isolation_level", "autocommit", "by_itself"),
    [
        (False, "", None, False),  # a transaction begins with the first statement that writes
        (False, None, None, True),
        (True, None, None, False),
        (False, "", -1, False),
        (False, None, -1, True),
        (False, "", True, True),  # since Python 3.12
        (True, "", True, False),
        (True, "", False, False),
    ],
)
def test_a_connection_says_whether_it_commits_by_itself(
    in_transaction: object, isolation_level: object, autocommit: object, by_itself: object
) -> None:
    state = types.SimpleNamespace(in_transaction=in_transaction, isolation_level=isolation_level)
    if autocommit is not None:
        state.autocommit = autocommit

    assert SqliteCallers().commits_by_itself(state) == by_itself


def test_a_connection_that_cannot_be_used_is_refused(app: App, file: Path) -> None:
    connection = sqlite3.connect(file)
    with ThreadPoolExecutor(1) as pool, pytest.raises(DriverError, match=r"your transaction cannot be used: .* thread"):
        pool.submit(copy_context().run, lambda: Say().dispatch(within=connection)).result()
    connection.close()
    with pytest.raises(DriverError, match=r"your transaction cannot be used: .* closed"):
        Say().dispatch(within=connection)


def test_what_is_no_session_is_refused(app: App, engine: Engine) -> None:
    for given in ("session", object(), sessionmaker(engine), engine, True):
        with pytest.raises(
            ConfigError, match="within= takes a SQLAlchemy session or connection, a connection of sqlite3"
        ):
            Say().dispatch(within=given)


def test_a_batch_is_refused(app: App, session: Session) -> None:
    with pytest.raises(UnsupportedError, match="say after_commit="):
        batch([Say()]).dispatch(within=session)


def test_a_job_that_runs_here_is_refused(app: App, session: Session) -> None:
    for dispatch in (qcore.dispatch_sync, qcore.dispatch_after_response):
        with pytest.raises(JobDefinitionError, match="this one is run here"):
            dispatch(Say().with_options(within=session))


def test_a_debounced_job_with_a_longest_wait_is_written_too(
    app: App, engine: Engine, clock: FrozenClock, work: Callable[..., Stopped]
) -> None:
    with Session(engine) as session:
        session.add(Order(name="first"))
        session.flush()
        LastInTime(1).dispatch(within=session)
        session.rollback()
        clock.advance(50)
        session.add(Order(name="first"))
        session.flush()
        LastInTime(2).dispatch(within=session)
        session.commit()
    clock.advance(29)
    work()
    assert said == []
    clock.advance(2)
    work()

    assert said == [2]


# A transaction that others wait for.


def test_after_commit_takes_the_lock_inside_a_transaction_on_the_same_file(app: App, session: Session) -> None:
    """App's own connection would wait for the end of the very transaction that waits for it."""
    first = str(Once().dispatch(after_commit=session))

    assert lock_of(app) is None
    [value] = session.connection().exec_driver_sql("SELECT value FROM qcore_keys").scalars()
    assert value == pending(first)
    assert Once().dispatch(after_commit=session) is None
    session.commit()
    assert waiting(app) == [first]
    assert lock_of(app) == first


def test_after_commit_on_the_same_file_leaves_nothing_behind_a_rollback(
    app: App, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """And what it leaves nothing of needs no other connection, which would have to wait."""
    Once().dispatch(after_commit=session)
    savepoint = session.begin_nested()
    Once("inside").dispatch(after_commit=session)
    savepoint.rollback()
    assert Once("inside").dispatch(after_commit=session) is not None

    session.rollback()

    assert (waiting(app), lock_of(app), lock_of(app, Once("inside"))) == ([], None, None)
    assert caplog.records == []


def test_after_commit_knows_locks_of_others_on_the_same_file(app: App, engine: Engine) -> None:
    first = Once().dispatch()
    with Session(engine) as session:
        session.add(Order(name="first"))
        session.flush()
        assert Once().dispatch(after_commit=session) is None
        session.commit()

    assert waiting(app) == [first]


def test_after_commit_on_the_same_file_where_only_the_locks_live(
    session: Session, file: Path, tmp_path: Path, clock: FrozenClock
) -> None:
    settings = {"database": {"url": f"sqlite:///{file}"}}
    app = App(Config(default="memory", connections=settings, store="database", root=tmp_path), clock=clock)
    with app.activate():
        first = str(Once().dispatch(after_commit=session))
        Once("rolled back").dispatch(after_commit=session)
        session.rollback()
        session.add(Order(name="second"))
        session.flush()
        first = str(Once().dispatch(after_commit=session))
        session.commit()

        assert waiting(app) == [first]
        assert lock_of(app) == pending(first)
        assert Once().dispatch() is None
    app.close()


def test_after_commit_of_a_session_with_several_databases(app: App, engine: Engine) -> None:
    """Which of them is meant is not known, so its lock is taken beside the transaction."""
    with Session(binds={Order: engine}) as session:
        session.query(Order).all()
        first = str(Once().dispatch(after_commit=session))
        assert lock_of(app) == pending(first)
        session.commit()

    assert waiting(app) == [first]


def test_after_commit_on_the_same_file_and_with_statements_that_commit_themselves(app: App, file: Path) -> None:
    engine = opened(file, isolation_level="AUTOCOMMIT")
    event.remove(engine, "begin", begin)
    with Session(engine) as session:
        session.add(Order(name="first"))
        session.flush()
        first = str(Once().dispatch(after_commit=session))
        assert lock_of(app) == pending(first)
        session.commit()
    engine.dispose()

    assert waiting(app) == [first]


def test_a_debounced_job_waits_on_the_same_file_too(app: App, session: Session) -> None:
    Last().dispatch(after_commit=session)
    LastInTime().dispatch(after_commit=session)

    session.commit()

    assert len(waiting(app)) == 2


def test_an_async_session_on_the_same_file_is_told_what_to_do(app: App, file: Path, tmp_path: Path) -> None:
    async def use() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
        async with AsyncSession(engine) as session:
            session.add(Order(name="first"))
            await session.flush()
            with pytest.raises(UnsupportedError, match=r"await session\.run_sync"):
                Once().dispatch(after_commit=session)
            Say().dispatch(after_commit=session)
            await session.run_sync(lambda session: Once().dispatch(after_commit=session))
            await session.commit()
        await engine.dispose()

    opened(file).dispose()
    asyncio.run(use())

    assert len(waiting(app)) == 2


def test_a_plain_dispatch_while_the_file_is_locked_says_what_to_do(session: Session, file: Path, app: App) -> None:
    home = app.connections.database("database")
    home.dialect = Sqlite(home.url, busy_timeout=0.01)
    app.close()

    with pytest.raises(DriverError, match="within= or after_commit="):
        Say().dispatch()


def test_wherever_the_process_dies_there_is_an_order_with_its_job_or_neither(tmp_path: Path) -> None:
    """A real kill before each statement of the transaction, and behind the last one."""
    command = [sys.executable, "-m", "tests.qcore.killed_within", str(tmp_path)]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=120).stdout
    codes = [int(line.split()[1]) for line in output.splitlines()]

    found = [seen_after_a_kill(tmp_path / f"{number}.sqlite3") for number in range(1, len(codes) + 1)]

    assert set(codes[:-1]) == {-signal.SIGKILL}
    assert len(codes) > 6
    assert set(found) == {(0, 0, 0), (1, 1, 1)}
    assert found == sorted(found)


def seen_after_a_kill(file: Path) -> tuple[int, int, int]:
    """How many orders, jobs and locks there are."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("orders", "qcore_jobs", "qcore_keys")
        ]
    return counts[0], counts[1], counts[2]
