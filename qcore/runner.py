"""One reservation in, one outcome out: the only place where jobs are run.

The daemon, ``--once``, the sync connection and the test kit all come here.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, NamedTuple

from qcore import delivery as deliveries
from qcore import payload
from qcore.async_loop import GRACE, AsyncLoop
from qcore.delivery import Delivery
from qcore.driver import Extendable
from qcore.errors import (
    JobDefinitionError,
    JobInterrupted,
    PayloadError,
    TimeLimitReached,
    TimeoutExceededError,
    UnknownJobError,
)
from qcore.events import JobExceptionOccurred, JobProcessing, JobTimedOut
from qcore.jobs import restore
from qcore.outcome import Done, Facts, Failed, Outcome, Released, Skipped, after_error, before_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.clock import Clock
    from qcore.codec import Codec
    from qcore.driver import Driver, Reservation
    from qcore.events import Events
    from qcore.jobs import Job
    from qcore.payload import Body
    from qcore.settlement import Settlement
    from qcore.store import Store
    from qcore.time_limit import TimeLimit

LEASE_MARGIN = 30.0
"""Seconds by which a lease outlives the time limit of its job."""

_EXCEPTIONS_TTL = 86_400.0


class RunDefaults(NamedTuple):
    """What holds for jobs that say nothing themselves: the options of the worker."""

    tries: int = 1
    backoff: float | Sequence[float] = 0
    timeout: float = 60
    errors_are_final: bool = False
    """True when the caller waits for the error, so that nothing is tried again."""


class Runner:
    """Runs the jobs of one connection."""

    def __init__(  # noqa: PLR0913 - the one place where all parts of a run meet
        self,
        *,
        connection: str,
        driver: Driver,
        codec: Codec,
        clock: Clock,
        events: Events,
        store: Callable[[], Store],
        settlement: Settlement,
        time_limit: TimeLimit,
        defaults: RunDefaults,
    ) -> None:
        """Take the parts; the App joins them."""
        self.in_user_code = False
        """True while code of the user runs: only then may a signal raise."""
        self._connection = connection
        self._driver = driver
        self._codec = codec
        self._clock = clock
        self._events = events
        self._store = store
        self._settlement = settlement
        self._time_limit = time_limit
        self._defaults = defaults
        self._loop = AsyncLoop()
        self.delivery: Delivery | None = None
        """The delivery at work, None between two."""

    def run(self, reservation: Reservation) -> Outcome:
        """Run one job and settle it.

        :raises KeyboardInterrupt: when it ended the job; the job is released first.
        :raises DriverError: when the backend could not be told; the job comes back after its lease.
        """
        delivery = self.delivery = Delivery(self._connection, reservation, self._clock)
        started = self._clock.monotonic()
        try:
            decided = self._decide(delivery)
            return self._settlement.settle(delivery, decided, self, started)
        except KeyboardInterrupt:
            # Nobody caught Ctrl-C as a signal, so it is not this job's fault and must go on up.
            self._settlement.settle(delivery, Released(0, counted=False), self, started)
            raise
        finally:
            self.delivery = None

    def close(self) -> None:
        """Close the event loop of async jobs."""
        self._loop.close()

    def _decide(self, delivery: Delivery) -> Outcome:
        try:
            body = delivery.body = payload.decode(delivery.reservation.payload.body, self._codec)
        except PayloadError as error:
            self._begin(delivery)
            return self._raised(delivery, error, Failed(error))
        self._begin(delivery)
        decided = _asked(delivery) or self._hopeless(delivery, body)
        return decided or self._attempt(delivery, body)

    def _begin(self, delivery: Delivery) -> None:
        if self._events.wants(JobProcessing):
            self._events.emit(JobProcessing(delivery))

    def _hopeless(self, delivery: Delivery, body: Body) -> Outcome | None:
        """Find a job that must not run: too often reserved, too late, or ended by its supervisor."""
        reservation = delivery.reservation
        if reservation.attempts == 1 and body.retry_until is None and not reservation.verdict:
            return None
        facts = self.facts(delivery)
        over = before_run(facts)
        if over is not None:
            self._restore_quietly(delivery)
            return self._raised(delivery, over, Failed(over))
        if reservation.verdict:
            self._restore_quietly(delivery)
            return self._after(delivery, TimeoutExceededError(reservation.verdict))
        return None

    def _attempt(self, delivery: Delivery, body: Body) -> Outcome:
        timeout = self._defaults.timeout if body.timeout is None else body.timeout
        if timeout and timeout + LEASE_MARGIN > self._driver.retry_after and isinstance(self._driver, Extendable):
            self._driver.extend(delivery.reservation, timeout + LEASE_MARGIN)
        try:
            job = delivery.job = self._restore(body)
            self.call(delivery, job.handle, timeout)
        except JobInterrupted:
            return Released(0, counted=False)
        except KeyboardInterrupt:
            raise
        except TimeLimitReached:
            return self._timed_out(delivery, timeout)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is the job's error
            return self._after(delivery, error)
        return _asked(delivery, deleted=Done()) or Done()

    def call(self, delivery: Delivery, function: Callable[..., object], timeout: float, *args: object) -> None:
        """Run code of the user under its time limit, to its end if it is async."""
        token = deliveries.enter(delivery)
        self.in_user_code = True
        try:
            with self._time_limit.enforce(timeout):
                result = function(*args)
            if result is not None:
                self._finish(result, timeout)
        finally:
            self.in_user_code = False
            deliveries.leave(token)

    def _finish(self, result: object, timeout: float) -> None:
        if inspect.iscoroutine(result):
            # The loop cancels at the deadline; the alarm is there for code that blocks the loop.
            with self._time_limit.enforce(timeout + 2 * GRACE if timeout else None):
                self._loop.run(result, timeout)
        elif inspect.isgenerator(result) or inspect.isasyncgen(result):
            message = "handle() is a generator: nothing of it would run; use return instead of yield"
            raise JobDefinitionError(message)

    def _restore(self, body: Body) -> Job:
        if body.handler != payload.CALL:
            message = f"the payload asks for the handler {body.handler!r}; only {payload.CALL!r} is known"
            raise UnknownJobError(message)
        return restore(body, self._codec)

    def _restore_quietly(self, delivery: Delivery) -> None:
        """Restore a job that will not run, for its ``failed()``; one that cannot be restored has none."""
        try:
            delivery.job = self._restore(delivery.body)  # type: ignore[arg-type]
        except PayloadError:
            delivery.job = None

    def _timed_out(self, delivery: Delivery, timeout: float) -> Outcome:
        if self._events.wants(JobTimedOut):
            self._events.emit(JobTimedOut(delivery, timeout))
        error = TimeoutExceededError(f"{delivery.name} ran longer than its {timeout:g} seconds")
        final = delivery.body is not None and delivery.body.fail_on_timeout
        return self._raised(delivery, error, Failed(error)) if final else self._after(delivery, error)

    def _after(self, delivery: Delivery, error: BaseException) -> Outcome:
        """Decide what follows an error: the job's own word counts where it leaves a choice."""
        if delivery.error is not None:
            return self._raised(delivery, error, Failed(delivery.error))
        if delivery.deleted:
            return self._raised(delivery, error, Failed(error))
        decided = after_error(self.facts(delivery, failed=True), error)
        if isinstance(decided, Released) and delivery.release_delay is not None:
            decided = decided._replace(delay=delivery.release_delay)
        return self._raised(delivery, error, decided)

    def _raised(self, delivery: Delivery, error: BaseException, decided: Outcome) -> Outcome:
        if self._events.wants(JobExceptionOccurred):
            self._events.emit(JobExceptionOccurred(delivery, error))
        return decided

    def facts(self, delivery: Delivery, *, failed: bool = False) -> Facts:
        """Collect what the decision about a job depends on; ``failed`` counts one more exception."""
        body, defaults = delivery.body, self._defaults
        now = self._clock.now()
        if body is None:
            return Facts(delivery.name, delivery.attempts(), 1, now)
        exceptions = self._count_exception(delivery.id) if failed and body.max_exceptions else 0
        return Facts(
            name=delivery.name,
            attempts=delivery.attempts(),
            max_tries=defaults.tries if body.max_tries is None else body.max_tries,
            now=now,
            retry_until=body.retry_until,
            exceptions=exceptions,
            max_exceptions=body.max_exceptions,
            backoff=self._backoff(delivery, body),
            may_retry=not defaults.errors_are_final,
        )

    def _count_exception(self, job_id: str) -> int:
        return self._store().increment(f"exceptions:{job_id}", ttl=_EXCEPTIONS_TTL)

    def _backoff(self, delivery: Delivery, body: Body) -> float | Sequence[float]:
        own = delivery.job.backoff_for(delivery.attempts()) if delivery.job is not None else None
        if own is not None:
            return own
        return self._defaults.backoff if body.backoff is None else body.backoff


def _asked(delivery: Delivery, deleted: Outcome | None = None) -> Outcome | None:
    """Give what a listener or the job itself asked for, None when nothing."""
    if delivery.error is not None:
        return Failed(delivery.error)
    if delivery.deleted:
        return deleted or Skipped()
    if delivery.release_delay is not None:
        return Released(delivery.release_delay)
    return None
