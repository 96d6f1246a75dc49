"""What ``qcore monitor`` sees: how much is on queues, how long it waits, and whether that is too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcore.driver import Inspectable, QueueCounts, Sizable
from qcore.errors import UnknownConnectionError, UnsupportedError
from qcore.events import QueueBusy
from qcore.options import checked_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from qcore.app import App
    from qcore.queue import Queue

ALL = ""
"""Stands among the names of queues for every queue that holds something."""


class Limits(NamedTuple):
    """From where on there is an alert; 0: never."""

    size: int
    """Jobs on a queue: ready, delayed and reserved."""
    wait: float
    """Seconds for which the oldest ready job of a queue waits."""


class Seen(NamedTuple):
    """One queue at one moment."""

    connection: str
    queue: str
    size: int
    counts: QueueCounts | None
    """None when the driver knows no more than the size."""
    waited: float | None
    """Seconds for which the oldest ready job waits; None when none is ready, or the driver cannot tell."""
    over: tuple[str, ...]
    """Which limits are reached: ``size``, ``wait``."""

    @property
    def event(self) -> QueueBusy:
        """What listeners are told when a limit is reached."""
        return QueueBusy(self.connection, self.queue, self.size, self.waited, self.over)


def wanted(app: App, words: Iterable[str], connection: str | None) -> Mapping[str, Sequence[str]]:
    """Read ``queue``, ``connection:queue``, ``connection:`` and lists of them with commas: the queues by connection.

    Without a word everything on ``connection`` is meant, the default one if none is named.

    :raises UnknownConnectionError: lists the connections that exist.
    """
    default = app.connection(connection).name
    items = [item.strip() for word in words for item in word.split(",")]
    found: dict[str, dict[str, None]] = {}
    for item in [item for item in items if item] or [f"{default}:"]:
        before, colon, after = item.partition(":")
        place, queue = (before, after) if colon else (default, item)
        found.setdefault(_known(app, place), {})[queue and checked_name(queue, "queue")] = None
    return {place: list(queues) for place, queues in found.items()}


def _known(app: App, name: str) -> str:
    try:
        app.connections.settings(name)
    except UnknownConnectionError as error:
        hint = "a queue with a colon in its name is written CONNECTION:QUEUE"
        raise UnknownConnectionError(f"{error}; {hint}") from error
    return name


def look(app: App, connection: str, queues: Sequence[str], limits: Limits) -> list[Seen]:
    """Look at queues of a connection: the named ones also when they hold nothing.

    :raises UnsupportedError: when its driver cannot count.
    :raises DriverError: when its backend cannot be asked.
    """
    chosen = app.connection(connection)
    if isinstance(chosen.driver, Inspectable):
        return list(_counted(chosen, chosen.driver.counts(), queues, limits))
    if not isinstance(chosen.driver, Sizable):
        raise chosen.unable("count its jobs")
    if limits.wait:
        raise UnsupportedError(f"{chosen.unable('tell how long its jobs wait')}: leave --max-wait away")
    names = [name for name in queues if name != ALL] or [chosen.default_queue]
    return [_judged(chosen.name, name, chosen.driver.size(name), None, None, limits) for name in names]


def _counted(chosen: Queue, counts: Iterable[QueueCounts], queues: Sequence[str], limits: Limits) -> Iterator[Seen]:
    there = {each.queue: each for each in counts}
    names = dict.fromkeys([*(name for name in queues if name != ALL), *(there if ALL in queues else ())])
    for name in names:
        each = there.get(name) or QueueCounts(name, 0, 0, 0, None)
        yield _judged(chosen.name, name, each.ready + each.delayed + each.reserved, each, each.waited, limits)


def _judged(
    connection: str, queue: str, size: int, counts: QueueCounts | None, waited: float | None, limits: Limits
) -> Seen:
    over = ["size"] if 0 < limits.size <= size else []
    over += ["wait"] if waited is not None and 0 < limits.wait <= waited else []
    return Seen(connection, queue, size, counts, waited, tuple(over))
