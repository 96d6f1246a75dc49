"""The memory driver through the real worker, beside the JSON work that no queue can avoid."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target, best, seconds
from benchmarks.noop import Noop, app_on, armed, push_all, work_all
from qcore.events import JobProcessed, JobProcessing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort
    from qcore import App
    from qcore.time_limit import AlarmLimit

BARE = "uuid4 + json.dumps + json.loads"


def measure(effort: Effort) -> Iterator[Measure]:
    """Push and run jobs: payload written and read, fenced, time limit armed; then the same with listeners."""
    app, listening = app_on("memory"), app_on("memory")
    for event in (JobProcessing, JobProcessed):
        listening.listen(event, lambda _: None)
    body = body_of(app)
    with armed(app) as limit:
        found = best(
            {
                "bare": lambda: seconds(lambda: _bare(body, effort.jobs)),
                "ours": lambda: seconds(lambda: _round_trip(app, limit, effort.jobs)),
                "listened": lambda: seconds(lambda: _round_trip(listening, limit, effort.jobs)),
            },
            effort.rounds,
            effort.note,
        )
    per_job = {name: 1e6 * taken / effort.jobs for name, taken in found.items()}
    for name, what in (("ours", "memory: push + run"), ("listened", "memory: push + run, listened to")):
        yield Measure(name=what, ours=per_job[name], bare=per_job["bare"], unit="us/job", beside=BARE, target=Target(3))


def body_of(app: App) -> dict[str, object]:
    """Give the decoded payload of the job: the bare loop writes and reads the same one."""
    app.push(Noop(1, "a.csv"))
    driver = app.connection().driver
    reservation = driver.reserve(["default"])
    if reservation is None:
        message = "a job was pushed, and none waits"
        raise RuntimeError(message)
    driver.delete(reservation)
    body: dict[str, object] = json.loads(reservation.payload.body)
    return body


def _bare(body: dict[str, object], jobs: int) -> None:
    for _ in range(jobs):
        body["uuid"] = body["id"] = str(uuid.uuid4())
        json.loads(json.dumps(body))


def _round_trip(app: App, limit: AlarmLimit, jobs: int) -> None:
    push_all(app, jobs)
    work_all(app, limit, jobs)
