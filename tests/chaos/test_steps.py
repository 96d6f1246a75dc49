"""Something happens at every step of a job's life: the short form goes through every few steps of each kind of job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.chaos.processes import ROOT
from tests.chaos.scenario import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.places import Place

STRIDE = 20
SLOW = {"slow", "delayed"}
"""Their workers wait, step by step."""


def test_jobs_survive_what_happens_to_processes_between_two_steps(place: Place, tmp_path: Path) -> None:
    """A producer or a worker is killed, hangs beyond its lease, loses its connection, or an answer with it."""
    kinds = [kind for kind in KINDS if kind not in SLOW]
    given = {"connection": place.fresh(tmp_path), "kinds": kinds, "whats": place.steps, "stride": STRIDE}

    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos.steps", json.dumps(given)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    outcomes = [json.loads(line) for line in ended.stdout.splitlines()]

    assert (0, "") == (ended.returncode, ended.stderr)
    assert [] == [told for _, _, violations in outcomes for told in violations]
    reached = {(kind, what) for (kind, who, what, _), reached, _ in outcomes if reached and who == "worker"}
    assert {(kind, what) for kind in kinds for what in place.steps} == reached
