"""The App of a fake: the user's own set-up on other connections, which lets some jobs through to the real one."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from itertools import groupby
from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.app import App
from qcore.chains import PendingChain
from qcore.closures import as_job
from qcore.function_job import FunctionJob
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions
from qcore.pending_batch import PendingBatch
from qcore.sealing import Keys
from qcore.transactions import Transactions
from qtest.matching import Expectation
from qtest.payload_checks import CheckingJobCodec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from qcore.clock import Clock
    from qcore.closures import Dispatchable
    from qcore.config import Config
    from qcore.dispatched_batch import Batch
    from qcore.dispatcher import Dispatcher
    from qcore.driver import Driver
    from qcore.memory import Memory
    from qcore.runner import RunDefaults, Runner
    from qcore.time_limit import TimeLimit
    from qcore.transactions import Transaction
    from qtest.expecting import Named, Wanted


class FakeApp(App):
    """Stands for another App while a test runs."""

    takes_all = True  # nobody would look for a job in another App

    def __init__(
        self,
        real: App,
        config: Config,
        clock: Clock,
        *,
        fake: Sequence[Wanted],
        passthrough: Sequence[Wanted],
        payload_checks: bool = True,
    ) -> None:
        """Take over the set-up of ``real``; with ``fake`` only those are held, and none of ``passthrough``."""
        super().__init__(config, clock=clock, drivers=real.drivers)
        if payload_checks:
            self.job_codec = CheckingJobCodec(self.codec, Keys.made_of(config.keys), self.provider)
        self.real = real
        self._aside: dict[int, Memory] = {}
        self._fake = [Expectation(each) for each in fake]
        self._passthrough = [Expectation(each) for each in passthrough]
        self._is_selective = bool(self._fake or self._passthrough)
        self.opened: list[Transaction] = []
        """The transactions that the test has opened; the last one is in force."""
        self.find_transactions_with(_OpenTransactions(self.opened))
        self._found_by: Transactions | None = None
        real.equip(self)

    def stands_for(self, app: App) -> bool:
        """Tell whether jobs of ``app`` dispatch to this one: those of the real one do, too."""
        return app is self or app is self.real

    def lets_through(self, app: Dispatcher) -> bool:
        """Tell whether some of what is dispatched goes to ``app``."""
        return app is self.real and self._is_selective

    def may_hold(self, named: Named) -> bool:
        """Tell whether a job that a test means can be held here."""
        if any(_covers(each.named, named) for each in self._passthrough):
            return False
        return not self._fake or any(_overlap(each.named, named) for each in self._fake)

    def _holds(self, item: Any) -> bool:  # noqa: ANN401 - whatever can be dispatched, or a group of it
        """Tell whether something is held; a chain or a batch is when one of its jobs is, or one of its callbacks."""
        if isinstance(item, PendingChain | PendingBatch):
            # Those of an iterator nobody can know yet, and what is to be held must not get away.
            return item.items is None or any(map(self._holds, (*item.items, *item.callbacks)))
        if isinstance(item, FunctionJob):
            item = item.job_class({})  # a callback, whose arguments are what has happened
        given = as_job(item)
        bare = given.job if isinstance(given, Prepared) else given
        if any(each.fits(bare) for each in self._passthrough):
            return False
        return not self._fake or any(each.fits(bare) for each in self._fake)

    def take_over(self) -> None:
        """Let what goes through to the real App wait for the transactions of the test, too."""
        if self._is_selective:
            found_by = _OpenTransactions(self.opened)
            self._found_by = self.real.find_transactions_with(found_by)
            found_by.sources = self._found_by.sources

    def give_back(self) -> None:
        """Undo ``take_over``."""
        if self._found_by is not None:
            self.real.find_transactions_with(self._found_by)
            self._found_by = None

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
        for each in given:
            # All of them before the first is pushed: an error leaves nothing behind on either side.
            job = each.job if isinstance(each, Prepared) else each
            self.codec.dumps(self.job_codec.data_of(job), what=type(job).__job__.short_name)
        ids: list[str] = []
        for is_held, some in groupby(given, self._holds):
            if is_held:
                ids += super().bulk(some, **options)
            else:
                with self._letting() as real:
                    ids += real.bulk(some, **options)
        return ids

    @contextmanager
    def taking(self, pending: object) -> Iterator[Any]:
        """Give who dispatches a chain or a batch."""
        if self._is_selective and not self._holds(pending):
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
        # For the recorder, which hears of the push in this very context.
        token = _ways.set((*_ways.get(), (given.job if isinstance(given, Prepared) else given, way)))
        try:
            return here(given)
        finally:
            _ways.reset(token)

    def way_of(self, job: Job | None) -> str:
        """Tell in which other way than to a queue this very job is being dispatched now; empty when it is pushed."""
        ways = _ways.get()
        return next((way for each, way in reversed(ways) if each is job), "") if ways else ""

    @contextmanager
    def beside(self, home: Memory) -> Iterator[None]:
        """Let what lies in a home of the test's own, that of a job which is performed, be known as no push."""
        self._aside[id(home)] = home
        try:
            yield
        finally:
            del self._aside[id(home)]

    def is_beside(self, job_id: str) -> bool:
        """Tell whether a payload lies in such a home."""
        return bool(self._aside) and any(job_id in home.entries for home in list(self._aside.values()))

    def find_batch(self, batch_id: str, *, connection: str | None = None) -> Batch | None:
        """Look a batch up, also among those that were let through."""
        found = super().find_batch(batch_id, connection=connection)
        if found is None and self._is_selective:
            return self.real.find_batch(batch_id, connection=connection)
        return found

    def runner_for(self, name: str, driver: Driver, defaults: RunDefaults, limit: TimeLimit) -> Runner:
        """Make a runner for a driver of the test's own; nothing is kept of jobs that fail."""
        return self._runner(name, driver, defaults, None, limit)


_ways: ContextVar[tuple[tuple[Job, str], ...]] = ContextVar("qtest_ways", default=())
"""Jobs that are being dispatched in another way than to a queue. Each thread has its own."""


class _OpenTransactions(Transactions):
    """Transactions, before all others those that a test has opened."""

    def __init__(self, opened: list[Transaction]) -> None:
        """Take those of the test."""
        super().__init__()
        self._opened = opened

    def in_force(self) -> Transaction | None:
        return self._opened[-1] if self._opened else super().in_force()


def _covers(one: Named, other: Named) -> bool:
    """Tell whether every job that ``other`` means is meant by ``one``, as far as names and fields tell."""
    if not issubclass(other.job_class, one.job_class) or (one.is_instance and not other.is_instance):
        return False
    return not any(name not in other.fields or not (value == other.fields[name]) for name, value in one.fields.items())  # noqa: SIM201


def _overlap(one: Named, other: Named) -> bool:
    """Tell whether a job can be meant by both."""
    if not (issubclass(one.job_class, other.job_class) or issubclass(other.job_class, one.job_class)):
        return False
    both = one.fields.keys() & other.fields.keys()
    return all(one.fields[name] == other.fields[name] or other.fields[name] == one.fields[name] for name in both)
