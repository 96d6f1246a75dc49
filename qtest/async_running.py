"""The forms of running that are awaited, for tests that are async themselves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtest.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.jobs import Job, Prepared
    from qcore.outcome import Outcome
    from qtest.drained import Drained


class AsyncRunning(Running):
    """Async jobs run on the loop of the test, plain ones on its thread."""

    async def arun_next_job(self, queue: str | None = None, *, raises: bool | None = None) -> Outcome | None:
        """Run the one job that is due first: see ``run_next_job``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_next_job, queue, raises=raises))  # type: ignore[no-any-return]

    async def aperform(self, job: Job | Prepared, attempts: int = 1, *, raises: bool | None = None) -> Outcome:
        """Run a job here and now: see ``perform``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.perform, job, attempts, raises=raises))  # type: ignore[no-any-return]

    async def arun_due(self, **options: Any) -> Drained:
        """Run everything that is due now: see ``run_due``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_due, **options))  # type: ignore[no-any-return]

    async def arun_until_idle(self, max_jobs: int | None = None, **options: Any) -> Drained:
        """Run until nothing waits any more: see ``run_until_idle``."""
        __tracebackhide__ = True
        return await self._aside(partial(self.run_until_idle, max_jobs, **options))  # type: ignore[no-any-return]

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
