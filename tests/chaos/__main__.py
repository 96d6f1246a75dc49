"""The long form: ``python -m tests.chaos --seed 1 --seconds 600 --backends sqlite``; see ``make chaos``.

Runs of new seeds follow one another until the time is over. The same seed chooses the same jobs and the same faults.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.faults import schedule
from tests.chaos.history import CLOCK
from tests.chaos.places import PLACES
from tests.chaos.running import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.places import Place
    from tests.chaos.running import Report

COLUMNS = ("backend", "runs", "jobs", "faults", "started", "duplicates", "lost", "stuck", "other", "recovery")


def main() -> int:
    """Run, and give 1 when an invariant was violated."""
    given = _arguments()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    _say(f"seed {seed}: make chaos SEED={seed} SECONDS={given.seconds:g} BACKENDS={','.join(given.backends)}")
    reports: list[Report] = []
    with ExitStack() as stack:
        places = [stack.enter_context(PLACES[name]()) for name in given.backends]
        end = CLOCK.monotonic() + given.seconds
        while not reports or CLOCK.monotonic() < end:
            reports += [_one(place, seed, given.jobs, given.faults) for place in places]
            seed += 1
    _say("\n" + _table(reports))
    return int(any(report.violations for report in reports))


def _one(place: Place, seed: int, jobs: int, faults: int) -> Report:
    # Every third run is about a long queue, the others about all kinds of jobs.
    kind, size = ("backlog", 2000) if seed % 3 == 0 else ("mixed", jobs)
    with tempfile.TemporaryDirectory(prefix="qcore-chaos-") as folder:
        run = Run(place, Path(folder), kind=kind, seed=seed, size=size)
        title = f"{place.name:<8} seed {seed} {kind:<8}"
        report = run.through(schedule(seed, faults, place), lambda said: _show(f"{title} {said}"))
    told = f"{report.jobs} jobs, {len(report.hits)} faults, {report.more} duplicates, {report.seconds:.0f} s"
    _say(f"{title} {told}, {'ok' if not report.violations else 'VIOLATED'}")
    if report.violations:
        _say(report.told())
    return report


def _table(reports: Sequence[Report]) -> str:
    rows: list[tuple[str, ...]] = [COLUMNS]
    for name in dict.fromkeys(report.backend for report in reports):
        mine = [report for report in reports if report.backend == name]
        rules = [violation.rule for report in mine for violation in report.violations]
        lost, stuck = rules.count("nothing is lost"), rules.count("it drains")
        numbers = (
            len(mine),
            sum(report.jobs for report in mine),
            sum(len(report.hits) for report in mine),
            sum(report.runs for report in mine),
            sum(report.more for report in mine),
            lost,
            stuck,
            len(rules) - lost - stuck,
        )
        rows.append((name, *map(str, numbers), f"{max(report.recovery for report in mine):.1f} s"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="where to begin; printed by every run")
    parser.add_argument("--seconds", type=float, default=300, help="no new run begins after so many")
    parser.add_argument("--backends", type=_backends, default=list(PLACES), help=f"of {', '.join(PLACES)}")
    parser.add_argument("--jobs", type=int, default=400, help="jobs in a run of all kinds")
    parser.add_argument("--faults", type=int, default=10, help="faults in a run")
    return parser.parse_args()


def _backends(said: str) -> list[str]:
    names = said.replace(",", " ").split()
    unknown = sorted(set(names) - set(PLACES))
    if unknown or not names:
        message = f"no backend {', '.join(unknown) or 'named'}; there are {', '.join(PLACES)}"
        raise argparse.ArgumentTypeError(message)
    return names


def _say(line: str) -> None:
    sys.stdout.write(f"\r\033[K{line}\n" if sys.stdout.isatty() else f"{line}\n")
    sys.stdout.flush()


def _show(line: str) -> None:
    """Show where a run is, on a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[K{line}")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
