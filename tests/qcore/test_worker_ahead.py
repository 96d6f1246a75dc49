"""A worker takes its next job in the step that deletes the one before, where the driver can; and no job too many."""

from __future__ import annotations

import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest

from qcore.app import App
from qcore.config import Config
from qcore.driver import Pipelined
from qcore.drivers.redis import RedisDriver
from qcore.errors import DriverError
from qcore.events import JobPopping, JobProcessed, Looping, WorkerPausing
from qcore.limits import StopReason, WorkerOptions
from qcore.process import NotInterrupted
from qtest.clock import FrozenClock
from tests.qcore.acting import doing, raising

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.driver import Reservation, Settled
    from qcore.worker import Stopped


class Interruption(NotInterrupted):
    """What a test says instead of a signal."""


@pytest.fixture
def app() -> Iterator[App]:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    connections = {"redis": {"driver": "redis", "client": client}}
    app = App(Config(default="redis", connections=connections), clock=FrozenClock())
    with app.activate():
        yield app
    app.close()


@pytest.fixture
def asked(app: App, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the worker asks the driver for, in its order."""
    driver, said = app.connection().driver, list[str]()

    def noting(name: str) -> Any:  # noqa: ANN401 - stands for any method
        method = getattr(driver, name)

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - the same
            said.append(name)
            return method(*arguments, **named)

        return call

    for name in ("reserve", "delete", "delete_and_reserve", "release"):
        monkeypatch.setattr(driver, name, noting(name))
    return said


def work(app: App, interruption: Interruption | None = None, **options: Any) -> Stopped:
    worker = app.worker(options=WorkerOptions(**{"memory": 0, **options}))
    worker.interruption = interruption or Interruption()
    return worker.run()


def _note(seen: list[int], number: int, _: object) -> None:
    seen.append(number)


def waiting(app: App) -> list[tuple[str, int]]:
    driver = app.connection().driver
    assert isinstance(driver, RedisDriver)
    return [(each.state, each.attempts) for each in driver.listed("default")]


def test_the_next_job_comes_with_the_delete_of_the_one_before(app: App, asked: list[str]) -> None:
    assert isinstance(app.connection().driver, Pipelined)
    seen: list[int] = []
    for number in range(3):
        app.push(doing(partial(_note, seen, number)))

    assert work(app, max_jobs=3).reason is StopReason.MAX_JOBS
    assert [0, 1, 2] == seen
    assert ["reserve", "delete_and_reserve", "delete_and_reserve", "delete"] == asked


def test_the_last_job_that_may_be_run_takes_no_other(app: App) -> None:
    for _ in range(3):
        app.push(doing(lambda _: None))

    work(app, max_jobs=2)
    assert [("ready", 0)] == waiting(app)


@pytest.mark.parametrize("event", [Looping, JobPopping])
def test_nothing_is_taken_before_those_who_are_asked_first(app: App, asked: list[str], event: type) -> None:
    app.listen(event, lambda _: None)
    for _ in range(2):
        app.push(doing(lambda _: None))

    work(app, max_jobs=2)
    assert ["reserve", "delete"] * 2 == asked


def test_a_job_that_failed_takes_no_other_with_it(app: App, asked: list[str]) -> None:
    app.push(raising(ValueError()))
    app.push(doing(lambda _: None))

    work(app, max_jobs=2)
    assert ["reserve", "delete", "reserve", "delete"] == asked


def test_a_job_that_was_taken_although_the_worker_stops_is_given_back(app: App, asked: list[str]) -> None:
    """With its attempt: nobody has tried it."""
    interruption = Interruption()
    for _ in range(2):
        app.push(doing(lambda _: None))
    app.listen(JobProcessed, lambda _: setattr(interruption, "signal", signal.SIGTERM))

    assert work(app, interruption).reason is StopReason.INTERRUPTED
    assert ["reserve", "delete_and_reserve", "release"] == asked
    assert [("ready", 0)] == waiting(app)


def test_a_job_that_was_taken_before_a_pause_is_given_back(app: App) -> None:
    interruption = Interruption()
    for _ in range(2):
        app.push(doing(lambda _: None))
    app.listen(JobProcessed, lambda _: setattr(interruption, "paused", True))
    app.listen(WorkerPausing, lambda _: setattr(interruption, "signal", signal.SIGTERM))

    work(app, interruption)
    assert [("ready", 0)] == waiting(app)


class Away:
    """A backend that cannot be asked to release so many times."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.left = times
        self._release = app.connection().driver.release
        monkeypatch.setattr(app.connection().driver, "release", self.release)

    def release(self, reservation: Reservation, **said: Any) -> Settled:
        self.left -= 1
        if self.left >= 0:
            raise DriverError("the server is gone")
        return self._release(reservation, **said)


def told_to_stop_after_the_first_of_two(app: App) -> Interruption:
    interruption = Interruption()
    for _ in range(2):
        app.push(doing(lambda _: None))
    app.listen(JobProcessed, lambda _: setattr(interruption, "signal", signal.SIGTERM))
    return interruption


def test_a_job_is_given_back_when_the_server_is_there_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is restarted with its server waits for it: with one try only, the job would fail unseen."""
    interruption, started = told_to_stop_after_the_first_of_two(app), app.clock.monotonic()
    Away(app, monkeypatch, 10)

    work(app, interruption)
    assert [("ready", 0)] == waiting(app)
    assert 2.5 == app.clock.monotonic() - started


def test_a_job_that_cannot_be_given_back_is_told_of(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interruption, started = told_to_stop_after_the_first_of_two(app), app.clock.monotonic()
    Away(app, monkeypatch, 1000)

    work(app, interruption)

    told = "a job not begun comes back after its lease, one try the fewer"
    assert [f"{told}: the server is gone"] == [record.message for record in caplog.records]
    assert [("reserved", 1)] == waiting(app)
    assert 5 == app.clock.monotonic() - started


def test_a_paused_worker_keeps_the_job_until_it_can_be_given_back(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    interruption = Interruption()
    for _ in range(2):
        app.push(doing(lambda _: None))
    app.listen(JobProcessed, lambda _: setattr(interruption, "paused", True))
    away = Away(app, monkeypatch, 3)
    sleep, started = app.clock.sleep, app.clock.monotonic()

    def stop_when_it_is_back(seconds: float) -> None:
        sleep(seconds)
        if away.left < 0 or app.clock.monotonic() > started + 60:
            interruption.signal = signal.SIGTERM

    monkeypatch.setattr(app.clock, "sleep", stop_when_it_is_back)

    work(app, interruption)
    assert [("ready", 0)] == waiting(app)
    assert ["the server is gone; trying again until it is back"] == [record.message for record in caplog.records]
