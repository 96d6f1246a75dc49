"""A worker that is told to restart, to pause or that there is maintenance: when it notices, and what it does then."""

from __future__ import annotations

import logging
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from qcore.errors import DriverError
from qcore.events import (
    Event,
    Looping,
    WorkerPausing,
    WorkerQueuePaused,
    WorkerQueueResumed,
    WorkerResuming,
    WorkerStopping,
)
from qcore.limits import StopReason, WorkerOptions
from qcore.outcome import Done
from qcore.worker import Stopped
from tests.qcore.acting import Act, doing

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition

    from qcore.app import App
    from qcore.driver import Reservation
    from qcore.store import Store
    from qcore.worker import Worker
    from qtest.clock import FrozenClock

RESOLUTION = 0.000_001
"""What a float of seconds since 1970 can tell apart."""

_NOTICED = (WorkerPausing, WorkerResuming, WorkerQueuePaused, WorkerQueueResumed)


class Interruption:
    """Signals that come when the test says so."""

    signal = 0
    paused = False

    def keep(self) -> None: ...


def worker_of(app: App, **options: Any) -> tuple[Worker, Interruption]:
    worker = app.worker(options=WorkerOptions(memory=0, **options))
    worker.interruption = interruption = Interruption()
    return worker, interruption


def _note(ran: list[str], queue: str, _: Act) -> None:
    ran.append(queue)


def at(clock: FrozenClock, moments: dict[float, Callable[[], object]]) -> None:
    """Do something when the clock has been moved to a moment, in seconds since its beginning."""
    sleep, wait = clock.sleep, clock.wait

    def act() -> None:
        for moment in sorted(moments):
            if clock.monotonic() >= moment:
                moments.pop(moment)()

    def slept(seconds: float) -> None:
        sleep(seconds)
        act()

    def waited(condition: Condition, seconds: float) -> None:
        wait(condition, seconds)
        act()

    clock.sleep, clock.wait = slept, waited  # type: ignore[method-assign]


def noticed(events: list[Event]) -> list[str]:
    """Say in short what a worker noticed."""
    return [
        f"{type(event).__name__} {getattr(event, 'queue', '') or getattr(event, 'reason', '')}"
        for event in events
        if isinstance(event, _NOTICED)
    ]


@pytest.fixture
def ran(clock: FrozenClock) -> list[float]:
    """When jobs ran, in seconds since the clock's beginning."""
    return []


@pytest.fixture
def note(ran: list[float], clock: FrozenClock) -> Callable[[], Act]:
    """Make a job that notes when it runs."""
    return lambda: doing(lambda _: ran.append(clock.monotonic()))


# Restart.


def test_a_worker_that_is_told_to_restart_leaves_after_its_job(
    app: App, clock: FrozenClock, events: list[Event]
) -> None:
    """WRK-08."""

    def handle(_: Act) -> None:
        app.signals.restart()
        clock.advance(1)

    doing(handle).dispatch()
    doing(handle).dispatch()

    assert Stopped(StopReason.RESTART, 1, 0) == worker_of(app)[0].run()
    assert 1 == app.connection().size()
    assert ["restart_signal"] == [event.reason for event in events if isinstance(event, WorkerStopping)]


def test_a_restart_of_before_its_start_means_others(app: App, note: Callable[[], Act], ran: list[float]) -> None:
    """WRK-08."""
    app.signals.restart()
    note().dispatch()

    assert Stopped(StopReason.MAX_TIME, 1, 0) == worker_of(app, max_time=10)[0].run()


def test_a_worker_that_is_started_again_is_told_again(app: App, clock: FrozenClock) -> None:
    worker, _ = worker_of(app, sleep=0.5)
    for moment in (5, 15):
        at(clock, {moment: app.signals.restart})
        assert worker.run().reason is StopReason.RESTART
        assert moment <= clock.monotonic() <= moment + 1.3


def test_a_store_that_was_emptied_is_no_restart(app: App, clock: FrozenClock) -> None:
    """WRK-08, where Laravel restarts; and the next restart is heard all the same."""
    app.signals.restart()
    at(clock, {5: lambda: app.connections.store.forget("signals:restart"), 20: app.signals.restart})

    assert worker_of(app)[0].run().reason is StopReason.RESTART
    assert 20 <= clock.monotonic() <= 21.3


def test_a_worker_counts_as_started_before_its_jobs_were_imported(app: App, clock: FrozenClock) -> None:
    """Who restarts while it imports means the code that it has just read."""
    app.signals.note_start()
    app.signals.restart()

    assert worker_of(app)[0].run() == Stopped(StopReason.RESTART, 0, 0)
    assert clock.monotonic() == 0
    assert worker_of(app, max_time=3)[0].run().reason is StopReason.MAX_TIME


@pytest.mark.parametrize("options", [{"sleep": 3600}, {"rest": 3600}, {"sleep": 3600, "veto": True}], ids=str)
def test_no_wait_hides_a_restart(
    app: App, clock: FrozenClock, note: Callable[[], Act], options: dict[str, Any]
) -> None:
    if options.pop("veto", False):
        app.listen(Looping, lambda _: False)
    note().dispatch()
    note().dispatch()
    at(clock, {10: app.signals.restart})

    assert worker_of(app, **options)[0].run().reason is StopReason.RESTART
    assert 10 <= clock.monotonic() <= 11.3


def test_a_finite_run_is_restarted_too_and_a_single_step_is_not(app: App, clock: FrozenClock) -> None:
    """WRK-95 for the step."""

    def handle(_: Act) -> None:
        app.signals.restart()
        clock.advance(1)

    for _ in range(3):
        doing(handle).dispatch()
    worker, _ = worker_of(app, stop_when_empty=True)

    assert Stopped(StopReason.RESTART, 1, 0) == worker.run()
    assert [Done(), Done(), None] == [worker.run_next_job() for _ in range(3)]


# Pause.


def test_a_paused_queue_is_skipped_and_the_others_go_on(app: App) -> None:
    """WRK-24, WRK-20."""
    ran: list[str] = []
    jobs = {queue: doing(partial(_note, ran, queue)) for queue in ("high", "middle", "low")}
    for queue in ("low", "high", "middle", "low", "high"):
        app.dispatch(jobs[queue], queue=queue)
    app.signals.pause("high")
    worker, _ = worker_of(app, queues=("high", "middle", "low"), stop_when_empty=True)

    assert Stopped(StopReason.EMPTY, 3, 0) == worker.run()
    assert ["middle", "low", "low"] == ran
    app.signals.resume("high")
    assert Stopped(StopReason.EMPTY, 2, 0) == worker_of(app, queues=("high",), stop_when_empty=True)[0].run()


def test_a_pause_on_another_connection_is_another(app: App, note: Callable[[], Act]) -> None:
    """WRK-25: by the name that ``--queue`` says."""
    app.signals.pause("default", "null")
    app.signals.pause("Default")
    note().dispatch()

    assert Stopped(StopReason.EMPTY, 1, 0) == worker_of(app, stop_when_empty=True)[0].run()


def test_who_resumes_a_queue_does_not_lift_the_pause_of_all(app: App, clock: FrozenClock, ran: list[float]) -> None:
    """WRK-24."""
    app.signals.pause()
    app.signals.pause("default")
    doing(lambda _: ran.append(clock.monotonic())).dispatch()
    at(clock, {10: lambda: app.signals.resume("default"), 20: app.signals.resume})

    assert Stopped(StopReason.MAX_JOBS, 1, 0) == worker_of(app, max_jobs=1)[0].run()
    assert 20 <= ran[0] <= 21.3


def test_the_job_in_hand_is_finished_and_the_next_one_waits(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float]
) -> None:
    """WRK-24."""

    def handle(_: Act) -> None:
        app.signals.pause("default", for_=60)
        clock.advance(2)

    doing(handle).dispatch()
    note().dispatch()

    assert Stopped(StopReason.MAX_JOBS, 2, 0) == worker_of(app, max_jobs=2)[0].run()
    assert 60 <= ran[0] <= 61.3


def test_a_pause_begins_while_a_worker_waits_for_just_that_queue(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float]
) -> None:
    def dispatch() -> None:
        note().dispatch()
        app.dispatch(note(), queue="other")

    at(clock, {10: lambda: app.signals.pause("default"), 12: dispatch, 20: lambda: app.signals.resume("default")})

    worker, _ = worker_of(app, queues=("default", "other"), sleep=3600, max_jobs=2)
    assert Stopped(StopReason.MAX_JOBS, 2, 0) == worker.run()
    assert 12 <= ran[0] <= 13
    assert 20 <= ran[1] <= 21.3


@pytest.mark.parametrize("sleep", [0, 3, 3600])
def test_the_end_of_a_pause_is_noticed_within_about_a_second(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float], sleep: float
) -> None:
    app.signals.pause(for_=100)
    note().dispatch()

    worker_of(app, sleep=sleep, max_jobs=1)[0].run()

    assert 100 <= ran[0] <= 101.3


def test_what_a_worker_notices_is_told_once(app: App, clock: FrozenClock, events: list[Event]) -> None:
    """WRK-24: by each worker, for each of its queues, on transitions."""
    signals = app.signals
    signals.pause("b")
    signals.pause("not mine")
    at(clock, {5: signals.pause, 10: lambda: signals.resume("b"), 15: signals.resume})
    at(clock, {20: lambda: signals.pause("a", for_=3)})
    worker, _ = worker_of(app, queues=("a", "b"), max_time=30, name="w1")

    worker.run()

    assert [
        "WorkerQueuePaused b",
        "WorkerQueuePaused a",
        "WorkerQueueResumed a",
        "WorkerQueueResumed b",
        "WorkerQueuePaused a",
        "WorkerQueueResumed a",
    ] == noticed(events)
    assert WorkerQueuePaused("w1", app.connection().name, ("a", "b"), "b") in events


def test_a_paused_worker_does_not_ask_looping_listeners(app: App, clock: FrozenClock) -> None:
    """WRK-10: once for each turn in which a job may be reserved."""
    turns: list[float] = []
    app.listen(Looping, lambda _: turns.append(clock.monotonic()))
    app.signals.pause(for_=10)

    worker_of(app, max_time=20)[0].run()

    assert turns
    assert min(turns) >= 10


# Maintenance.


def test_nothing_is_reserved_during_maintenance(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float], events: list[Event]
) -> None:
    """WRK-09."""
    app.signals.down()
    note().dispatch()
    at(clock, {50: app.signals.up})

    assert Stopped(StopReason.MAX_JOBS, 1, 0) == worker_of(app, max_jobs=1)[0].run()
    assert 50 <= ran[0] <= 51.3
    assert ["WorkerPausing maintenance", "WorkerResuming maintenance"] == noticed(events)


def test_a_worker_with_force_works_during_maintenance(app: App, note: Callable[[], Act], events: list[Event]) -> None:
    """WRK-09."""
    app.signals.down()
    note().dispatch()
    note().dispatch()
    worker, _ = worker_of(app, force=True, max_jobs=1)

    assert Stopped(StopReason.MAX_JOBS, 1, 0) == worker.run()
    assert worker.run_next_job() == Done()
    assert [] == noticed(events)


def test_force_lifts_no_pause(app: App, note: Callable[[], Act]) -> None:
    app.signals.pause()
    note().dispatch()
    worker, _ = worker_of(app, force=True, max_time=10)

    assert Stopped(StopReason.MAX_TIME, 0, 0) == worker.run()
    assert worker.run_next_job() is None


# By a signal of the process.


def test_a_signal_pauses_the_worker_and_another_lets_it_go_on(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float], events: list[Event]
) -> None:
    """WRK-81."""
    worker, interruption = worker_of(app, max_jobs=2, sleep=3600)
    at(clock, {20: lambda: setattr(interruption, "paused", False)})

    def handle(_: Act) -> None:
        interruption.paused = True

    doing(handle).dispatch()
    note().dispatch()

    assert Stopped(StopReason.MAX_JOBS, 2, 0) == worker.run()
    assert 20 <= ran[0] <= 20.25
    assert ["WorkerPausing signal", "WorkerResuming signal"] == noticed(events)


def test_an_idle_worker_notices_the_signal_that_pauses_it_within_a_slice(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float], events: list[Event]
) -> None:
    worker, interruption = worker_of(app, max_time=10, sleep=3600)
    at(clock, {5: lambda: setattr(interruption, "paused", True), 5.5: lambda: note().dispatch()})

    assert Stopped(StopReason.MAX_TIME, 0, 0) == worker.run()
    assert ["WorkerPausing signal"] == noticed(events)


def test_signals_that_undo_each_other_during_a_job_are_nothing(
    app: App, note: Callable[[], Act], events: list[Event]
) -> None:
    worker, interruption = worker_of(app, max_jobs=2)

    def handle(_: Act) -> None:
        interruption.paused = True
        interruption.paused = False

    doing(handle).dispatch()
    note().dispatch()

    assert Stopped(StopReason.MAX_JOBS, 2, 0) == worker.run()
    assert [] == noticed(events)


def test_a_resume_between_two_turns_is_told_too(app: App, clock: FrozenClock, events: list[Event]) -> None:
    """The turn in which the worker learns of it is not one in which it is paused."""
    worker = app.worker(options=WorkerOptions(memory=1000, max_time=20, sleep=1))
    worker.interruption = interruption = Interruption()

    def memory(_: float) -> float:
        clock.advance(1)
        interruption.paused = clock.monotonic() < 7
        return 1

    worker._memory = memory

    worker.run()

    assert ["WorkerPausing signal", "WorkerResuming signal"] == noticed(events)


def test_a_paused_worker_can_be_stopped(app: App, clock: FrozenClock) -> None:
    worker, interruption = worker_of(app, sleep=3600)
    interruption.paused = True
    at(clock, {7: lambda: setattr(interruption, "signal", signal.SIGTERM)})

    assert Stopped(StopReason.INTERRUPTED, 0, 0) == worker.run()
    assert 7 <= clock.monotonic() <= 7.25


def test_a_worker_that_was_paused_in_two_ways_goes_on_when_both_are_over(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float]
) -> None:
    worker, interruption = worker_of(app, max_jobs=1)
    interruption.paused = True
    app.signals.down()
    app.signals.pause("default")
    note().dispatch()
    at(
        clock,
        {
            5: app.signals.up,
            10: lambda: setattr(interruption, "paused", False),
            15: lambda: app.signals.resume("default"),
        },
    )

    worker.run()

    assert 15 <= ran[0] <= 16.3


# Runs that end by themselves.


@pytest.mark.parametrize("options", [{"stop_when_empty": True}, {"drain": True}], ids=str)
@pytest.mark.parametrize("tell", ["pause", "down", "pause default"])
def test_a_finite_run_that_may_look_at_nothing_ends_at_once_and_says_why(
    app: App, clock: FrozenClock, caplog: pytest.LogCaptureFixture, options: dict[str, Any], tell: str
) -> None:
    """WRK-06: it does not call the queue empty, and does not wait for an end that may never come."""
    word, _, queue = tell.partition(" ")
    getattr(app.signals, word)(*([queue] if queue else []))
    doing(lambda _: None).dispatch()

    assert Stopped(StopReason.PAUSED, 0, 0) == worker_of(app, **options)[0].run()

    assert clock.monotonic() == 0
    why = (
        "there is maintenance (qcore up ends it)" if word == "down" else "the queue default is paused (see qcore show)"
    )
    assert [f"the worker ends although jobs may wait: {why}"] == [record.message for record in caplog.records]


@pytest.mark.parametrize(("option", "reason"), [("stop_when_empty", "empty"), ("drain", "drained")])
def test_a_finite_run_does_the_queues_that_are_not_paused_and_names_the_others(
    app: App, clock: FrozenClock, note: Callable[[], Act], caplog: pytest.LogCaptureFixture, option: str, reason: str
) -> None:
    """A drain would else wait for ever for what waits behind the pause."""
    for queue in ("a", "b", "c"):
        app.dispatch(note(), queue=queue)
        app.signals.pause(queue)
    app.signals.resume("b")

    stopped = worker_of(app, queues=("a", "b", "c"), **{option: True})[0].run()

    assert Stopped(StopReason(reason), 1, 0) == stopped
    assert clock.monotonic() < 1
    [said] = [record.message for record in caplog.records]
    assert said == "the worker ends although jobs may wait: the queues a, c are paused (see qcore show)"


def test_a_finite_run_waits_for_the_signal_that_resumes_it(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float]
) -> None:
    """WRK-06: somebody has this very process in hand, and will let it go on."""
    worker, interruption = worker_of(app, stop_when_empty=True)
    interruption.paused = True
    note().dispatch()
    at(clock, {30: lambda: setattr(interruption, "paused", False)})

    assert Stopped(StopReason.EMPTY, 1, 0) == worker.run()
    assert 30 <= ran[0] <= 30.25
    assert clock.monotonic() <= 30.25


def test_max_time_is_over_during_a_pause_too(app: App, clock: FrozenClock) -> None:
    app.signals.pause()

    assert worker_of(app, max_time=4.6, sleep=3)[0].run().reason is StopReason.MAX_TIME
    assert clock.monotonic() == pytest.approx(4.6, abs=0.002)


def test_a_pause_late_in_max_time_makes_no_wait_longer(app: App, clock: FrozenClock) -> None:
    worker, interruption = worker_of(app, max_time=5, sleep=3)
    interruption.paused = True
    at(clock, {2.9: lambda: setattr(interruption, "paused", False)})

    assert worker.run().reason is StopReason.MAX_TIME
    assert clock.monotonic() == pytest.approx(5, abs=0.002)


@pytest.mark.parametrize("how", ["pause", "veto"])
def test_who_may_not_look_is_not_idle(
    app: App, clock: FrozenClock, note: Callable[[], Act], ran: list[float], how: str
) -> None:
    """WRK-06 for ``--stop-when-empty-for``: it counts the time in which a job would have been found."""
    if how == "pause":
        app.signals.pause(for_=100)
    else:
        app.listen(Looping, lambda _: clock.monotonic() >= 100)
    app.dispatch(note(), delay=103)

    assert Stopped(StopReason.EMPTY_FOR, 1, 0) == worker_of(app, stop_when_empty_for=5)[0].run()
    assert 103 - RESOLUTION <= ran[0] <= 104
    assert ran[0] + 5 <= clock.monotonic() <= ran[0] + 5.1


@pytest.mark.parametrize("tell", ["pause", "down"])
def test_a_single_step_runs_nothing_and_says_why(
    app: App, note: Callable[[], Act], ran: list[float], tell: str
) -> None:
    """WRK-09, WRK-95."""
    getattr(app.signals, tell)()
    note().dispatch()
    worker, _ = worker_of(app)

    assert worker.run_next_job() is None
    assert [] == ran
    assert ("paused" if tell == "pause" else "maintenance") in worker.reasons()


def test_a_step_in_peace_has_no_reasons(app: App) -> None:
    worker, _ = worker_of(app)

    assert worker.run_next_job() is None
    assert "" == worker.reasons()


# What looking costs, and what it survives.


@pytest.fixture
def reads(app: App, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that were read."""
    keys: list[str] = []
    store: Store = app.connections.store
    get = store.get

    def noting(key: str) -> str | None:
        keys.append(key)
        return get(key)

    monkeypatch.setattr(store, "get", noting)
    return keys


def test_the_store_is_read_once_a_second_and_not_for_each_job(app: App, clock: FrozenClock, reads: list[str]) -> None:
    for _ in range(50):
        doing(lambda _: clock.advance(0.1)).dispatch()
    worker, _ = worker_of(app, max_jobs=50, queues=("default", "low"))

    worker.run()

    # At 0, 1, 2, 3, 4 seconds five keys, and the restart once more at the start.
    assert 5 * 5 + 1 == len(reads)


def test_an_idle_worker_reads_once_a_second_too(app: App, reads: list[str]) -> None:
    worker_of(app, max_time=10)[0].run()

    assert 11 == reads.count("signals:down")


class Trouble:
    """Makes a store fail while the test says so."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        store: Store = app.connections.store
        get = store.get

        def trying(key: str) -> str | None:
            if self.away:
                raise DriverError("the store is away")
            return get(key)

        monkeypatch.setattr(store, "get", trying)


def test_a_store_that_is_away_changes_nothing_and_is_said_once(
    app: App,
    clock: FrozenClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    events: list[Event],
) -> None:
    """What was read last stays: the pause of one queue, and that the other one is open."""
    ran: list[float] = []
    trouble = Trouble(app, monkeypatch)
    app.signals.pause("a")

    def go() -> None:
        trouble.away = True
        for queue in ("a", "b"):
            app.dispatch(doing(lambda _: ran.append(clock.monotonic())), queue=queue)

    def come_back() -> None:
        trouble.away = False
        app.signals.resume("a")

    at(clock, {5: go, 30: come_back})
    with caplog.at_level(logging.INFO, "qcore"):
        worker_of(app, queues=("a", "b"), max_time=60, sleep=1)[0].run()

    assert 5 <= ran[0] <= 6
    assert 30 <= ran[1] <= 31.3
    assert [
        "the store is away; restart, pause and maintenance are not heard of until it is back",
        "the store of restart, pause and maintenance is back",
    ] == [record.message for record in caplog.records]
    assert ["WorkerQueuePaused a", "WorkerQueueResumed a"] == noticed(events)


def test_a_restart_that_was_said_during_trouble_is_heard_after_it(
    app: App, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trouble = Trouble(app, monkeypatch)
    at(
        clock,
        {
            5: lambda: setattr(trouble, "away", True),
            6: app.signals.restart,
            20: lambda: setattr(trouble, "away", False),
        },
    )

    assert worker_of(app)[0].run().reason is StopReason.RESTART
    assert 20 <= clock.monotonic() <= 21.3


@pytest.mark.parametrize("finite", [True, False])
def test_a_worker_that_never_read_the_store_does_not_start(
    app: App,
    monkeypatch: pytest.MonkeyPatch,
    note: Callable[[], Act],
    ran: list[float],
    finite: bool,  # noqa: FBT001
) -> None:
    """It could not tell whether it may work."""
    note().dispatch()
    Trouble(app, monkeypatch).away = True
    worker, _ = worker_of(app, stop_when_empty=finite)

    for start in (worker.run, worker.run_next_job):
        with pytest.raises(DriverError, match="the store is away"):
            start()
    assert [] == ran


def test_a_server_that_is_away_with_the_store_on_it_is_said_once(
    app: App, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    trouble, driver = Trouble(app, monkeypatch), app.connection().driver
    reserve = driver.reserve

    def reserve_unless_away(*queues: Any, **wait: Any) -> Reservation | None:
        if trouble.away:
            raise DriverError("the server is away")
        return reserve(*queues, **wait)

    monkeypatch.setattr(driver, "reserve", reserve_unless_away)
    at(clock, {5: lambda: setattr(trouble, "away", True), 30: lambda: setattr(trouble, "away", False)})

    worker_of(app, max_time=60)[0].run()

    back = f"the connection {app.connection().name!r} is back"
    assert ["the server is away; trying again until it is back", back] == [record.message for record in caplog.records]


def test_a_turn_that_asked_nothing_does_not_say_that_the_connection_is_back(
    app: App, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    driver = app.connection().driver
    reserve = driver.reserve
    asked: list[float] = []

    def away(*queues: Any, **wait: Any) -> Reservation | None:
        asked.append(clock.monotonic())
        if 5 <= clock.monotonic() <= 40:
            raise DriverError("away")
        return reserve(*queues, **wait)

    monkeypatch.setattr(driver, "reserve", away)
    at(clock, {10: lambda: app.signals.pause(for_=20)})

    worker_of(app, max_time=60)[0].run()

    back = f"the connection {app.connection().name!r} is back"
    assert ["away; trying again until it is back", back] == [record.message for record in caplog.records]
    assert [] == [moment for moment in asked if 12 < moment < 30]
