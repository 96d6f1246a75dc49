"""A long queue: reserve must not care how many jobs wait."""

from __future__ import annotations

import gc
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best
from benchmarks.noop import Noop, app_at, app_on, fill
from qtest.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App

SHORT = 1_000
_TARGET = Target(2)


def measure(effort: Effort) -> Iterator[Measure]:
    """Reserve with many and with few waiting, in turn, on SQLite and on redis."""
    with tempfile.TemporaryDirectory() as folder:
        sqlite = (app_on("database", Path(folder, "many.sqlite3")), app_on("database", Path(folder, "few.sqlite3")))
        yield from _measures("SQLite", *sqlite, effort)
    with RedisServer() as server:
        many, few = (app_at("redis", server.url, prefix=each) for each in ("many:", "few:"))
        yield from _measures("redis", many, few, effort)


def _measures(name: str, many: App, few: App, effort: Effort) -> Iterator[Measure]:
    with closing(many), closing(few):
        fill(many, effort.waiting, effort.note)
        fill(few, SHORT)
        # Short rounds: SQLite's checkpoints, one in hundreds of calls, wait for a disk that others use too.
        long, short = _Samples(many, effort.jobs // 2), _Samples(few, effort.jobs // 2)
        found = best({"few": short.take, "many": long.take}, effort.rounds, effort.note)
    what = f"{name}: reserve with {effort.waiting} waiting"
    beside = f"with {SHORT} waiting"
    yield Measure(
        name=f"{what}, median", ours=found["many"], bare=found["few"], unit="us", beside=beside, target=_TARGET
    )
    yield Measure(name=f"{what}, p99", ours=long.p99, bare=short.p99, unit="us", beside=beside, target=_TARGET)


class _Samples:
    """Reserves again and again while the number of waiting jobs stays the same."""

    def __init__(self, app: App, count: int) -> None:
        self._app = app
        self._count = count
        self.p99 = float("inf")
        """The best of all rounds."""

    def take(self) -> float:
        """Give the median of one round, in microseconds."""
        gc.collect()
        times = sorted(self._reserve() for _ in range(self._count))
        self.p99 = min(self.p99, times[len(times) * 99 // 100])
        return times[len(times) // 2]

    def _reserve(self) -> float:
        driver = self._app.connection().driver
        begin = time.perf_counter()
        reservation = driver.reserve(("default",))
        taken = time.perf_counter() - begin
        if reservation is None:
            message = "a job should wait, and none does"
            raise RuntimeError(message)
        driver.delete(reservation)
        self._app.push(Noop(1, "a.csv"))
        return 1e6 * taken
