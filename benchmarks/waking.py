"""What idle workers run: a job that says when it starts; and, beside it, bare programs that wait for a word.

``python -m benchmarks.waking redis URL`` waits by BLPOP, ``... postgresql URL`` by LISTEN; each says when it heard.
The file descriptor to which they write is in ``BENCHMARK_SAYS``, the address of qcore's server in ``BENCHMARK_URL``.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from benchmarks.noop import app_at
from qcore import Job

if TYPE_CHECKING:
    from qcore import App

BARE_CHANNEL = "bare"


class Wake(Job):
    """Says how long it is since ``due``, in nanoseconds."""

    def __init__(self, due: int) -> None:
        """Take when it may start at the earliest, in nanoseconds of a clock that all processes share."""
        self.due = due

    def handle(self) -> None:
        """Say it."""
        say(self.due)


def say(due: int) -> None:
    """Write how many nanoseconds have passed."""
    os.write(int(os.environ["BENCHMARK_SAYS"]), b"%d\n" % (time.monotonic_ns() - due))


def _app(url: str) -> App:
    return app_at("redis" if url.startswith("redis") else "database", url)


app = _app(os.environ.get("BENCHMARK_URL", "redis://"))
"""That of the worker. Nothing is opened before it is used."""


def _wait_on_redis(url: str) -> None:
    import redis

    client = redis.Redis.from_url(url, socket_timeout=None)
    say(time.monotonic_ns())  # it is ready
    while True:
        _, due = client.blpop([BARE_CHANNEL])  # type: ignore[misc] # redis-py also speaks of its async client
        say(int(due))


def _wait_on_postgres(url: str) -> None:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"LISTEN {BARE_CHANNEL}")
        say(time.monotonic_ns())
        for heard in connection.notifies():
            say(int(heard.payload))


if __name__ == "__main__":
    {"redis": _wait_on_redis, "postgresql": _wait_on_postgres}[sys.argv[1]](sys.argv[2])
