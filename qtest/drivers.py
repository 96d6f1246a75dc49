"""The drivers that the same tests can run on: where the connections of a fake live."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.app import App
from qcore.config import Config
from qcore.errors import ConfigError, UnsupportedError

if TYPE_CHECKING:
    from qtest.servers import RedisServer

_KEPT = ("queue", "retry_after", "after_commit")
"""Settings of a connection that say how it behaves, and not where it lives."""

Settings = Callable[[str], dict[str, Any]]
"""Gives the settings of the connection of that name."""


class Place(NamedTuple):
    """A kind of backend for tests."""

    opened: Callable[[Callable[[], Path]], Settings] | None
    """Called once for a fake, with what makes a folder of the test's own. None: there is none yet."""
    missing: Callable[[], str] = str
    """Says what has to be installed first; empty when nothing."""


def _memory(_: Callable[[], Path]) -> Settings:
    return lambda _: {"driver": "memory"}


def _sqlite(folder: Callable[[], Path]) -> Settings:
    where = folder()
    return lambda name: {"driver": "database", "url": f"sqlite:///{where / f'qtest-{name}.sqlite3'}"}


def _fakeredis(_: Callable[[], Path]) -> Settings:
    import fakeredis

    # One server for all connections of a fake: each has keys of its own, and nothing is left when it is gone.
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    return lambda name: {"driver": "redis", "client": client, "prefix": f"{name}:"}


def _no_fakeredis() -> str:
    return "" if find_spec("fakeredis") and find_spec("lupa") else "pip install 'qcore-queue[test]'"


def _redis(_: Callable[[], Path]) -> Settings:
    url = _redis_server().fresh()
    return lambda name: {"driver": "redis", "url": url, "prefix": f"{name}:"}


@cache
def _redis_server() -> RedisServer:
    from qtest.servers import RedisServer

    return RedisServer().start()  # ended with the process


def _no_redis() -> str:
    from qtest.servers import MissingServerError, RedisServer

    try:
        RedisServer.path()
    except MissingServerError as error:
        return str(error)
    return ""


def _on_server(kind: str) -> Place:
    """Give the place of a database on a server; ``kind`` is the extra that it needs."""

    def opened(_: Callable[[], Path]) -> Settings:
        from qtest import database_places

        return database_places.opened(kind)

    def missing() -> str:
        from qtest import database_places

        return database_places.missing(kind)

    return Place(opened, missing)


PLACES: dict[str, Place] = {
    "memory": Place(_memory),
    "sqlite": Place(_sqlite),
    "fakeredis": Place(_fakeredis, _no_fakeredis),
    "redis": Place(_redis, _no_redis),
    "postgres": _on_server("postgres"),
    "mysql": _on_server("mysql"),
}


_SHARED_WITH_NOBODY = ("memory", "sync", "null")


def app_in_memory() -> App:
    """Build the App of the project for a test that names none: what it lets through must not reach a real queue.

    Connections that other processes read are in memory; those that run or discard what they are given stay.

    :raises ConfigError: when the project's configuration is wrong.
    """
    config = Config.load()
    outside = {name: its for name, its in config.connections.items() if its["driver"] not in _SHARED_WITH_NOBODY}
    if config.default == os.environ.get("QUEUE_CONNECTION") and config.default not in config.connections:
        outside[config.default] = {}  # the variable is everybody's, and may be meant for another program
    moved = placed("memory", outside, Path)
    failed = config.failed if config.failed == "null" else "default"
    return App(replace(config, connections={**config.connections, **moved}, failed=failed, store="default"))


class MissingDriverError(UnsupportedError):
    """The tests cannot run on that driver here."""


def check(name: str) -> Place:
    """Find a kind of backend.

    :raises ConfigError: for a name that does not exist.
    :raises MissingDriverError: when it cannot be had here.
    """
    place = PLACES.get(name)
    if place is None:
        message = f"there is no driver {name!r} for tests; there are {', '.join(PLACES)}"
        raise ConfigError(message)
    if place.opened is None:
        ready = ", ".join(each for each, its in PLACES.items() if its.opened is not None)
        message = f"qcore has no driver for {name!r} yet: run the tests on {ready}"
        raise MissingDriverError(message)
    if missing := place.missing():
        raise MissingDriverError(f"tests cannot run on {name!r} here: {missing}")
    return place


def placed(name: str, connections: dict[str, Any], folder: Callable[[], Path]) -> dict[str, dict[str, Any]]:
    """Give the settings of all connections on another backend; their queues and leases stay what they are."""
    opened = check(name).opened
    assert opened is not None  # noqa: S101 - it was checked
    make = opened(folder)
    return {
        each: make(each) | {key: settings[key] for key in _KEPT if key in settings}
        for each, settings in connections.items()
    }
