"""saq: a hundred jobs at once; on uvloop."""

from __future__ import annotations

from typing import Any

import uvloop
from saq import Queue, Worker

from benchmarks.workers import tally


async def handle(ctx: dict[str, Any], *, user_id: int, path: str) -> None:  # noqa: ARG001
    """Count the job."""
    tally.count()


async def _push(jobs: int) -> None:
    queue = Queue.from_url(tally.url())
    await queue.connect()
    for number in range(jobs):
        await queue.enqueue("handle", user_id=number, path="a.csv", ttl=-1)
    await queue.disconnect()


def push(jobs: int) -> None:
    """Push jobs."""
    uvloop.run(_push(jobs))


async def _work() -> None:
    queue = Queue.from_url(tally.url())
    await queue.connect()
    await Worker(queue, functions=[handle], concurrency=100).start()


def work() -> None:
    """Work."""
    uvloop.run(_work())
