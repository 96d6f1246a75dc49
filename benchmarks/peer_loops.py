"""Push and run no-op jobs in memory, as others do it in tests: ``python benchmarks/peer_loops.py NAME JOBS ROUNDS``.

Prints the best microseconds of processor time a job, all threads together: waiting costs nothing, and a machine that is
busy with something else changes little. It runs in the environment that ``peers.py`` makes, or wherever NAME is
installed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 1_000_000


def memory(jobs: int, rounds: int) -> list[float]:
    """Run the memory driver with the real worker."""
    from benchmarks.noop import app_on, armed, push_all, work_all

    app = app_on("memory")
    with armed(app) as limit:

        def both() -> None:
            push_all(app, jobs)
            work_all(app, limit, jobs)

        return _timed(both, rounds)


def fake(jobs: int, rounds: int) -> list[float]:
    """Run the fake queue of a test."""
    from benchmarks.noop import Noop
    from qtest import QueueFake

    def test() -> None:
        with QueueFake() as queue:
            for number in range(jobs):
                Noop(number, "a.csv").dispatch()
            queue.run_due(max_jobs=_MOST)

    return _timed(test, rounds)


def celery(jobs: int, rounds: int) -> list[float]:
    """Run Celery's eager mode."""
    import celery as peer

    app: Any = peer.Celery("noop")
    app.conf.task_always_eager = True
    app.conf.task_ignore_result = True
    noop = app.task(_noop, name="noop")

    def push() -> None:
        for number in range(jobs):
            noop.delay(number, "a.csv")

    return _timed(push, rounds)


def dramatiq(jobs: int, rounds: int) -> list[float]:
    """Run Dramatiq's StubBroker, its worker with one thread and with as many as by default: the better one counts."""
    import dramatiq as peer
    from dramatiq.brokers.stub import StubBroker

    stub: Any = StubBroker()
    peer.set_broker(stub)
    noop: Any = peer.actor(_noop, actor_name="noop")

    def push() -> None:
        for number in range(jobs):
            noop.send(number, "a.csv")
        stub.join(noop.queue_name)
        worker.join()

    taken = []
    for threads in (8, 1):
        worker: Any = peer.Worker(stub, worker_timeout=100, worker_threads=threads)
        worker.start()
        taken += _timed(push, rounds)
        worker.stop()
    return taken


def taskiq(jobs: int, rounds: int) -> list[float]:
    """Run taskiq's InMemoryBroker, awaited in place and all together: the better one counts."""
    import taskiq as peer

    async def run() -> list[float]:
        taken = []
        for in_place in (False, True):
            stub: Any = peer.InMemoryBroker(await_inplace=in_place)
            noop = stub.task(task_name="noop")(_async_noop)
            await stub.startup()
            for _ in range(rounds):
                begin = time.process_time()
                for number in range(jobs):
                    await noop.kiq(number, "a.csv")
                await stub.wait_all()
                taken.append(time.process_time() - begin)
            await stub.shutdown()
        return taken

    return asyncio.run(run())


def _noop(user_id: int, path: str) -> None:
    pass


async def _async_noop(user_id: int, path: str) -> None:
    pass


def _timed(work: Callable[[], object], rounds: int) -> list[float]:
    taken = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return taken


OURS = {"memory": memory, "fake": fake}
PEERS = {"celery": celery, "dramatiq": dramatiq, "taskiq": taskiq}


def main(name: str, jobs: str, rounds: str) -> None:
    """Run one of them."""
    taken = {**OURS, **PEERS}[name](int(jobs), int(rounds))
    print(f"{1e6 * min(taken) / int(jobs):.3f}")


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent.parent)
    main(*sys.argv[1:])
