"""``Release``: put the job off under a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qcore.delivery import current_delivery
from qcore.jobs import holds
from qcore.layers import Middleware, checked_condition, checked_seconds

if TYPE_CHECKING:
    from qcore.layers import Next


@dataclass(frozen=True)
class Release(Middleware):
    """Give the job back without running it: ``Release.when(condition, after=60)``, ``Release.unless(condition)``.

    A condition is a value, or a function that is called with the job when it is about to run. The attempt does
    not count, so a job whose condition never changes comes back for ever, unless it has a ``retry_until()``.
    """

    condition: object
    wanted: bool = True
    """What the condition has to be for the job to be released."""
    after: float = 0
    """Seconds until the job is due again."""

    @classmethod
    def when(cls, condition: object, after: float = 0) -> Release:
        """Release the job when the condition holds; it is due again ``after`` so many seconds."""
        return cls(checked_condition(condition), after=checked_seconds(after, "after"))

    @classmethod
    def unless(cls, condition: object, after: float = 0) -> Release:
        """Release the job when the condition does not hold; it is due again ``after`` so many seconds."""
        return cls(checked_condition(condition), wanted=False, after=checked_seconds(after, "after"))

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Ask, then release or run."""
        if holds(self.condition, job) is self.wanted:
            current_delivery().block(self, self.after)
            return None
        return call_next(job)
