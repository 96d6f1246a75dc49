"""The retry policy as a table: one row says what is known of a job, and what must become of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore.errors import MaxAttemptsExceededError
from qcore.outcome import Facts, Failed, Released, after_error, backoff_after, before_run, veto

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = 1_000.0
ERROR = ValueError("boom")


def facts(*, attempts: int = 1, tries: int = 1, **more: Any) -> Facts:
    return Facts(name="ImportCsv", attempts=attempts, max_tries=tries, now=NOW, **more)


# Before a run: may the job still be tried? None is yes.
MAY_RUN = [
    pytest.param(facts(attempts=1, tries=1), None, id="the first try"),
    pytest.param(facts(attempts=3, tries=3), None, id="the last try"),
    pytest.param(facts(attempts=2, tries=1), "tried 1 times", id="one too many"),
    pytest.param(facts(attempts=4, tries=3), "tried 3 times", id="too often"),
    pytest.param(facts(attempts=1_000_000, tries=0), None, id="tries=0 has no end"),
    pytest.param(facts(attempts=9, tries=1, retry_until=NOW + 1), None, id="retry_until beats tries"),
    pytest.param(facts(attempts=1, tries=9, retry_until=NOW - 0.001), "retry_until is over", id="after retry_until"),
    pytest.param(facts(attempts=9, tries=1, retry_until=NOW), None, id="at the instant of retry_until"),
    pytest.param(facts(retry_until=0.0), "retry_until is over", id="retry_until=0 is an instant, not 'none'"),
    pytest.param(facts(exceptions=9, max_exceptions=1), None, id="exceptions are judged when one is raised"),
    pytest.param(facts(may_retry=False), None, id="errors that are final do not forbid the run"),
]


@pytest.mark.parametrize(("known", "refused"), MAY_RUN)
def test_a_job_runs_unless_it_is_too_late_or_was_tried_too_often(known: Facts, refused: str | None) -> None:
    """WRK-42."""
    error = before_run(known)

    if refused is None:
        assert error is None
    else:
        assert type(error) is MaxAttemptsExceededError
        assert str(error).startswith("ImportCsv may not run any more: ")
        assert refused in str(error)


# After an error: the seconds until the next attempt, or "failed".
AFTER = [
    pytest.param(facts(attempts=1, tries=1), "failed", id="one try"),
    pytest.param(facts(attempts=1, tries=2), 0, id="a try is left"),
    pytest.param(facts(attempts=2, tries=2), "failed", id="the last try"),
    pytest.param(facts(attempts=3, tries=2), "failed", id="beyond the last try"),
    pytest.param(facts(attempts=1_000_000, tries=0), 0, id="tries=0 has no end"),
    pytest.param(facts(attempts=9, tries=1, retry_until=NOW + 0.001), 0, id="before retry_until"),
    pytest.param(facts(attempts=1, tries=9, retry_until=NOW), "failed", id="at retry_until"),
    pytest.param(facts(attempts=1, tries=9, retry_until=NOW - 1), "failed", id="after retry_until"),
    pytest.param(facts(attempts=1, tries=0, retry_until=NOW), "failed", id="retry_until ends tries=0 too"),
    pytest.param(facts(tries=9, exceptions=1, max_exceptions=2), 0, id="an exception is left"),
    pytest.param(facts(tries=9, exceptions=2, max_exceptions=2), "failed", id="the last exception"),
    pytest.param(facts(tries=9, exceptions=3, max_exceptions=2), "failed", id="beyond the last exception"),
    pytest.param(facts(tries=9, exceptions=9, max_exceptions=0), 0, id="max_exceptions=0 has no end"),
    pytest.param(facts(tries=9, exceptions=9), 0, id="no max_exceptions"),
    pytest.param(facts(tries=0, exceptions=1, max_exceptions=1), "failed", id="max_exceptions ends tries=0"),
    pytest.param(
        facts(retry_until=NOW + 9, exceptions=1, max_exceptions=1), "failed", id="max_exceptions ends retry_until"
    ),
    pytest.param(facts(tries=9, may_retry=False), "failed", id="the caller waits for the error"),
    pytest.param(facts(tries=0, may_retry=False), "failed", id="the caller waits, tries=0"),
    pytest.param(facts(retry_until=NOW + 9, may_retry=False), "failed", id="the caller waits, before retry_until"),
    pytest.param(facts(tries=2, backoff=3), 3, id="backoff"),
    pytest.param(facts(tries=2, backoff=0.5), 0.5, id="backoff of a fraction"),
    pytest.param(facts(attempts=1, tries=5, backoff=(1, 5, 10)), 1, id="backoff list, first"),
    pytest.param(facts(attempts=2, tries=5, backoff=(1, 5, 10)), 5, id="backoff list, second"),
    pytest.param(facts(attempts=3, tries=5, backoff=(1, 5, 10)), 10, id="backoff list, last"),
    pytest.param(facts(attempts=4, tries=5, backoff=(1, 5, 10)), 10, id="backoff list, beyond its end"),
    pytest.param(facts(tries=2, backoff=()), 0, id="an empty backoff list"),
    pytest.param(facts(attempts=3, tries=9, backoff=[7]), 7, id="a backoff list from JSON"),
]


@pytest.mark.parametrize(("known", "expected"), AFTER)
def test_after_an_error_a_job_is_released_with_its_backoff_or_fails(known: Facts, expected: float | str) -> None:
    """WRK-43, WRK-44, WRK-46, WRK-50."""
    decided = after_error(known, ERROR)

    assert (Failed(ERROR) if expected == "failed" else Released(expected, ERROR)) == decided  # type: ignore[arg-type]
    assert ERROR is decided.error


@pytest.mark.parametrize("decided", [after_error(facts(tries=2), ERROR), Released(1)])
def test_a_release_counts_the_attempt_unless_it_says_otherwise(decided: Released) -> None:
    assert (True, False) == (decided.counted, decided.vetoed)


@pytest.mark.parametrize(
    ("backoff", "attempt", "seconds"),
    [(0, 1, 0), (4, 0, 4), (4, 99, 4), ((1, 5), 0, 1), ((1, 5), 1, 1), ((1, 5), 2, 5), ((1, 5), 99, 5), ((), 1, 0)],
)
def test_the_backoff_of_an_attempt(backoff: float | Sequence[float], attempt: int, seconds: float) -> None:
    assert seconds == backoff_after(backoff, attempt)


@pytest.mark.parametrize(
    ("known", "seconds"),
    [
        pytest.param(facts(), 1, id="at least a second"),
        pytest.param(facts(backoff=0.5), 1, id="a short backoff is stretched"),
        pytest.param(facts(backoff=7), 7, id="the backoff"),
        pytest.param(facts(attempts=2, backoff=(1, 5)), 5, id="the backoff of this attempt"),
        pytest.param(facts(attempts=9, tries=1, retry_until=NOW - 1), 1, id="whatever the limits say"),
    ],
)
def test_a_veto_keeps_the_job_for_its_backoff(known: Facts, seconds: float) -> None:
    assert Released(seconds, ERROR, vetoed=True) == veto(Failed(ERROR), known)
