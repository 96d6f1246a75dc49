"""Running what a fake holds: the real worker, one step at a time, on virtual time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from qcore.events import JobEnded
from qtest.drained import Drained, Livelock, NothingToRunError, error_of, raise_all
from qtest.expecting import ExpectationError
from qtest.loops import refuse_in_loop
from qtest.terms import answer_of, check_callback

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.jobs import Job, Prepared
    from qcore.outcome import Outcome
    from qtest.clock import FrozenClock
    from qtest.fake_app import FakeApp
    from qtest.recorder import Recorder
    from qtest.report import Reporter
    from qtest.stepper import Stepper

MAX_JOBS = 1000
"""Jobs after which a run is taken for one that does not end."""


class Running:
    """The ways to run what is held. Each is the real worker, on the calling thread."""

    app: FakeApp
    clock: FrozenClock
    recorder: Recorder
    reporter: Reporter
    stepper: Stepper
    max_jobs: int

    def run_next_job(self, queue: str | None = None, *, raises: bool | None = None) -> Outcome | None:
        """Run the one job that is due first, of one queue if given, and give its outcome; None when nothing is due.

        The outcome tells of an error; ``raises=True`` raises it, ``raises=False`` says that the test looks at it.
        """
        __tracebackhide__ = True
        refuse_in_loop("run_next_job")
        self.recorder.look_around()
        outcome = self.stepper.run_next_job(queue)
        error = error_of(outcome)
        self._tell([error] if error is not None else [], raises=raises)
        return outcome

    def perform(self, job: Job | Prepared, attempts: int = 1, *, raises: bool | None = None) -> Outcome:
        """Run a job here and now, as its attempt of that number, and give the outcome; nothing is stored.

        It goes the way of every job: through its payload, middleware and time limit.

        :raises QcoreError: when a hook, or the job itself, drops it.
        """
        __tracebackhide__ = True
        refuse_in_loop("perform")
        outcome = self.stepper.run_in_place(job, attempts)
        error = getattr(outcome, "error", None)  # also of one that a queue would have tried again
        self._tell([error] if error is not None else [], raises=raises)
        return outcome

    def run_due(self, *, max_jobs: int | None = None, raises: bool = True, allow_empty: bool = False) -> Drained:
        """Run everything that is due now, and what these jobs push.

        The exception of a job that failed is raised at the end; with ``raises=False`` it is only collected.

        :raises NothingToRunError: when nothing was ever pushed; not with ``allow_empty``.
        :raises Livelock: after ``max_jobs`` jobs.
        """
        __tracebackhide__ = True
        refuse_in_loop("run_due")
        return self._run(lambda: False, max_jobs=max_jobs, raises=raises, allow_empty=allow_empty)

    def run_until_idle(self, max_jobs: int | None = None, *, raises: bool = True, allow_empty: bool = False) -> Drained:
        """Run until nothing waits any more; the clock jumps to each instant at which something is due.

        Delays, backoff and the ends of leases are such instants. The errors are those of ``run_due``.
        """
        __tracebackhide__ = True
        refuse_in_loop("run_until_idle")
        return self._run(self._jump, max_jobs=max_jobs, raises=raises, allow_empty=allow_empty)

    def run_until(
        self, predicate: Callable[[], object], *, max_jobs: int | None = None, raises: bool = True
    ) -> Drained:
        """Run, and let time go by, until the predicate holds.

        :raises AssertionError: when everything was run and it does not hold.
        """
        __tracebackhide__ = True
        refuse_in_loop("run_until")
        check_callback(predicate)

        def holds() -> object:
            return answer_of(predicate())

        drained = self._run(self._jump, stop=holds, max_jobs=max_jobs, raises=raises, allow_empty=True)
        if not holds():
            count = "1 job" if drained.processed == 1 else f"{drained.processed} jobs"
            head = f"{count} ran and {drained.passed:g} s went by; nothing is left to run, and it does not hold"
            lines = [head, *self.reporter.table(), *self.reporter.last_events()]
            raise AssertionError(self.reporter.writer.folded(lines))
        return drained

    def _run(
        self,
        go_on: Callable[[], bool],
        *,
        stop: Callable[[], object] = lambda: False,
        max_jobs: int | None,
        raises: bool,
        allow_empty: bool,
    ) -> Drained:
        __tracebackhide__ = True
        most = self.max_jobs if max_jobs is None else checked_max_jobs(max_jobs)
        self._begin(allow_empty=allow_empty)
        started = self.clock.now()
        drained = Drained()
        while not stop():
            if drained.processed >= most and self.stepper.first()[0] <= self.clock.now():
                raise self._livelock(most)
            outcome = self.stepper.run_next_job()
            if outcome is not None:
                drained.outcomes.append(outcome)
            elif not go_on():
                break
        drained.passed = self.clock.now() - started
        drained.left = self.stepper.left()
        drained.errors = [error for each in drained.outcomes if (error := error_of(each)) is not None]
        self._tell(drained.errors, raises=raises)
        return drained

    def _begin(self, *, allow_empty: bool) -> None:
        __tracebackhide__ = True
        self.recorder.look_around()
        if not (allow_empty or self.recorder.dispatches or self.recorder.places):
            message = (
                "nothing was pushed, so there is nothing to run:\n"
                "  does the code under test dispatch at all? (allow_empty=True if it need not)"
            )
            raise NothingToRunError(message)

    def _jump(self) -> bool:
        """Move on to the next instant at which something is due; False when nothing is, or may not be run."""
        due, place = self.stepper.first()
        if place is None or due <= self.clock.now():
            return False
        self.clock.travel_to(due)
        return True

    def _tell(self, errors: list[BaseException], *, raises: bool | None) -> None:
        """Raise the errors if that is wanted; None: the test has not said that it knows of them."""
        __tracebackhide__ = True
        if errors and raises is not None:
            told = {id(error) for error in errors}
            for each in self.recorder.dispatches:
                if each.went_wrong and id(getattr(each.outcomes[-1], "error", None)) in told:
                    each.is_seen = True
            if raises:
                raise_all(errors)

    def _livelock(self, most: int) -> Livelock:
        ended = [each for each in self.recorder.dispatches if each.outcomes]
        (name, count), *_ = Counter({each.name: 0 for each in ended} | _counted(ended)).most_common(1)
        moments = [each.at for each in self.recorder.timeline if _is_end_of(each.event, name)]
        period = moments[-1] - moments[-2] if len(moments) > 1 else 0
        how = f"every {period:g} s" if period else "again and again at the same instant"
        return Livelock(
            f"the run did not come to rest after {most} jobs:\n"
            f"  {name} ran {count} times, {how}; give it an end, or raise max_jobs"
        )


def checked_max_jobs(given: object) -> int:
    """Give a number of jobs after which a run ends.

    :raises ExpectationError: when it is none.
    """
    if type(given) is int and given > 0:
        return given
    raise ExpectationError(f"max_jobs is a whole number above 0, got {given!r:.80}")


def _counted(ended: list[Any]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in ended:
        counts[each.name] += len(each.outcomes)
    return dict(counts)


def _is_end_of(event: object, name: str) -> bool:
    return isinstance(event, JobEnded) and event.delivery.name == name
