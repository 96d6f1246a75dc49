"""The drivers that the same tests can run on: where the connections of a fake live."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a NamedTuple reads its annotations
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from qcore.app import App
from qcore.config import Config
from qcore.errors import ConfigError, UnsupportedError

_KEPT = ("queue", "retry_after", "after_commit")
"""Settings of a connection that say how it behaves, and not where it lives."""


class Place(NamedTuple):
    """A kind of backend for tests."""

    settings: Callable[[str, Path], dict[str, Any]] | None
    """Gives the settings of the connection of that name; the folder is the test's own. None: there is none yet."""


def _sqlite(name: str, folder: Path) -> dict[str, Any]:
    return {"driver": "database", "url": f"sqlite:///{folder / f'qtest-{name}.sqlite3'}"}


PLACES: dict[str, Place] = {
    "memory": Place(lambda *_: {"driver": "memory"}),
    "sqlite": Place(_sqlite),
    "fakeredis": Place(None),
    "redis": Place(None),
    "postgres": Place(None),
    "mysql": Place(None),
}


_SHARED_WITH_NOBODY = ("memory", "sync", "null")


def app_in_memory() -> App:
    """Build the App of the project for a test that names none: what it lets through must not reach a real queue.

    Connections that other processes read are in memory; those that run or discard what they are given stay.

    :raises ConfigError: when the project's configuration is wrong.
    """
    config = Config.load()
    outside = {name: its for name, its in config.connections.items() if its["driver"] not in _SHARED_WITH_NOBODY}
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
    if place.settings is None:
        ready = ", ".join(each for each, its in PLACES.items() if its.settings is not None)
        message = f"qcore has no driver for {name!r} yet: run the tests on {ready}"
        raise MissingDriverError(message)
    return place


def placed(name: str, connections: dict[str, Any], folder: Callable[[], Path]) -> dict[str, dict[str, Any]]:
    """Give the settings of all connections on another backend; their queues and leases stay what they are."""
    make = check(name).settings
    assert make is not None  # noqa: S101 - it was checked
    where = Path() if name == "memory" else folder()
    return {
        each: make(each, where) | {key: settings[key] for key in _KEPT if key in settings}
        for each, settings in connections.items()
    }
