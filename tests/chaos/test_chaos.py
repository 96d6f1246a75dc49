"""Workers, a producer, and a backend in trouble: the short form. The long one: ``make chaos``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.faults import Fault, schedule
from tests.chaos.running import Run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.places import Place


SEED = 20_261_127


def test_jobs_of_all_kinds_survive_what_happens_to_their_workers(place: Place, tmp_path: Path) -> None:
    """Workers are killed, frozen beyond their lease and told to end; the server suffers."""
    report = Run(place, tmp_path, kind="mixed", seed=SEED, size=200).through(schedule(SEED, 6, place))

    assert [] == report.violations, report.told()
    assert report.faults == 6
    assert 150 < report.jobs <= report.runs


def test_two_thousand_jobs_survive_a_server_that_goes_away_in_the_middle(place: Place, tmp_path: Path) -> None:
    count = len(place.faults)
    faults = [Fault((number + 1) / (count + 1), name, 0, 0.5) for number, name in enumerate(place.faults)]

    report = Run(place, tmp_path, kind="backlog", seed=SEED, size=2000).through(faults)

    assert [] == report.violations, report.told()
    assert (2000, count) == (report.jobs, report.faults)
    assert 0 < report.recovery < 5
