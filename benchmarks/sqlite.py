"""SQLite through the real worker, beside a loop of bare sqlite3 statements that move rows in the same way."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.memory import body_of
from benchmarks.noop import app_on, armed, push_all, work_all
from qcore.sql import ddl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App
    from qcore.time_limit import AlarmLimit

_INSERT = (
    "INSERT INTO qcore_jobs (uuid, queue, body, attempts, token, verdict, available_at, created_at) "
    "VALUES (?, 'default', ?, 0, 0, '', ?, ?)"
)
_RESERVE = (
    "UPDATE qcore_jobs SET token = token + 1, attempts = attempts + 1, reserved_at = ?, available_at = ? "
    "WHERE id = (SELECT id FROM qcore_jobs WHERE queue = 'default' AND available_at <= ? "
    "ORDER BY available_at, id LIMIT 1) RETURNING id, uuid, body, attempts, token"
)
_DELETE = "DELETE FROM qcore_jobs WHERE id = ?"


def measure(effort: Effort) -> Iterator[Measure]:
    """Push and run jobs, in a file in WAL mode with synchronous = NORMAL on both sides."""
    with tempfile.TemporaryDirectory() as folder:
        app = app_on("database", Path(folder, "ours.sqlite3"))
        rows = _rows(effort.jobs, json.dumps(body_of(app)).encode())
        with closing(app), closing(_bare_database(Path(folder, "bare.sqlite3"))) as bare, armed(app) as limit:
            found = best(
                {
                    "bare": lambda: seconds(lambda: _bare(bare, rows)),
                    "ours": lambda: seconds(lambda: _push_and_run(app, limit, effort.jobs)),
                },
                effort.rounds,
                effort.note,
            )
    yield Measure(
        name="SQLite: push + run",
        ours=effort.jobs / found["ours"],
        bare=effort.jobs / found["bare"],
        unit="jobs/s",
        beside="INSERT, UPDATE .. RETURNING, DELETE",
        target=Target(0.35, at_least=True),
    )


def _rows(count: int, body: bytes) -> list[tuple[str, bytes]]:
    """Make ids and bodies beforehand: the bare loop is statements and nothing else."""
    return [(str(uuid.uuid4()), body) for _ in range(count)]


def _bare_database(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.executescript(ddl("sqlite"))
    return connection


def _bare(connection: sqlite3.Connection, rows: list[tuple[str, bytes]]) -> None:
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
