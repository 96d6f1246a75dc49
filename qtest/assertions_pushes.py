"""What a test can assert of single pushes. Each assertion is the one search, under a name that reads well."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NoReturn

from qcore.closures import Closure
from qcore.jobs import Job
from qtest.expecting import ExpectationError
from qtest.looking import Looking, looked_at
from qtest.matching import Difference, Expectation, Terms, Text, in_seconds
from qtest.pairing import Pairing, first_row, longest_row
from qtest.plain_text import plain
from qtest.pushes import Fate
from qtest.report import fate_difference, unique_note
from qtest.terms import refuse_none
from qtest.times import as_times

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta

    from qtest.expecting import Wanted
    from qtest.pushes import Pushed
    from qtest.times import Times


class PushAssertions(Looking):
    """Assertions about pushes; the expected job is given as a class, an instance, a function, a name, ``like(...)``."""

    def pushed(self, job: Wanted | None = None, **terms: Any) -> list[Pushed]:
        """Give the pushes that match, all of them without a job; the oldest first."""
        if job is None and not terms:
            return self.recorder.pushes
        expected = Expectation(Job if job is None else job, Terms.given(**terms))
        self.refuse_what_cannot_match(expected)
        return self.parted(expected, fate_difference)[0]

    def assert_pushed(
        self,
        job: Wanted,
        callback: Callable[[Any], object] | None = None,
        *,
        times: int | Times | None = None,
        where: Callable[[Any], object] | None = None,
        **terms: Any,
    ) -> list[Pushed]:
        """Assert that a push matches, or that as many do as ``times`` says; gives them.

        ``callback``, or ``where``, is asked with the job as it comes out of its payload. The other terms are
        ``queue``, ``connection``, ``delay``, ``at`` and ``exact``.
        """
        __tracebackhide__ = True
        if callback is not None and where is not None:
            raise ExpectationError("callback and where= are the same thing: give one of them")
        where = where if callback is None else callback
        return self.look(Expectation(job, Terms.given(where=where, **terms)), as_times(times))

    def assert_pushed_once(self, job: Wanted, callback: Callable[[Any], object] | None = None, **terms: Any) -> Pushed:
        """Assert that exactly one push matches, and give it."""
        __tracebackhide__ = True
        return self.assert_pushed(job, callback, times=1, **terms)[0]

    def assert_pushed_times(self, job: Wanted, times: int | Times, **terms: Any) -> list[Pushed]:
        """Assert that so many pushes match."""
        __tracebackhide__ = True
        refuse_none("times", times)
        return self.assert_pushed(job, times=times, **terms)

    def assert_pushed_on(self, queue: object, job: Wanted, **terms: Any) -> list[Pushed]:
        """Assert that a push to that queue matches."""
        __tracebackhide__ = True
        if isinstance(job, str) and not isinstance(queue, str | Enum):
            message = f"assert_pushed_on(queue, job) takes the queue first: write assert_pushed_on({job!r:.80}, job)"
            raise ExpectationError(message)
        refuse_none("queue", queue)
        return self.assert_pushed(job, queue=queue, **terms)

    def assert_not_pushed(self, job: Wanted, callback: Callable[[Any], object] | None = None, **terms: Any) -> None:
        """Assert that no push matches."""
        __tracebackhide__ = True
        self.assert_pushed(job, callback, times=0, **terms)

    def assert_nothing_pushed(self) -> None:
        """Assert that nothing was pushed at all."""
        __tracebackhide__ = True
        self.assert_count(0)

    def assert_count(self, times: int | Times, **terms: Any) -> list[Pushed]:
        """Assert how much was pushed, or how much of it to one ``queue``, with one ``delay``, and so on."""
        __tracebackhide__ = True
        refuse_none("times", times)
        wanted, expected = as_times(times), Expectation(Job, Terms.given(**terms))
        self.refuse_what_cannot_match(expected)
        found, _ = self.parted(expected, fate_difference)
        if not wanted.holds(len(found)):
            count = "1 push" if len(found) == 1 else f"{len(found)} pushes"
            where = "".join(f" {each}" for each in self.reporter.terms(expected))
            often = "none" if wanted == (0, 0) else wanted
            self.fail([f"{count}{where}, expected {often}", *self.reporter.table(), *self.reporter.last_events()])
        return found

    def assert_pushed_exactly(self, *jobs: Wanted) -> None:
        """Assert that these jobs were pushed, in any order, and nothing else."""
        __tracebackhide__ = True
        expected = [Expectation(each) for each in jobs]
        for each in expected:
            self.refuse_what_cannot_match(each)
        pairing = Pairing(expected, self.recorder.pushes)
        for at, each in enumerate(expected):
            if not pairing.place(at):
                self._missing(each, pairing.fitting(at), pairing.taken)
        if left := [each for each in self.recorder.pushes if each.number not in pairing.taken]:
            numbers = self.reporter.numbers([each.number for each in left])
            lines = [f"pushed beside what was expected  {numbers}"]
            self.fail([*lines, *self.reporter.table(), *self.reporter.last_events()])
        for pushed in self.recorder.pushes:
            looked_at(expected[pairing.taken[pushed.number]], [pushed])

    def _missing(self, expected: Expectation, fitting: Sequence[int], taken: Mapping[int, int]) -> NoReturn:
        __tracebackhide__ = True
        misses = [miss for miss in self.parted(expected, fate_difference)[1] if miss.pushed.number not in taken]
        head, *lines = self.reporter.nothing_matched(expected, misses)
        if fitting:
            lines.insert(0, f"  but {self.reporter.numbers(fitting)}, where another one was expected as well")
        self.fail([head, *lines])

    def assert_pushed_in_order(self, *jobs: Wanted, strict: bool = False) -> list[Pushed]:
        """Assert that these jobs were pushed one after the other; with ``strict`` nothing in between."""
        __tracebackhide__ = True
        if not jobs:
            raise ExpectationError("name the jobs whose order it is: assert_pushed_in_order(First, Second)")
        pushes, wanted = self.recorder.pushes, [Expectation(each) for each in jobs]
        for expected in wanted:
            self.refuse_what_cannot_match(expected)
        fitting = [{each.number for each in self.parted(expected, fate_difference)[0]} for expected in wanted]
        places = [[at for at, each in enumerate(pushes) if each.number in numbers] for numbers in fitting]
        found = longest_row(places) if strict else first_row(places)
        if len(found) < len(wanted):
            start = found[-1] + 1 if found else 0
            at = next((place for place in places[len(found)] if place >= start), None)
            self._not_in_order(wanted[len(found)], pushes, found, at)
        for expected, at in zip(wanted, found, strict=True):
            looked_at(expected, [pushes[at]])
        return [pushes[at] for at in found]

    def _not_in_order(self, expected: Expectation, pushes: list[Pushed], found: list[int], at: int | None) -> NoReturn:
        __tracebackhide__ = True
        lines = self.reporter.headline("not pushed in this order", expected)
        if found:
            before = pushes[found[-1]]
            lines.append(f"  expected it after #{before.number} {plain(before.name)}")
            if at is not None:
                lines.append(f"  nothing in between, but #{pushes[found[-1] + 1].number} is")
        self.fail([*lines, *self.reporter.table()])

    def assert_delayed(
        self,
        job: Wanted,
        *,
        by: float | timedelta | None = None,
        until: float | datetime | None = None,
        times: int | Times | None = None,
        **terms: Any,
    ) -> list[Pushed]:
        """Assert that a push is delayed: at all, ``by`` so much, or ``until`` an instant."""
        __tracebackhide__ = True
        if {"delay", "at"} & terms.keys():
            raise ExpectationError("what assert_delayed() is about is said by= and until=")
        return self.look(
            Expectation(job, Terms.given(delay=by, at=until, **terms)),
            as_times(times),
            _not_delayed if by is None and until is None else fate_difference,
        )

    def assert_immediate(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that a push is due at once."""
        __tracebackhide__ = True
        if {"delay", "at"} & terms.keys():
            raise ExpectationError("what assert_immediate() is about needs neither delay= nor at=")
        return self.assert_pushed(job, delay=0, times=times, **terms)

    # Functions without @job.

    def assert_closure_pushed(
        self, callback: Callable[[Any], object] | None = None, *, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a function was pushed as it is; ``callback`` is asked with its job, which has a ``name``."""
        __tracebackhide__ = True
        return self.assert_pushed(Closure, callback, times=times, **terms)

    def assert_closure_not_pushed(self, callback: Callable[[Any], object] | None = None, **terms: Any) -> None:
        """Assert that no function was pushed as it is."""
        __tracebackhide__ = True
        self.assert_not_pushed(Closure, callback, **terms)

    # Other ways than to push it now.

    def assert_dispatched_sync(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that a job was run in place by ``dispatch_sync()``."""
        __tracebackhide__ = True
        return self.look(Expectation(job, Terms.given(**terms)), as_times(times), _not_in("sync"))

    def assert_dispatched_after_response(
        self, job: Wanted, *, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a job was dispatched after the response, which may not have gone yet."""
        __tracebackhide__ = True
        return self.look(Expectation(job, Terms.given(**terms)), as_times(times), _not_in("after_response"))

    def assert_dispatched_after_commit(
        self, job: Wanted, *, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a job waited for a commit, and was pushed then."""
        __tracebackhide__ = True
        return self.look(Expectation(job, Terms.given(**terms)), as_times(times), _not_after_commit)

    def assert_held(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that a job waits for a commit, or for the response to have gone."""
        __tracebackhide__ = True
        return self.look(Expectation(job, Terms.given(**terms)), as_times(times), lambda each: _not(each, Fate.HELD))

    def assert_discarded(
        self, job: Wanted, *, reason: str | None = None, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a job was dispatched and not pushed: ``reason`` is "unique" or "rollback", None for both."""
        __tracebackhide__ = True
        fates = _REASONS.get(reason)
        if fates is None:
            raise ExpectationError(f'reason is "unique" or "rollback", got {reason!r}')
        return self.look(Expectation(job, Terms.given(**terms)), as_times(times), lambda each: _not(each, *fates))


_REASONS = {
    None: (Fate.UNIQUE, Fate.ROLLBACK),
    "unique": (Fate.UNIQUE,),
    "rollback": (Fate.ROLLBACK,),
}


def _not_delayed(pushed: Pushed) -> list[Difference]:
    found = fate_difference(pushed)
    return found if pushed.delay > 0 else [*found, Difference("delay", Text("any"), in_seconds(0))]


def _not_in(way: str) -> Callable[[Pushed], list[Difference]]:
    said = {"sync": "run by dispatch_sync()", "after_response": "dispatched after the response"}

    def differences(pushed: Pushed) -> list[Difference]:
        if pushed.way == way and pushed.fate not in {Fate.UNIQUE, Fate.ROLLBACK}:
            return []
        return [Difference("state", Text(said[way]), Text(said.get(pushed.way, pushed.fate.value)))]

    return differences


def _not_after_commit(pushed: Pushed) -> list[Difference]:
    found = fate_difference(pushed)
    if not found and not pushed.was_held:
        return [Difference("state", Text("pushed after a commit"), Text("pushed at once"))]
    return found


def _not(pushed: Pushed, *fates: Fate) -> list[Difference]:
    if pushed.fate in fates:
        return []
    expected = Text(" or ".join(each.value if each is Fate.HELD else f"discarded ({each.value})" for each in fates))
    note = unique_note(pushed) if pushed.fate is Fate.UNIQUE else ""
    return [Difference("state", expected, Text(pushed.fate.value), note)]
