"""When a worker stops: one row for each reason, the first that holds counts."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class StopReason(enum.Enum):
    """Why a worker stopped."""

    INTERRUPTED = "interrupted"
    MEMORY = "memory"
    RESTART = "restart_signal"
    PAUSED = "paused"
    EMPTY = "empty"
    EMPTY_FOR = "empty_for"
    DRAINED = "drained"
    MAX_TIME = "max_time"
    MAX_JOBS = "max_jobs"


class WorkerOptions(NamedTuple):
    """How a worker works. Times are seconds, 0 means without limit."""

    queues: tuple[str, ...] = ("default",)
    """Strict priority: the second is asked only when the first has nothing."""
    name: str = "default"
    tries: int = 1
    backoff: float | Sequence[float] = 0
    timeout: float = 60
    sleep: float = 3
    """How long one wait for a job lasts; drivers that can wake the worker earlier."""
    rest: float = 0
    """Pause after each job."""
    memory: float = 0
    """Megabytes the process may use; ``qcore work`` says 128, code inside a larger process knows better."""
    max_jobs: int = 0
    max_time: float = 0
    stop_when_empty: bool = False
    stop_when_empty_for: float = 0
    drain: bool = False
    """Run until nothing waits on the queues, delayed jobs included."""
    force: bool = False
    """Run jobs during maintenance too. Pauses hold all the same."""

    @property
    def finite(self) -> bool:
        """True when the worker ends by itself once the work is done."""
        return self.stop_when_empty or self.drain


class WorkerState(Protocol):
    """What the reasons look at, after each turn of the worker."""

    found_job: bool
    """True when this turn ran a job."""
    has_looked: bool
    """True when this turn looked for one: nothing found then means that nothing is due."""
    restart: bool
    """True when all workers were told to leave since this one began."""
    held: bool
    """True when no job may be looked for until further notice: maintenance, or every queue is paused."""
    jobs: int
    """Jobs run so far."""

    def interrupted(self) -> bool:
        """Tell whether somebody asked the worker to stop."""

    def memory(self) -> float:
        """Megabytes in use."""

    def idle_for(self) -> float:
        """Seconds since the last job ended, since the start, or since a pause was over."""

    def running_for(self) -> float:
        """Seconds since the start."""

    def next_due(self) -> float | None:
        """When the next job of the queues becomes available; None when nothing waits."""


class Row(NamedTuple):
    """One reason: when the options ask for it, and when it holds."""

    reason: StopReason
    asked_for: Callable[[WorkerOptions], object]
    holds: Callable[[WorkerState, WorkerOptions], object]
    after_job: bool = True
    """False when a turn that ran a job is never the last for this reason."""


ROWS = (
    Row(StopReason.INTERRUPTED, lambda _: True, lambda s, _: s.interrupted()),
    Row(StopReason.MEMORY, lambda o: o.memory > 0, lambda s, o: s.memory() >= o.memory),
    # A worker that is told of these two takes no job in its next turn.
    Row(StopReason.RESTART, lambda _: True, lambda s, _: s.restart, after_job=False),
    Row(StopReason.PAUSED, lambda o: o.finite, lambda s, _: s.held, after_job=False),
    Row(StopReason.EMPTY, lambda o: o.stop_when_empty, lambda s, _: s.has_looked, after_job=False),
    Row(
        StopReason.EMPTY_FOR,
        lambda o: o.stop_when_empty_for > 0,
        lambda s, o: s.idle_for() >= o.stop_when_empty_for,
        after_job=False,
    ),
    Row(StopReason.DRAINED, lambda o: o.drain, lambda s, _: s.next_due() is None, after_job=False),
    Row(StopReason.MAX_TIME, lambda o: o.max_time > 0, lambda s, o: s.running_for() >= o.max_time),
    Row(StopReason.MAX_JOBS, lambda o: o.max_jobs > 0, lambda s, o: s.jobs >= o.max_jobs),
)


class Rows:
    """The reasons that some options ask for: what is not asked for, or cannot be, costs nothing after each job."""

    def __init__(self, options: WorkerOptions) -> None:
        """Choose them."""
        self.options = options
        self.without_job = tuple(row for row in ROWS if row.asked_for(options))
        self.after_job = tuple(row for row in self.without_job if row.after_job)


def reason_to_stop(state: WorkerState, rows: Rows) -> StopReason | None:
    """Give the first reason that holds, None to go on."""
    options = rows.options
    for reason, _, holds, _ in rows.after_job if state.found_job else rows.without_job:
        if holds(state, options):
            return reason
    return None
