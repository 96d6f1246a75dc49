"""The backends that tests of an App run on: the same tests on each, with no server of anybody's own.

All tests run on memory and on SQLite. On the others run by themselves those in which the home has a part: chains,
batches, locks, what middleware keeps, failed jobs, signals. ``pytest --backends=redis,postgres`` runs all on these.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from qcore.config import Config
from qcore.sql import Database
from qcore.sql.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import redis

    from qtest.servers import MariaServer, PostgresServer

    Settings = dict[str, Any]


class Backend(NamedTuple):
    """Where the queues of a test live."""

    name: str
    connection: str
    """The connection that is the default one."""
    settings: Settings | None
    """Those of the connection; None: those it has by itself."""

    def config(self, root: Path, **said: Any) -> Config:
        """Give the configuration of an App whose default connection is here."""
        own = {} if self.settings is None else {self.connection: self.settings}
        connections = {**said.pop("connections", {}), **own}
        return Config(**{"default": self.connection, "root": root, "connections": connections, **said})


class Row(NamedTuple):
    """How a backend is had: the connection, and what makes its settings from the request of a test."""

    connection: str
    settings: Callable[[pytest.FixtureRequest], Settings] | None = None


def _fakeredis(_: pytest.FixtureRequest) -> Settings:
    import fakeredis

    return {"driver": "redis", "client": fakeredis.FakeRedis(server=fakeredis.FakeServer())}


def _redis(request: pytest.FixtureRequest) -> Settings:
    return {"driver": "redis", "url": request.getfixturevalue("redis_server").fresh()}


def _cluster(request: pytest.FixtureRequest) -> Settings:
    return {"driver": "redis", "client": _cluster_client(request.getfixturevalue("redis_cluster").fresh())}


@cache
def _cluster_client(url: str) -> redis.RedisCluster:
    """Give a client that knows the nodes and the commands of the cluster: to ask for these takes longer than a test."""
    import redis

    return redis.RedisCluster.from_url(url)


def _postgres(request: pytest.FixtureRequest) -> Settings:
    return {"driver": "database", "url": _emptied(request.getfixturevalue("_postgres_tables"))}


def _maria(request: pytest.FixtureRequest) -> Settings:
    return {"driver": "database", "url": _emptied(request.getfixturevalue("_maria_tables"))}


@pytest.fixture(scope="session")
def _postgres_tables(postgres_server: PostgresServer) -> Iterator[Database]:
    yield from _with_tables(postgres_server.url)


@pytest.fixture(scope="session")
def _maria_tables(maria_server: MariaServer) -> Iterator[Database]:
    yield from _with_tables(maria_server.url)


def _with_tables(url: str) -> Iterator[Database]:
    database = Database(url)
    database.create_all()
    yield database
    database.close()


def _emptied(database: Database) -> str:
    """Empty the tables, which tests take in turns: to make them anew takes longer."""
    tables = [table.name for table in reversed(metadata.sorted_tables) if table.name != "qcore_schema"]
    # In one step, since that is done again when a test before has cut all connections of the server.
    database.atomically(lambda _: [database.connection().say(f"DELETE FROM {name}") for name in tables])
    return database.url


BACKENDS = {
    "memory": Row("memory"),
    "sqlite": Row("database"),
    "fakeredis": Row("redis", _fakeredis),
    "redis": Row("redis", _redis),
    "cluster": Row("redis", _cluster),
    "postgres": Row("database", _postgres),
    "maria": Row("database", _maria),
}


_ALWAYS = ("memory", "sqlite")

_OF_THE_HOME = re.compile(
    r"batch|chain|unique|debounce|callback|settlement|retry|failed|signal|queue|attack|middleware|rate|overlap|throttle"
)
"""What is in the names of modules whose tests run on every backend."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backends", help=f"run all tests of an App on these: {','.join(BACKENDS)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a backend on each of them."""
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", _chosen(metafunc.config, metafunc.module.__name__), indirect=True)


def _chosen(config: pytest.Config, module: str) -> tuple[str, ...]:
    given: str | None = config.getoption("--backends")
    if given is None:
        return tuple(BACKENDS) if _OF_THE_HOME.search(module) else _ALWAYS
    chosen = tuple(given.split(","))
    if unknown := set(chosen) - set(BACKENDS):
        raise pytest.UsageError(
            f"--backends: there is no {', '.join(sorted(unknown))}; there are {', '.join(BACKENDS)}"
        )
    return chosen


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """The backend of this test, empty."""
    row = BACKENDS[request.param]
    return Backend(request.param, row.connection, None if row.settings is None else row.settings(request))


def apart(backend: Backend) -> str:
    """Name a connection that every configuration has and that is another backend, for what is to live elsewhere."""
    return "database" if backend.name == "memory" else "memory"
