"""A driver that can deletes a job and reserves the next one in one trip; a worker that may stop does not ask for it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, WorkerOptions, chain
from qcore.drivers.memory import MemoryDriver
from qcore.errors import DriverError
from qcore.events import JobPopped, JobPopping, JobProcessed, Looping
from qcore.limits import StopReason
from qcore.memory import Memory
from qcore.outcome import Done
from qcore.worker import Stopped
from qtest.clock import FrozenClock
from tests.qcore.acting import doing
from tests.qcore.test_worker import Interruption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.driver import Reservation, Settled


class Pipelining(MemoryDriver):
    """Memory that counts its round trips."""

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__(Memory(), clock)
        self.trips: list[str] = []

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        self.trips.append("reserve")
        return super().reserve(queues, wait=wait)

    def delete(self, reservation: Reservation, **given: Any) -> Settled:
        self.trips.append("delete")
        return super().delete(reservation, **given)

    def delete_and_reserve(self, reservation: Reservation, queues: Sequence[str]) -> tuple[Settled, Reservation | None]:
        self.trips.append("both")
        return super().delete(reservation), super().reserve(queues)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def app(clock: FrozenClock) -> App:
    app = App(Config(default="memory"), clock=clock)
    app.connection().driver = Pipelining(clock)
    return app


def driver_of(app: App) -> Pipelining:
    driver = app.connection().driver
    assert isinstance(driver, Pipelining)
    return driver


def filled(app: App, ran: list[int], jobs: int = 3) -> None:
    for number in range(jobs):
        app.push(doing(lambda _, number=number: ran.append(number)))


def run(app: App, **options: Any) -> Stopped:
    return app.worker(options=WorkerOptions(**({"stop_when_empty": True} | options))).run()


def left(app: App) -> list[tuple[str, int]]:
    """The state and the attempts of what is still there."""
    return [(each.state, each.attempts) for each in driver_of(app).listed("default")]


def test_there_is_one_round_trip_a_job(app: App) -> None:
    ran: list[int] = []
    filled(app, ran)

    assert Stopped(StopReason.EMPTY, 3, 0) == run(app)
    assert [0, 1, 2] == ran
    assert ["reserve", "both", "both", "both", "reserve"] == driver_of(app).trips


def test_jobs_taken_so_are_told_like_others(app: App) -> None:
    told: list[object] = []
    app.listen(JobPopped, lambda event: told.append(("popped", event.reservation.attempts)))
    app.listen(JobProcessed, lambda event: told.append(("processed", event.delivery.attempts())))
    filled(app, [], jobs=2)

    run(app)

    assert 2 * [("popped", 1), ("processed", 1)] == told


@pytest.mark.parametrize("option", ["max_jobs", "max_time", "memory"])
def test_a_worker_that_ends_with_a_job_takes_no_other(app: App, clock: FrozenClock, option: str) -> None:
    for _ in range(3):
        app.push(doing(lambda _: clock.advance(0.3)))
    options: dict[str, Any] = {option: {"max_jobs": 2, "max_time": 0.6, "memory": 1}[option]}
    worker = app.worker(options=WorkerOptions(**options))
    answers = iter([0.5, 1.5, 1.5])
    worker._memory = lambda _: next(answers)

    assert worker.run().jobs == 2
    assert ["reserve", "both", "delete"] == driver_of(app).trips
    assert [("ready", 0)] == left(app)


def test_a_job_that_fails_or_has_effects_is_deleted_by_itself(app: App) -> None:
    ran: list[int] = []

    def fail(_: object) -> None:
        raise ValueError

    with app.activate():
        chain(doing(fail)).dispatch()
        chain(doing(lambda _: ran.append(1)), doing(lambda _: ran.append(2))).dispatch()

    assert Stopped(StopReason.EMPTY, 3, 1) == run(app)
    assert [1, 2] == ran
    assert ["reserve", "delete", "reserve", "delete", "reserve", "both", "reserve"] == driver_of(app).trips


@pytest.mark.parametrize("event", [Looping, JobPopping])
def test_who_listens_before_a_job_is_reserved_is_asked_before(app: App, event: type[Any]) -> None:
    app.listen(event, lambda _: None)
    filled(app, [])

    run(app)

    assert [] == [trip for trip in driver_of(app).trips if trip == "both"]


def test_a_rest_after_each_job_comes_before_the_next_is_reserved(app: App) -> None:
    filled(app, [])

    run(app, rest=1)

    assert ["reserve", "delete"] * 3 + ["reserve"] == driver_of(app).trips


def test_what_all_workers_are_told_is_read_before_the_next_is_reserved(app: App, clock: FrozenClock) -> None:
    """A pause of the queue that comes while a job runs keeps the worker from the next one."""

    def paused(_: object) -> None:
        app.signals.pause("default")
        clock.advance(1.001)

    ran: list[int] = []
    app.push(doing(paused))
    filled(app, ran, jobs=1)

    assert run(app).reason is StopReason.PAUSED
    assert ([], [("ready", 0)]) == (ran, left(app))


def test_a_signal_right_after_a_reservation_gives_the_job_back(app: App) -> None:
    ran: list[int] = []
    filled(app, ran, jobs=2)
    worker = app.worker(options=WorkerOptions())
    worker.interruption = interruption = Interruption()
    app.listen(JobProcessed, lambda _: setattr(interruption, "signal", signal.SIGTERM))

    assert Stopped(StopReason.INTERRUPTED, 1, 0) == worker.run()
    assert ([0], ["reserve", "both"], [("ready", 0)]) == (ran, driver_of(app).trips, left(app))


def test_a_pause_right_after_a_reservation_gives_the_job_back(app: App, clock: FrozenClock) -> None:
    ran: list[int] = []
    filled(app, ran, jobs=2)
    worker = app.worker(options=WorkerOptions(max_time=5))
    worker.interruption = interruption = Interruption()
    app.listen(JobProcessed, lambda _: setattr(interruption, "paused", True))

    assert Stopped(StopReason.MAX_TIME, 1, 0) == worker.run()
    assert ([0], [("ready", 0)]) == (ran, left(app))


def test_a_job_that_cannot_be_given_back_comes_back_by_itself(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    filled(app, [], jobs=2)
    worker = app.worker(options=WorkerOptions())
    worker.interruption = interruption = Interruption()
    app.listen(JobProcessed, lambda _: setattr(interruption, "signal", signal.SIGTERM))

    def away(*_: object, **__: object) -> Settled:
        message = "the backend is away"
        raise DriverError(message)

    monkeypatch.setattr(driver_of(app), "release", away)

    assert worker.run().reason is StopReason.INTERRUPTED
    assert [("reserved", 1)] == left(app)
    [said] = caplog.messages
    assert said.startswith("the backend is away; the job ")
    assert said.endswith(" was reserved and not run: it comes back after its lease")


def test_a_run_that_ends_with_an_error_gives_back_what_it_has(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(app, [], jobs=2)
    worker = app.worker(options=WorkerOptions())

    def broken() -> None:
        raise KeyError

    monkeypatch.setattr(worker.interruption, "keep", broken, raising=False)

    with pytest.raises(KeyError):
        worker.run()
    assert [("ready", 0)] == left(app)


def test_run_next_job_takes_one_job(app: App) -> None:
    filled(app, [], jobs=2)

    assert Done() == app.worker().run_next_job()
    assert ["reserve", "delete"] == driver_of(app).trips


def test_jobs_that_were_run_are_counted_once_although_one_could_not_be_settled(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(app, [], jobs=1)
    worker = app.worker(options=WorkerOptions(stop_when_empty=True))

    def away(*_: object) -> None:
        message = "the backend is away"
        raise DriverError(message)

    monkeypatch.setattr(driver_of(app), "delete_and_reserve", away)

    with pytest.raises(DriverError, match="the backend is away"):
        worker.run()
    assert worker.jobs == 0
