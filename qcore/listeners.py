"""Events, and who hears of them: listeners by event class."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from qcore.errors import JobInterrupted, TimeLimitReached

logger = logging.getLogger("qcore")


@dataclass(slots=True, eq=False, repr=False)
class Event:
    """Base of all events: who listens to it hears everything."""

    # Written once for all: made for each class by ``dataclass`` they take 10 ms at the start of every worker.

    def __eq__(self, other: object) -> bool:
        """Compare class and fields."""
        return type(self) is type(other) and _fields_of(self) == _fields_of(other)

    def __hash__(self) -> int:
        """Agree with ``==``."""
        return hash(type(self))

    def __repr__(self) -> str:
        """Show the fields."""
        shown = ", ".join(f"{name}={value!r}" for name, value in _fields_of(self).items())
        return f"{type(self).__qualname__}({shown})"


def _fields_of(event: Event) -> dict[str, object]:
    return {field.name: getattr(event, field.name) for field in fields(event)}


EventType = TypeVar("EventType", bound=Event)
Listener = Callable[[EventType], object]


class Events:
    """Listeners by event class. Without a listener an event is not even made."""

    __slots__ = ("_heard_by", "_listeners")

    def __init__(self) -> None:
        """Begin without listeners."""
        self._listeners: dict[type[Event], list[Listener[Event]]] = {}
        self._heard_by: dict[type[Event], tuple[Listener[Event], ...]] = {}

    def listen(self, event: type[EventType], listener: Listener[EventType]) -> Callable[[], None]:
        """Call ``listener`` with every event of that class; gives a function that ends it.

        ``listen(Event, ...)`` and other base classes hear all that derives from them. A listener that
        raises is logged and changes nothing.
        """
        listeners = self._listeners.setdefault(event, [])
        listeners.append(listener)  # type: ignore[arg-type] # called with its own class only
        self._heard_by = {}
        live: list[Any] = [listener]

        def end() -> None:
            if live:
                listeners.remove(live.pop())
                self._heard_by = {}

        return end

    def copy_to(self, other: Events) -> None:
        """Let ``other`` tell everybody who listens here; who begins or ends later does so at one of the two."""
        for event, listeners in self._listeners.items():
            other._listeners.setdefault(event, []).extend(listeners)
        other._heard_by = {}

    def remember(self) -> Callable[[], None]:
        """Give a function that lets those listen who listen now, and nobody else."""
        before = {event: listeners.copy() for event, listeners in self._listeners.items()}

        def restore() -> None:
            for event, listeners in self._listeners.items():
                listeners[:] = before.get(event, ())
            self._heard_by = {}

        return restore

    def wants(self, event: type[Event]) -> bool:
        """Tell whether anybody would hear such an event."""
        if not self._listeners:
            return False
        found = self._heard_by.get(event)
        return bool(self._all(event) if found is None else found)

    def _all(self, event: type[Event]) -> tuple[Listener[Event], ...]:
        """Everybody who hears an event, looked up once for each class."""
        heard_by = self._heard_by  # this very dict: one that was replaced meanwhile must not be filled from before
        found = heard_by.get(event)
        if found is None:
            lists = [self._listeners.get(base, ()) for base in event.__mro__[:-1]]
            found = heard_by[event] = tuple(listener for each in lists for listener in each)
        return found

    def emit(self, event: Event) -> bool:
        """Tell everybody; False when a listener returned just that."""
        kind, go_on = type(event), True
        for listener in self._heard_by.get(kind) or self._all(kind):
            try:
                if listener(event) is False:
                    go_on = False
            except (KeyboardInterrupt, JobInterrupted, TimeLimitReached):
                raise
            except BaseException:
                logger.exception("a listener of %s raised; the job goes on", kind.__name__)
        return go_on
