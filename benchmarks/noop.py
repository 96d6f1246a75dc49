"""The job of all rows. It does nothing: what is left is the price of the queue."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from qcore import App, Config, Job, Stopped, WorkerOptions
from qcore.time_limit import AlarmLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_AT_ONCE = 5_000


class Noop(Job):
    """A job with two small arguments."""

    def __init__(self, user_id: int, path: str) -> None:
        """Keep both."""
        self.user_id = user_id
        self.path = path

    def handle(self) -> None:
        """Do nothing."""


def app_on(connection: str, file: Path | None = None) -> App:
    """Make an App whose default connection is that one; a database lies in ``file``."""
    connections = {} if file is None else {connection: {"driver": connection, "url": f"sqlite:///{file}"}}
    return App(Config(default=connection, connections=connections))


def app_at(driver: str, url: str, **more: object) -> App:
    """Make an App whose default connection is on that server."""
    return App(Config(default=driver, connections={driver: {"driver": driver, "url": url, **more}}))


def push_all(app: App, count: int) -> None:
    """Push jobs one by one, as ``job.dispatch()`` does."""
    push = app.push
    for number in range(count):
        push(Noop(number, "a.csv"))


@contextmanager
def armed(app: App) -> Iterator[AlarmLimit]:
    """Give the time limit of a real worker, and put its watchdog to rest afterwards."""
    limit = AlarmLimit(app.clock)
    try:
        yield limit
    finally:
        limit.rest()


def fill(app: App, count: int, note: Callable[[str], None] = lambda _: None, **options: object) -> None:
    """Push jobs, many at once."""
    for first in range(0, count, _AT_ONCE):
        note(f"pushing {first} of {count} jobs")
        numbers = range(first, min(first + _AT_ONCE, count))
        pushed = app.bulk([Noop(number, "a.csv") for number in numbers], **options)
        if len(pushed) != len(numbers):
            message = f"{len(numbers)} jobs should have been pushed, and {len(pushed)} were"
            raise RuntimeError(message)


def work_all(app: App, limit: AlarmLimit, expected: int) -> None:
    """Run all that waits, as ``qcore work --stop-when-empty`` does."""
    stopped = app.worker(options=WorkerOptions(stop_when_empty=True), time_limit=limit).run()
    _check(stopped, expected)


def _check(stopped: Stopped, expected: int) -> None:
    if (stopped.jobs, stopped.errors) != (expected, 0):
        message = f"{expected} jobs should have run without an error, and it was {stopped}"
        raise RuntimeError(message)
