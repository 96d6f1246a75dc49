"""``Skip``: do not run the job under a condition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qcore.delivery import current_delivery
from qcore.jobs import holds
from qcore.layers import Middleware, checked_condition

if TYPE_CHECKING:
    from qcore.layers import Next


@dataclass(frozen=True)
class Skip(Middleware):
    """End the job without running it, as if it had succeeded: ``Skip.when(condition)``, ``Skip.unless(condition)``.

    A condition is a value, or a function that is called with the job when it is about to run.
    """

    condition: object
    wanted: bool = True
    """What the condition has to be for the job to be skipped."""

    @classmethod
    def when(cls, condition: object) -> Skip:
        """Skip the job when the condition holds."""
        return cls(checked_condition(condition))

    @classmethod
    def unless(cls, condition: object) -> Skip:
        """Skip the job when the condition does not hold."""
        return cls(checked_condition(condition), wanted=False)

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Ask, then skip or run."""
        if holds(self.condition, job) is self.wanted:
            current_delivery().block(self, None)
            return None
        return call_next(job)
