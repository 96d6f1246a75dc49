"""Contexts in the manner of ``pytest.raises``: what happens inside of the block is looked at when it ends."""

from __future__ import annotations

from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from qcore.jobs import Job
from qtest.assertions_outcomes import error_differences
from qtest.looking import Looking
from qtest.matching import Expectation, Terms
from qtest.pushes import Fate
from qtest.report import Miss, fate_difference
from qtest.times import as_times
from qtest.transaction import FakeTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from qtest.expecting import Wanted
    from qtest.pushes import Pushed
    from qtest.times import Times

    Expected = type[BaseException] | BaseException | None


P = ParamSpec("P")
T = TypeVar("T")


class Block(Generic[T]):
    """A block that expects something, once it is entered: the call alone looks at nothing."""

    def __init__(self, name: str, inside: AbstractContextManager[T]) -> None:
        """Take what happens inside of it."""
        self.name = name
        self.is_entered = False
        self._inside = inside

    def __enter__(self) -> T:
        """Begin."""
        self.is_entered = True
        return self._inside.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Look at what happened."""
        __tracebackhide__ = True
        return self._inside.__exit__(kind, error, traceback)


def block(function: Callable[P, Iterator[T]]) -> Callable[P, Block[T]]:
    """Make a method of ``Contexts`` a context, and remember its calls: one without ``with`` would always pass."""
    make: Any = contextmanager(function)

    @wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> Block[T]:
        made = Block(function.__name__, make(*given, **named))
        contexts: Any = given[0]
        contexts.recorder.blocks.append(made)
        return made

    return called


class Failure:
    """The job that failed inside of ``job_fails``; known when the block is over."""

    job: Job | None = None
    error: BaseException | None = None
    pushed: Pushed | None = None


class Contexts(Looking):
    """Blocks that expect something."""

    @block
    def pushes(self, job: Wanted, *, times: int | Times | None = None, **terms: Any) -> Iterator[list[Pushed]]:
        """Assert that a push inside of the block matches; the list that is given holds them when it is over."""
        __tracebackhide__ = True
        expected, wanted = Expectation(job, Terms.given(**terms)), as_times(times)
        self.refuse_what_cannot_match(expected)
        found: list[Pushed] = []
        before = self._no_more_pushed()
        yield found
        found += self.look(expected, wanted, beside=before)

    @block
    def no_pushes(self, job: Wanted = Job, **terms: Any) -> Iterator[None]:
        """Assert that nothing is pushed inside of the block, or nothing that matches."""
        __tracebackhide__ = True
        expected = Expectation(job, Terms.given(**terms))
        self.refuse_what_cannot_match(expected)
        before = self._no_more_pushed()
        yield
        pushed = self.parted(expected, fate_difference, before)[0]
        if pushed:
            lines = self.reporter.headline("expected no pushes in this block", expected)
            self.fail(
                [
                    *(lines if expected.wanted is not Job else [lines[0].removesuffix("  Job")]),
                    *self.reporter.table(pushed),
                ]
            )

    def _no_more_pushed(self) -> set[int]:
        """Give the ``id()`` of what cannot be pushed from now on, unlike what is held."""
        return {id(each) for each in self.recorder.dispatches if each.fate is not Fate.HELD}

    @block
    def job_fails(
        self, error: type[BaseException] | BaseException | None = None, *, match: str | None = None
    ) -> Iterator[Failure]:
        """Assert that a job fails for good inside of the block, and swallow its exception when a run raises it."""
        __tracebackhide__ = True
        failure, before = Failure(), self.recorder.failures()
        raised: BaseException | None = None
        try:
            yield failure
        except BaseException as caught:
            raised = caught
            if not self._are_of_jobs(caught, before, error, match):
                raise
        failed = [each for each in self.recorder.failures() if each not in before]
        misses = [Miss(each, error_differences(_error_of(each), error, match)) for each in failed]
        matched = [miss.pushed for miss in misses if not miss.differences]
        if not matched:
            self._nothing_failed(error, match, misses)
        for each in matched:
            each.is_seen = True
        failure.pushed, failure.job, failure.error = matched[0], matched[0].job, _error_of(matched[0])
        del raised

    def _are_of_jobs(self, caught: BaseException, before: list[Pushed], error: Expected, match: str | None) -> bool:
        """Tell whether what came out of the block is what the failed jobs raised, and all of it is expected."""
        failed = {id(_error_of(each)) for each in self.recorder.failures() if each not in before}
        errors = caught.exceptions if isinstance(caught, BaseExceptionGroup) and id(caught) not in failed else (caught,)
        return all(id(each) in failed and not error_differences(each, error, match) for each in errors)

    def _nothing_failed(self, error: Expected, match: str | None, misses: list[Miss]) -> None:
        __tracebackhide__ = True
        what = getattr(error, "__name__", repr(error)) if error is not None else "an exception"
        said = f"no job failed with {what}" + (f" matching {match!r}" if match is not None else "")
        lines = [self.reporter.writer.cut(said, 80)]
        for miss in misses[-1:]:
            lines += self.reporter.miss(miss)
        self.fail([*lines, *self.reporter.table(), *self.reporter.last_events()])

    @block
    def transaction(self, *, commit: bool = True) -> Iterator[None]:
        """Hold what is dispatched ``after_commit`` inside of the block; at its end it is pushed, or rolled back.

        A block that raises is rolled back. A block inside of another one waits for that, too. What waits for a session
        of its own waits for that.
        """
        open_now = self.app.opened
        opened = FakeTransaction(open_now[-1] if open_now else None)
        open_now.append(opened)
        try:
            yield
        except BaseException:
            open_now.remove(opened)
            opened.end(commit=False)
            raise
        open_now.remove(opened)
        opened.end(commit=commit, still_open=open_now)


def _error_of(pushed: Pushed) -> BaseException:
    error: BaseException = pushed.outcomes[-1].error  # type: ignore[attr-defined] # it is a JobFailed
    return error
