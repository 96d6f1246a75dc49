"""redis through the real worker, beside loops of bare redis-py calls, on one throwaway server."""

from __future__ import annotations

import json
import uuid
from contextlib import closing
from typing import TYPE_CHECKING

import redis

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.memory import body_of
from benchmarks.noop import app_at, armed, fill, push_all, work_all
from qtest.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App
    from qcore.time_limit import AlarmLimit

# The least that keeps a job which its worker loses: take the first one, hold it, forget the one before.
_MOVE = """
local id = redis.call('LPOP', KEYS[1])
local body = redis.call('HGET', KEYS[3] .. id, 'p')
redis.call('ZADD', KEYS[2], ARGV[1], id)
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3] .. ARGV[2])
return {id, body}
"""


def measure(effort: Effort) -> Iterator[Measure]:
    """Run jobs, push them, push many at once."""
    with RedisServer() as server, closing(app_at("redis", server.url)) as app, armed(app) as limit:
        with redis.Redis.from_url(server.url) as client:
            bare = _Bare(client, json.dumps(body_of(app)).encode())
            yield _run(app, limit, bare, effort)
            yield _push(app, bare, effort)
        yield _bulk(app, effort)


class _Bare:
    """The same work by calls of redis-py and nothing else."""

    def __init__(self, client: redis.Redis, body: bytes) -> None:
        self._client = client
        self._body = body
        self._move: str = client.script_load(_MOVE)

    def run(self, jobs: int) -> float:
        """One EVALSHA a job."""
        ids = [str(uuid.uuid4()) for _ in range(jobs)]
        with self._client.pipeline(transaction=False) as pipeline:
            for job_id in ids:
                pipeline.hset(f"bare:job:{job_id}", "p", self._body)
            pipeline.rpush("bare", *ids)
            pipeline.execute()
        return seconds(lambda: self._moves(jobs))

    def _moves(self, jobs: int) -> None:
        evalsha, move, before = self._client.evalsha, self._move, b""
        for _ in range(jobs):
            before, _body = evalsha(move, 3, "bare", "bare:reserved", "bare:job:", "1700000000000", before)

    def push(self, jobs: int) -> float:
        """One RPUSH a job."""
        taken = seconds(lambda: self._pushes(jobs))
        self._client.delete("bare")
        return taken

    def _pushes(self, jobs: int) -> None:
        rpush, body = self._client.rpush, self._body
        for _ in range(jobs):
            rpush("bare", body)


def _run(app: App, limit: AlarmLimit, bare: _Bare, effort: Effort) -> Measure:
    def ours() -> float:
        fill(app, effort.jobs)
        return seconds(lambda: work_all(app, limit, effort.jobs))

    found = best({"bare": lambda: bare.run(effort.jobs), "ours": ours}, effort.rounds, effort.note)
    return Measure(
        name="redis: run",
        ours=effort.jobs / found["ours"],
        bare=effort.jobs / found["bare"],
        unit="jobs/s",
        beside="redis-py, one EVALSHA a job",
        target=Target(1, at_least=True),
    )


def _push(app: App, bare: _Bare, effort: Effort) -> Measure:
    def ours() -> float:
        taken = seconds(lambda: push_all(app, effort.jobs))
        app.connection().clear()
        return taken

    found = best({"bare": lambda: bare.push(effort.jobs), "ours": ours}, effort.rounds, effort.note)
    return Measure(
        name="redis: push",
        ours=effort.jobs / found["ours"],
        bare=effort.jobs / found["bare"],
        unit="jobs/s",
        beside="redis-py, one RPUSH a job",
        target=Target(0.7, at_least=True),
    )


def _bulk(app: App, effort: Effort) -> Measure:
    from benchmarks.bulk import measure_on

    return measure_on("redis: bulk", app, effort, Target(5, at_least=True))
