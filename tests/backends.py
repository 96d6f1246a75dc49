"""The backends that tests of an App run on: the same tests on each, with no server of anybody's own.

``pytest --backends=memory,sqlite`` runs them on some only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from qcore.config import Config
from qcore.sql import Database
from qcore.sql.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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
    return {"driver": "redis", "url": request.getfixturevalue("redis_cluster").fresh(), "cluster": True}


def _postgres(request: pytest.FixtureRequest) -> Settings:
    return {"driver": "database", "url": _emptied(request.getfixturevalue("postgres_server"))}


def _maria(request: pytest.FixtureRequest) -> Settings:
    return {"driver": "database", "url": _emptied(request.getfixturevalue("maria_server"))}


def _emptied(server: PostgresServer | MariaServer) -> str:
    """Give a database with empty tables, which tests take in turns: to make them anew takes longer."""
    url = server.url
    database = Database(url)
    database.create_all()
    for table in metadata.sorted_tables:
        if table.name != "qcore_schema":
            database.connection().say(f"DELETE FROM {table.name}")
    database.close()
    return url


BACKENDS = {
    "memory": Row("memory"),
    "sqlite": Row("database"),
    "fakeredis": Row("redis", _fakeredis),
    "redis": Row("redis", _redis),
    "cluster": Row("redis", _cluster),
    "postgres": Row("database", _postgres),
    "maria": Row("database", _maria),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backends", default=",".join(BACKENDS), help="the backends that tests of an App run on")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for a backend on each of them."""
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backends").split(",")
        metafunc.parametrize("backend", chosen, indirect=True)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """The backend of this test, empty."""
    row = BACKENDS[request.param]
    return Backend(request.param, row.connection, None if row.settings is None else row.settings(request))


def apart(backend: Backend) -> str:
    """Name a connection that every configuration has and that is another backend, for what is to live elsewhere."""
    return "database" if backend.name == "memory" else "memory"
