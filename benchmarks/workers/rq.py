"""rq: a SimpleWorker, which does not fork for each job; no results kept."""

from __future__ import annotations

from redis import Redis
from rq import Queue, SimpleWorker

from benchmarks.workers import tally

_connection = Redis.from_url(tally.url())
_queue = Queue(connection=_connection)


def handle(user_id: int, path: str) -> None:  # noqa: ARG001
    """Count the job."""
    tally.count()


def push(jobs: int) -> None:
    """Push jobs."""
    for number in range(jobs):
        _queue.enqueue(handle, number, "a.csv", result_ttl=0)


def work() -> None:
    """Work."""
    SimpleWorker([_queue], connection=_connection).work(logging_level="WARNING")
