"""Something happens at every step of a job's life: the short form takes one step of each sort."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.steps import QUICK, some_steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.places import Place


def test_jobs_survive_what_happens_to_processes_between_two_steps(place: Place, tmp_path: Path) -> None:
    """A producer or a worker is killed, hangs beyond its lease, loses its connection, or an answer with it."""
    outcomes = some_steps(place, tmp_path)

    assert [] == [told for _, outcome in outcomes for told in outcome.violations]
    assert [] == [case for case, outcome in outcomes if case.who == "worker" and not outcome.reached]
    assert {*QUICK} == {case.kind for case, outcome in outcomes}
    assert {*place.steps} == {case.what for case, outcome in outcomes}
