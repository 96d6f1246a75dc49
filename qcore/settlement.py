"""Carries out what was decided about a delivery: tells the driver, the failed store and the listeners."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, cast

from qcore.driver import NONE, Effects, Extendable, Settled
from qcore.errors import JobInterrupted, TimeLimitReached
from qcore.events import JobFailed, JobFailing, JobLost, JobProcessed, JobReleased, JobSkipped
from qcore.failed import FailedJob
from qcore.outcome import Done, Facts, Failed, Lost, Outcome, Released, Skipped, veto
from qcore.redaction import Redactor, exception_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.clock import Clock
    from qcore.delivery import Delivery
    from qcore.driver import Driver, Pipelined, Reservation
    from qcore.events import Events
    from qcore.failed import FailedStore
    from qcore.follow_up import FollowUps

logger = logging.getLogger("qcore")

FAILED_LIMIT = 60.0
"""Seconds that ``failed()`` of a job may take."""

FAILED_LEASE = FAILED_LIMIT + 30
"""Seconds to which the lease of a failing job is extended: so long it waits when its worker dies in ``failed()``."""

INTERRUPTIONS = (JobInterrupted, KeyboardInterrupt, TimeLimitReached)
"""Raised through code of the user, and not by it: never an error of the job."""

_REFUSED = (Settled.STALE, Settled.GONE)


def _nothing() -> None:
    """Take nothing ahead."""


class UserCode(Protocol):
    """Runs code of the user; the runner does."""

    def call(self, function: Callable[..., object], timeout: float, *args: object) -> object:
        """Run it under its time limit."""

    def facts(self, delivery: Delivery) -> Facts:
        """Collect what a decision depends on."""


class Settlement:
    """The effects of an outcome, each in one step with the backend, then one ending event."""

    def __init__(
        self,
        *,
        driver: Driver,
        failed: FailedStore | None,
        follow_ups: FollowUps,
        events: Events,
        clock: Clock,
        redactor: Redactor,
    ) -> None:
        """Take the parts; without a failed store nothing is kept of failed jobs."""
        self._driver = driver
        self._follow_ups = follow_ups
        self._failed = failed
        self._events = events
        self._clock = clock
        self._redactor = redactor
        # isinstance() takes 25 us to look at a protocol in Python 3.11, and every test that runs a job pays for it.
        self._pipelined = cast("Pipelined", driver) if hasattr(driver, "delete_and_reserve") else None
        self.ahead: Callable[[], Sequence[str] | None] = _nothing
        """Asked when a job has succeeded: the queues to take the next one from in the step that deletes it, or None."""
        self.taken: Reservation | None = None
        """What was taken so; whoever set ``ahead`` runs it or gives it back."""

    def settle(self, delivery: Delivery, decided: Outcome, started: float) -> Outcome:
        """Carry out the decision and give what became of it; ``Lost`` when the lease had passed on."""
        kind = type(decided)
        if kind is Done or kind is Skipped:
            outcome = self._delete(delivery, decided)  # type: ignore[arg-type] # mypy narrows by isinstance only
        elif isinstance(decided, Released):
            outcome = self._release(delivery, decided)
        elif isinstance(decided, Failed):
            outcome = decided if self._move_to_failed(delivery, decided.error) else Lost(decided)
        else:
            outcome = decided
        self.announce(delivery, outcome, started)
        return outcome

    def before_failing(self, delivery: Delivery, decided: Failed, user: UserCode) -> Outcome:
        """Ask those who have a say before a job fails, then call its ``failed()``; give what is decided now."""
        if self._events.wants(JobFailing) and not self._events.emit(JobFailing(delivery, decided.error)):
            return veto(decided, user.facts(delivery))
        if not self._still_ours(delivery):
            return Lost(decided)
        # Before the delete: should the process die in failed(), the job comes back and fails again.
        self._call_failed(delivery, decided.error, user)
        return decided

    def _delete(self, delivery: Delivery, decided: Done | Skipped) -> Outcome:
        effects = self._follow_ups.after_success(delivery)
        settled = self._deleted(delivery.reservation, effects)
        if effects is not NONE and settled not in _REFUSED:
            self._follow_ups.freed(delivery, effects)
        if settled is Settled.DONE:
            return decided
        if settled is Settled.LATE:  # another worker has it too, and will find that it is gone
            return Done(late=True) if isinstance(decided, Done) else decided
        return Lost(decided)  # another one has ended it, perhaps as failed: it cannot be both

    def _deleted(self, reservation: Reservation, effects: Effects) -> Settled:
        queues = None if self._pipelined is None else self.ahead()
        if queues is None or self._pipelined is None:
            return self._driver.delete(reservation, effects=effects)
        settled, self.taken = self._pipelined.delete_and_reserve(reservation, queues, effects=effects)
        return settled

    def _release(self, delivery: Delivery, decided: Released) -> Outcome:
        settled = self._driver.release(delivery.reservation, delay=decided.delay, count=decided.counted)
        return Lost(decided) if settled in _REFUSED else decided

    def _still_ours(self, delivery: Delivery) -> bool:
        """Ask before ``failed()`` runs: another worker may have the job, and it may yet succeed."""
        if not isinstance(self._driver, Extendable):
            return True
        return self._driver.extend(delivery.reservation, FAILED_LEASE) not in _REFUSED

    def _call_failed(self, delivery: Delivery, error: BaseException, user: UserCode) -> None:
        if delivery.job is None:
            return
        try:
            user.call(delivery.job.failed, FAILED_LIMIT, error)
        except INTERRUPTIONS:
            raise
        except BaseException:
            logger.exception("failed() of %s (%s) raised; the job counts as failed", delivery.name, delivery.id)

    def _move_to_failed(self, delivery: Delivery, error: BaseException) -> bool:
        """Move the job to the failed store; False when it was no longer ours to move."""
        effects = self._follow_ups.after_failure(delivery, error)
        if self._delete_failed(delivery, error, effects) in _REFUSED:
            return False
        if effects is not NONE:
            self._follow_ups.freed(delivery, effects)
        return True

    def _delete_failed(self, delivery: Delivery, error: BaseException, effects: Effects) -> Settled:
        failed, reservation = self._failed, delivery.reservation
        if failed is None:
            return self._driver.delete(reservation, effects=effects, only_last=True)
        record = self._record(delivery, error)
        if failed.home is self._driver.home:
            return self._driver.delete(reservation, effects=effects._replace(failed=record), only_last=True)
        # Two backends, so two steps: rather a record of a job that is still there than neither.
        failed.add(record)
        settled = self._driver.delete(reservation, effects=effects, only_last=True)
        if settled is Settled.STALE:
            failed.forget(record.id)
        # When it is gone the record stays: the one who ended it may have put his own there, which is this one now.
        return settled

    def _record(self, delivery: Delivery, error: BaseException) -> FailedJob:
        return FailedJob(
            payload=delivery.reservation.payload,
            connection=delivery.connection,
            queue=delivery.queue,
            exception=_storable(exception_text(error, self._redactor)),
            failed_at=self._clock.now(),
        )

    def announce(self, delivery: Delivery, outcome: Outcome, started: float) -> None:
        """Tell how the delivery ended: once for each."""
        duration = self._clock.monotonic() - started
        match outcome:
            case Done(late=late):
                if self._events.wants(JobProcessed):
                    self._events.emit(JobProcessed(delivery, duration, late))
            case Skipped():
                self._events.emit(JobSkipped(delivery, duration))
            case Released(delay=delay, error=error, vetoed=vetoed):
                self._events.emit(JobReleased(delivery, duration, delay, error, vetoed))
            case Failed(error=error):
                self._events.emit(JobFailed(delivery, duration, error))
            case Lost(intended=intended, told=told):
                self._events.emit(JobLost(delivery, duration, getattr(intended, "error", None), told))


def _storable(text: str) -> str:
    """Replace what a database refuses: an error that cannot be stored would keep its job from ever failing."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
