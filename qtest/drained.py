"""What a run did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qcore.errors import QcoreError
from qcore.outcome import Done, Failed, Lost, Outcome, Released, Skipped

if TYPE_CHECKING:
    from collections.abc import Sequence


class Livelock(QcoreError, AssertionError):  # noqa: N818 - what it is called in the field
    """A run did not come to rest: a job repeats for ever."""


class NothingToRunError(QcoreError, AssertionError):
    """Nothing was ever pushed, so a run would be green whatever the code under test does."""


@dataclass(slots=True)
class Drained:
    """What a run did; true when it ran anything."""

    outcomes: list[Outcome] = field(default_factory=list)
    left: int = 0
    """Jobs that still wait, delayed and reserved ones included."""
    passed: float = 0
    """Virtual seconds that went by."""
    errors: list[BaseException] = field(default_factory=list)
    """Those of the jobs that failed for good."""

    @property
    def processed(self) -> int:
        """Deliveries that were run."""
        return len(self.outcomes)

    @property
    def succeeded(self) -> int:
        """Deliveries that ended well."""
        return sum(isinstance(each, Done) for each in self.outcomes)

    @property
    def failed(self) -> int:
        """Deliveries after which the job had failed for good."""
        return sum(error_of(each) is not None for each in self.outcomes)

    @property
    def released(self) -> int:
        """Deliveries after which the job waits again."""
        return sum(isinstance(each, Released) for each in self.outcomes)

    @property
    def skipped(self) -> int:
        """Deliveries that a middleware, a lock or a listener ended."""
        return sum(isinstance(each, Skipped) for each in self.outcomes)

    def __bool__(self) -> bool:
        """Tell whether anything ran."""
        return bool(self.outcomes)


def error_of(outcome: Outcome | None) -> BaseException | None:
    """Give the error of a job that failed for good, also when it was in other hands by then."""
    ended = outcome.intended if isinstance(outcome, Lost) else outcome
    return ended.error if isinstance(ended, Failed) else None


def raise_all(errors: Sequence[BaseException]) -> None:
    """Raise what jobs raised: one error as it is, several as a group."""
    __tracebackhide__ = True
    if len(errors) == 1:
        raise errors[0]
    if errors:
        message = f"{len(errors)} jobs failed"
        raise BaseExceptionGroup(message, errors)
