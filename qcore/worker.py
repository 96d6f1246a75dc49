"""The loop: reserve, run, rest, stop."""

from __future__ import annotations

import logging
from random import uniform
from typing import TYPE_CHECKING, NamedTuple

from qcore.driver import Advising, Inspectable
from qcore.errors import ConfigError, DriverError
from qcore.events import (
    JobPopped,
    JobPopping,
    Looping,
    WorkerIdle,
    WorkerInterrupted,
    WorkerStarting,
    WorkerStopping,
)
from qcore.limits import Rows, StopReason, reason_to_stop
from qcore.outcome import Done, Failed, Lost, Outcome, Released
from qcore.process import NotInterrupted, memory_in_use

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Driver, Reservation
    from qcore.events import Events
    from qcore.limits import WorkerOptions
    from qcore.process import Interruption
    from qcore.runner import Runner
    from qcore.signal_watch import SignalWatch

logger = logging.getLogger("qcore")

SLICE = 0.25
"""Seconds of one piece of a wait: how long a signal may go unnoticed by an idle worker."""

_MOMENT = 0.000_001
"""Waits below the resolution of clocks are over."""

LOOK_EVERY = 1.0
"""Seconds between two looks at what the store tells all workers: restart, pause, maintenance."""

AFTER_TROUBLE = 1.0
"""Seconds to wait after the backend could not be asked, half more or less by chance."""

GIVE_BACK_WITHIN = 5.0
"""Seconds in which a worker that ends tries to give back what it has not begun: half of what most are given."""


class Stopped(NamedTuple):
    """How a run of the worker ended."""

    reason: StopReason
    jobs: int
    """Jobs that were run."""
    errors: int
    """Jobs among them that failed or raised."""


class Worker:
    """Works on the queues of one connection, one job at a time, in the calling thread."""

    def __init__(  # noqa: PLR0913 - joined by the App
        self,
        *,
        connection: str,
        driver: Driver,
        runner: Runner,
        watch: SignalWatch,
        events: Events,
        clock: Clock,
        options: WorkerOptions,
        memory: Callable[[float], float] = memory_in_use,
    ) -> None:
        """Take the parts; ``memory`` tells how many megabytes the process uses."""
        self.options = options
        self.runner = runner
        self.interruption: Interruption = NotInterrupted()
        self.jobs = 0
        self.errors = 0
        """Jobs that failed or raised."""
        self.found_job = False
        self.has_looked = False
        self.restart = False
        self.held = False
        self._connection = connection
        self._driver = driver
        self._watch = watch
        self._events = events
        self._clock = clock
        self._memory = memory
        self._rows = Rows(options)
        self._started = self._idle_since = clock.monotonic()
        self._look_at = self._started
        self._may_not = False
        """True when a pause, maintenance or a restart may keep the worker from reserving; ``_may_after_all`` knows."""
        self._in_trouble = False
        self._outcome: Outcome | None = None

    def run_next_job(self) -> Outcome | None:
        """Reserve and run one job; None when nothing is due, or nothing may be looked for (see ``reasons``).

        :raises DriverError: when the backend cannot be asked.
        """
        self._look_if_due()
        self.found_job = not self.held and self._run(self._pop(0))
        return self._outcome if self.found_job else None

    def run(self) -> Stopped:
        """Work until there is a reason to stop, which is looked for after each turn.

        :raises ConfigError: when the options ask for what the driver cannot do.
        :raises DriverError: when the backend cannot be asked at the start, or at all in a finite run;
            later it is asked again until it answers.
        """
        self._check()
        self._advise()
        self._started = self._idle_since = self._look_at = self._clock.monotonic()
        self._watch.start()
        self.found_job = self.has_looked = False
        self._tell(WorkerStarting)
        self.runner.settlement.ahead = self._next_queues
        try:
            reason = self._turn()
            while reason is None:
                reason = self._turn() if self.options.finite else self._turn_in_trouble()
            return self._stop(reason)
        finally:
            self._give_back_at_the_end()
            self.runner.rest()
            self.runner.close()

    def _check(self) -> None:
        if self.options.drain and not isinstance(self._driver, Inspectable):
            message = f"--drain needs a driver that shows what waits; that of {self._connection!r} cannot"
            raise ConfigError(message)

    def _advise(self) -> None:
        for warning in self._driver.warnings() if isinstance(self._driver, Advising) else ():
            logger.warning("%s", warning)

    def _turn(self) -> StopReason | None:
        """Run a job, or wait for one if the last turn looked and found none; then ask whether to stop."""
        # Right after a job its end tells the time: while there is work, a look costs a comparison.
        if not self.found_job or self._idle_since >= self._look_at:
            self._look_if_due()
        at_once = self.found_job or not self.has_looked
        self.has_looked = not (self._may_not or self.interruption.paused) or self._may_after_all()
        if self.has_looked and self._events.wants(Looping):
            self.has_looked = self._looping()
        if not self.has_looked:
            self._give_back()
        self.found_job = self.has_looked and self._run(self._pop(0 if at_once else self._patience()))
        return reason_to_stop(self, self._rows)

    def _turn_in_trouble(self) -> StopReason | None:
        """Survive a backend that is away: say so once, and ask again until it is back."""
        try:
            reason = self._turn()
        except DriverError as error:
            if not self._in_trouble:
                logger.warning("%s; trying again until it is back", error)
            self._in_trouble, self.has_looked, self.found_job = True, False, False
            # Not all workers of a backend that was away come back to it in one moment.
            self._pause(AFTER_TROUBLE * uniform(0.5, 1.5))  # noqa: S311 - nothing secret
            return reason_to_stop(self, self._rows)
        if self._in_trouble and self.has_looked:
            logger.warning("the connection %r is back", self._connection)
            self._in_trouble = False
        return reason

    def _next_queues(self) -> Sequence[str] | None:
        """Where to take the next job from in the step that deletes this one; None when there may be no next turn.

        Only what costs a comparison is asked here; a job that was taken although the worker stops is given back.
        """
        options, now = self.options, self._clock.monotonic()
        is_last = (options.max_jobs and self.jobs + 1 >= options.max_jobs) or options.rest
        if is_last or self._may_not or self.interruption.paused or self.interrupted() or now >= self._look_at:
            return None
        if options.max_time and self.running_for() >= options.max_time:
            return None
        # Who is told before a job is taken must hear that after the one before it has ended.
        return None if self._events.wants(Looping) or self._events.wants(JobPopping) else self._watch.queues

    def _give_back(self) -> None:
        """Release a job that was taken ahead, as if it had not been; it stays in hand when the backend is away."""
        if (taken := self.runner.settlement.taken) is not None:
            self._driver.release(taken, count=False)
            self.runner.settlement.taken = None

    def _give_back_at_the_end(self) -> None:
        """Insist: no job loses an attempt that nobody made because its server is restarted with the workers."""
        end = self._clock.monotonic() + GIVE_BACK_WITHIN
        while True:
            try:
                return self._give_back()
            except DriverError as error:
                if self._clock.monotonic() >= end:
                    return logger.warning("a job not begun comes back after its lease, one try the fewer: %s", error)
            self._clock.sleep(SLICE)

    def _looping(self) -> bool:
        """Ask the listeners whether to reserve in this turn; rest if not."""
        if self._tell(Looping):
            return True
        self._pause(max(self.options.sleep, 1.0))
        self._idle_since = self._clock.monotonic()
        return False

    def _look_if_due(self) -> None:
        """Ask the store what all workers are told, at most once a second."""
        now = self._clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            self._watch.look(told=self._in_trouble)
            self.restart, self.held = self._watch.restart, self._watch.held
            if self.restart or self.held:
                self._may_not = True

    def _may_after_all(self) -> bool:
        """Rest while something keeps the worker from reserving, but no longer than for one turn."""
        if self._is_kept() and not self.restart and not (self.options.finite and self.held):
            self._pause(max(self.options.sleep, 1.0), until=lambda: not self._is_kept())
        self._may_not = self._is_kept()
        if self._may_not:
            self._idle_since = self._clock.monotonic()  # who may not look is not idle
        return not self._may_not

    def _is_kept(self) -> bool:
        """Tell whether the worker may reserve nothing; heeds the signals of the process."""
        self._watch.heed(paused=self.interruption.paused)
        return self.restart or self.held or self.interruption.paused

    def _patience(self) -> float:
        """Seconds to wait for a job: never beyond the moment at which a limit is reached."""
        patience = self._within_max_time(self.options.sleep)
        if self.options.stop_when_empty_for:
            patience = min(patience, self.options.stop_when_empty_for - self.idle_for())
        return max(patience, 0.001)

    def _within_max_time(self, seconds: float) -> float:
        return min(seconds, self.options.max_time - self.running_for()) if self.options.max_time else seconds

    def _pop(self, patience: float) -> Reservation | None:
        if self._events.wants(JobPopping):
            self._events.emit(JobPopping(self._connection, self.options.queues))
        taken, self.runner.settlement.taken = self.runner.settlement.taken, None
        if taken is not None:
            reservation: Reservation | None = taken
        elif not patience:
            reservation = self._driver.reserve(self._watch.queues)
        else:
            self._tell(WorkerIdle)
            reservation = self._wait_for_job(self._clock.monotonic() + patience)
        if reservation is not None and self._events.wants(JobPopped):
            self._events.emit(JobPopped(self._connection, reservation))
        return reservation

    def _wait_for_job(self, end: float) -> Reservation | None:
        """Wait in slices, so that a signal is noticed soon whatever the driver waits on."""
        self.runner.rest()
        while True:
            self._look_if_due()
            if self._may_not or self.interruption.paused:
                return None
            before = self._clock.monotonic()
            wait = min(end - before, SLICE)
            reservation = self._driver.reserve(self._watch.queues, wait=max(wait, 0))
            if reservation is not None or wait <= _MOMENT or self.interrupted():
                return reservation
            # A driver that cannot wait returns at once; the rest of the slice is slept.
            self._clock.sleep(before + wait - self._clock.monotonic())

    def _pause(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        self.runner.rest()
        end = self._clock.monotonic() + self._within_max_time(seconds)
        while not (self.interrupted() or self.restart or until()):
            left = end - self._clock.monotonic()
            if left <= _MOMENT:
                return
            self._clock.sleep(min(left, SLICE))
            self._look_if_due()

    def _run(self, reservation: Reservation | None) -> bool:
        if reservation is None:
            return False
        self._outcome = outcome = self.runner.run(reservation)
        self.interruption.keep()
        self.jobs += 1
        if type(outcome) is not Done:
            self.errors += _is_error(outcome)
        self._idle_since = self._clock.monotonic()
        if self.options.rest:
            self._pause(self.options.rest)
        return True

    def _stop(self, reason: StopReason) -> Stopped:
        if reason is StopReason.MEMORY:
            logger.warning("the worker ends: it uses more than its %g MB of memory (--memory)", self.options.memory)
        if self.options.finite and reason in _DONE and (why := self.reasons()):
            logger.warning("the worker ends although jobs may wait: %s", why)
        if reason is StopReason.INTERRUPTED and self._events.wants(WorkerInterrupted):
            self._events.emit(WorkerInterrupted(*self._self(), signal=self.interruption.signal))
        if self._events.wants(WorkerStopping):
            self._events.emit(WorkerStopping(*self._self(), reason=reason.value, jobs_processed=self.jobs))
        return Stopped(reason, self.jobs, self.errors)

    def _tell(self, event: type[Looping | WorkerStarting | WorkerIdle]) -> bool:
        return not self._events.wants(event) or self._events.emit(event(*self._self()))

    def _self(self) -> tuple[str, str, tuple[str, ...]]:
        return self.options.name, self._connection, self.options.queues

    # What the reasons to stop look at.

    def interrupted(self) -> bool:
        """Tell whether somebody asked the worker to stop."""
        return self.interruption.signal != 0

    def memory(self) -> float:
        """Megabytes in use."""
        return self._memory(self.options.memory)

    def idle_for(self) -> float:
        """Seconds since the last job ended, since the start, or since a pause was over."""
        return self._clock.monotonic() - self._idle_since

    def running_for(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic() - self._started

    def reasons(self) -> str:
        """Say why jobs may wait that the worker was kept from: a pause, maintenance; empty when it was not."""
        return self._watch.reasons()

    def next_due(self) -> float | None:
        """When the next job of the queues that are not paused becomes available; None when nothing waits."""
        return self._driver.next_due(self._watch.queues) if isinstance(self._driver, Inspectable) else None


_DONE = frozenset({StopReason.PAUSED, StopReason.EMPTY, StopReason.DRAINED})


def _is_error(outcome: Outcome) -> bool:
    ended = outcome.intended if isinstance(outcome, Lost) else outcome
    return isinstance(ended, Failed | Released) and ended.error is not None
