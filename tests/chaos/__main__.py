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
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.faults import schedule
from tests.chaos.history import CLOCK
from tests.chaos.places import PLACES
from tests.chaos.running import Run
from tests.chaos.steps import QUICK, every_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.places import Place


class Row(NamedTuple):
    """What one run came to, or all runs on a backend: a row of the table."""

    backend: str
    runs: int
    jobs: int
    steps: int
    """At which something happened to a process."""
    faults: int
    started: int
    """How often a handler was called."""
    duplicates: int
    lost: int
    stuck: int
    other: int
    """Violations of other kinds."""
    recovery: float
    """The longest, in seconds."""


def main() -> int:
    """Run, and give 1 when an invariant was violated."""
    given = _arguments()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    _say(f"seed {seed}: make chaos SEED={seed} SECONDS={given.seconds:g} BACKENDS={','.join(given.backends)}")
    rows: list[Row] = []
    with ExitStack() as stack:
        places = [stack.enter_context(PLACES[name]()) for name in given.backends]
        end = CLOCK.monotonic() + given.seconds
        while not rows or CLOCK.monotonic() < end:
            # Of four seeds one goes through all steps of a kind of job, one is about a long queue, two mix all kinds.
            act = _steps if seed % 4 == 1 else _run
            for place in places:
                with tempfile.TemporaryDirectory(prefix="qcore-chaos-") as folder:
                    rows.append(act(place, Path(folder), seed, given))
            seed += 1
    _say("\n" + _table(rows))
    return int(any(row.lost or row.stuck or row.other for row in rows))


def _steps(place: Place, folder: Path, seed: int, _: argparse.Namespace) -> Row:
    kind = QUICK[seed // 4 % len(QUICK)]
    title = f"{place.name:<8} seed {seed} every step of: {kind}"
    _show(title)
    outcomes = [outcome for _, outcome in every_step(place, folder, kind)]
    wrong = [told for outcome in outcomes for told in outcome.violations]
    reached = sum(outcome.reached for outcome in outcomes)
    _say("\n".join([f"{title}, {reached} steps, {'VIOLATED' if wrong else 'ok'}", *wrong]))
    return Row(place.name, 1, 0, reached, 0, 0, 0, 0, 0, len(wrong), 0)


def _run(place: Place, folder: Path, seed: int, given: argparse.Namespace) -> Row:
    kind, size = ("backlog", 2000) if seed % 4 == 0 else ("mixed", given.jobs)
    title = f"{place.name:<8} seed {seed} {kind}"
    run = Run(place, folder, kind=kind, seed=seed, size=size)
    report = run.through(schedule(seed, given.faults, place), lambda said: _show(f"{title} {said}"))
    told = f"{report.jobs} jobs, {report.faults} faults, {report.more} duplicates, {report.seconds:.0f} s"
    _say(f"{title}, {told}, {f'VIOLATED{chr(10)}{report.told()}' if report.violations else 'ok'}")
    rules = [violation.rule for violation in report.violations]
    lost, stuck = rules.count("nothing is lost"), rules.count("it drains")
    other = len(rules) - lost - stuck
    return Row(
        place.name, 1, report.jobs, 0, report.faults, report.runs, report.more, lost, stuck, other, report.recovery
    )


def _table(rows: Sequence[Row]) -> str:
    told: list[tuple[str, ...]] = [Row._fields]
    for name in dict.fromkeys(row.backend for row in rows):
        _, *columns = zip(*(row for row in rows if row.backend == name), strict=True)
        *counts, recovery = columns
        told.append((name, *(str(sum(column)) for column in counts), f"{max(recovery):.1f} s"))
    widths = [max(map(len, column)) for column in zip(*told, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in told)


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
