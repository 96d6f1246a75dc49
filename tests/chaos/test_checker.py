"""The checker finds each violation: histories that must not pass."""

from __future__ import annotations

import pytest

from tests.chaos.checker import Evidence, violations
from tests.chaos.faults import Hit
from tests.chaos.history import Line
from tests.chaos.scenario import End, Promise

LEASE = 2.0


def ran(
    at: float,
    name: str,
    *,
    process: int = 1,
    attempts: int = 1,
    end: str = "JobProcessed",
    seconds: float = 0.5,
    finishes: bool = True,
    job_id: str = "",
) -> list[Line]:
    """The lines of one delivery."""
    job_id = job_id or f"id of {name}"
    lines = [
        Line(at, process, "took", job_id, attempts=attempts, since=at),
        Line(at, process, "start", job_id, name, attempts),
    ]
    if finishes:
        lines.append(Line(at + seconds, process, "end", job_id, name, attempts))
    elif end == "JobFailed":
        lines.append(Line(at + seconds, process, "failed()", job_id, name, attempts))
    if end:
        lines.append(Line(at + seconds, process, "ended", job_id, end, attempts))
    return lines


def rules_broken(*lines: list[Line], promises: list[Promise] | None = None, **facts: object) -> list[str]:
    """Check a run; without other promises, of one job called a."""
    known = {promise.name: promise for promise in promises or [Promise("a")]}
    dispatched = [Line(0, 9, what, name=name) for name in known for what in ("dispatching", "dispatched")]
    told = [*dispatched, *(line for each in lines for line in each)]
    evidence = Evidence(known, {}, told, facts.pop("hits", ()), LEASE, **facts)  # type: ignore[arg-type]
    return sorted({violation.rule for violation in violations(evidence)})


def test_a_run_in_which_all_is_well_passes() -> None:
    assert [] == rules_broken(ran(1, "a"))


def test_a_job_that_never_ran_is_lost() -> None:
    assert ["nothing is lost"] == rules_broken()


def test_a_job_that_waits_at_the_end_is_stuck() -> None:
    assert ["it drains", "nothing is lost"] == rules_broken(drained=False)


def test_a_second_run_without_a_fault_is_one_too_many() -> None:
    broken = rules_broken(ran(1, "a", end="JobLost"), ran(2, "a", process=2))

    assert ["one more run for a fault at most"] == broken


@pytest.mark.parametrize(
    ("hit", "broken"),
    [
        (Hit("kill", 1, 1.2, 1.3), []),
        (Hit("server", None, 1.2, 1.3), []),
        (Hit("kill", 2, 1.2, 1.3), ["one more run for a fault at most"]),
        (Hit("kill", 1, 0.2, 0.3), ["one more run for a fault at most"]),
    ],
)
def test_a_fault_excuses_one_more_run_of_the_job_that_it_hit(hit: Hit, broken: list[str]) -> None:
    lines = [ran(1, "a", end="JobLost"), ran(5, "a", process=2, attempts=2)]

    assert broken == rules_broken(*lines, hits=[hit])
    assert "one more run for a fault at most" in rules_broken(*lines, ran(6, "a", process=3, end="JobLost"), hits=[hit])


def test_a_lease_that_was_over_excuses_one_more_run() -> None:
    assert [] == rules_broken(ran(1, "a", seconds=3, end="JobLost"), ran(3.1, "a", process=2))


def test_a_job_ends_once() -> None:
    hits = [Hit("kill", 1, 1, 2)]

    assert ["one end"] == rules_broken(ran(1, "a"), ran(1.2, "a", process=2), hits=hits)
    assert ["one end"] == rules_broken(ran(1, "a"), ran(3, "a", process=2, end="JobLost"), hits=hits)
    assert ["done or failed, not both", "one end"] == rules_broken(ran(1, "a"), failed=["id of a"])


def test_a_job_with_one_try_may_fail_when_a_fault_hit_it_and_only_then() -> None:
    once = [Promise("a", End.EITHER)]
    first = ran(1, "a", end="", finishes=False)
    second = [Line(4, 2, "took", "id of a", since=4), Line(4, 2, "failed()", "id of a", "a"), *ended(4, "JobFailed")]

    assert [] == rules_broken(first, second, promises=once, failed=["id of a"], hits=[Hit("kill", 1, 1.1, 1.1)])
    unseen = [Line(4, 2, "took", "id of a", attempts=2, since=4), *second[1:]]
    assert [] == rules_broken(unseen, promises=once, failed=["id of a"], hits=[Hit("kill", 3, 1, 1)])
    assert ["done or failed, not both"] == rules_broken(unseen, promises=once, failed=["id of a"])
    told = rules_broken(ran(1, "a", end="JobFailed", finishes=False), promises=once, failed=["id of a"])
    assert ["done or failed, not both"] == told
    assert ["nothing is lost"] == rules_broken(ran(1, "a", end="JobReleased", finishes=False), promises=once)


def ended(at: float, how: str) -> list[Line]:
    return [Line(at, 2, "ended", "id of a", how)]


def test_a_failure_has_one_record() -> None:
    doomed = [Promise("a", End.FAILED)]
    lines = ran(1, "a", end="JobFailed", finishes=False)

    assert [] == rules_broken(lines, promises=doomed, failed=["id of a"])
    assert ["nothing is lost"] == rules_broken(lines, promises=doomed)
    told = rules_broken(lines, promises=doomed, failed=["id of a", "id of a"])
    assert ["done or failed, not both"] == told


def test_two_jobs_of_one_dispatch_are_too_many() -> None:
    assert ["one more run for a fault at most"] == rules_broken(ran(1, "a"), ran(2, "a", job_id="another"))


def test_a_link_waits_for_the_one_before_it() -> None:
    chain = [Promise("a"), Promise("b", after=("a",))]

    assert [] == rules_broken(ran(1, "a"), ran(2, "b"), promises=chain)
    assert ["in order"] == rules_broken(ran(1, "a"), ran(1.2, "b", process=2), promises=chain)


def test_what_must_not_run_is_found() -> None:
    jobs = [Promise("a"), Promise("b", End.NEVER)]

    assert ["what must not run does not"] == rules_broken(ran(1, "a"), ran(2, "b"), promises=jobs)
    refused = rules_broken(ran(1, "a"), ran(2, "b"), promises=[Promise("a"), Promise("b")], refused=frozenset("b"))
    assert ["what must not run does not"] == refused


def test_a_delayed_job_that_comes_early_is_found() -> None:
    assert ["never early"] == rules_broken(ran(1, "a"), promises=[Promise("a", delay=1.1)])


def test_two_at_once_under_one_key_are_found() -> None:
    jobs = [Promise("a", alone="k"), Promise("b", alone="k")]

    assert [] == rules_broken(ran(1, "a"), ran(1.6, "b", process=2), promises=jobs)
    assert ["one at a time"] == rules_broken(ran(1, "a"), ran(1.2, "b", process=2), promises=jobs)


def test_a_unique_job_beside_another_one_is_found() -> None:
    """Both were accepted at the start, before the first one ended."""
    jobs = [Promise("a", only="k"), Promise("b", only="k")]

    assert ["one of a kind"] == rules_broken(ran(1, "a"), ran(2, "b"), promises=jobs)


def test_what_is_left_and_what_goes_wrong_in_processes_is_told() -> None:
    told = rules_broken(ran(1, "a"), left=["key unique:a"], trouble=["process 7 ended with 1"], lowest=-1)

    assert ["batches", "nothing is left", "processes end well"] == told
