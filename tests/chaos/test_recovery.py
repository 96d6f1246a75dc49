"""``qcore work`` as a daemon whose server goes away and comes back: it goes on by itself, soon, and says little."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.chaos.apps import app_on
from tests.chaos.conftest import SERVERS
from tests.chaos.history import CLOCK, Reader
from tests.chaos.jobs import Plain
from tests.chaos.processes import WORK, Process, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore import App
    from tests.chaos.places import Place, ServerPlace

SOON = 5.0
"""Seconds in which a worker has a job again when its server answers."""


class Daemon:
    """A worker with nothing to do, and who dispatches."""

    def __init__(self, process: Process, app: App, reader: Reader) -> None:
        self.process = process
        self._app = app
        self._reader = reader

    def run(self, name: str) -> float:
        """Dispatch a job; gives when it started, in seconds since 1970."""
        with self._app.activate():
            Plain(name).dispatch()
        wait_until(lambda: bool(self._reader.look()) and self._at("end", name) is not None, name)
        started = self._at("start", name)
        assert started is not None
        return started

    def _at(self, what: str, name: str) -> float | None:
        return next((line.at for line in self._reader.lines if (line.what, line.name) == (what, name)), None)

    def told(self) -> list[str]:
        """End it, and give what it has said."""
        self.process.stop()
        self.process.wait()
        assert "" == self.process.trouble
        return [line.partition("WARNING: ")[2] for line in self.process.said.splitlines()]


@pytest.fixture
def start(place: Place, tmp_path: Path) -> Iterator[Callable[[], Daemon]]:
    connection = {**place.fresh(tmp_path), "retry_after": 90}
    app = app_on(connection, tmp_path)
    started: list[Process] = []

    def start() -> Daemon:
        started.append(Process(tmp_path, 0, WORK, connection))
        wait_until(lambda: started[0].has_begun, "the worker to begin")
        return Daemon(started[0], app, Reader(tmp_path))

    yield start
    for each in started:
        each.end()
    app.close()


AWAY = r"redis://\S+ cannot be reached \(.*|cannot connect to the (postgresql|mysql) database .*"
BACK = "the connection 'chaos' is back"


@pytest.mark.parametrize("place", SERVERS, indirect=True)
def test_an_idle_worker_has_a_job_within_five_seconds_when_its_server_is_back(
    place: ServerPlace, start: Callable[[], Daemon]
) -> None:
    """It says once that the server is away, also when it has more than one reason to ask it."""
    worker = start()
    worker.run("before")

    place.faults["restart"](2.0)
    back = CLOCK.now()

    assert worker.run("after") - back < SOON
    away, told = worker.told()
    assert re.fullmatch(rf"({AWAY}); trying again until it is back", away)
    assert told == BACK


@pytest.mark.parametrize("place", SERVERS, indirect=True)
def test_an_idle_worker_has_a_job_within_five_seconds_when_its_connections_were_cut(
    place: ServerPlace, start: Callable[[], Daemon]
) -> None:
    worker = start()
    worker.run("before")

    place.faults["cut connections"](0.5)
    back = CLOCK.now()

    assert worker.run("after") - back < SOON
    assert worker.told() == []
