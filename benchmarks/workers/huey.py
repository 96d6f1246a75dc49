"""huey: two threads, no results, no periodic jobs. A job that is taken is gone: it is lost when its worker dies."""

from __future__ import annotations

import logging

from huey import RedisHuey

from benchmarks.workers import tally

_huey = RedisHuey(url=tally.url(), results=False)


def _handle(user_id: int, path: str) -> None:  # noqa: ARG001
    tally.count()


handle = _huey.task(name="handle")(_handle)


def push(jobs: int) -> None:
    """Push jobs."""
    for number in range(jobs):
        handle(number, "a.csv")


def work() -> None:
    """Work."""
    logging.basicConfig(level=logging.WARNING)
    _huey.create_consumer(workers=2, periodic=False).run()
