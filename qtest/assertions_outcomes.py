"""What a test can assert of how jobs ended that were run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qcore.driver import Inspectable
from qcore.events import JobEnded, JobFailed, JobProcessed, JobReleased, JobSkipped
from qcore.jobs import Job
from qcore.store import Listing
from qtest.expecting import ExpectationError
from qtest.looking import Looking
from qtest.matching import Difference, Expectation, Terms, Text, in_seconds, seconds_equal
from qtest.plain_text import repr_of, text_of
from qtest.terms import check_delay, check_delays, check_error
from qtest.times import as_times
from qtest.words import word_of, words_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from qcore.events import Event
    from qtest.expecting import Wanted
    from qtest.pushes import Happened, Pushed
    from qtest.times import Times

_LOCKS = ("unique", "overlap")
"""How the keys of locks begin that end with their job."""


class OutcomeAssertions(Looking):
    """Assertions about deliveries."""

    def failed(self) -> list[Pushed]:
        """Give the jobs that failed for good; the test has looked at them then."""
        self.refuse_what_ran_elsewhere(Expectation(Job))
        for each in self.recorder.dispatches:
            each.is_seen = each.is_seen or each.went_wrong
        return self.recorder.failures()

    def timeline(self) -> list[Happened]:
        """Give every event so far, and when it was."""
        return list(self.recorder.timeline)

    def assert_processed(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that a job ran and succeeded."""
        __tracebackhide__ = True
        return self._look_at_ends(
            job, times, terms, lambda each: self._ended(each, JobProcessed, "processed"), "was processed"
        )

    def assert_failed(
        self,
        job: Wanted,
        *,
        error: type[BaseException] | BaseException | None = None,
        match: str | None = None,
        times: int | Times | None = None,
        **terms: Any,
    ) -> list[Pushed]:
        """Assert that a job failed for good, with an exception of that class whose text ``match`` is found in.

        An exception in place of a class means one of its class, with the same arguments.
        """
        __tracebackhide__ = True

        check_error(error, match)

        def beyond(pushed: Pushed) -> list[Difference]:
            found = self._ended(pushed, JobFailed, "failed")
            if found:
                return found
            ending = pushed.outcomes[-1]
            assert isinstance(ending, JobFailed)  # noqa: S101 - that was just found out
            return error_differences(ending.error, error, match)

        with_what = "" if error is None else f" with {getattr(error, '__name__', repr(error))}"
        return self._look_at_ends(job, times, terms, beyond, f"failed{with_what}")

    def assert_not_failed(self, job: Wanted | None = None, **terms: Any) -> None:
        """Assert that no job failed for good, or none that matches."""
        __tracebackhide__ = True
        if job is not None:
            self._look_at_ends(job, 0, terms, lambda each: self._ended(each, JobFailed, "failed"), "failed")
        elif failures := self.failed():
            count = "1 job" if len(failures) == 1 else f"{len(failures)} jobs"
            self.fail([f"{count} failed, expected none", *self.reporter.table(), *self.reporter.last_events()])

    def assert_released(
        self, job: Wanted, *, delay: float | timedelta | None = None, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a delivery of a job ended with its release, for that long if it is said."""
        __tracebackhide__ = True

        if delay is not None:
            check_delay(delay)

        def beyond(pushed: Pushed) -> list[Difference]:
            released = [each.delay for each in pushed.outcomes if isinstance(each, JobReleased)]
            if not released:
                return [Difference("outcome", Text("released"), Text(self.reporter.state(pushed)))]
            if delay is None or any(seconds_equal(delay, each) for each in released):
                return []
            return [Difference("released", in_seconds(delay), Text(", ".join(map(in_seconds, released))))]

        return self._look_at_ends(job, times, terms, beyond, "was released")

    def assert_retried(
        self, job: Wanted, *, delays: Sequence[float] | None = None, times: int | Times | None = None, **terms: Any
    ) -> list[Pushed]:
        """Assert that a job was tried again after errors: at all, or after just these delays. None of them: it ran."""
        __tracebackhide__ = True
        if delays is not None:
            check_delays(delays)

        def beyond(pushed: Pushed) -> list[Difference]:
            got = [each.delay for each in pushed.outcomes if isinstance(each, JobReleased) and each.error is not None]
            if delays is None:
                return [] if got else [Difference("outcome", Text("retried"), Text(self.reporter.state(pushed)))]
            if not pushed.outcomes:
                return [Difference("outcome", Text("run"), Text(self.reporter.state(pushed)))]
            if len(got) == len(delays) and all(map(seconds_equal, delays, got)):
                return []
            return [Difference("delays", Text(_listed(delays)), Text(_listed(got)))]

        return self._look_at_ends(job, times, terms, beyond, "was retried")

    def assert_attempts(self, job: Wanted, count: int, **terms: Any) -> list[Pushed]:
        """Assert how many attempts of a job were counted."""
        __tracebackhide__ = True
        if type(count) is not int or count < 0:
            raise ExpectationError(f"count is a whole number of attempts, got {count!r:.80}")

        def beyond(pushed: Pushed) -> list[Difference]:
            got = pushed.outcomes[-1].delivery.attempts() if pushed.outcomes else 0
            return [] if got == count else [Difference("attempts", count, got)]

        return self._look_at_ends(job, None, terms, beyond, "had so many attempts")

    def assert_deleted(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that a job ended itself by ``delete()``."""
        __tracebackhide__ = True

        def beyond(pushed: Pushed) -> list[Difference]:
            if pushed.outcomes and pushed.outcomes[-1].delivery.deleted:
                return []
            return [Difference("outcome", Text("deleted by itself"), Text(self.reporter.state(pushed)))]

        return self._look_at_ends(job, times, terms, beyond, "was deleted by itself")

    def assert_timed_out(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that an attempt of a job was ended by its time limit."""
        __tracebackhide__ = True

        def beyond(pushed: Pushed) -> list[Difference]:
            found = Difference("outcome", Text("timed out"), Text(self.reporter.state(pushed)))
            return [] if pushed.timed_out else [found]

        return self._look_at_ends(job, times, terms, beyond, "timed out")

    def assert_skipped(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> list[Pushed]:
        """Assert that a middleware, a lock or a listener ended a job without running it."""
        __tracebackhide__ = True
        return self._look_at_ends(
            job, times, terms, lambda each: self._ended(each, JobSkipped, "skipped"), "was skipped"
        )

    # What is left, and what happened.

    def assert_empty(self, queue: str | None = None) -> None:
        """Assert that nothing waits: neither ready nor delayed nor reserved."""
        __tracebackhide__ = True
        waiting = []
        for connection in self.app.config.connections:
            driver = self.app.connection(connection).driver
            for count in driver.counts() if isinstance(driver, Inspectable) else ():
                if queue in {None, count.queue}:
                    parts = {"ready": count.ready, "delayed": count.delayed, "reserved": count.reserved}
                    shown = ", ".join(f"{number} {state}" for state, number in parts.items() if number)
                    place = "" if connection == self.app.config.default else f" on {connection}"
                    waiting.append((count.queue + place, shown))
        if waiting:
            where = "the queues are" if queue is None else f"the queue {queue} is"
            wide = max(len(name) for name, _ in waiting)
            rows = [f"      {name:<{wide}}   {shown}" for name, shown in waiting]
            self.fail([f"{where} not empty", *rows, *self.reporter.table()])

    def assert_no_locks(self) -> None:
        """Assert that no job holds the lock of a unique one, or keeps others from overlapping."""
        __tracebackhide__ = True
        store = self.app.connections.store
        if not isinstance(store, Listing):
            raise ExpectationError(f"{type(store).__name__} cannot list its keys, so nothing is known of locks there")
        held = [each for kind in _LOCKS for each in store.held_below(f"{kind}:")]
        if held:
            lines = [f"      {each.key}{self._owner(each.value)}" for each in held]
            self.fail(
                [
                    f"{len(held)} locks are held, expected none" if len(held) > 1 else "1 lock is held, expected none",
                    *lines,
                ]
            )

    def _owner(self, value: str) -> str:
        owner = self.recorder.find(value.removeprefix("pending:"))
        return "" if owner is None else f"   by #{owner.number} {owner.name}"

    def assert_events(self, *expected: str | type[Event], strict: bool = False) -> None:
        """Assert that these events happened in this order; with ``strict`` none other.

        They are named by class or by word: "pushed", "reserved", "processing", "processed", "released", "failed", ...

        :raises ExpectationError: for a word that means no event.
        """
        __tracebackhide__ = True
        if not (expected or strict):
            raise ExpectationError('name the events: assert_events("pushed", "processed")')
        wanted = words_of(expected)
        got = [word for each in self.recorder.timeline if (word := word_of(type(each.event)))]
        rest = iter(got)
        missing = next((word for word in wanted if word not in rest), None)
        if missing is None and not (strict and got != wanted):
            return
        why = f"  missing: {missing}" if missing is not None else "  others happened, too"
        lines = [f"expected the events  {', '.join(wanted)}", why, f"  there were  {', '.join(got) or 'none'}"]
        self.fail([self.reporter.writer.cut(line, 80) for line in lines] + self.reporter.last_events())

    def _look_at_ends(
        self,
        job: Wanted,
        times: int | Times | None,
        terms: dict[str, Any],
        beyond: Callable[[Pushed], list[Difference]],
        said: str,
    ) -> list[Pushed]:
        __tracebackhide__ = True
        expected = Expectation(job, Terms.given(**terms))
        self.refuse_what_ran_elsewhere(expected)
        return self.look(expected, as_times(times), beyond, said=f"no job {said}", of_ends=True)

    def _ended(self, pushed: Pushed, kind: type[JobEnded], word: str) -> list[Difference]:
        """Compare how a job ended in its last delivery."""
        if pushed.outcomes and isinstance(pushed.outcomes[-1], kind):
            return []
        return [Difference("outcome", Text(word), Text(self.reporter.state(pushed)))]


def error_differences(
    got: BaseException, error: type[BaseException] | BaseException | None, match: str | None
) -> list[Difference]:
    """Compare an exception with what was expected of it.

    :raises ExpectationError: for an expectation that is neither an exception nor the class of one.
    """
    check_error(error, match)
    shown = Text(f"{type(got).__name__}: {text_of(got)}")
    if isinstance(error, BaseException):
        if type(got) is not type(error) or got.args != error.args:
            return [Difference("error", Text(repr_of(error)), Text(repr_of(got)))]
    elif error is not None and not isinstance(got, error):
        return [Difference("error", Text(error.__name__), shown)]
    if match is not None and re.search(match, text_of(got)) is None:
        return [Difference("message", Text(f"match {match!r}"), Text(repr(text_of(got))))]
    return []


def _listed(delays: Sequence[object]) -> str:
    return ", ".join(in_seconds(each) for each in delays) or "none"
