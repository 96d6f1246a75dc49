"""Jobs that the caller's own transaction writes, on PostgreSQL and MariaDB."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from qcore import App, Config, ConfigError, Job, UnsupportedError, chain
from qcore.errors import DriverError
from qcore.sql import Database
from qcore.unique import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from qtest.servers import MariaServer, PostgresServer


class Say(Job):
    def __init__(self, what: object = "hello") -> None:
        self.what = what

    def handle(self) -> None:
        pass


class Once(Say, unique=True):
    pass


@pytest.fixture(scope="module")
def urls() -> dict[str, str]:
    return {}


@pytest.fixture(params=["postgres", "maria"])
def server(request: pytest.FixtureRequest) -> PostgresServer | MariaServer:
    found: PostgresServer | MariaServer = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.fixture
def url(server: PostgresServer | MariaServer, urls: dict[str, str]) -> str:
    """A database with the shop's table and empty tables of qcore."""
    kind = type(server).__name__
    if kind not in urls:
        urls[kind] = server.fresh()
        database = Database(urls[kind])
        database.create_all()
        database.connection().say("CREATE TABLE orders (name VARCHAR(50))")
        database.close()
    database = Database(urls[kind])
    database.empty()
    database.connection().say("DELETE FROM orders")
    database.close()
    return urls[kind]


@pytest.fixture
def app(url: str, tmp_path: Path) -> Iterator[App]:
    app = App(Config(default="shop", connections={"shop": {"driver": "database", "url": url}}, root=tmp_path))
    with app.activate():
        yield app
    app.close()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


def raw_connection(url: str) -> Any:  # noqa: ANN401 - of either module
    """Connect as the shop itself does, with rows that are no tuples."""
    if url.startswith("postgresql"):
        import psycopg
        from psycopg.rows import dict_row

        return psycopg.connect(url.replace("+psycopg", ""), row_factory=dict_row)
    import pymysql
    from pymysql.cursors import DictCursor

    place = make_url(url)
    return pymysql.connect(
        host=place.host, port=place.port or 0, user=place.username, database=place.database, cursorclass=DictCursor
    )


def waiting(app: App) -> list[str]:
    return [each.payload.id for each in app.connection().listed("default")]


def lock_of(app: App, job: Job) -> str | None:
    return app.connections.store.get(key_of(job))


def order(session: Session, name: str) -> None:
    session.execute(text("INSERT INTO orders VALUES (:name)"), {"name": name})


def test_a_job_comes_with_the_commit(app: App, engine: Engine) -> None:
    with Session(engine) as session:
        order(session, "first")
        job_id = Say().dispatch(within=session)
        chain(Say(1), Say(2)).dispatch(within=session)
        assert waiting(app) == []
        session.commit()

    assert len(waiting(app)) == 2
    assert waiting(app)[0] == job_id


def test_a_rollback_leaves_neither_job_nor_lock(app: App, engine: Engine) -> None:
    with Session(engine) as session:
        order(session, "first")
        Say().dispatch(within=session)
        assert Once().dispatch(within=session) is not None
        session.rollback()

    assert (waiting(app), lock_of(app, Once())) == ([], None)
    assert Once().dispatch() is not None


def test_a_savepoint_takes_its_jobs_along(app: App, engine: Engine) -> None:
    with Session(engine) as session:
        kept = Say().dispatch(within=session)
        with session.begin_nested() as inner:
            Once().dispatch(within=session)
            inner.rollback()
        session.commit()

    assert (waiting(app), lock_of(app, Once())) == ([kept], None)


def test_a_lock_in_other_hands_refuses_the_job_and_spares_the_transaction(app: App, engine: Engine) -> None:
    first = Once().dispatch()
    with Session(engine) as session:
        order(session, "first")
        assert Once().dispatch(within=session) is None
        second = Say().dispatch(within=session)
        session.commit()

    assert waiting(app) == [first, second]


def test_who_wants_the_same_lock_waits_for_the_transaction(app: App, engine: Engine) -> None:
    begun = threading.Event()

    def push() -> str | None:
        begun.set()
        return app.push(Once())

    with Session(engine) as session, ThreadPoolExecutor(1) as pool:
        mine = Once().dispatch(within=session)
        other = pool.submit(push)
        begun.wait(30)
        session.commit()
        assert other.result(30) is None

    assert waiting(app) == [mine]


def test_a_connection_of_sqlalchemy(app: App, engine: Engine) -> None:
    with engine.begin() as connection:
        job_id = Once().dispatch(within=connection)

    assert waiting(app) == [job_id]


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_a_connection_of_the_module_itself(app: App, url: str, ends: str) -> None:
    with closing(raw_connection(url)) as connection:
        job_id = Once().dispatch(within=connection)
        again = Once().dispatch(within=connection)
        assert waiting(app) == []
        getattr(connection, ends)()

    assert again is None
    assert waiting(app) == ([job_id] if ends == "commit" else [])


def test_a_connection_that_commits_each_statement_is_refused(app: App, url: str) -> None:
    with closing(raw_connection(url)) as connection:
        if url.startswith("postgresql"):
            connection.autocommit = True
        else:
            connection.autocommit(True)  # noqa: FBT003 - a method of pymysql
        with pytest.raises(ConfigError, match="commits each statement by itself: begin one"):
            Say().dispatch(within=connection)
        connection.cursor().execute("BEGIN")
        job_id = Say().dispatch(within=connection)
        connection.cursor().execute("COMMIT")

    assert waiting(app) == [job_id]


def test_another_database_is_refused(app: App, server: PostgresServer | MariaServer, url: str) -> None:
    elsewhere = create_engine(server.fresh())
    with Session(elsewhere) as session, pytest.raises(ConfigError) as caught:
        Say().dispatch(within=session)
    name = elsewhere.url.database
    elsewhere.dispose()

    assert f"it is on the database {name!r}: bind it to that database, or say after_commit= instead" in str(
        caught.value
    )
    assert str(make_url(url).database) in str(caught.value)


def test_another_kind_of_database_is_refused(app: App, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/file.sqlite3")
    with Session(engine) as session, pytest.raises(ConfigError, match="it is on another database"):
        Say().dispatch(within=session)
    engine.dispose()


def test_a_connection_that_cannot_be_used_is_refused(app: App, url: str) -> None:
    connection = raw_connection(url)
    connection.close()

    with pytest.raises(DriverError, match="your transaction cannot be used: "):
        Say().dispatch(within=connection)


def test_after_commit_takes_the_lock_inside_of_the_transaction(app: App, engine: Engine) -> None:
    with Session(engine) as session:
        order(session, "first")
        Once().dispatch(after_commit=session)
        session.rollback()
        assert lock_of(app, Once()) is None
        order(session, "second")
        job_id = Once().dispatch(after_commit=session)
        session.commit()

    assert waiting(app) == [job_id]


def test_an_async_session_is_used_by_what_awaits_it(app: App, postgres_server: PostgresServer, url: str) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("aiomysql and asyncmy are not installed here")

    async def use() -> list[str | None]:
        engine = create_async_engine(url.replace("+psycopg", "+psycopg_async"))
        async with AsyncSession(engine) as session:
            with pytest.raises(UnsupportedError, match=r"await session\.run_sync"):
                Say().dispatch(within=session)
            ids = [await session.run_sync(lambda session: Once().dispatch(within=session)) for _ in range(2)]
            await session.commit()
        await engine.dispose()
        return ids

    ids = asyncio.run(use())

    assert ids[1] is None
    assert waiting(app) == ids[:1]
