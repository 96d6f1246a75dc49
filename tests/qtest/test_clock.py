"""The frozen clock: it stands still, moves forward, stops where jobs fall due."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread

import pytest

from qtest.clock import FrozenClock, instant
from qtest.virtual_limit import VirtualLimit

NEW_YEAR = 1_893_456_000.0  # 2030-01-01T00:00Z


def test_it_stands_still() -> None:
    clock = FrozenClock(NEW_YEAR)

    assert (NEW_YEAR, NEW_YEAR, 0) == (clock.now(), clock.now(), clock.monotonic())


@pytest.mark.parametrize(
    "start", [NEW_YEAR, int(NEW_YEAR), "2030-01-01T00:00Z", "2030-01-01T02:00+02:00", datetime(2030, 1, 1, tzinfo=UTC)]
)
def test_it_starts_at_an_instant_however_that_is_written(start: float | str | datetime) -> None:
    assert NEW_YEAR == FrozenClock(start).now()


def test_it_advances_by_seconds_and_by_a_timedelta() -> None:
    clock = FrozenClock(NEW_YEAR)

    clock.advance(90)
    clock.advance(timedelta(days=30, microseconds=1))

    assert NEW_YEAR + 90 + 30 * 86_400 + 0.000_001 == clock.now()


def test_a_thousand_steps_of_a_tenth_are_a_hundred() -> None:
    clock = FrozenClock()

    for _ in range(1000):
        clock.advance(0.1)

    assert 100 == clock.monotonic()


def test_it_travels_to_an_instant() -> None:
    clock = FrozenClock(NEW_YEAR)

    clock.travel_to(datetime(2030, 1, 1, 3, tzinfo=timezone(timedelta(hours=1))))
    assert NEW_YEAR + 7200 == clock.now()

    clock.travel_to(NEW_YEAR + 7200.001)
    assert NEW_YEAR + 7200.001 == clock.now()

    clock.travel_to("2030-01-02T00:00Z")
    assert NEW_YEAR + 86_400 == clock.now()


def test_travelling_back_is_refused_with_a_way_out() -> None:
    clock = FrozenClock(NEW_YEAR)

    with pytest.raises(ValueError, match=r"moves forward only, 2029-12-31 .* is 86400 s ago: start the clock there"):
        clock.travel_to(datetime(2029, 12, 31, tzinfo=UTC))

    assert NEW_YEAR == clock.now()


@pytest.mark.parametrize("back", [-1, -0.001, timedelta(seconds=-1)])
def test_advancing_back_is_refused(back: float | timedelta) -> None:
    with pytest.raises(ValueError, match="moves forward only"):
        FrozenClock().advance(back)


@pytest.mark.parametrize("nothing", [float("nan"), float("inf")])
def test_what_is_no_number_of_seconds_is_refused(nothing: float) -> None:
    with pytest.raises(ValueError, match="moves by a number of seconds"):
        FrozenClock().advance(nothing)
    with pytest.raises(ValueError, match="moves by a number of seconds"):
        FrozenClock().travel_to(nothing)


def test_seconds_that_are_no_number_are_refused_with_what_they_may_be() -> None:
    with pytest.raises(TypeError, match="moves by a number of seconds or a timedelta, got '60'"):
        FrozenClock().advance("60")  # type: ignore[arg-type]


def test_a_long_way_back_is_told_in_days() -> None:
    with pytest.raises(ValueError, match=r"moves forward only, 2020-01-01T00:00Z is 3653\.0 days ago: start"):
        FrozenClock(NEW_YEAR).travel_to("2020-01-01T00:00Z")


def test_a_text_without_a_time_zone_is_told_with_one() -> None:
    with pytest.raises(
        ValueError, match="'2031-01-01' has no time zone: write 2031-01-01T00:00Z for UTC, or an offset"
    ):
        FrozenClock().travel_to("2031-01-01")


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        FrozenClock().travel_to(datetime(2040, 1, 1))  # noqa: DTZ001 - this is the mistake
    with pytest.raises(ValueError, match="has no time zone"):
        FrozenClock("2030-01-01T00:00")


def test_a_text_that_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="'tomorrow' is no time: write it as"):
        FrozenClock().travel_to("tomorrow")


@pytest.mark.parametrize("other", [None, True, b"2030", timedelta(1)])
def test_an_instant_of_another_type_is_refused(other: object) -> None:
    with pytest.raises(TypeError, match="an instant is seconds since 1970"):
        instant(other)  # type: ignore[arg-type]


def test_time_ends_with_the_year_9999() -> None:
    clock = FrozenClock(NEW_YEAR)

    with pytest.raises(OverflowError, match="year 9999"):
        clock.advance(timedelta(days=365 * 8000))

    assert NEW_YEAR == clock.now()


def test_an_instant_that_a_driver_gives_is_reached_exactly() -> None:
    """The next due job is due there, not a rounding error later: else a loop would jump for ever."""
    clock = FrozenClock(NEW_YEAR + 0.123_456)
    for step in range(1, 2000):
        due = (int(NEW_YEAR) * 1000 + 7 * step) / 1000
        clock.travel_to(max(due, clock.now()))
        assert clock.now() >= due


def test_a_tick_goes_to_the_next_due_job() -> None:
    clock = FrozenClock(NEW_YEAR)
    clock.due = lambda: NEW_YEAR + 60

    assert NEW_YEAR + 60 == clock.next_due()
    assert 60 == clock.tick()
    assert 0 == clock.tick()  # it is due, and was not run
    assert NEW_YEAR + 60 == clock.now()


def test_a_tick_without_any_job_is_an_error_not_a_silent_nothing() -> None:
    clock = FrozenClock()
    clock.due = lambda: None

    with pytest.raises(LookupError, match="nothing waits"):
        clock.tick()


def test_a_clock_of_no_queue_says_so() -> None:
    with pytest.raises(LookupError, match="belongs to no fake queue"):
        FrozenClock().next_due()


def test_travelling_passes_every_due_instant_in_order() -> None:
    """Time travel in insertion order is the trap."""
    clock = FrozenClock(0)
    dues, stops = [30.0, 10.0, 20.0, 99.0], []

    def run_due(to: float) -> None:
        stops.append((clock.now(), to))
        dues.remove(clock.now())

    clock.due = lambda: min(dues)
    clock.on_way = run_due
    clock.advance(60)

    assert [(10, 60), (20, 60), (30, 60)] == stops
    assert 60 == clock.now()


def test_what_runs_on_the_way_may_itself_take_time() -> None:
    clock = FrozenClock(0)
    dues = [10.0, 20.0]

    def run_due(to: float) -> None:
        dues.pop(0)
        clock.sleep(15)

    clock.due = lambda: dues[0] if dues else None
    clock.on_way = run_due
    clock.advance(22)

    assert 25 == clock.now()
    assert [20.0] == dues  # it was overdue then: to be run by who runs what is due


def test_who_moves_the_clock_on_the_way_is_not_asked_again() -> None:
    clock = FrozenClock(0)
    clock.due = lambda: clock.now() + 1
    depth: list[float] = []

    def run_due(to: float) -> None:
        depth.append(to)
        clock.advance(10)

    clock.on_way = run_due
    clock.advance(20)

    assert ([20, 20], 22) == (depth, clock.now())


def test_a_job_that_moves_the_clock_does_not_run_other_jobs_meanwhile() -> None:
    clock = FrozenClock(0)
    told: list[float] = []
    clock.due = lambda: 10.0
    clock.on_way = told.append
    with VirtualLimit(clock).enforce(600):
        clock.advance(60)

    assert ([], 60) == (told, clock.now())


def test_a_job_that_is_due_and_not_run_does_not_stop_the_travel() -> None:
    clock = FrozenClock(0)
    clock.due = lambda: 10.0
    stops: list[float] = []
    clock.on_way = stops.append

    clock.advance(60)
    clock.advance(60)

    assert ([60.0], 120) == (stops, clock.now())


def test_who_follows_hears_of_every_move() -> None:
    clock, told = FrozenClock(0), []
    clock.followers.append(lambda: told.append(clock.now()))

    clock.advance(1)
    clock.travel_to(5)
    clock.sleep(2)

    assert [1, 5, 7] == told


def test_a_clock_that_is_led_goes_along_and_never_back() -> None:
    clock = FrozenClock(100)
    clock.follow(160)
    assert (160, 60) == (clock.now(), clock.monotonic())

    clock.follow(130)
    assert (160, 60) == (clock.now(), clock.monotonic())

    clock.may_go_back = lambda: True
    clock.follow(130)
    assert (130, 60) == (clock.now(), clock.monotonic())


def test_threads_that_move_it_lose_nothing() -> None:
    clock = FrozenClock(0)

    def step() -> None:
        for _ in range(500):
            clock.advance(1)

    threads = [Thread(target=step) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)

    assert 2000 == clock.now()
