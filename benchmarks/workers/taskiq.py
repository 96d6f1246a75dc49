"""taskiq: streams, which confirm each job; arguments not parsed again; on uvloop."""

from __future__ import annotations

import sys

import uvloop
from taskiq.cli.worker.args import WorkerArgs
from taskiq.cli.worker.run import run_worker
from taskiq_redis import RedisStreamBroker

from benchmarks.workers import tally

broker = RedisStreamBroker(tally.url(), consumer_id="0")


async def _handle(user_id: int, path: str) -> None:  # noqa: ARG001
    tally.count()


handle = broker.register_task(_handle, task_name="handle")


async def _push(jobs: int) -> None:
    await broker.startup()
    for number in range(jobs):
        await handle.kiq(number, "a.csv")
    await broker.shutdown()


def push(jobs: int) -> None:
    """Push jobs."""
    uvloop.run(_push(jobs))


def work() -> None:
    """Work."""
    options = ["--workers=1", "--no-parse", "--log-level=WARNING", "--max-async-tasks=100"]
    sys.exit(run_worker(WorkerArgs.from_cli([f"{__name__}:broker", *options])))
