"""Every row of the benchmarks runs. How fast it is, is for `make bench` to say."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import peers
from benchmarks.measure import Measure, Target, best
from benchmarks.peer_loops import OURS, PEERS
from benchmarks.run import ROWS

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPS = Path(__file__).parent.parent / "benchmarks" / "peer_loops.py"
RUN = Path(__file__).parent.parent / "benchmarks" / "run.py"


@pytest.mark.parametrize("row", ROWS)
def test_a_row_gives_positive_ratios(row: str, tmp_path: Path) -> None:
    """In a process of its own: rows take the alarm signal, and time what is imported."""
    measures = measured("--quick", "--rows", row, "--json", str(tmp_path / "figures.json"))
    assert measures
    ratios = {each["name"]: each["ours"] if each["ratio"] is None else each["ratio"] for each in measures}
    assert [] == [name for name, ratio in ratios.items() if not (math.isfinite(ratio) and ratio > 0)]


@pytest.mark.parametrize("name", OURS)
def test_a_loop_that_is_held_against_others_runs_where_they_are_not_installed(name: str) -> None:
    ran = subprocess.run([sys.executable, LOOPS, name, "20", "1"], capture_output=True, text=True, check=False)

    assert (0, "") == (ran.returncode, ran.stderr)
    assert float(ran.stdout) > 0


def test_each_of_the_others_is_named_with_its_mode() -> None:
    assert PEERS.keys() == peers._MODES.keys()
    assert OURS.keys() == peers._NAMES.keys()


def measured(*arguments: str) -> list[dict[str, Any]]:
    """Run the benchmarks, and give the measures they kept."""
    ran = subprocess.run([sys.executable, RUN, *arguments], capture_output=True, text=True, check=False)
    assert (0, "") == (ran.returncode, ran.stderr)
    figures: dict[str, Any] = json.loads(Path(arguments[-1]).read_text())
    if figures["skipped"] and os.environ.get("CI") != "true":
        pytest.skip("; ".join(figures["skipped"].values()))
    assert {} == figures["skipped"]
    missing = [each["name"] for each in figures["measures"] if each["name"] not in ran.stdout]
    assert [] == missing
    return list(figures["measures"])


def test_a_row_that_does_not_exist_is_a_usage_error() -> None:
    ran = subprocess.run([sys.executable, RUN, "--rows", "memroy"], capture_output=True, text=True, check=False)
    assert 2 == ran.returncode
    assert "no row memroy; there are memory, " in ran.stderr


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (None, ""),
        (Target(3), "ok"),
        (Target(1.9), "MISSED"),
        (Target(2, at_least=True), "ok"),
        (Target(2.1, at_least=True), "MISSED"),
        (Target(30, of="ours"), "ok"),
        (Target(19, of="ours"), "MISSED"),
    ],
)
def test_a_measure_is_held_to_its_target(target: Target | None, verdict: str) -> None:
    measure = Measure(name="push", ours=20, bare=10, unit="ms", beside="nothing", target=target)
    assert (2, verdict) == (measure.ratio, measure.verdict)


def test_a_measure_with_nothing_beside_it_is_held_to_its_own_figure() -> None:
    measure = Measure(name="idle", ours=20, unit="ms", target=Target(10, of="ours"))
    assert (None, "MISSED") == (measure.ratio, measure.verdict)
    with pytest.raises(ValueError, match="idle is held to a ratio, and there is nothing beside it"):
        _ = Measure(name="idle", ours=20, unit="ms", target=Target(10)).verdict


def test_contestants_take_turns_and_the_lowest_figure_counts() -> None:
    order: list[str] = []

    def contestant(name: str, *figures: float) -> Callable[[], float]:
        left = list(figures)

        def run() -> float:
            order.append(name)
            return left.pop(0)

        return run

    found = best({"bare": contestant("bare", 5, 4, 6), "ours": contestant("ours", 9, 8, 7)}, rounds=3)
    assert {"bare": 4, "ours": 7} == found
    assert ["bare", "ours", "ours", "bare", "bare", "ours"] == order
