"""User code sees the clock of the queue; every known trap of freezegun has a test here."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import queue
import subprocess
import sys
import threading
import time  # noqa: TID251 - what is frozen here
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any

import freezegun
import freezegun.api
import pydantic
import pytest

from qcore import App, Config, Job
from qcore.errors import ConfigError, MissingExtraError
from qcore.outcome import Done
from qtest import freezing
from qtest.clock import FrozenClock
from qtest.freezing import UserTime, user_code_frozen, user_now
from qtest.virtual_limit import VirtualLimit
from qtest.virtual_sleep import VirtualSleep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from freezegun.api import FrozenDateTimeFactory as Freezer

    Work = Callable[[], object]

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)
AT = NEW_YEAR.timestamp()

acts: dict[str, Callable[[], Any]] = {}
seen: list[Any] = []


class Real:
    """In a class, where freezegun does not reach."""

    datetime = datetime
    date = date
    sleep = staticmethod(time.sleep)
    clocks = (time.time, time.monotonic, time.perf_counter, time.time_ns)


class Act(Job, timeout=600):
    def handle(self) -> None:
        acts["now"]()


class ActAsync(Job, timeout=600):
    async def handle(self) -> None:
        await acts["now"]()


@dataclass
class Report(Job):
    when: object
    day: object
    parts: list[object] = field(default_factory=list)

    def handle(self) -> None:
        seen.append(self)


class Order(pydantic.BaseModel, Job):
    placed: datetime
    day: date

    def handle(self) -> None:
        seen.append(self)


@pytest.fixture(autouse=True)
def _all_is_undone() -> Iterator[None]:
    before = asyncio.BaseEventLoop.time
    seen.clear()
    yield
    assert [] == freezegun.api.freeze_factories
    assert (Real.datetime, Real.date, Real.datetime) == (datetime, date, dt.datetime)
    assert Real.clocks == (time.time, time.monotonic, time.perf_counter, time.time_ns)
    assert asyncio.BaseEventLoop.time is before


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NEW_YEAR)


@pytest.fixture
def frozen(clock: FrozenClock) -> Iterator[FrozenClock]:
    with user_code_frozen(clock):
        yield clock


@pytest.fixture
def app(clock: FrozenClock) -> Iterator[App]:
    app = App(Config(default="memory"), clock=clock)
    with app.activate():
        yield app
    app.close()


@pytest.fixture
def work(app: App, clock: FrozenClock) -> Work:
    def work() -> object:
        worker = app.worker(time_limit=VirtualLimit(clock))
        with VirtualSleep():
            outcome = worker.run_next_job()
        worker.runner.close()
        return outcome

    return work


@pytest.fixture
def freezer() -> Iterator[Freezer]:
    """What pytest-freezer gives under this name."""
    with freezegun.freeze_time() as factory:
        yield factory  # type: ignore[misc]


# The clock leads.


def test_user_code_sees_the_clock(frozen: FrozenClock) -> None:
    assert NEW_YEAR == datetime.now(UTC)  # noqa: TID251 - code of a user
    assert date(2030, 1, 1) == date.today()  # noqa: DTZ011, TID251
    assert (AT, int(AT * 1e9)) == (time.time(), time.time_ns())


def test_user_code_goes_along_with_every_move(frozen: FrozenClock) -> None:
    before = time.monotonic(), time.perf_counter()

    frozen.advance(60)
    frozen.travel_to(NEW_YEAR + timedelta(hours=1))
    frozen.sleep(1)

    assert NEW_YEAR + timedelta(seconds=3601) == datetime.now(UTC)  # noqa: TID251
    assert (3601, 3601) == (time.monotonic() - before[0], time.perf_counter() - before[1])


def test_microseconds_are_kept(frozen: FrozenClock) -> None:
    for _ in range(1000):
        frozen.advance(0.001_001)

    assert NEW_YEAR + timedelta(microseconds=1_001_000) == datetime.now(UTC)  # noqa: TID251


def test_a_nanosecond_that_is_missing_is_not_a_microsecond_less(frozen: FrozenClock) -> None:
    frozen.pass_by(0.999_999_999)

    assert NEW_YEAR + timedelta(seconds=1) == datetime.now(UTC)  # noqa: TID251


def test_time_goes_on_inside_a_job(app: App, work: Work, frozen: FrozenClock) -> None:
    def act() -> None:
        seen.append(datetime.now(UTC))  # noqa: TID251
        time.sleep(30)
        seen.append(datetime.now(UTC))  # noqa: TID251

    acts["now"] = act
    Act().dispatch(delay=60)
    frozen.advance(60)

    assert Done() == work()
    assert [NEW_YEAR + timedelta(seconds=60), NEW_YEAR + timedelta(seconds=90)] == seen


def test_a_delay_until_a_moment_that_user_code_reckons_is_exact(app: App, work: Work, frozen: FrozenClock) -> None:
    acts["now"] = lambda: seen.append(frozen.monotonic())
    Act().dispatch(delay=datetime.now(UTC) + timedelta(seconds=90))  # noqa: TID251

    frozen.advance(89.999)
    assert work() is None
    frozen.advance(0.001)
    assert Done() == work()
    assert [90] == seen


# Nothing before it is asked for; all undone.

QUIET = """
import datetime, time, asyncio, sys
held = datetime.datetime, time.time, time.sleep, asyncio.new_event_loop, asyncio.BaseEventLoop.time
import qtest, qtest.freezing, qtest.virtual_sleep, qtest.virtual_limit
from qtest import FrozenClock
clock = FrozenClock()
time_of_user = qtest.freezing.UserTime(clock)
time_of_user.join()
clock.advance(60)
clock.now()
qtest.virtual_sleep.VirtualSleep()
assert held == (datetime.datetime, time.time, time.sleep, asyncio.new_event_loop, asyncio.BaseEventLoop.time)
print(sorted({"freezegun", "pytest"} & set(sys.modules)))
"""


def test_nothing_is_patched_or_imported_before_it_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", QUIET], cwd=freezing_root(), capture_output=True, text=True, check=True
    )

    assert "[]\n" == done.stdout


def freezing_root() -> str:
    return str(freezing.__file__).rpartition("/qtest/")[0]


def test_all_is_undone_after_an_error(clock: FrozenClock) -> None:
    with pytest.raises(KeyError), user_code_frozen(clock):  # noqa: PT012
        clock.advance(60)
        raise KeyError
    assert (None, []) == (clock.leader, clock.followers)  # and see _all_is_undone


def test_user_time_is_a_context_itself(clock: FrozenClock) -> None:
    with UserTime(clock):
        assert AT == time.time()


def test_stopping_twice_or_before_the_start_does_nothing(clock: FrozenClock) -> None:
    user = UserTime(clock)
    user.stop()
    user.start()
    user.start()
    user.stop()
    user.stop()


def test_a_module_that_was_loaded_under_the_freeze_is_put_right(
    clock: FrozenClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loaded_frozen.py").write_text("from datetime import datetime\nfrom time import time\n")
    monkeypatch.syspath_prepend(tmp_path)
    with user_code_frozen(clock):
        module = __import__("loaded_frozen")
        assert module.time is not Real.clocks[0]
    sys.modules.pop("loaded_frozen")

    assert (Real.datetime, Real.clocks[0]) == (module.datetime, module.time)


def test_a_freeze_that_was_left_behind_inside_of_ours_is_ended(clock: FrozenClock) -> None:
    """Freezegun ends the last freeze, whoever asks: ours would stay, for all tests that follow."""
    with user_code_frozen(clock):
        freezegun.freeze_time("2040-01-01").start()


def test_a_freeze_that_fails_to_start_leaves_nothing(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Angry(ModuleType):
        def __dir__(self) -> list[str]:
            raise KeyError("a module that cannot be read")

    monkeypatch.setitem(sys.modules, "angry_module", Angry("angry_module"))
    with pytest.raises(KeyError):
        UserTime(clock).start()

    assert (None, []) == (clock.leader, clock.followers)


def test_off_freezes_nothing(clock: FrozenClock) -> None:
    with user_code_frozen(clock, "off"):
        clock.advance(60)
        assert datetime.now(UTC) < NEW_YEAR  # noqa: TID251
    assert clock.leader is None


def test_another_word_than_freezegun_or_off_is_refused(clock: FrozenClock) -> None:
    with pytest.raises(ConfigError, match="qtest_freeze is 'freezegun' or 'off', got 'time-machine'"):
        user_code_frozen(clock, "time-machine").__enter__()


def test_without_freezegun_it_says_what_to_install(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "freezegun.api", None)
    monkeypatch.setitem(sys.modules, "freezegun", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'qcore-queue\[test\]', or set qtest_freeze = off"):
        UserTime(clock).start()


def test_the_lazy_names_of_qcore_do_not_break_the_freeze() -> None:
    """Freezegun reads every name of every module: none of ours may need what is not installed."""
    code = (
        "import qcore, qtest, time\nfrom qtest.freezing import user_code_frozen\n"
        "with user_code_frozen(qtest.FrozenClock(60.0)): print(time.time())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=freezing_root(), capture_output=True, text=True, check=True)

    assert "60.0\n" == done.stdout


# A freeze of the user's is joined, not nested.


def test_an_active_freezer_is_joined(freezer: Freezer, clock: FrozenClock) -> None:
    freezer.move_to("2025-06-01")
    with user_code_frozen(clock):
        assert 1 == len(freezegun.api.freeze_factories)
        assert datetime(2025, 6, 1, tzinfo=UTC).timestamp() == clock.now()

        clock.advance(60)
        assert datetime(2025, 6, 1, 0, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251

        freezer.tick(30)
        assert 90 == clock.monotonic()

        freezer.move_to("2025-06-02")
        assert 86_400 == clock.monotonic()
    assert datetime(2025, 6, 2, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251 - it is theirs, and goes on


def test_a_clock_with_a_start_of_its_own_takes_the_freezer_along(freezer: Freezer, clock: FrozenClock) -> None:
    with user_code_frozen(clock, keep=True):
        assert (AT, NEW_YEAR) == (clock.now(), datetime.now(UTC))  # noqa: TID251


@freezegun.freeze_time("2026-02-03")
def test_the_decorator_is_joined() -> None:
    clock = FrozenClock(user_now())
    with user_code_frozen(clock):
        clock.advance(60)
        assert datetime(2026, 2, 3, 0, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251


def test_both_moves_add_up(freezer: Freezer, clock: FrozenClock) -> None:
    with user_code_frozen(clock):
        freezer.tick(10)
        clock.advance(60)
        freezer.tick(timedelta(seconds=5))

        assert 75 == clock.monotonic()


def test_moving_the_freezer_makes_delayed_jobs_due(freezer: Freezer, app: App, work: Work, clock: FrozenClock) -> None:
    acts["now"] = lambda: seen.append("ran")
    with user_code_frozen(clock):
        Act().dispatch(delay=60)
        freezer.tick(59)
        assert work() is None
        freezer.tick(1)
        assert Done() == work()


def test_a_freezer_that_goes_back_does_not_take_jobs_back(
    freezer: Freezer, app: App, work: Work, clock: FrozenClock
) -> None:
    acts["now"] = lambda: seen.append("ran")
    with user_code_frozen(clock):
        Act().dispatch(delay=60)
        freezer.tick(60)
        assert 60 == clock.monotonic()
        freezer.move_to("2001-01-01")

        assert 60 == clock.monotonic()
        assert Done() == work()


def test_the_next_move_of_the_clock_brings_a_freezer_back_that_went_behind(
    freezer: Freezer, clock: FrozenClock
) -> None:
    freezer.move_to("2025-01-01")
    with user_code_frozen(clock):
        freezer.move_to("2001-01-01")
        clock.advance(60)

        assert datetime(2025, 1, 1, 0, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251


def test_before_anything_was_pushed_the_freezer_may_go_back(freezer: Freezer, clock: FrozenClock) -> None:
    clock.may_go_back = lambda: True
    with user_code_frozen(clock):
        freezer.move_to("2001-01-01")

        assert datetime(2001, 1, 1, tzinfo=UTC).timestamp() == clock.now()
        assert 0 == clock.monotonic()


def test_a_freeze_that_begins_later_is_joined_without_being_asked(clock: FrozenClock) -> None:
    user = UserTime(clock)
    user.join()
    assert AT == clock.now()
    with freezegun.freeze_time("2031-01-01") as factory:
        assert datetime(2031, 1, 1, tzinfo=UTC).timestamp() == clock.now()
        clock.advance(60)
        assert datetime(2031, 1, 1, 0, 1) == factory()  # noqa: DTZ001
    clock.advance(1)
    user.stop()


def test_a_freeze_inside_of_ours_comes_and_goes(frozen: FrozenClock) -> None:
    with freezegun.freeze_time("2031-01-01"):
        frozen.advance(60)
        assert datetime(2031, 1, 1, 0, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251
    frozen.now()

    assert datetime(2031, 1, 1, 0, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251


def test_user_code_goes_on_from_where_a_freeze_inside_of_ours_has_led_the_clock(frozen: FrozenClock) -> None:
    with freezegun.freeze_time("2031-01-01"):
        frozen.now()

    assert datetime(2031, 1, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251


def test_a_freezer_goes_on_from_where_a_freeze_inside_of_it_has_led_the_clock(
    freezer: Freezer, clock: FrozenClock
) -> None:
    freezer.move_to(NEW_YEAR)
    with user_code_frozen(clock):
        with freezegun.freeze_time("2031-01-01"):
            clock.now()

        assert datetime(2031, 1, 1, tzinfo=UTC) == datetime.now(UTC)  # noqa: TID251


def test_a_freeze_of_the_past_inside_of_ours_comes_and_goes(frozen: FrozenClock) -> None:
    frozen.may_go_back = lambda: True
    with freezegun.freeze_time("2001-01-01"):
        assert datetime(2001, 1, 1, tzinfo=UTC).timestamp() == frozen.now()
    assert AT == frozen.now()
    frozen.may_go_back = lambda: False
    with freezegun.freeze_time("2001-01-01"):
        assert AT == frozen.now()
    assert NEW_YEAR == datetime.now(UTC)  # noqa: TID251


def test_who_joined_the_clock_before_goes_on_afterwards(clock: FrozenClock) -> None:
    user = UserTime(clock)
    user.join()
    with user_code_frozen(clock):
        clock.advance(60)
    with freezegun.freeze_time("2031-01-01"):
        assert datetime(2031, 1, 1, tzinfo=UTC).timestamp() == clock.now()
    user.stop()


def test_a_freeze_that_ticks_with_each_look_is_not_moved_by_ours(clock: FrozenClock) -> None:
    with freezegun.freeze_time("2031-01-01", auto_tick_seconds=15) as factory, user_code_frozen(clock):
        assert clock.now() == clock.now()
        datetime.now(UTC)  # noqa: TID251
        assert 15 == clock.monotonic()
        clock.advance(60)
        assert 75 == clock.monotonic()
        assert datetime(2031, 1, 1, 0, 1, 15) == factory.time_to_freeze  # noqa: DTZ001


def test_a_freeze_that_runs_takes_the_clock_along(clock: FrozenClock) -> None:
    with freezegun.freeze_time("2031-01-01", tick=True), user_code_frozen(clock):
        before = clock.now()
        clock.advance(60)
        assert 60 <= clock.now() - before < 3600
        assert 60 <= time.time() - before < 3600
        before = clock.now()
        Real.sleep(0.002)
        assert clock.now() > before


def test_a_time_zone_of_the_freezer_does_not_shift_the_clock(clock: FrozenClock) -> None:
    with freezegun.freeze_time("2031-01-01", tz_offset=-4), user_code_frozen(clock):
        assert datetime(2031, 1, 1, tzinfo=UTC).timestamp() == clock.now()
        clock.advance(60)
        assert datetime(2030, 12, 31, 20, 1) == datetime.now()  # noqa: DTZ005, DTZ001, TID251


def test_a_job_that_moves_the_freezer_beyond_its_limit_is_out_of_time(
    freezer: Freezer, app: App, work: Work, clock: FrozenClock
) -> None:
    acts["now"] = lambda: freezer.tick(3600)
    with user_code_frozen(clock):
        Act().dispatch()

        assert Done() != work()


def test_user_now_is_what_user_code_sees() -> None:
    assert 0 <= time.time() - user_now() < 3600
    assert user_now() == round(user_now(), 3)
    with freezegun.freeze_time(NEW_YEAR):
        assert AT == user_now()


def test_a_freezer_between_two_milliseconds_is_as_exact_as_any(freezer: Freezer, app: App, clock: FrozenClock) -> None:
    """The drivers round up to milliseconds: a job of 60 s would not be due after 60 s."""
    acts["now"] = lambda: seen.append(datetime.now(UTC))  # noqa: TID251
    worker = app.worker()
    clock.may_go_back = lambda: True
    user = UserTime(clock)
    user.join()
    freezer.move_to("2025-01-01T00:00:00.123456")
    Act().dispatch(delay=60)

    freezer.tick(60)
    assert Done() == worker.run_next_job()
    Act().dispatch(delay=60)
    clock.advance(60)
    assert Done() == worker.run_next_job()
    user.stop()
    assert [datetime(2025, 1, 1, 0, minute, 0, 123_456, tzinfo=UTC) for minute in (1, 2)] == seen


def test_a_delay_until_a_moment_under_a_freezer_is_exact(freezer: Freezer, app: App, clock: FrozenClock) -> None:
    acts["now"] = lambda: seen.append("ran")
    freezer.move_to("2025-01-01T00:00:00.123456")
    with user_code_frozen(clock):
        Act().dispatch(delay=datetime.now(UTC) + timedelta(seconds=60))  # noqa: TID251
        freezer.tick(60)
        assert Done() == app.worker().run_next_job()


# time-machine.


@pytest.fixture
def travelling(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for what time-machine offers for the purpose: it is not installed everywhere."""
    module, hatch = ModuleType("time_machine"), ModuleType("escape_hatch")
    hatch.is_travelling = lambda: True  # type: ignore[attr-defined]
    module.escape_hatch = hatch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "time_machine", module)


def test_time_machine_users_are_told_what_to_do(travelling: None, clock: FrozenClock) -> None:
    with pytest.raises(ConfigError, match=r"time-machine travels already.*qtest_freeze = off"):
        UserTime(clock).start()
    assert (None, []) == (clock.leader, clock.followers)


def test_time_machine_users_turn_it_off(travelling: None, clock: FrozenClock) -> None:
    with user_code_frozen(clock, "off"):
        clock.advance(60)
    assert AT + 60 == clock.now()


def test_the_real_time_machine_is_seen(clock: FrozenClock) -> None:
    time_machine = pytest.importorskip("time_machine")
    with time_machine.travel("2031-01-01", tick=False), pytest.raises(ConfigError, match="travels already"):
        UserTime(clock).start()
    with user_code_frozen(clock):
        pass


# freezegun's classes stay out of payloads.


def test_a_frozen_datetime_is_never_in_a_payload(app: App, work: Work, clock: FrozenClock) -> None:
    """Written while frozen, read outside: the types are the real ones."""
    with user_code_frozen(clock):
        now = datetime.now(UTC)  # noqa: TID251
        assert "FakeDatetime" == type(now).__name__
        Report(now, date.today(), [{"at": now.replace(tzinfo=None)}]).dispatch()  # noqa: DTZ011, TID251

    assert Done() == work()
    (report,) = seen
    assert (NEW_YEAR, date(2030, 1, 1)) == (report.when, report.day)
    assert (Real.datetime, Real.date) == (type(report.when), type(report.day))
    assert type(report.parts[0]["at"]) is Real.datetime


def test_a_payload_that_was_read_while_frozen_has_the_real_types(app: App, work: Work, frozen: FrozenClock) -> None:
    Report(datetime.now(UTC), date.today()).dispatch()  # noqa: DTZ011, TID251

    assert Done() == work()
    assert (Real.datetime, Real.date) == (type(seen[0].when), type(seen[0].day))


def test_the_bytes_do_not_depend_on_the_freeze(app: App, clock: FrozenClock) -> None:
    def written(job: Job) -> object:
        job.dispatch()
        reservation = app.connection().driver.reserve(["default"])
        assert reservation is not None
        return json.loads(reservation.payload.body)["data"]

    with user_code_frozen(clock):
        frozen = written(Report(datetime.now(UTC), date.today()))  # noqa: DTZ011, TID251
    assert frozen == written(Report(NEW_YEAR, date(2030, 1, 1)))
    assert "freezegun" not in str(frozen).lower()


def test_a_model_that_was_defined_before_is_dispatched_while_frozen(app: App, work: Work, frozen: FrozenClock) -> None:
    Order(placed=datetime.now(UTC), day=date.today()).dispatch()  # noqa: DTZ011, TID251

    assert Done() == work()
    assert (NEW_YEAR, date(2030, 1, 1)) == (seen[0].placed, seen[0].day)
    assert (Real.datetime, Real.date) == (type(seen[0].placed), type(seen[0].day))


def test_a_model_that_was_dispatched_while_frozen_is_read_outside(app: App, work: Work, clock: FrozenClock) -> None:
    with user_code_frozen(clock):
        Order(placed=datetime.now(UTC), day=date.today()).dispatch()  # noqa: DTZ011, TID251

    assert Done() == work()
    assert (NEW_YEAR, Real.datetime) == (seen[0].placed, type(seen[0].placed))


# Threads.


def test_threads_see_one_time(frozen: FrozenClock) -> None:
    """Freezegun alone: real `time.time()` near the start of a thread, and frozen `datetime.now()`."""

    def look() -> None:
        seen.append((time.time(), time.monotonic() - started, datetime.now(UTC)))  # noqa: TID251

    started = time.monotonic()
    frozen.advance(60)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(look).result()

    assert [(AT + 60, 60, NEW_YEAR + timedelta(seconds=60))] * 2 == seen


def test_a_thread_of_its_own_name_sees_the_time_directly(frozen: FrozenClock) -> None:
    thread = threading.Thread(target=lambda: seen.append(time.time()))
    thread.start()
    thread.join()

    assert [AT] == seen


def test_waiting_with_a_timeout_ends_under_the_freeze(frozen: FrozenClock) -> None:
    """The clocks of threading and queue are real ones: else these would wait for ever."""
    assert not threading.Event().wait(0.001)
    assert not threading.Semaphore(0).acquire(timeout=0.001)
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=0.001)


def test_a_process_with_a_timeout_ends_under_the_freeze(frozen: FrozenClock) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.001)
        process.communicate(b"\n")


# asyncio.


@pytest.mark.asyncio
async def test_the_loop_of_the_test_goes_on_when_time_is_frozen(clock: FrozenClock) -> None:
    """Freezegun alone: `asyncio.sleep` never ends."""
    with user_code_frozen(clock):
        await asyncio.wait_for(asyncio.sleep(0.001), 60)  # noqa: TID251
        clock.advance(3600)
        await asyncio.wait_for(asyncio.sleep(0.001), 60)  # noqa: TID251
    await asyncio.sleep(0.001)  # noqa: TID251


def test_a_loop_that_is_made_under_the_freeze_runs(frozen: FrozenClock) -> None:
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(asyncio.sleep(0.001))  # noqa: TID251


def test_an_async_job_sees_time_go_on(app: App, work: Work, frozen: FrozenClock) -> None:
    async def act() -> None:
        started = time.monotonic()
        async with asyncio.timeout(90):
            await asyncio.sleep(60)  # noqa: TID251
        seen.append((time.monotonic() - started, datetime.now(UTC)))  # noqa: TID251

    acts["now"] = act
    ActAsync().dispatch()

    assert Done() == work()
    assert [(60, NEW_YEAR + timedelta(seconds=60))] == seen


# What else reads the clock.


def test_the_durations_of_pytest_are_real(frozen: FrozenClock) -> None:
    import _pytest.timing

    assert Real.clocks[2] is _pytest.timing.perf_counter
    assert abs(_pytest.timing.time() - AT) > 60


def test_a_module_to_ignore_keeps_the_real_time(clock: FrozenClock, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("left_alone.part")
    module.datetime = Real.datetime  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "left_alone.part", module)
    with user_code_frozen(clock, ignore=["left_alone"]):
        assert Real.datetime is module.datetime


def test_ids_are_made_under_the_freeze(frozen: FrozenClock) -> None:
    assert 3 == len({uuid.uuid1(), uuid.uuid1(), uuid.uuid4()})
