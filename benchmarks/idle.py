"""Workers that wait: how soon they start what is pushed, or what has become due, and what their waiting costs."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import Measure, Target
from benchmarks.noop import app_at
from benchmarks.waking import BARE_CHANNEL, Wake
from qtest.servers import PostgresServer, RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort
    from qcore import App

_ROOT = Path(__file__).parent.parent
_PAUSES = (0.02, 0.06)
"""Seconds between two pushes: long enough for a worker to wait again."""
_DELAYS = (0.05, 1.0)


def measure(effort: Effort) -> Iterator[Measure]:
    """Watch an idle worker on redis, and one on PostgreSQL."""
    with RedisServer() as redis:
        yield from _measures("redis", "redis", redis.url, effort, "BLPOP of redis-py")
    with PostgresServer() as postgres:
        yield from _measures("PostgreSQL", "database", postgres.fresh(), effort, "LISTEN of psycopg")


def _measures(name: str, driver: str, url: str, effort: Effort, beside: str) -> Iterator[Measure]:
    push = _push_to_redis(url) if name == "redis" else _push_to_postgres(url)
    with closing(app_at(driver, url)) as app:
        if driver == "database":
            app.connections.database(driver).create_all()
        work = ("-m", "qcore", "--app", "benchmarks.waking:app", "work", "--quiet", "--memory", "0")
        with (
            _started(url, *work) as worker,
            _started(url, "-m", "benchmarks.waking", url.partition("+")[0].partition(":")[0], url) as bare,
        ):
            app.push(Wake(time.monotonic_ns()))
            worker.said()
            bare.said()
            # In turn, so that both meet the same busy machine.
            count = 8 * effort.rounds
            pairs = [_woken(app, worker, push, bare) for _ in range(count)]
            ours, theirs = (sorted(each) for each in zip(*pairs, strict=True))
            for what, share, target in (("p50", 0.5, Target(2, of="ours")), ("p99", 0.99, None)):
                at = int(share * count)
                yield Measure(
                    name=f"{name}: idle, push to start, {what}",
                    ours=ours[at],
                    bare=theirs[at],
                    unit="ms",
                    beside=beside,
                    target=target,
                )
            late = sorted(_delayed(app, worker, 4 * effort.rounds))
            for what, share in (("p50", 0.5), ("p90", 0.9)):
                yield Measure(
                    name=f"{name}: start after it is due, {what}",
                    ours=late[int(share * len(late))],
                    unit="ms",
                    target=Target(10, of="ours"),
                )
            yield Measure(
                name=f"{name}: an idle worker",
                ours=worker.share_of_a_core(effort.idle),
                unit="% of a core",
                target=Target(0.5, of="ours"),
            )


class _Listener(NamedTuple):
    """A process that says how late it was."""

    process: subprocess.Popen[bytes]
    says: int

    def said(self) -> float:
        """Milliseconds."""
        line = b""
        while not line.endswith(b"\n"):
            piece = os.read(self.says, 1)
            if not piece:
                message = f"{self.process.args!r} ended"
                raise RuntimeError(message)
            line += piece
        return int(line) / 1_000_000

    def share_of_a_core(self, seconds: float) -> float:
        """Percent of a core that it uses in so many seconds."""
        time.sleep(min(1, seconds))  # what it did before is over
        before, begin = self._busy(), time.monotonic()
        time.sleep(seconds)
        return 100 * (self._busy() - before) / 1e9 / (time.monotonic() - begin)

    def _busy(self) -> int:
        """Nanoseconds that its threads have run."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in threads)


@contextmanager
def _started(url: str, *command: str) -> Iterator[_Listener]:
    says, end = os.pipe()
    try:
        environment = os.environ | {"BENCHMARK_URL": url, "BENCHMARK_SAYS": str(end), "PYTHONPATH": str(_ROOT)}
        process = subprocess.Popen([sys.executable, *command], env=environment, pass_fds=(end,))
    finally:
        os.close(end)
    try:
        yield _Listener(process, says)
    finally:
        process.kill()
        process.wait()
        os.close(says)


def _push_to_redis(url: str) -> Callable[[], object]:
    import redis

    client = redis.Redis.from_url(url)
    return lambda: client.rpush(BARE_CHANNEL, time.monotonic_ns())


def _push_to_postgres(url: str) -> Callable[[], object]:
    import psycopg

    connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
    return lambda: connection.execute("SELECT pg_notify(%s, %s)", (BARE_CHANNEL, str(time.monotonic_ns())))


def _woken(app: App, worker: _Listener, push: Callable[[], object], bare: _Listener) -> tuple[float, float]:
    time.sleep(random.uniform(*_PAUSES))
    app.push(Wake(time.monotonic_ns()))
    ours = worker.said()
    time.sleep(random.uniform(*_PAUSES))
    push()
    return ours, bare.said()


def _delayed(app: App, worker: _Listener, count: int) -> list[float]:
    """Push jobs that become due one after the other, and give how late each started, in milliseconds."""
    for _ in range(count):
        delay = random.uniform(*_DELAYS)
        app.dispatch(Wake(time.monotonic_ns() + round(1e9 * delay)), delay=delay)
    return [worker.said() for _ in range(count)]
