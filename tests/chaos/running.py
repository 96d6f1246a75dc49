"""One run: a scenario, workers, faults; then the check, and a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qcore.errors import DriverError
from tests.chaos.apps import LEASE, app_on
from tests.chaos.checker import Evidence, Violation, violations
from tests.chaos.faults import Hit, done
from tests.chaos.history import CLOCK, Reader
from tests.chaos.leftovers import left_in
from tests.chaos.processes import Crew, wait_until
from tests.chaos.producer import attempt_of, known, units_of
from tests.chaos.scenario import End

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from qcore import App
    from tests.chaos.faults import Fault
    from tests.chaos.history import Line
    from tests.chaos.places import Place
    from tests.chaos.scenario import Promise, Unit

DRAIN = 180.0
"""Seconds after the last fault in which all jobs have to end."""


@dataclass
class Report:
    """How a run went."""

    backend: str
    seed: int
    jobs: int
    runs: int
    faults: int
    hits: Sequence[Hit]
    """Those of the faults that may cost something."""
    violations: Sequence[Violation]
    more: int
    """Runs beyond those that the jobs need: what faults cost."""
    recovery: float
    """Seconds from the end of a fault of the server until the last worker had a job again; the longest of all."""
    seconds: float
    evidence: Evidence = field(repr=False)

    def told(self) -> str:
        """Say what was violated, with everything that is needed to look into it."""
        lines = [f"{self.backend}, seed {self.seed}: {len(self.violations)} violations"]
        lines += [f"  fault: {hit}" for hit in self.hits]
        for rule, what, job in self.violations:
            lines += [f"{rule}: {job} {what}", *([self.evidence.history_of(job)] if job else [])]
        return "\n".join(lines)


class Run:
    """A run on its way."""

    def __init__(self, place: Place, folder: Path, *, kind: str, seed: int, size: int, workers: int = 4) -> None:
        self.place = place
        self.kind = kind
        self.seed = seed
        self.size = size
        self.hits: list[Hit] = []
        self._folder = folder
        self._reader = Reader(folder)
        self._connection = place.fresh(folder)
        self._app = app_on(self._connection, folder)
        self._app.connection().size()  # its tables are there before anybody comes
        self.crew = Crew(folder, self._connection, workers)
        self._expected = expected_ends(units_of(kind, seed, size))
        self._done = self._faults = 0
        self._lowest = 0

    def through(self, faults: Sequence[Fault], say: Callable[[str], object] = lambda _: None) -> Report:
        """Let it run through all that happens, and check it."""
        started = CLOCK.monotonic()
        try:
            self.crew.begin(self.kind, str(self.seed), str(self.size))
            for fault in faults:
                say(f"{self._done}/{self._expected} jobs, next: {fault.what}")
                if not self._reached(fault.part * self._expected):
                    break
                self.hits += done(fault, self.crew, self.place)
                self._faults += 1
            say(f"{self._done}/{self._expected} jobs, draining")
            drained = self._drained()
            self.crew.stop()
            return self._report(CLOCK.monotonic() - started, drained=drained)
        finally:
            self.crew.end()
            self._app.close()

    def _reached(self, count: float) -> bool:
        """Wait until so many jobs have run; False when all have, before."""
        over = False

        def enough() -> bool:
            nonlocal over
            self._look()
            over = self._done < count and self._is_over()
            return over or self._done >= count

        wait_until(enough, f"{count:.0f} jobs to run", DRAIN)
        return not over

    def _drained(self) -> bool:
        try:
            wait_until(self._is_over, "all jobs to end", DRAIN)
        except TimeoutError:
            return False
        return True

    def _look(self) -> None:
        self.crew.fill()
        self._done += sum(line.what == "end" for line in self._reader.look())

    def _is_over(self) -> bool:
        self._look()
        if self.crew.produces:
            return False
        try:
            self._lowest = min([self._lowest, *(each.pending for each in self._app.batches.list())])
            return not self._app.connection().counts()
        except DriverError:
            return False

    def _report(self, seconds: float, *, drained: bool) -> Report:
        evidence = self._evidence(drained=drained)
        found = violations(evidence)
        runs = sum(line.what == "start" for line in evidence.lines)
        recovery = max((recovered(hit, evidence) for hit in self.hits if hit.process is None), default=0.0)
        return Report(
            backend=self.place.name,
            seed=self.seed,
            jobs=len(evidence.promises),
            runs=runs,
            faults=self._faults,
            hits=self.hits,
            violations=found,
            more=evidence.more,
            recovery=recovery,
            seconds=seconds,
            evidence=evidence,
        )

    def _evidence(self, *, drained: bool) -> Evidence:
        self._reader.look()
        lines = self._reader.lines
        promises, doubtful, refused = promised(self.kind, self.seed, self.size, lines)
        batches, failed = self._app.batches.list(limit=100_000), [record.id for record in self._app.failed.list()]
        tidy(self._app)
        return Evidence(
            promises,
            doubtful,
            lines,
            self.hits,
            LEASE,
            failed=failed,
            batches=batches,
            left=left_in(self._connection),
            trouble=self.crew.trouble(),
            drained=drained,
            refused=refused,
            lowest=self._lowest,
        )


def expected_ends(units: Sequence[Unit]) -> int:
    """Count the jobs that finish, if each unit is dispatched at the first attempt."""
    promises = [promise for unit in units for promise in unit.make(unit.name).promises]
    return sum(promise.end in {End.DONE, End.EITHER} for promise in promises)


def promised(
    kind: str, seed: int, size: int, lines: Sequence[Line]
) -> tuple[dict[str, Promise], dict[str, Promise], frozenset[str]]:
    """Find out what was promised: jobs whose dispatch returned, whose dispatch raised, and that a lock refused."""
    how = known(lines)
    promises: dict[str, Promise] = {}
    doubtful: dict[str, Promise] = {}
    refused: set[str] = set()
    for unit in units_of(kind, seed, size):
        attempt = 1
        while (name := attempt_of(unit, attempt)) in how:
            made = {promise.name: promise for promise in unit.make(name).promises}
            if how[name] == "refused":
                refused.update(made)
            (promises if how[name] == "dispatched" else doubtful).update(made)
            attempt += 1
    return promises, doubtful, frozenset(refused)


def tidy(app: App) -> None:
    """Remove what is there to be looked at: the records of failed jobs, and the batches."""
    app.failed.flush()
    for each in app.batches.list(limit=100_000):
        each.delete()


def recovered(hit: Hit, run: Evidence) -> float:
    """Seconds until each worker that it found at work had a job again, unless something else was done to that one."""
    first: dict[int, float] = {}
    before = {each.process for each in run.deliveries if each.since < hit.begun and each.until >= hit.begun}
    for each in run.deliveries:
        if each.process in before and each.started is not None and each.started > hit.ended:
            first.setdefault(each.process, each.started)
    later = [other for other in run.hits if other is not hit and other.ended > hit.begun]
    seconds = [
        at - hit.ended
        for process, at in first.items()
        if not any(other.begun < at and other.process in {None, process} for other in later)
    ]
    return max(seconds, default=0.0)
