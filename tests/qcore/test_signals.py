"""What all workers are told through the store: what is kept there, for how long, and what is told of it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qcore.app import App
from qcore.config import Config
from qcore.errors import ConfigError, JobDefinitionError, UnknownConnectionError
from qcore.events import (
    Event,
    MaintenanceEnded,
    MaintenanceStarted,
    QueuePaused,
    QueueResumed,
    QueuesPaused,
    QueuesResumed,
)
from qcore.signals import Maintenance, Pause
from tests.qcore.acting import doing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock


def test_nothing_is_paused_before_somebody_says_so(app: App) -> None:
    assert [] == app.signals.paused()
    assert app.signals.maintenance() is None
    assert app.signals.last_restart() is None


# Pauses.


def test_a_pause_names_its_queue_and_the_default_connection(app: App) -> None:
    name = app.connection().name

    assert app.signals.pause("mail") == Pause(name, "mail", None)
    assert app.signals.pause("slow", "null") == Pause("null", "slow", None)
    assert sorted([Pause(name, "mail", None), Pause("null", "slow", None)]) == app.signals.paused()


def test_a_pause_ends_by_itself_when_it_has_a_time(app: App, clock: FrozenClock) -> None:
    """WRK-24."""
    end = clock.now() + 60
    mine, everything = app.signals.pause("mail", for_=60), app.signals.pause(for_=30)

    assert (end, end - 30) == (mine.until, everything.until)
    assert [everything, mine] == app.signals.paused()
    clock.advance(30)
    assert [mine] == app.signals.paused()
    clock.advance(30)
    assert [] == app.signals.paused()


def test_the_last_pause_decides_how_long_it_lasts(app: App, clock: FrozenClock) -> None:
    app.signals.pause("mail", for_=10)
    app.signals.pause("mail")
    clock.advance(1000)

    assert [None] == [pause.until for pause in app.signals.paused()]


def test_the_pause_of_a_queue_and_that_of_all_are_two_things(app: App) -> None:
    """WRK-24."""
    one, everything = app.signals.pause("mail"), app.signals.pause()

    assert app.signals.resume("mail")
    assert [everything] == app.signals.paused()
    app.signals.pause("mail")
    assert app.signals.resume()
    assert [one] == app.signals.paused()


def test_resume_says_whether_there_was_a_pause(app: App) -> None:
    app.signals.pause("mail")

    assert (True, False) == (app.signals.resume("mail"), app.signals.resume("mail"))
    assert app.signals.resume() is False
    assert app.signals.resume("mail", "null") is False


def test_queues_of_the_same_name_on_two_connections_are_two(app: App) -> None:
    app.signals.pause("mail", "null")

    assert app.signals.resume("mail") is False
    assert [Pause("null", "mail", None)] == app.signals.paused()


def test_long_names_are_told_apart(app: App) -> None:
    """The keys of some backends end at 255 characters."""
    seen: list[str] = []
    store = app.connections.store
    first, second = "q" * 189 + "1", "q" * 189 + "2"
    name = "c" * 60
    app.config.connections[name] = {"driver": "null"}  # type: ignore[index] # a dict, seen as a Mapping

    put = store.put

    def noting(key: str, value: str, *, ttl: float | None = None) -> None:
        seen.append(key)
        put(key, value, ttl=ttl)

    store.put = noting  # type: ignore[method-assign]
    app.signals.pause(first, name)

    assert max(map(len, seen)) <= 255
    assert app.signals.resume(second, name) is False
    assert app.signals.resume(first, name) is True


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), True, "60", 1e15])
def test_no_time_is_no_pause(app: App, seconds: float) -> None:
    for say in (
        lambda: app.signals.pause("mail", for_=seconds),
        lambda: app.signals.pause(for_=seconds),
        lambda: app.signals.down(for_=seconds),
    ):
        with pytest.raises(ConfigError, match="how long it lasts is a number of seconds above 0, got "):
            say()
    assert ([], None) == (app.signals.paused(), app.signals.maintenance())


@pytest.mark.parametrize("what", ["pause", "resume"])
def test_a_queue_that_cannot_be_is_refused(app: App, what: str) -> None:
    say = getattr(app.signals, what)

    with pytest.raises(UnknownConnectionError, match="there is no connection 'databse'"):
        say("mail", "databse")
    with pytest.raises(JobDefinitionError, match="'a,b' cannot be a queue name"):
        say("a,b")
    with pytest.raises(ConfigError, match="a queue of 'null' must be named: without one, all queues of all conn"):
        say(connection="null")
    assert [] == app.signals.paused()


def test_queues_that_are_paused_no_more_are_forgotten(app: App, clock: FrozenClock) -> None:
    """The list of a shop with a queue for each customer does not grow for ever."""
    for number in range(50):
        app.signals.pause(f"customer-{number}", for_=1)
        clock.advance(1)
    app.signals.pause("last")

    listed = app.connections.store.get("signals:paused")
    assert listed is not None
    assert "customer" not in listed
    assert ["last"] == [pause.queue for pause in app.signals.paused()]


@pytest.mark.parametrize("default", ["memory", "database"])
def test_many_who_pause_at_once_are_all_listed(tmp_path: Path, default: str) -> None:
    app = App(Config(default=default, root=tmp_path))
    barrier = threading.Barrier(4)

    def pause(part: int) -> None:
        barrier.wait()
        for number in range(5):
            app.signals.pause(f"{part}-{number}")

    threads = [threading.Thread(target=pause, args=[part]) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {f"{part}-{number}" for part in range(4) for number in range(5)} == {
        pause.queue for pause in app.signals.paused()
    }
    app.close()


def test_nobody_drops_a_queue_from_the_list_that_is_just_being_paused(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who lists another queue meanwhile would find it listed, and not paused."""
    store = app.connections.store
    locked: dict[str, bool] = {}
    put = store.put

    def noting(key: str, value: str, *, ttl: float | None = None) -> None:
        locked[key] = store.get("signals:paused:lock") is not None
        put(key, value, ttl=ttl)

    monkeypatch.setattr(store, "put", noting)
    app.signals.pause("mail")

    assert {"signals:paused": True, f"signals:pause:{app.config.default},mail": True} == locked


def test_a_list_that_somebody_was_writing_when_he_died_is_free_after_a_while(app: App, clock: FrozenClock) -> None:
    app.connections.store.add("signals:paused:lock", "gone", ttl=5)
    start = clock.now()

    app.signals.pause("mail")

    assert 5 <= clock.now() - start < 5.1
    assert ["mail"] == [pause.queue for pause in app.signals.paused()]


# Maintenance.


def test_maintenance_lasts_until_somebody_ends_it(app: App, clock: FrozenClock) -> None:
    assert app.signals.down() == Maintenance(None)
    clock.advance(1e6)

    assert Maintenance(None) == app.signals.maintenance()
    assert (True, False) == (app.signals.up(), app.signals.up())
    assert app.signals.maintenance() is None


def test_maintenance_with_a_time_ends_by_itself(app: App, clock: FrozenClock) -> None:
    end = clock.now() + 60

    assert app.signals.down(for_=60) == Maintenance(end) == app.signals.maintenance()
    clock.advance(60)
    assert app.signals.maintenance() is None


# Restart.


def test_no_two_restarts_are_the_same(app: App) -> None:
    """Not in the same instant, and not when the store was emptied in between."""
    marks = set()
    for _ in range(3):
        app.signals.restart()
        marks.add(app.signals.last_restart())
        app.connections.store.forget("signals:restart")

    assert len(marks) == 3


# What is told, and to whom.


def test_who_says_something_tells_it(app: App, events: list[Event]) -> None:
    """WRK-24."""
    name = app.connection().name
    signals = app.signals
    signals.pause("mail")
    signals.pause("mail", for_=5)
    signals.resume("mail")
    signals.resume("mail")
    signals.pause(for_=7)
    signals.resume()
    signals.resume()
    signals.down(for_=9)
    signals.up()
    signals.up()

    assert [
        QueuePaused(name, "mail", None),
        QueuePaused(name, "mail", 5),
        QueueResumed(name, "mail"),
        QueuesPaused(7),
        QueuesResumed(),
        MaintenanceStarted(9),
        MaintenanceEnded(),
    ] == events


def test_a_store_of_one_process_reaches_no_other(tmp_path: Path) -> None:
    shared, alone = (App(Config(default=default, root=tmp_path)) for default in ("database", "memory"))

    shared.signals.require_shared()
    with pytest.raises(ConfigError, match=r"^no worker would hear of it: the store lives in the memory of this proc"):
        alone.signals.require_shared()
    shared.close()


def test_dispatching_goes_on_during_a_pause_and_so_does_sync(app: App, work: Callable[..., Stopped]) -> None:
    """WRK-25."""
    ran: list[str] = []
    app.signals.pause("default")
    app.signals.pause()
    app.signals.down()

    doing(lambda _: ran.append("queued")).dispatch()
    doing(lambda _: ran.append("sync")).with_options(connection="sync").dispatch()
    app.dispatch_sync(doing(lambda _: ran.append("here and now")))

    assert ["sync", "here and now"] == ran
    assert 1 == app.connection().size()
