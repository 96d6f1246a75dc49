"""Very many jobs that are due at once on redis: does a call keep the server busy, does a worker's memory grow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from benchmarks.measure import Measure, Target
from benchmarks.noop import app_at, fill
from qtest.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO

    from benchmarks.measure import Effort
    from qcore import App

_ROOT = Path(__file__).parent.parent
_LOGGED = 500
"""Microseconds from which on the server logs a call."""
_DELAY = 0.1
_WARM = 0.1
"""The share of the jobs after which the worker has all the memory it needs."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


def measure(effort: Effort) -> Iterator[Measure]:
    """Push delayed jobs, let a worker run a part of them once all are due, clear the rest."""
    with (
        RedisServer() as server,
        closing(app_at("redis", server.url)) as app,
        redis.Redis.from_url(server.url) as client,
    ):
        _prefer(server.pid)
        client.config_set("slowlog-log-slower-than", _LOGGED)
        client.config_set("slowlog-max-len", 10_000)
        fill(app, effort.waiting, effort.note, delay=_DELAY)
        time.sleep(_DELAY)
        busiest = _busiest(app, server.pid, effort)
        before, after = _memory(app, server.url, effort)
        cleared = app.connection().clear()
        slowest = _slowest(client)
        nothing = client.register_script("return 1")
        client.slowlog_reset()
        for _ in range(min(effort.waiting, 100_000)):
            nothing()
        noise = _slowest(client)
    yield Measure(
        name=f"redis: {effort.waiting} due at once, longest at work for a call",
        ours=busiest,
        unit="ms",
        target=Target(10, of="ours"),
    )
    yield Measure(
        name=f"redis: {effort.waiting} due at once, slowest call in its log",
        ours=slowest,
        bare=noise,
        unit="ms",
        beside="the slowest of 100000 calls that do nothing",
    )
    yield Measure(
        name=f"redis: memory of a worker after {effort.waiting - cleared} jobs",
        ours=after,
        bare=before,
        unit="MB",
        beside="after a tenth of them",
        target=Target(1.02),
    )


def _busiest(app: App, pid: int, effort: Effort) -> float:
    """Give the milliseconds that the server's main thread was at work for the longest of many reserves.

    The slow log also counts the time for which the system let others run.
    """
    driver, longest = app.connection().driver, 0
    effort.note("reserving jobs that are due")
    with Path(f"/proc/{pid}/task/{pid}/schedstat").open("rb", buffering=0) as worked:
        before = _nanoseconds(worked)
        for _ in range(min(effort.waiting // 2, 20_000)):
            driver.reserve(["default"])
            before, longest = (after := _nanoseconds(worked)), max(longest, after - before)
    return longest / 1_000_000


def _nanoseconds(worked: FileIO) -> int:
    worked.seek(0)
    return int((worked.read() or b"0").split()[0])


def _slowest(client: redis.Redis) -> float:
    """Milliseconds of the slowest call in the log; when none is slow enough to be there, the limit of the log."""
    calls: list[Any] = client.slowlog_get(10_000)
    return max((each["duration"] for each in calls if b"CONFIG" not in each["command"]), default=_LOGGED) / 1000


def _prefer(pid: int) -> None:
    """Keep other programs from interrupting the server where root may do so: its clock runs on meanwhile."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)


def _memory(app: App, url: str, effort: Effort) -> tuple[float, float]:
    """Give the megabytes of a worker in its youth, and when it has run a fifth of all jobs."""
    first, last = effort.waiting * (1 - _WARM * 0.2), effort.waiting * 0.8
    command = ("-m", "qcore", "--app", "benchmarks.waking:app", "work", "--quiet", "--memory", "0")
    environment = os.environ | {"BENCHMARK_URL": url, "PYTHONPATH": str(_ROOT)}
    worker = subprocess.Popen([sys.executable, *command], env=environment)
    try:
        _left(app, first, effort)
        before = _megabytes(worker.pid)
        _left(app, last, effort)
        return before, _megabytes(worker.pid)
    finally:
        worker.kill()
        worker.wait()


def _left(app: App, count: float, effort: Effort) -> None:
    """Wait until no more than so many jobs wait."""
    while (left := app.connection().size()) > count:
        effort.note(f"a worker runs jobs that are due: {left} wait")
        time.sleep(0.05)


def _megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * _PAGE / 1_000_000
