"""What a test can assert of batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.function_job import FunctionJob
from qcore.jobs import Job
from qtest.looking import Looking
from qtest.matching import Difference, Expectation, Terms, Text, asked, name_of
from qtest.structure import Group, Structures, expected_batch, jobs_in
from qtest.times import as_times

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtest.pushes import Batched
    from qtest.structure import Structure
    from qtest.times import Times


class BatchAssertions(Looking):
    """Assertions about batches; a list among the members is a chain."""

    def batches(self) -> list[Batched]:
        """Give the batches that were dispatched, the oldest first."""
        return list(self.recorder.batches)

    def assert_batched(  # noqa: RET503 - fail() raises
        self,
        jobs: object = None,
        *,
        name: str | None = None,
        queue: object = None,
        connection: object = None,
        where: Callable[[Batched], object] | None = None,
        times: int | Times | None = None,
    ) -> list[Batched]:
        """Assert that a batch of just these members was dispatched, in this order, or one for which a callback holds.

        ``jobs`` is a list, a batch, or the callback, which gets the batch with its ``name`` and ``jobs``. ``queue`` is
        the one that all members were sent to together.
        """
        __tracebackhide__ = True
        if callable(jobs) and not isinstance(jobs, type | FunctionJob):
            jobs, where = None, jobs
        expected = None if jobs is None else expected_batch(jobs)
        terms = Terms.given(queue=queue, connection=connection, where=where)
        self.refuse_unknown_connection(terms)
        for each in jobs_in(expected):
            self.refuse_what_cannot_match(Expectation(each), in_chain=True)
        differences = [self._differences(each, expected, name, terms) for each in self.recorder.batches]
        found = [each for each, its in zip(self.recorder.batches, differences, strict=True) if not its]
        wanted = as_times(times)
        for member in (member for each in found for member in each.members):
            member.is_seen = True
        if wanted.holds(len(found)):
            return found
        misses = [(each, its) for each, its in zip(self.recorder.batches, differences, strict=True) if its]
        self.fail([*self._headline(len(found), wanted, expected, name, terms), *self._nearest(misses), *self._table()])

    def assert_batch_count(self, count: int | Times) -> None:
        """Assert how many batches were dispatched."""
        __tracebackhide__ = True
        wanted = as_times(count)
        if not wanted.holds(len(self.recorder.batches)):
            self.fail([f"expected {_range_of(wanted)}", *self._table()])

    def assert_nothing_batched(self) -> None:
        """Assert that no batch was dispatched."""
        __tracebackhide__ = True
        self.assert_batch_count(0)

    def _differences(
        self, batched: Batched, expected: Group | None, name: str | None, terms: Terms
    ) -> list[Difference]:
        structures = Structures(self.app, self.reporter.writer)
        found = []
        if name is not None and not (name == batched.name):  # noqa: SIM201 - the expected value on the left decides
            found.append(Difference("name", name, batched.name))
        for place in ("queue", "connection"):
            wanted, there = name_of(getattr(terms, place)), getattr(batched, place)
            if wanted is not None and not (wanted == there):  # noqa: SIM201 - the same
                found.append(Difference(place, wanted, there or Text("(each its own)")))
        if expected is not None:
            got = Group("batch", tuple(_member(structures, each) for each in batched.members))
            found += structures.group_differences(expected, got)
        if not found and terms.where is not None:
            found += asked(terms.where, batched)
        return found

    def _headline(
        self,
        count: int,
        times: Times,
        expected: Group | None,
        name: str | None,
        terms: Terms,
    ) -> list[str]:
        said = [f"{_batches(count)} matched, expected {times}" if count else "no batch matched"]
        writer = self.reporter.writer
        if expected is not None:
            said.append(Structures(self.app, writer).text(expected))
        more = [f"named {writer.value(name)}"] if name is not None else []
        more += self.reporter.terms(Expectation(Job, terms))
        line = "  ".join([*said, *([", ".join(more)] if more else [])])
        return [line] if len(line) <= _WIDTH else [said[0], *(writer.cut(f"  {e}", _WIDTH) for e in [*said[1:], *more])]

    def _nearest(self, misses: list[tuple[Batched, list[Difference]]]) -> list[str]:
        if not misses:
            return []
        batched, differences = min(reversed(misses), key=lambda miss: len(miss[1]))
        return [f"  nearest: {self._named(batched)}", *self.reporter.differences(differences)]

    def _table(self) -> list[str]:
        batches = self.recorder.batches
        if not batches:
            return ["  no batch was dispatched", *self.reporter.table()]
        verb = "was" if len(batches) == 1 else "were"
        rows = [f"      {self._named(each)}   {_members(len(each.members))}" for each in batches]
        return [f"  {_batches(len(batches))} {verb} dispatched", *rows, *self.reporter.table()]

    def _named(self, batched: Batched) -> str:
        name = f" {self.reporter.writer.value(batched.name)}" if batched.name else ""
        return f"batch {self.recorder.batches.index(batched) + 1}{name}"


_WIDTH = 80


def _member(structures: Structures, pushed: object) -> Structure:
    job, body = pushed.job, pushed.body  # type: ignore[attr-defined] # a Pushed
    following = structures.links_of(body)
    first = structures.of_job(job)
    return Group("chain", (first, *following)) if following else first


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count} batches"


def _range_of(times: Times) -> str:
    if times.most is None:
        return f"at least {_batches(times.least)}"
    if times.least == times.most:
        return _batches(times.least)
    return f"{times.least} to {_batches(times.most)}" if times.least else f"at most {_batches(times.most)}"


def _members(count: int) -> str:
    return "1 member" if count == 1 else f"{count} members"
