"""When a worker stops: each reason, just before it holds and when it does, and which one wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from qcore.limits import ROWS, Rows, StopReason, WorkerOptions, reason_to_stop

Reason = StopReason


@dataclass
class State:
    """A worker that found a job this turn, has done nothing else, and sees a queue with a job."""

    found_job: bool = True
    has_looked: bool = True
    restart: bool = False
    held: bool = False
    jobs: int = 1
    is_interrupted: bool = False
    megabytes: float = 50
    idle: float = 0
    running: float = 0
    due: float | None = 1_900_000_000.0

    def interrupted(self) -> bool:
        return self.is_interrupted

    def memory(self) -> float:
        return self.megabytes

    def idle_for(self) -> float:
        return self.idle

    def running_for(self) -> float:
        return self.running

    def next_due(self) -> float | None:
        return self.due


EMPTY: dict[str, Any] = {"found_job": False, "due": None}

CASES = [
    pytest.param({}, State(**EMPTY, jobs=9**9, running=9e9, idle=9e9), None, id="without limits it goes on for ever"),
    pytest.param({}, State(is_interrupted=True), Reason.INTERRUPTED, id="a signal"),
    pytest.param({"memory": 100}, State(megabytes=99.9), None, id="below the memory limit"),
    pytest.param({"memory": 100}, State(megabytes=100), Reason.MEMORY, id="at the memory limit"),
    pytest.param({"memory": 0}, State(megabytes=9e9), None, id="memory=0 is no limit"),
    pytest.param({"memory": -1}, State(megabytes=9e9), None, id="a negative memory limit is none"),
    pytest.param({}, State(restart=True, found_job=False), Reason.RESTART, id="all were told to leave"),
    pytest.param(
        {}, State(held=True, found_job=False, has_looked=False), None, id="a daemon waits for the end of a pause"
    ),
    pytest.param({"max_jobs": 9}, State(held=True, found_job=False, has_looked=False), None, id="so does max_jobs"),
    pytest.param(
        {"stop_when_empty": True}, State(held=True, found_job=False), Reason.PAUSED, id="stop_when_empty does not"
    ),
    pytest.param({"drain": True}, State(held=True, found_job=False), Reason.PAUSED, id="drain does not"),
    pytest.param({"stop_when_empty": True}, State(), None, id="stop_when_empty with a job"),
    pytest.param({"stop_when_empty": True}, State(**EMPTY), Reason.EMPTY, id="stop_when_empty without"),
    pytest.param({"stop_when_empty": True}, State(found_job=False), Reason.EMPTY, id="a delayed job is not waited for"),
    pytest.param(
        {"stop_when_empty": True}, State(found_job=False, has_looked=False), None, id="not looking is not empty"
    ),
    pytest.param({"stop_when_empty_for": 3}, State(found_job=False, idle=2.9), None, id="not idle for long enough"),
    pytest.param({"stop_when_empty_for": 3}, State(found_job=False, idle=3), Reason.EMPTY_FOR, id="idle for so long"),
    pytest.param({"stop_when_empty_for": 3}, State(idle=9), None, id="a job ends the idleness"),
    pytest.param({"drain": True}, State(**EMPTY), Reason.DRAINED, id="drained"),
    pytest.param({"drain": True}, State(due=None), None, id="drain looks again after each job"),
    pytest.param({"drain": True}, State(found_job=False), None, id="drain waits for what is delayed or reserved"),
    pytest.param({"max_time": 10}, State(running=9.9), None, id="before max_time"),
    pytest.param({"max_time": 10}, State(running=10), Reason.MAX_TIME, id="at max_time"),
    pytest.param({"max_jobs": 2}, State(jobs=1), None, id="before max_jobs"),
    pytest.param({"max_jobs": 2}, State(jobs=2), Reason.MAX_JOBS, id="at max_jobs"),
]


@pytest.mark.parametrize(("options", "state", "expected"), CASES)
def test_each_reason_holds_exactly_from_its_limit_on(
    options: dict[str, Any], state: State, expected: StopReason | None
) -> None:
    """WRK-02 to WRK-05."""
    assert expected is reason_to_stop(state, Rows(WorkerOptions(**options)))


def test_the_first_reason_of_the_table_wins() -> None:
    options = WorkerOptions(memory=1, stop_when_empty=True, stop_when_empty_for=1, drain=True, max_time=1, max_jobs=1)
    state = State(**EMPTY, is_interrupted=True, restart=True, held=True, megabytes=2, idle=2, running=2, jobs=2)
    disarm: list[dict[str, Any]] = [
        {"is_interrupted": False},
        {"megabytes": 0},
        {"restart": False},
        {"held": False},
        {"has_looked": False},
        {"idle": 0},
        {"due": 5.0},
        {"running": 0},
        {"jobs": 0},
    ]
    order = []
    for change in disarm:
        order.append(reason_to_stop(state, Rows(options)))
        for name, value in change.items():
            setattr(state, name, value)

    assert list(StopReason) == order
    assert reason_to_stop(state, Rows(options)) is None


def test_every_reason_has_one_row() -> None:
    assert list(StopReason) == [row.reason for row in ROWS]


def test_what_is_not_asked_for_is_not_looked_at() -> None:
    rows = Rows(WorkerOptions(memory=0, max_jobs=3))

    assert [Reason.INTERRUPTED, Reason.RESTART, Reason.MAX_JOBS] == [row.reason for row in rows.without_job]
    assert [Reason.INTERRUPTED, Reason.MAX_JOBS] == [row.reason for row in rows.after_job]


@pytest.mark.parametrize(
    ("options", "finite"),
    [({}, False), ({"stop_when_empty": True}, True), ({"drain": True}, True), ({"max_jobs": 1, "max_time": 1}, False)],
)
def test_a_finite_run_ends_when_the_work_is_done(options: dict[str, Any], finite: bool) -> None:  # noqa: FBT001
    assert finite is WorkerOptions(**options).finite


def test_the_defaults_of_a_worker() -> None:
    """WRK-01."""
    assert {
        "queues": ("default",),
        "name": "default",
        "tries": 1,
        "backoff": 0,
        "timeout": 60,
        "sleep": 3,
        "rest": 0,
        "memory": 0,
        "max_jobs": 0,
        "max_time": 0,
        "stop_when_empty": False,
        "stop_when_empty_for": 0,
        "drain": False,
        "force": False,
    } == WorkerOptions()._asdict()
