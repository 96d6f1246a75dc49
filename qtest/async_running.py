"""The forms of running that are awaited, for tests that are async themselves."""

from __future__ import annotations

from functools import partial, wraps
from inspect import CORO_CREATED, getcoroutinestate
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from qtest.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from qcore.jobs import Job, Prepared
    from qcore.outcome import Outcome
    from qtest.drained import Drained


P = ParamSpec("P")
T = TypeVar("T")


def awaited(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Remember the calls of a method that is to be awaited: one without ``await`` runs nothing, and would pass."""

    @wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> Coroutine[Any, Any, T]:
        made = function(*given, **named)
        running: Any = given[0]
        running.coroutines.append((function.__name__, made))
        return made

    return called


class AsyncRunning(Running):
    """Async jobs run on the loop of the test, plain ones on its thread."""

    coroutines: list[tuple[str, Coroutine[Any, Any, Any]]]
    """What the test was given to await, with the names of the methods."""

    def unawaited(self) -> list[str]:
        """Name the methods whose calls were never awaited, and end these calls."""
        begun, self.coroutines = self.coroutines, []
        forgotten = [(name, each) for name, each in begun if getcoroutinestate(each) == CORO_CREATED]
        for _, each in forgotten:
            each.close()  # Python would warn of it when nobody can tell any more whose it was
        return list(dict.fromkeys(name for name, _ in forgotten))

    @awaited
    async def arun_next_job(self, queue: str | None = None, *, raises: bool | None = None) -> Outcome | None:
        """Run the one job that is due first: see ``run_next_job``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_next_job, queue, raises=raises))  # type: ignore[no-any-return]

    @awaited
    async def aperform(self, job: Job | Prepared, attempts: int = 1, *, raises: bool | None = None) -> Outcome:
        """Run a job here and now: see ``perform``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.perform, job, attempts, raises=raises))  # type: ignore[no-any-return]

    @awaited
    async def arun_due(self, **options: Any) -> Drained:
        """Run everything that is due now: see ``run_due``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_due, **options))  # type: ignore[no-any-return]

    @awaited
    async def arun_until_idle(self, max_jobs: int | None = None, **options: Any) -> Drained:
        """Run until nothing waits any more: see ``run_until_idle``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_until_idle, max_jobs, **options))  # type: ignore[no-any-return]

    @awaited
    async def arun_until(self, predicate: Callable[[], object], **options: Any) -> Drained:
        """Run until the predicate holds: see ``run_until``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_until, predicate, **options))  # type: ignore[no-any-return]

    async def _aside(self, function: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the function gives
        __tracebackhide__ = True

        def run() -> Any:  # noqa: ANN401
            try:
                return function()
            finally:
                self.app.close()  # what this thread opened

        return await self.stepper.beside().run(run)
