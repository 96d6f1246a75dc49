"""dramatiq: one process with its threads."""

from __future__ import annotations

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.cli import main, make_argument_parser

from benchmarks.workers import tally

dramatiq.set_broker(RedisBroker(url=tally.url()))


def _handle(user_id: int, path: str) -> None:  # noqa: ARG001
    tally.count()


handle = dramatiq.actor(_handle, actor_name="handle")


def push(jobs: int) -> None:
    """Push jobs."""
    for number in range(jobs):
        handle.send(number, "a.csv")


def work() -> None:
    """Work."""
    command = [__name__, "--processes=1", "--threads=32", "--skip-logging"]
    sys.exit(main(make_argument_parser().parse_args(command)))
