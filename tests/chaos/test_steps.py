"""Something happens at every step of a job's life: the short form goes through some steps of each kind of job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.steps import QUICK, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.places import Place

STRIDE = 20


def test_jobs_survive_what_happens_to_processes_between_two_steps(place: Place, tmp_path: Path) -> None:
    """A producer or a worker is killed, hangs beyond its lease, loses its connection, or an answer with it."""
    outcomes = run(place, tmp_path, kinds=QUICK, stride=STRIDE)

    assert [] == [told for _, outcome in outcomes for told in outcome.violations]
    reached = {(case.kind, case.what) for case, outcome in outcomes if outcome.reached and case.who == "worker"}
    assert {(kind, what) for kind in QUICK for what in place.steps} == reached
