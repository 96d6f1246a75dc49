"""celery: the solo pool; results ignored, a longer prefetch, no gossip, mingle and heartbeat."""

from __future__ import annotations

from celery import Celery

from benchmarks.workers import tally

_app = Celery("benchmark", broker=tally.url())
_app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=100)


def _handle(user_id: int, path: str) -> None:  # noqa: ARG001
    tally.count()


handle = _app.task(_handle, name="handle")


def push(jobs: int) -> None:
    """Push jobs."""
    for number in range(jobs):
        handle.delay(number, "a.csv")


def work() -> None:
    """Work."""
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=WARNING")
    _app.worker_main(["worker", "--pool=solo", *quiet])
