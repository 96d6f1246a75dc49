"""``FailOnException``: some exceptions are final."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qcore.delivery import current_delivery
from qcore.error_match import ErrorMatch
from qcore.layers import Middleware

if TYPE_CHECKING:
    from qcore.error_match import ErrorTest
    from qcore.layers import Next


@dataclass(frozen=True, init=False)
class FailOnException(Middleware):
    """Fail the job at once, whatever tries are left, when it raises one of these exceptions."""

    final: ErrorMatch

    def __init__(self, *tests: ErrorTest) -> None:
        """Take exception classes, and functions of the error (and of the job) that answer True.

        :raises JobDefinitionError: for something else, and for nothing.
        """
        object.__setattr__(self, "final", ErrorMatch.of(tests, "FailOnException()"))

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Run the job; what it raises goes on up."""
        try:
            return call_next(job)
        except Exception as error:
            # True and nothing else: what a search or a lookup gives is no answer to "is it final?".
            if any(answer is True for answer in self.final.answers(error, job)):
                current_delivery().fail(error)
            raise
