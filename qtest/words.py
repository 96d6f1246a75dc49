"""The words for events in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore import events
from qcore.events import Event
from qtest.expecting import ExpectationError

if TYPE_CHECKING:
    from collections.abc import Iterable

_OWN = {
    events.JobQueueing: "",
    events.JobQueued: "pushed",
    events.JobPopped: "reserved",
    events.JobExceptionOccurred: "raised",
    events.UniqueJobSkipped: "refused",
}


def word_of(event: type[Event]) -> str:
    """Say what a class of events is called; empty for what announces another one."""
    if event in _OWN:
        return _OWN[event]
    name = event.__name__.removeprefix("Job")
    return "".join(f"_{each.lower()}" if each.isupper() else each for each in name).lstrip("_")


def words_of(given: Iterable[str | type[Event]]) -> list[str]:
    """Understand the events that a test names.

    :raises ExpectationError: for a word that means none.
    """
    known = {word_of(each) for each in _all(Event)} - {""}
    words = [word_of(each) if isinstance(each, type) else each for each in given]
    unknown = [word for word in words if word not in known]
    if unknown:
        raise ExpectationError(f"{', '.join(unknown)} is no event; there are {', '.join(sorted(known))}")
    return words


def _all(kind: type[Event]) -> Iterable[type[Event]]:
    for each in kind.__subclasses__():
        if each.__name__[0] != "_" and each.__name__ != "JobEnded":
            yield each
        yield from _all(each)
