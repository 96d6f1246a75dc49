"""One reservation in, one outcome out: the only place where jobs are run.

The daemon, ``--once``, the sync connection and the test kit all come here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import payload, payload_fields
from qcore.delivery import Delivery, Tools, context_of
from qcore.driver import Extendable, Settled
from qcore.errors import (
    DriverError,
    JobError,
    JobInterrupted,
    PayloadError,
    TimeoutExceededError,
)
from qcore.events import JobExceptionOccurred, JobProcessing, JobTimedOut
from qcore.handlers import HandlerCall
from qcore.jobs import Job
from qcore.options import seconds_until
from qcore.outcome import Done, Facts, Failed, Lost, Outcome, Released, Skipped, after_error, asked_for, before_run
from qcore.settlement import INTERRUPTIONS
from qcore.user_code import OutOfTime, UserCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.driver import Driver, Reservation
    from qcore.job_codec import JobCodec
    from qcore.payload import Body
    from qcore.pipeline import Pipeline
    from qcore.settlement import Settlement
    from qcore.time_limit import TimeLimit

logger = logging.getLogger("qcore")

LEASE_MARGIN = 60.0
"""Seconds by which a lease outlives the time limit of its job."""

BACKOFF_LIMIT = 10.0
"""Seconds that ``backoff_for()`` of a job may take."""

_EXCEPTIONS = "exceptions:{}"
_EXCEPTIONS_TTL = 86_400.0


_DONE = Done()


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
        codec: JobCodec,
        tools: Tools,
        pipeline: Pipeline,
        settlement: Settlement,
        time_limit: TimeLimit,
        defaults: RunDefaults,
        enter: Callable[[], object],
    ) -> None:
        """Take the parts; the App joins them. ``enter`` makes it the one that jobs dispatch to."""
        self.user = UserCode(time_limit)
        """Runs the jobs' code."""
        self._connection = connection
        self._driver = driver
        self._codec = codec
        self._tools = tools
        self._clock = tools.clock
        self._events = tools.events
        self._pipeline = pipeline
        self.settlement = settlement
        self._defaults = defaults
        self._enter = enter
        self.delivery: Delivery | None = None
        """The delivery at work, None between two."""

    def run(self, reservation: Reservation) -> Outcome:
        """Run one job and settle it.

        :raises KeyboardInterrupt: when it ended the job; the job is released first.
        :raises DriverError: when the backend could not be told; the job comes back after its lease.
        """
        delivery = self.delivery = Delivery(self._connection, reservation, self._tools)
        self.user.enter(context_of(delivery, self._enter))
        started = self._clock.monotonic()
        try:
            outcome = self.settlement.settle(delivery, self._lived_through(delivery, started), started)
        except DriverError as error:
            self.settlement.announce(delivery, Lost(Released(0, error), told=False), started)
            raise
        finally:
            self.delivery = None
            self.user.leave()
        if delivery.body is not None and delivery.body.max_exceptions:
            self._forget_exceptions(delivery, outcome)
        return outcome

    def rest(self) -> None:
        """Say that no job runs for a while."""
        self.user.rest()

    def close(self) -> None:
        """Close the event loop of async jobs."""
        self.user.close()

    def _lived_through(self, delivery: Delivery, started: float) -> Outcome:
        """Run what the user wrote, ``failed()`` included; what is left then is to tell the driver and listeners."""
        decided: Outcome | None = None
        try:
            decided = self._decide(delivery)
            return self.settlement.before_failing(delivery, decided, self) if type(decided) is Failed else decided
        except INTERRUPTIONS as interruption:
            # Somebody else's doing, so the attempt is given back. Not if it was over and ``failed()`` was cut
            # off: a last attempt stays the last one, and the job comes back only to fail again.
            outcome = Released(0, counted=decided is not None)
            if isinstance(interruption, JobInterrupted) and not self._defaults.errors_are_final:
                return outcome
            # Nobody caught Ctrl-C as a signal, or it is meant for the job around this one: it must go on up.
            final = Failed(interruption) if self._defaults.errors_are_final else outcome
            self.settlement.settle(delivery, final, started)
            raise

    def _decide(self, delivery: Delivery) -> Outcome:
        try:
            body = delivery.body = payload.decode(delivery.reservation.payload.body, self._codec.codec)
            if body.has_more:
                delivery.chain = payload_fields.checked(body.raw)
        except PayloadError as error:
            if delivery.body is not None:
                # What the failure leads to is read from here: from what is whole.
                raw, delivery.chain = payload_fields.sound(delivery.body.raw)
                delivery.body = delivery.body._replace(raw=raw)
            self._begin(delivery)
            return self._raised(delivery, error, Failed(error))
        self._begin(delivery)
        decided = asked_for(delivery)
        if decided is None:
            decided = self._hopeless(delivery, body)
            if decided is None and body.has_more and "unique" in body.raw:
                decided = self._kept_away(delivery, body)
        elif type(decided) is Failed:
            self._restore_quietly(delivery)
        # Not `or`: Skipped() is an empty tuple, which is false.
        return self._attempt(delivery, body) if decided is None else decided

    def _begin(self, delivery: Delivery) -> None:
        if self._events.wants(JobProcessing):
            self._events.emit(JobProcessing(delivery))

    def _hopeless(self, delivery: Delivery, body: Body) -> Outcome | None:
        """Find a job that must not run: too often reserved, too late, or ended by its supervisor."""
        reservation = delivery.reservation
        if reservation.attempts == 1 and body.retry_until is None and not reservation.verdict:
            return None
        if reservation.verdict:
            # Before anything else: it tells how the attempt before this delivery ended.
            self._restore_quietly(delivery)
            return self._out_of_time(delivery, TimeoutExceededError(reservation.verdict))
        over = before_run(self.facts(delivery))
        if over is None:
            return None
        self._restore_quietly(delivery)
        return self._raised(delivery, over, Failed(over))

    def _kept_away(self, delivery: Delivery, body: Body) -> Outcome | None:
        """Find a unique or debounced job that another one keeps from running."""
        holder = self._pipeline.locks.holder_against(delivery)
        if holder is None:
            return None
        self._restore_quietly(delivery)
        self._pipeline.locks.tell_kept_away(delivery, holder)
        delivery.blocked_by = "debounced" if body.raw["unique"].get("rule") == "replace" else "not unique"
        return Skipped()

    def _attempt(self, delivery: Delivery, body: Body) -> Outcome:
        timeout = delivery.timeout = self._defaults.timeout if body.timeout is None else body.timeout
        # Its own limit only: what the worker's --timeout allows is the worker's to fit to the lease.
        if body.timeout and body.timeout >= self._driver.retry_after and not self._extended(delivery, timeout):
            return Lost(Released(0, counted=False))
        try:
            delivery.job = self._codec.restored(body)
            self.user.call(self._pipeline.around(delivery, body, self.user), timeout)
        except INTERRUPTIONS:
            raise
        except OutOfTime as over:
            return self._timed_out(delivery, timeout, over)
        except BaseException as error:  # noqa: BLE001 - whatever a job raises is the job's error
            return self._after(delivery, error)
        return self._ended(delivery)

    def _extended(self, delivery: Delivery, timeout: float) -> bool:
        """Make the lease as long as the job may run; False when it was lost before the job began."""
        if not isinstance(self._driver, Extendable):
            return True
        return self._driver.extend(delivery.reservation, timeout + LEASE_MARGIN) is Settled.DONE

    def call(self, function: Callable[..., object], timeout: float, *args: object) -> object:
        """Run code of the user under its time limit: what a settlement needs."""
        return self.user.call(function, timeout, *args)

    def _ended(self, delivery: Delivery) -> Outcome:
        """Find out how a job ended that did not raise."""
        asked = asked_for(delivery, deleted=_DONE if delivery.has_begun else None)
        if asked is not None:
            return asked
        if not delivery.has_begun:
            return Skipped()
        return self._left_open(delivery, delivery.job) if type(delivery.job) is HandlerCall else _DONE

    def _left_open(self, delivery: Delivery, job: HandlerCall) -> Outcome:
        """End a delivery whose handler class did not: it comes back when its lease would have ended."""
        if self._defaults.errors_are_final:
            said = f"{job.handler} ended without job.delete() or job.release(): nobody would come back to it here"
            error = JobError(said)
            return self._raised(delivery, error, Failed(error))
        return Released(self._driver.retry_after)

    def _restore_quietly(self, delivery: Delivery) -> None:
        """Restore a job that will not run, for its ``failed()``; one that cannot be restored has none."""
        try:
            delivery.job = self._codec.restored(delivery.body)  # type: ignore[arg-type]
        except PayloadError as error:
            logger.warning("%s (%s) fails without its failed(): %s", delivery.name, delivery.id, error)

    def _timed_out(self, delivery: Delivery, timeout: float, over: OutOfTime) -> Outcome:
        if self._events.wants(JobTimedOut):
            self._events.emit(JobTimedOut(delivery, timeout))
        error = TimeoutExceededError(f"{delivery.name} ran longer than its {timeout:g} seconds")
        error.__cause__ = over.__cause__  # its traceback shows where the job was
        return self._out_of_time(delivery, error)

    def _out_of_time(self, delivery: Delivery, error: TimeoutExceededError) -> Outcome:
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
        counts = failed and body.max_exceptions and not defaults.errors_are_final
        exceptions = self._count_exception(delivery.id) if counts else 0
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
        return self._tools.store().increment(_EXCEPTIONS.format(job_id), ttl=_EXCEPTIONS_TTL)

    def _forget_exceptions(self, delivery: Delivery, outcome: Outcome) -> None:
        """Start anew: a failed job that is retried bears the same id."""
        over = isinstance(outcome, Failed) or (isinstance(outcome, Done) and delivery.attempts() > 1)
        if over and not self._defaults.errors_are_final:
            try:
                self._tools.store().forget(_EXCEPTIONS.format(delivery.id))
            except DriverError as error:
                # The job is settled, and this is only cleaned up earlier than by itself.
                logger.warning(
                    "the exceptions of %s (%s) stay counted for a day: %s", delivery.name, delivery.id, error
                )

    def _backoff(self, delivery: Delivery, body: Body) -> float | Sequence[float]:
        own = self._own_backoff(delivery, delivery.job) if delivery.job is not None else None
        if own is not None:
            return own
        return self._defaults.backoff if body.backoff is None else body.backoff

    def _own_backoff(self, delivery: Delivery, job: Job) -> float | None:
        """Ask the job; an error in its answer must not hide the error it is asked about."""
        if type(job).backoff_for is Job.backoff_for:
            return None
        try:
            own: Any = self.user.call(job.backoff_for, BACKOFF_LIMIT, delivery.attempts())
            return None if own is None else seconds_until(own, self._clock.now())
        except INTERRUPTIONS:
            raise
        except BaseException:
            logger.exception("backoff_for() of %s (%s) gave no seconds; the option counts", delivery.name, delivery.id)
            return None
