"""Unique and debounced jobs that tell what they did, and the App on every kind of home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore import Job, job
from qcore.events import JobDebounced, UniqueJobSkipped
from qcore.store import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.app import App
    from qcore.events import Event

done: list[object] = []
"""What ran, in order."""
during: list[Callable[[], object]] = []
"""What the next job does while it runs."""


class Import(Job, unique=True, unique_for=600):
    """Unique by its path."""

    def __init__(self, path: str = "a.csv") -> None:
        self.path = path

    def unique_id(self) -> object:
        return self.path

    def handle(self) -> None:
        done.append(self.path)
        if during:
            during.pop(0)()


class Other(Job):
    """A job like any other."""

    def __init__(self, name: str = "other") -> None:
        self.name = name

    def handle(self) -> None:
        done.append(self.name)
        if during:
            during.pop(0)()


class Early(Import, unique_until_processing=True):
    """Frees its lock when it begins."""


class Report(Job, debounce_for=30):
    """Debounced by its name; ``version`` tells its dispatches apart."""

    def __init__(self, version: int, name: str = "sales") -> None:
        self.version = version
        self.name = name

    def unique_id(self) -> object:
        return self.name

    def handle(self) -> None:
        done.append(self.version)
        if during:
            during.pop(0)()


class Patient(Report, debounce_for=(30, 100)):
    """Is not put off for ever."""


@job(unique=True)
def send(user_id: int, *, language: str = "en") -> None:
    done.append((user_id, language))


@job(unique=True, unique_by="user_id")
def greet(user_id: int, *, text: str = "hi") -> None:
    done.append((user_id, text))


def fail() -> None:
    """Raise what a job raises."""
    message = "no luck"
    raise ValueError(message)


def locks(app: App, prefix: str = "unique:") -> dict[str, str]:
    """Give the locks of an App and their owners."""
    store = app.connections.store
    assert isinstance(store, Listing)
    return {each.key: each.value for each in store.held_below(prefix)}


def skipped(events: Iterable[Event]) -> list[UniqueJobSkipped]:
    """Give what was told of skipped unique jobs."""
    return [event for event in events if isinstance(event, UniqueJobSkipped)]


def debounced(events: Iterable[Event]) -> list[JobDebounced]:
    """Give what was told of debounced jobs."""
    return [event for event in events if isinstance(event, JobDebounced)]


def names(events: Iterable[Event], *kinds: type[Any]) -> list[str]:
    """Name the events of some kinds, in order."""
    return [type(event).__name__ for event in events if isinstance(event, kinds)]
