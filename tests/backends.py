"""The backends that tests of an App run on: the same tests on each, with no server of anybody's own.

``pytest --backends=memory,sqlite`` runs them on some only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from qcore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


BACKENDS = {
    "memory": Row("memory"),
    "sqlite": Row("database"),
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
