"""Sleeping in a job: it takes virtual time, for as long as the patch is in place.

``time.sleep`` is replaced wherever a module holds it, by a function that asks who sleeps: code of a job that runs
under a frozen clock moves this clock, everybody else sleeps as ever. Event loops that a job gets are virtual ones.
"""

from __future__ import annotations

import sys
import threading
import time  # noqa: TID251 - here it is replaced
from operator import is_
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import current
from qcore.delivery import current_delivery
from qcore.errors import NotRunningError
from qtest.clock import FrozenClock
from qtest.thread_sleep import visit_here
from qtest.virtual_limit import clock_at_work

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

_WAITS_FOR_PROCESSES = ("subprocess", "multiprocessing")
"""Their loops sleep until another process has done something: virtual time would be over before it."""


class VirtualSleep:
    """Makes the sleeps of jobs virtual, from ``install`` to ``undo``; several may overlap."""

    def __init__(self) -> None:
        """Patch nothing yet."""
        self._is_on = False

    def install(self) -> None:
        """Put the replacements in place; once is enough."""
        if not self._is_on:
            self._is_on = True
            _patch.begin()

    def undo(self) -> None:
        """Put everything back, also in modules that were loaded meanwhile."""
        if self._is_on:
            self._is_on = False
            _patch.end()

    def __enter__(self) -> Self:
        """Install."""
        self.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Undo."""
        self.undo()


def clock_of_job() -> FrozenClock | None:
    """Give the frozen clock of the job that calls this; None outside of jobs, and on real time."""
    try:
        clock = current_delivery().tools.clock
    except NotRunningError:
        return None
    return clock if isinstance(clock, FrozenClock) else None


class _Seen(NamedTuple):
    """A module as it was when it was last read."""

    module: object
    namespace: dict[str, Any]
    size: int
    names: tuple[str, ...]
    """Where it holds a sleep, or held one."""


class _Patch:
    """What is replaced in this process, and by how many."""

    def __init__(self) -> None:
        self._users = 0
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._looked_at: list[object] = []
        self._namespaces: list[dict[str, Any]] = []
        self._sizes: list[int] = []
        self._found: list[_Seen] = []
        # In attributes: as names of this module they would be replaced, too.
        self.sleep: Callable[[float], None] = time.sleep
        self.new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None

    def begin(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._replace(self.sleep, virtual_sleep)
                self._replace_loops()

    def end(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._replace(virtual_sleep, self.sleep)
                self._restore_loops()

    def _replace(self, old: object, new: object) -> None:
        for seen in self._modules():
            for name in seen.names:
                if seen.namespace.get(name) is old:
                    seen.namespace[name] = new

    def _modules(self) -> list[_Seen]:
        """Find the modules that hold one of the two; one without new names is not read again."""
        # Every test that runs a job asks twice, and nearly always nothing has changed.
        modules = list(sys.modules.values())
        is_known = len(modules) == len(self._looked_at) and all(map(is_, modules, self._looked_at))
        if not (is_known and list(map(len, self._namespaces)) == self._sizes):
            self._look_through(sys.modules.copy())
        return self._found

    def _look_through(self, modules: dict[str, Any]) -> None:
        known = self._seen
        self._seen = {}
        for key, module in modules.items():
            seen = known.get(key)
            if seen is None or seen.module is not module or seen.size != len(seen.namespace):
                seen = self._read(key, module)
            self._seen[key] = seen
        every = self._seen.values()
        self._looked_at = list(modules.values())
        self._namespaces, self._sizes = [each.namespace for each in every], [each.size for each in every]
        self._found = [each for each in every if each.names]

    def _read(self, key: str, module: object) -> _Seen:
        try:
            # Not vars(): that would load a module that is to be loaded on first use.
            namespace: dict[str, Any] = object.__getattribute__(module, "__dict__")
        except AttributeError:
            return _Seen(module, {}, 0, ())
        either = (self.sleep, virtual_sleep)
        names = tuple(
            name
            for name, value in namespace.copy().items()
            # By its name also when a test has put something else there, for the time being.
            if name == "sleep" or value is either[0] or value is either[1]
        )
        return _Seen(module, namespace, len(namespace), () if key == __name__ else names)

    def _replace_loops(self) -> None:
        import asyncio

        if asyncio.events.new_event_loop is not virtual_event_loop:
            self.new_loop = asyncio.events.new_event_loop
            asyncio.events.new_event_loop = asyncio.new_event_loop = virtual_event_loop

    def _restore_loops(self) -> None:
        import asyncio

        for module in (asyncio, asyncio.events):
            if module.new_event_loop is virtual_event_loop:
                module.new_event_loop = self.new_loop  # type: ignore[attr-defined]


def virtual_sleep(seconds: float) -> None:
    """Sleep as ``time.sleep``, in a job on its clock."""
    clock = clock_of_job()
    caller = sys._getframe(1).f_globals.get("__name__", "")  # noqa: SLF001 - asks who sleeps
    if clock is None or caller.partition(".")[0] in _WAITS_FOR_PROCESSES:
        _patch.sleep(seconds)
        return
    if seconds < 0:
        message = "sleep length must be non-negative"
        raise ValueError(message)
    visit = visit_here()
    if visit is not None and visit.is_on(clock):
        visit.sleep(seconds)
    else:
        clock.sleep(seconds)


def virtual_event_loop() -> asyncio.AbstractEventLoop:
    """Make an event loop as ``asyncio.new_event_loop``, for a job one on its clock."""
    clock = clock_of_job()
    if clock is None and sys._getframe(1).f_globals.get("__name__") == "qcore.async_loop":  # noqa: SLF001
        clock = clock_at_work() or _clock_of_app()
    if clock is None:
        assert _patch.new_loop is not None  # noqa: S101 - this function stands in its place
        return _patch.new_loop()
    from qtest.virtual_loop import VirtualLoop

    return VirtualLoop(clock)


def _clock_of_app() -> FrozenClock | None:
    """Find the clock of the App in force, without building one: for jobs that are run in place."""
    app = current.active.get() or current.overridden()
    return app.clock if app is not None and isinstance(app.clock, FrozenClock) else None


_patch = _Patch()
