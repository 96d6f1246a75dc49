"""The one search behind all assertions, and what they say when it finds something else than expected."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, NoReturn

from qcore.jobs import Job
from qtest.expecting import ExpectationError, did_you_mean, fields_known, fields_of, refuse_unknown_fields
from qtest.matching import Difference, Expectation, name_of
from qtest.plain_text import plain
from qtest.report import Miss, fate_difference, nearest

if TYPE_CHECKING:
    from qtest.fake_app import FakeApp
    from qtest.matching import Terms
    from qtest.pushes import Pushed
    from qtest.recorder import Recorder
    from qtest.report import Reporter
    from qtest.times import Times

Beyond = Callable[["Pushed"], Iterable[Difference]]
"""Tells what else is different about a dispatch, beyond its job and where it went."""


class Looking:
    """What all assertions stand on."""

    app: FakeApp
    recorder: Recorder
    reporter: Reporter

    def look(  # noqa: PLR0913, RET503 - what it looks for; fail() raises
        self,
        expected: Expectation,
        times: Times,
        beyond: Beyond = fate_difference,
        *,
        said: str = "no job matched",
        beside: Container[int] = (),
        in_chain: bool = False,
        of_ends: bool = False,
    ) -> list[Pushed]:
        """Find the dispatches that are as expected, and fail unless there are as many as ``times`` says.

        ``beside`` leaves out those whose ``id()`` is in it. ``in_chain`` tells that others of its chain may be held,
        and it because of them. ``of_ends`` tells that it is about how jobs ended: the test has looked at that then, as
        it has when it names the job.
        """
        __tracebackhide__ = True
        self.refuse_what_cannot_match(expected, in_chain=in_chain)
        found, misses = self.parted(expected, beyond, beside)
        looked_at(expected, found, of_ends=of_ends)
        if times.holds(len(found)):
            return found
        if not found:
            self.fail(self.reporter.nothing_matched(expected, misses, said))
        count, did = "1 job" if len(found) == 1 else f"{len(found)} jobs", said.removeprefix("no job ")
        lines = self.reporter.headline(f"{count} {did}, expected {times}", expected)
        miss = nearest(misses) if len(found) < times.least else None
        numbers = ", ".join(f"#{each.number}" for each in found)
        lines += [f"  matched: {numbers}", *(self.reporter.miss(miss) if miss is not None else [])]
        self.fail([*lines, *self.reporter.table(), *self.reporter.last_events()])

    def parted(
        self, expected: Expectation, beyond: Beyond, beside: Container[int] = ()
    ) -> tuple[list[Pushed], list[Miss]]:
        """Part the dispatches of the expected kind into those that match and those that do not, with the reasons."""
        found, misses = [], []
        for each in self.recorder.in_turn():
            if id(each) in beside or not expected.is_kind(each.job):
                continue
            differences = expected.differences(each, beyond(each))
            if differences:
                misses.append(Miss(each, differences))
            else:
                found.append(each)
        return found, misses

    def refuse_unknown_connection(self, terms: Terms) -> None:
        """Complain about a connection that the App does not have.

        :raises ExpectationError: lists those that it has.
        """
        name, known = name_of(terms.connection), self.app.config.connections
        if isinstance(name, str) and name not in known:
            raise ExpectationError(
                f"there is no connection {name!r}{did_you_mean(name, known)}; there are {', '.join(sorted(known))}"
            )

    def refuse_what_cannot_match(self, expected: Expectation, *, in_chain: bool = False) -> None:
        """Complain about an expectation that nothing could meet: a negative assertion would always pass.

        :raises ExpectationError: says what it is about.
        """
        self.refuse_unknown_connection(expected.terms)
        job_class, fields, is_instance = expected.named
        is_known = in_chain or self.app.may_hold(expected.named)
        if not (is_known or any(expected.fits(each.job) for each in self.recorder.dispatches)):
            raise ExpectationError(
                f"{self.reporter.writer.wanted(expected.wanted)} is not held by this fake, so nothing is known of it: "
                "name it in fake=[...], or leave it out of passthrough=[...]"
            )
        if is_instance or not fields:
            return
        refuse_unknown_fields(job_class, fields)
        if fields_known(job_class) is None:
            of_kind = [each.job for each in self.recorder.dispatches if expected.is_kind(each.job)]
            there = {name for job in of_kind if job is not None for name in fields_of(job)}
            if unknown := sorted(set(fields) - there) if there else []:
                raise ExpectationError(
                    f"{job_class.__qualname__} has no field {', '.join(unknown)}; those pushed here have "
                    f"{', '.join(sorted(there))}"
                )

    def refuse_what_ran_elsewhere(self, expected: Expectation) -> None:
        """Complain about a job whose end is not known, because another process took it.

        :raises ExpectationError: says where to look.
        """
        for each in self.recorder.dispatches:
            if each.is_elsewhere and (expected.fits(each.job) or expected.wanted is Job):
                raise ExpectationError(
                    f"#{each.number} {plain(each.name)} was taken by another process, and how it ended is not known "
                    "here: look at exit_code and output of that command, and at queue_fake.app.failed"
                )

    def fail(self, lines: Iterable[str]) -> NoReturn:
        """Fail the test with that message."""
        __tracebackhide__ = True
        raise AssertionError(self.reporter.writer.folded(lines))


def looked_at(expected: Expectation, found: Iterable[Pushed], *, of_ends: bool = False) -> None:
    """Note that the test has looked at how jobs ended: it names them, or that is what it asks for."""
    if of_ends or expected.named.job_class is not Job:
        for each in found:
            each.is_seen = True
