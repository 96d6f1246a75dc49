"""arq: many jobs at once, no results kept, no pause between two looks; on uvloop."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from arq import Worker, create_pool
from arq.connections import RedisSettings

from benchmarks.workers import tally

_settings = RedisSettings.from_dsn(tally.url())


async def handle(ctx: dict[str, Any], user_id: int, path: str) -> None:  # noqa: ARG001
    """Count the job."""
    tally.count()


async def _push(jobs: int) -> None:
    pool = await create_pool(_settings)
    for number in range(jobs):
        await pool.enqueue_job("handle", number, "a.csv")
    await pool.aclose()


def push(jobs: int) -> None:
    """Push jobs."""
    uvloop.run(_push(jobs))


def work() -> None:
    """Work."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    Worker(
        functions=[handle],
        redis_settings=_settings,
        max_jobs=100,
        poll_delay=0,
        keep_result=0,
        log_results=False,
    ).run()
