"""An App on each backend, its clock, its worker and what it tells."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from qcore.app import App
from qcore.events import Event
from qcore.limits import WorkerOptions
from qtest.clock import FrozenClock
from tests.qcore.failing import Import, broken, ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.jobs import Job
    from qcore.worker import Stopped
    from tests.backends import Backend


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """For tests of exceptions that signals raise: raised inside a callback of the collector, they would be lost."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def app(backend: Backend, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """The App that `job.dispatch()` finds in this test, once on each backend."""
    app = App(backend.config(tmp_path), clock=clock)
    with app.activate():
        yield app
    app.close()


@pytest.fixture
def work(app: App) -> Callable[..., Stopped]:
    """Run a worker until nothing is due: `work(tries=3)`. The options are those of WorkerOptions."""

    def run(**options: Any) -> Stopped:
        # No limit of memory: the process of the tests may be as large as it likes.
        return app.worker(options=WorkerOptions(stop_when_empty=True, **({"memory": 0} | options))).run()

    return run


@pytest.fixture
def events(app: App) -> list[Event]:
    """Every event of the App, in the order in which it was told."""
    told: list[Event] = []
    app.listen(Event, told.append)
    return told


@pytest.fixture(autouse=True)
def _broken_again() -> None:
    broken["yes"] = True
    ran.clear()


@pytest.fixture
def fail(app: App, work: Callable[..., Stopped]) -> Callable[..., str]:
    """Let a job fail for good, and give its id."""

    def fail(name: str = "a.csv", *, queue: str = "default", job: Job | None = None, **options: Any) -> str:
        job_id = (job or Import(name)).with_options(queue=queue, **options).dispatch()
        work(queues=(queue,))
        return str(job_id)

    return fail
