"""PostgreSQL and MariaDB through the real worker, beside loops of bare statements that move rows in the same way."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.memory import body_of
from benchmarks.noop import app_at, armed, push_all, work_all
from qcore.sql import Database
from qtest.servers import MariaServer, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.measure import Effort

    Loop = Callable[[list[tuple[str, bytes]]], None]

_INSERT = (
    "INSERT INTO qcore_jobs (uuid, queue, body, attempts, token, verdict, available_at, created_at) "
    "VALUES (%s, 'default', %s, 0, 0, '', %s, %s)"
)
_FIRST = (
    "SELECT id FROM qcore_jobs WHERE queue = 'default' AND available_at <= %s "
    "ORDER BY available_at, id LIMIT 1 FOR UPDATE SKIP LOCKED"
)
_TAKE = (
    "UPDATE qcore_jobs SET token = token + 1, attempts = attempts + 1, reserved_at = %s, available_at = %s WHERE id = "
)
_RESERVE = f"{_TAKE}({_FIRST}) RETURNING id, uuid, body, attempts, token"
_DELETE = "DELETE FROM qcore_jobs WHERE id = %s"


def measure(effort: Effort) -> Iterator[Measure]:
    """Push and run jobs, one by one."""
    effort = effort._replace(rounds=max(effort.rounds // 3, 2))  # a round takes seconds
    with PostgresServer() as postgres:
        yield _measure("PostgreSQL", postgres, effort, Target(0.5, at_least=True))
    with MariaServer() as maria:
        yield _measure("MariaDB", maria, effort, None)


def _measure(name: str, server: PostgresServer | MariaServer, effort: Effort, target: Target | None) -> Measure:
    ours, bare = app_at("database", server.fresh()), server.fresh()
    for url in (ours.connections.database("database").url, bare):
        Database(url).create_all()
    with closing(ours) as app, armed(app) as limit, closing(_connected(bare)) as connection:
        body = json.dumps(body_of(app)).encode()
        loop = _postgres_loop(connection) if name == "PostgreSQL" else _maria_loop(connection)

        def push_and_run() -> None:
            push_all(app, effort.jobs)
            work_all(app, limit, effort.jobs)

        def bare_loop() -> float:
            rows = [(str(uuid.uuid4()), body) for _ in range(effort.jobs)]
            return seconds(lambda: loop(rows))

        found = best({"bare": bare_loop, "ours": lambda: seconds(push_and_run)}, effort.rounds, effort.note)
    return Measure(
        name=f"{name}: push + run",
        ours=effort.jobs / found["ours"],
        bare=effort.jobs / found["bare"],
        unit="jobs/s",
        beside=f"{type(connection).__module__.partition('.')[0]}, the same moves",
        target=target,
    )


def _connected(url: str) -> Any:  # noqa: ANN401 - of psycopg or of pymysql
    parts = urlsplit(url)
    place: dict[str, Any] = {"host": parts.hostname, "port": parts.port, "user": parts.username}
    if parts.scheme.startswith("postgresql"):
        import psycopg

        connection: Any = psycopg.connect(**place, dbname=parts.path[1:], autocommit=True)
    else:
        import pymysql

        connection = pymysql.connect(**place, database=parts.path[1:], autocommit=True)
    return connection


def _postgres_loop(connection: Any) -> Loop:  # noqa: ANN401 - as above
    execute = connection.cursor().execute

    def loop(rows: list[tuple[str, bytes]]) -> None:
        for job_id, body in rows:
            now = int(time.time() * 1000)
            execute(_INSERT, (job_id, body, now, now))
        for _ in rows:
            now = int(time.time() * 1000)
            row, *_more = execute(_RESERVE, (now, now + 90_000, now)).fetchone()
            execute(_DELETE, (row,))

    return loop


def _maria_loop(connection: Any) -> Loop:  # noqa: ANN401 - as above
    """MariaDB has no UPDATE .. RETURNING: a row is found, read and marked in one transaction."""
    cursor = connection.cursor()
    execute, found = cursor.execute, _FIRST.replace("SELECT id", "SELECT id, uuid, body, attempts, token")

    def loop(rows: list[tuple[str, bytes]]) -> None:
        for job_id, body in rows:
            now = int(time.time() * 1000)
            execute(_INSERT, (job_id, body, now, now))
        for _ in rows:
            now = int(time.time() * 1000)
            connection.begin()
            execute(found, (now,))
            row, *_more = cursor.fetchone()
            execute(f"{_TAKE}%s", (now, now + 90_000, row))
            connection.commit()
            execute(_DELETE, (row,))

    return loop
