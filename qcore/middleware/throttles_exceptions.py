"""``ThrottlesExceptions``: let jobs rest when what they need is out of order."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from qcore.delivery import current_delivery
from qcore.error_match import ErrorMatch
from qcore.errors import DriverError, JobDefinitionError
from qcore.events import JobExceptionOccurred
from qcore.layers import Middleware, checked_seconds, kind_of, store_key
from qcore.windows import MARGIN, Window

if TYPE_CHECKING:
    from qcore.delivery import Delivery
    from qcore.error_match import ErrorTest
    from qcore.layers import Next

logger = logging.getLogger("qcore")


@dataclass(frozen=True)
class ThrottlesExceptions(Middleware):
    """Swallow exceptions and give the job back; after ``max`` of them no job runs until the ``decay`` is over.

    The ``decay`` begins with the first exception; a job that succeeds ends it. All jobs of the class count together.
    Neither an attempt nor an exception is counted for the job itself, so one that always raises comes back for ever,
    unless it has a ``retry_until()`` or ``fail_when`` applies. Times are seconds, ``backoff`` too.
    """

    max: int = 10
    decay: float = 600
    backoff: float = 0
    """Seconds until a job that raised is due again."""
    key: str = ""
    """Jobs with this key count together, whatever their class; empty: those of one class."""
    each_job: bool = False
    """True: each job counts for itself."""
    watched: ErrorMatch | None = None
    """The exceptions that are swallowed; None: all. Others go on up."""
    deleting: ErrorMatch = field(default_factory=ErrorMatch)
    """The exceptions after which the job ends as if it had succeeded."""
    failing: ErrorMatch = field(default_factory=ErrorMatch)
    """The exceptions after which the job fails."""

    def __post_init__(self) -> None:
        """Check the numbers.

        :raises JobDefinitionError: when they mean nothing.
        """
        if type(self.max) is not int or self.max < 1:
            message = f"ThrottlesExceptions allows a whole number of exceptions, 1 or more, got {self.max!r:.60}"
            raise JobDefinitionError(message)
        checked_seconds(self.backoff, "backoff")
        if not checked_seconds(self.decay, "decay"):
            raise JobDefinitionError("decay is a number of seconds above 0, got 0")

    def by(self, key: object) -> ThrottlesExceptions:
        """Count together with all jobs that say this key, of other classes too: those that need the same service."""
        return replace(self, key=str(key), each_job=False)

    def by_job(self) -> ThrottlesExceptions:
        """Count each job for itself."""
        return replace(self, key="", each_job=True)

    def when(self, *tests: ErrorTest) -> ThrottlesExceptions:
        """Swallow only these exceptions: classes, or functions of the error (and of the job)."""
        return replace(self, watched=ErrorMatch.of(tests, "when()"))

    def delete_when(self, *tests: ErrorTest) -> ThrottlesExceptions:
        """End the job as if it had succeeded when one of these is raised."""
        return replace(self, deleting=ErrorMatch.of(tests, "delete_when()"))

    def fail_when(self, *tests: ErrorTest) -> ThrottlesExceptions:
        """Fail the job at once when one of these is raised."""
        return replace(self, failing=ErrorMatch.of(tests, "fail_when()"))

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Run the job, or block it."""
        delivery = current_delivery()
        window = Window(delivery.tools.store(), delivery.tools.clock, self._key(job, delivery), self.decay)
        wait = window.full_for(self.max)
        if wait is not None:
            delivery.block(self, wait + MARGIN)
            return None
        try:
            result = call_next(job)
        except Exception as error:
            if self._swallows(error, job, delivery, window):
                return None
            raise
        if delivery.has_begun and delivery.error is None and delivery.release_delay is None:
            _clear(window, delivery)
        return result

    def _swallows(self, error: Exception, job: Any, delivery: Delivery, window: Window) -> bool:  # noqa: ANN401
        """Decide about an exception; False when it shall go on up."""
        if delivery.deleted or delivery.error is not None:
            return False  # the job has said itself that it is not to be tried again
        if self.watched is not None and not any(self.watched.answers(error, job)):
            return False
        if any(self.deleting.answers(error, job)):
            delivery.delete()
        elif any(self.failing.answers(error, job)):
            delivery.fail(error)
            return False
        else:
            try:
                window.hit()
            except DriverError:
                logger.exception("%s (%s) raised, and that cannot be counted", delivery.name, delivery.id)
                return False
            delivery.block(self, self.backoff)
        _tell(error, delivery)
        return True

    def _key(self, job: Any, delivery: Delivery) -> str:  # noqa: ANN401 - the job's own class
        if self.each_job:
            return store_key("throttle", "job", delivery.id)
        return store_key("throttle", "key", self.key) if self.key else store_key("throttle", "class", kind_of(job))


def _tell(error: Exception, delivery: Delivery) -> None:
    """Let a swallowed exception be seen: the event, and the log."""
    if delivery.tools.events.wants(JobExceptionOccurred):
        delivery.tools.events.emit(JobExceptionOccurred(delivery, error))
    logger.warning("%s (%s) raised; ThrottlesExceptions swallowed it", delivery.name, delivery.id, exc_info=error)


def _clear(window: Window, delivery: Delivery) -> None:
    try:
        window.clear()
    except DriverError as error:
        # The job has succeeded, and that counts.
        logger.warning("exceptions stay counted after %s (%s): %s", delivery.name, delivery.id, error)
