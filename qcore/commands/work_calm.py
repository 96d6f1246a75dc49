"""Keeps a full rate limit from filling the log: jobs that are put off again and again get a line now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.commands.work_lines import Report

EVERY = 10.0
"""Seconds for which one line speaks for all jobs of a name that the same middleware puts off."""
_MOST = 1000
"""So many names are remembered: jobs may choose theirs."""


class _Block(NamedTuple):
    by: str
    status: str
    told_at: float
    others: int = 0
    """Deliveries without a line since then."""


class Calm:
    """Decides which begins and ends of jobs are worth a line."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self._blocks: dict[str, _Block] = {}
        self._held: Report | None = None

    def heard(self, report: Report) -> Sequence[Report]:
        """Give the reports that are to be written now.

        A job whose like was put off a moment ago has no line before it is known to run.
        """
        name = report.delivery.name
        if report.status == "starting":
            self._held = report if name in self._blocks else None
            return [] if self._held else [report]
        begin = self.let_through()
        by = report.delivery.blocked_by
        if not by or report.status not in {"released", "skipped"}:
            self._blocks.pop(name, None)
            return [*begin, report]
        last = self._blocks.get(name)
        if last is None or (last.by, last.status) != (by, report.status):
            last = None
        elif 0 <= report.at - last.told_at < EVERY:
            self._blocks[name] = last._replace(others=last.others + 1)
            return []
        self._remember(name, _Block(by, report.status, report.at))
        return [*begin, report._replace(others=last.others if last else 0)]

    def let_through(self) -> Sequence[Report]:
        """Give the report that was held back: the job runs."""
        held, self._held = self._held, None
        return [held] if held else []

    def _remember(self, name: str, block: _Block) -> None:
        if len(self._blocks) >= _MOST:
            self._blocks.clear()
        self._blocks[name] = block


class Restless(Calm):
    """Gives a line to everything."""

    def heard(self, report: Report) -> Sequence[Report]:
        """Give it on."""
        return [report]
