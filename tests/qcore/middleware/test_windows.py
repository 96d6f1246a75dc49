"""Counting in windows of time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qcore.windows import Window

if TYPE_CHECKING:
    from qcore.app import App
    from qtest.clock import FrozenClock


def window(app: App, seconds: float = 60) -> Window:
    return Window(app.connections.store, app.clock, "limit:test", seconds)


def test_a_window_that_nobody_has_hit_has_room(app: App) -> None:
    assert window(app).full_for(1) is None


def test_a_window_is_full_until_its_time_is_over_counted_from_the_first_hit(app: App, clock: FrozenClock) -> None:
    assert window(app).hit() == 1
    clock.advance(20)
    assert window(app).hit() == 2

    assert window(app).full_for(3) is None
    assert window(app).full_for(2) == 40
    clock.advance(39.999)
    assert window(app).full_for(2) == pytest.approx(0.001, abs=1e-6)
    clock.advance(0.001)
    assert window(app).full_for(1) is None
    assert window(app).hit() == 1


def test_a_hit_that_is_taken_back_does_not_count(app: App) -> None:
    one, other = window(app), window(app)
    one.hit()
    other.hit()
    one.take_back()

    assert window(app).full_for(2) is None
    assert window(app).full_for(1) == 60


def test_a_hit_that_is_taken_back_late_does_not_count_in_the_next_window(app: App, clock: FrozenClock) -> None:
    slow = window(app)
    slow.hit()
    clock.advance(60)
    window(app).hit()
    slow.take_back()

    assert window(app).full_for(1) == 60


def test_a_window_that_is_cleared_begins_anew_at_the_same_instant(app: App) -> None:
    for _ in range(3):
        window(app).hit()
    window(app).clear()

    assert window(app).full_for(1) is None
    assert window(app).hit() == 1


def test_clearing_what_nobody_has_hit_is_nothing(app: App) -> None:
    window(app).clear()

    assert window(app).hit() == 1


def test_a_clock_that_differs_does_not_make_a_job_wait_longer_than_a_window(app: App) -> None:
    late = type(app.clock)(app.clock.now() + 500)  # type: ignore[call-arg] # the frozen one takes its start
    Window(app.connections.store, late, "limit:test", 60).hit()

    assert window(app).full_for(1) == 60


def test_a_clock_that_differs_does_not_make_a_job_wait_less_than_nothing(app: App) -> None:
    early = type(app.clock)(app.clock.now() - 500)  # type: ignore[call-arg] # the frozen one takes its start
    Window(app.connections.store, early, "limit:test", 60).hit()

    assert window(app).full_for(1) == 0


def test_hits_at_once_are_counted_each(app: App) -> None:
    counts: list[int] = []

    def hit() -> None:
        counts.extend(window(app).hit() for _ in range(20))

    threads = [threading.Thread(target=hit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(counts) == list(range(1, 41))


def test_nothing_of_a_window_is_left_when_its_time_is_over(app: App, clock: FrozenClock) -> None:
    window(app).hit()
    clock.advance(60)
    store = app.connections.store

    assert store.get("limit:test") is None
    assert store.get(f"limit:test,{clock.now():.3f}") is None
