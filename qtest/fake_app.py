"""The App of a fake: the user's own set-up on other connections, which lets some jobs through to the real one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.app import App
from qcore.chains import PendingChain
from qcore.closures import as_job
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions
from qcore.pending_batch import PendingBatch
from qcore.transactions import Transactions
from qtest.matching import Expectation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qcore.clock import Clock
    from qcore.closures import Dispatchable
    from qcore.config import Config
    from qcore.dispatched_batch import Batch
    from qcore.driver import Driver
    from qcore.runner import RunDefaults, Runner
    from qcore.time_limit import TimeLimit
    from qcore.transactions import Transaction
    from qtest.expecting import Wanted


class FakeApp(App):
    """Stands for another App while a test runs."""

    def __init__(
        self, real: App, config: Config, clock: Clock, *, fake: Sequence[Wanted], passthrough: Sequence[Wanted]
    ) -> None:
        """Take over the set-up of ``real``; with ``fake`` only those are held, and none of ``passthrough``."""
        super().__init__(config, clock=clock, drivers=real.drivers)
        self.real = real
        self.ways: list[tuple[Job, str]] = []
        """Jobs that are being dispatched in another way than to a queue; the recorder looks here."""
        self._fake = [Expectation(each) for each in fake]
        self._passthrough = [Expectation(each) for each in passthrough]
        self._is_selective = bool(self._fake or self._passthrough)
        self.open_transactions = self._transactions = _OpenTransactions()
        real.equip(self)

    def stands_for(self, app: App) -> bool:
        """Tell whether jobs of ``app`` dispatch to this one: those of the real one do, too."""
        return app is self or app is self.real

    def may_hold(self, job_class: type[Job]) -> bool:
        """Tell whether jobs of a class, or of a subclass, can be held here."""
        if any(issubclass(job_class, each.named.job_class) and not each.named.fields for each in self._passthrough):
            return False
        return not self._fake or any(
            issubclass(job_class, each.named.job_class) or issubclass(each.named.job_class, job_class)
            for each in self._fake
        )

    def _holds(self, item: Any) -> bool:  # noqa: ANN401 - whatever can be dispatched, or a group of it
        """Tell whether something is held; a chain or a batch is when one of its jobs is."""
        if item is None:
            return True  # nobody can know yet, and what is to be held must not get away
        if isinstance(item, PendingChain | PendingBatch):
            item = item.items
        if item is None or (isinstance(item, list | tuple) and not isinstance(item, Job)):
            return item is None or any(map(self._holds, item))
        bare = item.job if isinstance(item, Prepared) else item
        if any(each.fits(bare) for each in self._passthrough):
            return False
        return not self._fake or any(each.fits(bare) for each in self._fake)

    @contextmanager
    def _letting(self) -> Iterator[App]:
        token = current.let_through.set(True)
        try:
            yield self.real
        finally:
            current.let_through.reset(token)

    # Dispatching.

    def push(self, job: Dispatchable, options: JobOptions = UNSET) -> str | None:
        """Push a job, here or to the real App."""
        if self._is_selective and not self._holds(as_job(job)):
            with self._letting() as real:
                return real.push(job, options)
        return super().push(job, options)

    def bulk(self, jobs: Iterable[Dispatchable], **options: Any) -> list[str]:
        """Push many jobs, each here or to the real App."""
        if not self._is_selective:
            return super().bulk(jobs, **options)
        given = [as_job(each) for each in jobs]
        held = [each for each in given if self._holds(each)]
        ids = super().bulk(held, **options)
        with self._letting() as real:
            return ids + real.bulk([each for each in given if each not in held], **options)

    @contextmanager
    def taking(self, items: object) -> Iterator[Any]:
        """Give who dispatches a chain or a batch of these."""
        if self._is_selective and not self._holds(items):
            with self._letting() as real:
                yield real
        else:
            yield self

    def dispatch_sync(self, job: Dispatchable) -> str | None:
        """Run a job here and now."""
        return self._run_here(job, "sync", super().dispatch_sync, App.dispatch_sync)

    def dispatch_after_response(self, job: Dispatchable) -> str | None:
        """Run a job when the response has gone."""
        return self._run_here(job, "after_response", super().dispatch_after_response, App.dispatch_after_response)

    def _run_here(
        self,
        job: Dispatchable,
        way: str,
        here: Callable[[Dispatchable], str | None],
        there: Callable[[App, Dispatchable], str | None],
    ) -> str | None:
        given = as_job(job)
        if self._is_selective and not self._holds(given):
            with self._letting() as real:
                return there(real, given)
        with self.going(given, way):
            return here(given)

    @contextmanager
    def going(self, job: Job | Prepared, way: str) -> Iterator[None]:
        """Note the way that a job is dispatched, for the recorder."""
        noted = (job.job if isinstance(job, Prepared) else job, way)
        self.ways.append(noted)
        try:
            yield
        finally:
            self.ways.remove(noted)

    def find_batch(self, batch_id: str, *, connection: str | None = None) -> Batch | None:
        """Look a batch up, also among those that were let through."""
        found = super().find_batch(batch_id, connection=connection)
        return self.real.find_batch(batch_id) if found is None and self._is_selective else found

    def runner_for(self, name: str, driver: Driver, defaults: RunDefaults, limit: TimeLimit) -> Runner:
        """Make a runner for a driver of the test's own; nothing is kept of jobs that fail."""
        return self._runner(name, driver, defaults, None, limit)


class _OpenTransactions(Transactions):
    """Transactions, before all others those that a test has opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[Transaction] = []

    def in_force(self) -> Transaction | None:
        return self.opened[-1] if self.opened else super().in_force()
