"""PostgreSQL through the real worker, beside a loop of bare psycopg statements that move rows in the same way."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.memory import body_of
from benchmarks.noop import armed, push_all, work_all
from qcore import App, Config
from qcore.sql import Database
from qtest.servers import MissingServerError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore.time_limit import AlarmLimit

_INSERT = (
    "INSERT INTO qcore_jobs (uuid, queue, body, attempts, token, verdict, available_at, created_at) "
    "VALUES (%s, 'default', %s, 0, 0, '', %s, %s)"
)
_RESERVE = (
    "UPDATE qcore_jobs SET token = token + 1, attempts = attempts + 1, reserved_at = %s, available_at = %s "
    "WHERE id = (SELECT id FROM qcore_jobs WHERE queue = 'default' AND available_at <= %s "
    "ORDER BY available_at, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, uuid, body, attempts, token"
)
_DELETE = "DELETE FROM qcore_jobs WHERE id = %s"


def measure(effort: Effort) -> Iterator[Measure]:
    """Push and run jobs, on one throwaway server for both sides."""
    try:
        with PostgresServer() as server:
            found = _both(server, effort)
    except MissingServerError as error:
        effort.note(str(error))
        return
    yield Measure(
        name="PostgreSQL: push + run",
        ours=effort.jobs / found["ours"],
        bare=effort.jobs / found["bare"],
        unit="jobs/s",
        beside="INSERT, UPDATE .. RETURNING, DELETE",
        target=Target(0.5, at_least=True),
    )


def _both(server: PostgresServer, effort: Effort) -> dict[str, float]:
    app = App(Config(default="pg", connections={"pg": {"driver": "database", "url": _made(server.fresh())}}))
    rows = [(str(uuid.uuid4()), json.dumps(body_of(app)).encode()) for _ in range(effort.jobs)]
    with closing(app), closing(_bare_connection(_made(server.fresh()))) as bare, armed(app) as limit:
        return best(
            {
                "bare": lambda: seconds(lambda: _bare(bare, rows)),
                "ours": lambda: seconds(lambda: _push_and_run(app, limit, effort.jobs)),
            },
            effort.rounds,
            effort.note,
        )


def _made(url: str) -> str:
    Database(url).create_all()
    return url


def _bare_connection(url: str) -> Any:  # noqa: ANN401 - psycopg is imported when it is used
    import psycopg

    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def _bare(connection: Any, rows: list[tuple[str, bytes]]) -> None:  # noqa: ANN401 - as above
    execute = connection.execute
    for job_id, body in rows:
        now = int(time.time() * 1000)
        execute(_INSERT, (job_id, body, now, now))
    for _ in rows:
        now = int(time.time() * 1000)
        [(row, *_)] = execute(_RESERVE, (now, now + 90_000, now)).fetchall()
        execute(_DELETE, (row,))


def _push_and_run(app: App, limit: AlarmLimit, jobs: int) -> None:
    push_all(app, jobs)
    work_all(app, limit, jobs)
