"""qcore beside other queues for Python, each by its own best documented setting for one process, on one redis-server.

What is compared is how many jobs one worker process runs in a second, warm, while more jobs wait; how much processor
time it takes for one, which says more on a busy machine; and how many are pushed in a second, one by one.
Every program takes part in every round, and its best round counts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import peers_env
from benchmarks.measure import Measure, Target, best
from benchmarks.workers import tally
from qtest.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort

PEERS = {
    "rq": "SimpleWorker",
    "celery": "solo pool, prefetch 100",
    "dramatiq": "32 threads",
    "huey": "2 threads; loses jobs",
    "arq": "100 at once, uvloop",
    "saq": "100 at once, uvloop",
    "taskiq": "streams, 100 at once, uvloop",
}
"""How each is set; more is said in its program."""

_ROOT = Path(__file__).parent.parent.parent
_PATIENCE = 120.0


def measure(effort: Effort) -> Iterator[Measure]:
    """Push and run jobs with each."""
    for peer in ("qcore", *PEERS):
        peers_env.python(peer, effort.note)
    times = 3 * effort.jobs
    with RedisServer() as server:
        racers = {peer: _Racer(peer, server, times) for peer in ("qcore", *PEERS)}
        worked = best({peer: racer.take for peer, racer in racers.items()}, max(effort.rounds // 5, 1), effort.note)
    for peer, setting in PEERS.items():
        name = f"{peer} {peers_env.versions(peer)[peer]}"
        yield Measure(
            name=f"run, beside {name}",
            ours=times / worked["qcore"],
            bare=times / worked[peer],
            unit="jobs/s",
            beside=f"{name}: {setting}",
            target=Target(1, at_least=True),
        )
    for peer in PEERS:
        name = f"{peer} {peers_env.versions(peer)[peer]}"
        yield Measure(
            name=f"processor time of a worker, beside {name}",
            ours=1e6 * racers["qcore"].busy,
            bare=1e6 * racers[peer].busy,
            unit="us/job",
            beside=name,
        )
        yield Measure(
            name=f"push, beside {name}",
            ours=1 / racers["qcore"].push,
            bare=1 / racers[peer].push,
            unit="jobs/s",
            beside=name,
        )


class _Racer:
    """One program; every round begins on an empty server."""

    def __init__(self, peer: str, server: RedisServer, jobs: int) -> None:
        self._peer = peer
        self._server = server
        self._jobs = jobs
        self._margin = max(jobs // 6, 10)
        """Jobs before those that are measured, and as many behind them."""
        self.push = float("inf")
        """The fewest seconds that a push took."""
        self.busy = float("inf")
        """The fewest seconds of processor time that the worker took for a job, with all its threads."""

    def take(self) -> float:
        """Give the seconds in which a worker ran the jobs."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "seconds")
            environment = os.environ | {
                "PYTHONPATH": str(_ROOT),
                tally.REDIS: self._server.fresh(),
                tally.FILE: str(file),
                tally.FIRST: str(self._margin),
                tally.LAST: str(self._margin + self._jobs),
            }
            command = [peers_env.python(self._peer), "-m", "benchmarks.workers.run", self._peer]
            self._push(command, environment, folder)
            return self._work(command, environment, folder, file)

    def _push(self, command: list[str], environment: dict[str, str], folder: str) -> None:
        count = self._jobs + 2 * self._margin
        ran = subprocess.run(
            [*command, "push", str(count)], env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            message = f"{self._peer} could not push: {ran.stderr}"
            raise RuntimeError(message)
        self.push = min(self.push, float(ran.stdout.split()[-1]) / count)

    def _work(self, command: list[str], environment: dict[str, str], folder: str, file: Path) -> float:
        log = Path(folder, "log")
        with log.open("w") as out:
            # A session of its own: some start processes, which have to end, too.
            worker = subprocess.Popen(
                [*command, "work"], env=environment, cwd=folder, start_new_session=True, stdout=out, stderr=out
            )
        try:
            end = time.monotonic() + _PATIENCE
            while not file.exists():
                if worker.poll() is not None or time.monotonic() > end:
                    message = f"{self._peer} did not run its jobs: {log.read_text()[-2000:]}"
                    raise RuntimeError(message)
                time.sleep(0.05)
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        taken, busy = map(float, file.read_text().split())
        self.busy = min(self.busy, busy / self._jobs)
        return taken
