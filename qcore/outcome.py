"""How a delivery ended, and the rules that decide it: pure functions, no effects.

The whole of the retry policy is here; ``tests/qcore/test_outcome.py`` holds it as a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcore.errors import JobError, MaxAttemptsExceededError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.delivery import Delivery


class Done(NamedTuple):
    """The job ran and is gone."""

    late: bool = False
    """The lease had passed to another worker, which may run the job too, or has ended it already."""


class Skipped(NamedTuple):
    """The job is gone without having run, because a middleware or a listener said so."""


class Released(NamedTuple):
    """The job waits again."""

    delay: float
    """Seconds until it is due."""
    error: BaseException | None = None
    vetoed: bool = False
    """A listener of ``JobFailing`` kept it from failing."""
    counted: bool = True
    """False when the attempt was given back."""


class Failed(NamedTuple):
    """The job will not be tried again."""

    error: BaseException


class Lost(NamedTuple):
    """The lease was lost before the outcome could be settled; the job is in other hands."""

    intended: Done | Skipped | Released | Failed
    told: bool = True
    """False when the backend could not even be told: the job is in nobody's hands once its lease is over."""


Outcome = Done | Skipped | Released | Failed | Lost


class Facts(NamedTuple):
    """What the decision depends on."""

    name: str
    attempts: int
    """Reservations so far, this one included."""
    max_tries: int
    """0 means without limit."""
    now: float
    retry_until: float | None = None
    """Until then it may be tried however often; beats ``max_tries``. Seconds since 1970."""
    exceptions: int = 0
    """Exceptions that escaped so far, this one included; only counted when there is a limit."""
    max_exceptions: int | None = None
    backoff: float | Sequence[float] = 0
    may_retry: bool = True
    """False when any error is final: ``fail_on_timeout``, or a caller that waits for the error."""


def asked_for(delivery: Delivery, deleted: Outcome | None = None) -> Outcome | None:
    """Give what a listener or the job itself asked for, None when nothing."""
    if delivery.error is not None:
        return Failed(delivery.error)
    if delivery.deleted:
        return deleted or Skipped()
    if delivery.release_delay is not None:
        return Released(delivery.release_delay, counted=delivery.counted)
    return None


def before_run(facts: Facts) -> JobError | None:
    """Say why a reserved job must not run (any more).

    A job whose worker died is found here: the attempt was counted, nobody decided. At the very
    instant of ``retry_until`` it still runs.
    """
    if facts.retry_until is not None:
        if facts.now > facts.retry_until:
            return MaxAttemptsExceededError(f"{facts.name} may not run any more: its retry_until is over")
    elif facts.attempts > facts.max_tries > 0:
        tried = facts.attempts - 1
        return MaxAttemptsExceededError(f"{facts.name} may not run any more: it was tried {tried} times already")
    return None


def after_error(facts: Facts, error: BaseException) -> Released | Failed:
    """Decide between another attempt and failure after an exception or a timeout."""
    if _is_last(facts) or not facts.may_retry:
        return Failed(error)
    return Released(backoff_after(facts.backoff, facts.attempts), error)


def _is_last(facts: Facts) -> bool:
    if facts.max_exceptions is not None and facts.exceptions >= facts.max_exceptions > 0:
        return True
    if facts.retry_until is not None:
        return facts.retry_until <= facts.now
    return facts.attempts >= facts.max_tries > 0


def backoff_after(backoff: float | Sequence[float], attempt: int) -> float:
    """Seconds to wait after that attempt: the list's entry for it, the last one for all that follow."""
    if isinstance(backoff, int | float):
        return backoff
    if not backoff:
        return 0
    return backoff[min(max(attempt, 1), len(backoff)) - 1]


def veto(decided: Failed, facts: Facts) -> Released:
    """Keep a job that a listener did not let fail: it comes back after its backoff, at least a second."""
    return Released(max(backoff_after(facts.backoff, facts.attempts), 1), decided.error, vetoed=True)
