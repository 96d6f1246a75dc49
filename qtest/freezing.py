"""The clocks of user code, ``datetime.now()`` and ``time.time()``: they follow the clock of the queue, by freezegun.

The queue's clock is the truth. A freeze that is active already, of a ``freezer`` fixture or of ``@freeze_time``, is
joined, not nested: it follows like our own one, and what moves it moves the queue's clock. Nothing is patched, and
freezegun is not imported, before it is asked for.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from qcore.clock import SystemClock
from qcore.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from types import ModuleType, TracebackType
    from typing import Self

    from qtest.clock import FrozenClock

    class _Factory(Protocol):
        """What ``freeze_time`` gives: the hand of a frozen clock."""

        time_to_freeze: datetime

        def __call__(self) -> datetime: ...
        def move_to(self, moment: datetime, /) -> None: ...


_MICRO = 1_000_000

_API = "freezegun.api"

_MILLI = 1000
"""Microseconds in the unit of the drivers. They round up, so that nothing is early: a clock that stood between two
milliseconds would find a job of 60 s not yet due after 60 s."""

_REAL_FOR_ALL = ("_pytest.timing", "subprocess", "scipy", "transformers")
"""Modules that keep the real time. pytest measures its tests; a process ends when it ends; the names of the last two
are loaded on first use, and freezegun would load them all."""

_FROZEN_IN_THREADS = ("threading", "queue")
"""What freezegun ignores so that waiting works. Their own names are real all the same, and the rest of the list is
looked up among the callers: code near the start of a thread would see the real time, and datetime the frozen one."""


@contextmanager
def user_code_frozen(
    clock: FrozenClock, how: str = "freezegun", *, keep: bool = False, ignore: Sequence[str] = ()
) -> Iterator[None]:
    """Let the clocks of user code follow ``clock`` inside of the block; ``how`` is the ini ``qtest_freeze``.

    ``keep`` and ``ignore``: see ``UserTime``.

    :raises ConfigError: for another ``how`` than freezegun and off; when time-machine travels already.
    :raises MissingExtraError: without freezegun.
    """
    if how not in ("freezegun", "off"):
        message = f"qtest_freeze is 'freezegun' or 'off', got {how!r}"
        raise ConfigError(message)
    if how == "off":
        yield
        return
    user = UserTime(clock, ignore=ignore)
    try:
        user.start(keep=keep)
        yield
    finally:
        user.stop()


def user_now() -> float:
    """Tell what user code takes for now, in seconds since 1970, to the millisecond: where a clock of a queue starts."""
    factory = _factory()
    moment = int(SystemClock().now() * _MICRO) if factory is None else _microseconds(factory)
    return _whole(moment) / _MICRO


class UserTime:
    """Joins a clock and freezegun, each taking the other one along."""

    def __init__(self, clock: FrozenClock, *, ignore: Sequence[str] = ()) -> None:
        """Take the clock; modules whose names start as one of ``ignore`` keep the real time."""
        self._clock = clock
        self._ignore = (*_REAL_FOR_ALL, *ignore)
        self._own: Any = None
        self._own_factory: _Factory | None = None
        self._factory: _Factory | None = None
        self._outermost: _Factory | None = None
        self._seen = 0
        self._ahead = 0
        self._led_before: Callable[[], object] | None = None
        self._restore_loops: Callable[[], None] | None = None
        self._is_joined = False

    def join(self) -> None:
        """Go along with a freeze of the user's whenever one is active, without starting one: costs nothing."""
        if not self._is_joined:
            self._is_joined = True
            self._led_before, self._clock.leader = self._clock.leader, self._look
            self._clock.followers.append(self._follow)

    def start(self, *, keep: bool = False) -> None:
        """Freeze user code at the clock's now. An active freeze is joined: the clock goes there.

        ``keep``: the clock stays where it is, and takes the active freeze along.

        :raises ConfigError: when time-machine travels already.
        :raises MissingExtraError: without freezegun.
        """
        if self._own is not None:
            return
        _refuse_time_machine()
        api, factory = _freezegun(), _factory()
        if factory is None:
            self._freeze(api)
        elif not keep:
            self._clock.start_at(_whole(_microseconds(factory)) / _MICRO)
        self._outermost = _factory()
        self.join()
        self._follow()

    def stop(self) -> None:
        """End what ``start`` and ``join`` began; a freeze that was joined goes on."""
        if self._is_joined:
            self._is_joined = False
            self._clock.leader = self._led_before
            self._clock.followers.remove(self._follow)
        own, self._own = self._own, None
        if own is None:
            return
        try:
            _end_those_begun_after(self._own_factory)
            own.stop()
        finally:
            self._own_factory = self._factory = self._outermost = None
            if self._restore_loops is not None:
                self._restore_loops()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _freeze(self, api: ModuleType) -> None:
        own = api.freeze_time(_datetime(self._stands()), ignore=list(self._ignore))
        self._restore_loops = _keep_loops_real(api)
        try:
            self._own_factory = factory = own.start()
        except BaseException:
            if api.freeze_factories:
                own.stop()
            self._restore_loops()
            raise
        self._own = own
        self._remember(factory)
        api.ignore_lists[-1] = tuple(name for name in api.ignore_lists[-1] if name not in _FROZEN_IN_THREADS)

    def _look(self) -> None:
        """Take the clock along with a freeze that was moved since, or that began."""
        api = sys.modules.get(_API)  # asked at every look at the clock, and nearly always all there is to do
        if api is None or not api.freeze_factories:
            return
        factory = _factory()
        if factory is None:
            return
        moment = _microseconds(factory)
        if factory is self._factory and moment == self._seen:
            return
        if factory is self._own_factory and moment < self._stands():
            self._follow()  # a freeze inside of ours is over: ours stood still meanwhile
            return
        # Noted first: the clock tells its followers, also this one, and nothing is left to be done then.
        self._factory, self._seen, self._ahead = factory, moment, moment % _MILLI
        self._clock.follow(_whole(moment) / _MICRO)

    def _follow(self) -> None:
        """Take freezegun along with the clock."""
        factory = _factory()
        if factory is None:
            return
        moment = self._stands() + self._ahead
        for outer in self._outside_of(factory):
            # When the inner one is over, user code goes on from here: nobody may ask the clock before.
            if _microseconds(outer) < moment:
                outer.move_to(_datetime(moment))
        if _microseconds(factory) != moment:
            factory.move_to(_datetime(moment))
        self._remember(factory)

    def _outside_of(self, factory: _Factory) -> list[_Factory]:
        """Give the freezes around an inner one, from the one that was joined first."""
        factories: list[_Factory] = _freezegun().freeze_factories
        begin = next((at for at, each in enumerate(factories) if each is self._outermost), len(factories))
        return [each for each in factories[begin:] if each is not factory]

    def _remember(self, factory: _Factory) -> None:
        self._factory, self._seen = factory, _microseconds(factory)

    def _stands(self) -> int:
        """Tell where the clock stands, in microseconds."""
        return (self._clock.nanoseconds + 500) // 1000


_STEP = timedelta(microseconds=1)


def _epoch() -> datetime:
    epoch: datetime = _freezegun().real_datetime(1970, 1, 1)
    return epoch


def _datetime(microseconds: int) -> datetime:
    """Write an instant as freezegun wants it: naive, in UTC, a real datetime."""
    return _epoch() + microseconds * _STEP


def _whole(microseconds: int) -> int:
    return microseconds - microseconds % _MILLI


def _microseconds(factory: _Factory) -> int:
    """Read where a freeze stands. One that ticks with each look is not looked at, one that runs is."""
    moment = factory() if type(factory).__name__ == "TickingDateTimeFactory" else factory.time_to_freeze
    passed: timedelta = moment - _epoch()
    return passed // _STEP


def _factory() -> _Factory | None:
    """Give what moves the innermost active freeze, None when there is none."""
    api = sys.modules.get(_API)
    found: _Factory | None = None
    if api is not None and api.freeze_factories:
        with suppress(IndexError):  # it ends in another thread
            found = api.freeze_factories[-1]
    return found


def _freezegun() -> ModuleType:
    try:
        import freezegun.api
    except ImportError as error:
        message = "freezing user code needs freezegun: pip install 'qcore-queue[test]', or set qtest_freeze = off"
        raise MissingExtraError(message) from error
    api: ModuleType = freezegun.api
    return api


def _refuse_time_machine() -> None:
    time_machine: Any = sys.modules.get("time_machine")
    if time_machine is not None and time_machine.escape_hatch.is_travelling():
        message = (
            "time-machine travels already, and freezegun cannot share user code with it: set qtest_freeze = off, "
            "then the clock of the queue moves alone, or let queue_clock do what time-machine did"
        )
        raise ConfigError(message)


def _keep_loops_real(api: ModuleType) -> Callable[[], None]:
    """Let event loops that run in real time go on: their sleeps would never end on a frozen clock."""
    import asyncio

    base: Any = asyncio.BaseEventLoop
    was = base.time
    base.time = lambda self: api.real_monotonic()  # noqa: ARG005 - a method

    def restore() -> None:
        base.time = was

    return restore


def _end_those_begun_after(factory: _Factory | None) -> None:
    """End freezes that began inside of ours and were left behind: freezegun can only end the last one."""
    api = _freezegun()
    if factory not in api.freeze_factories:
        return
    while api.freeze_factories[-1] is not factory:
        for stack in (api.freeze_factories, api.ignore_lists, api.tick_flags, api.tz_offsets):
            stack.pop()
