"""A unique job: dispatched once, until it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import DriverError, Job, JobDefinitionError, bulk, dispatch, dispatch_sync
from qcore.events import (
    JobQueued,
    JobQueueing,
    UniqueJobSkipped,
)
from tests.qcore.unique_jobs import Early, Import, Other, done, during, greet, locks, names, send, skipped

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.events import Event
    from qcore.worker import Stopped

    Work = Callable[..., Stopped]

KEY = "unique:tests.qcore.unique_jobs:Import,a.csv"
EARLY = "unique:tests.qcore.unique_jobs:Early,a.csv"


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    during.clear()


# Taken when it is dispatched.


def test_a_second_dispatch_is_skipped_as_long_as_the_first_job_waits(app: App, events: list[Event]) -> None:
    """UNQ-04. What it says tells which job holds the lock, and for how long."""
    first = Import().dispatch()
    assert {KEY: first} == locks(app)
    events.clear()

    assert Import().dispatch() is None
    assert 1 == app.connection().size()
    [told] = skipped(events)
    assert (
        app.config.default,
        "default",
        Import(),
        KEY,
        first,
        600.0,
        None,
    ) == (
        told.connection,
        told.queue,
        told.job,
        told.key,
        told.owner,
        told.left,
        told.delivery,
    )
    assert ["JobQueueing", "UniqueJobSkipped"] == names(events, JobQueueing, JobQueued, UniqueJobSkipped)


def test_jobs_with_another_id_or_of_another_class_are_not_kept_away(app: App) -> None:
    assert all(each.dispatch() for each in (Import(), Import("b.csv"), Early(), Other(), Other()))
    assert 5 == app.connection().size()


def test_it_can_be_dispatched_again_when_it_has_ended(app: App, work: Work) -> None:
    """UNQ-12: ``unique_for`` is how long a lock lasts at most, not at least."""
    Import().dispatch()
    work()

    assert {} == locks(app)
    assert Import().dispatch() is not None
    work()
    assert ["a.csv", "a.csv"] == done


def test_a_job_that_runs_keeps_its_likes_away(app: App, work: Work) -> None:
    """Also when it dispatches itself."""
    during.append(lambda: done.append(Import().dispatch()))
    Import().dispatch()
    work()

    assert ["a.csv", None] == done
    assert {} == locks(app)


def test_a_function_is_unique_by_its_arguments(app: App, work: Work) -> None:
    assert [True, False, True, True] == [
        bool(each) for each in (send.dispatch(1), send.dispatch(1, language="en"), send.dispatch(2), greet.dispatch(1))
    ]
    assert greet.dispatch(1, text="hello") is None
    work()
    assert [(1, "en"), (2, "en"), (1, "hi")] == done
    assert {} == locks(app)


DOORS: dict[str, Callable[[App, Job], object]] = {
    "dispatch": lambda _, job: job.dispatch(),
    "with options": lambda _, job: job.with_options(tries=5).dispatch(queue="default"),
    "function": lambda _, job: dispatch(job),
    "push": lambda app, job: app.push(job),
    "bulk": lambda _, job: bulk([Other(), job, Other()])[2:],
    "bulk twice": lambda _, job: bulk([job])[1:],
    "sync": lambda _, job: dispatch_sync(job),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_way_to_push_asks_for_the_lock(app: App, work: Work, events: list[Event], door: str) -> None:
    """UNQ-05."""
    first = Import().dispatch()
    events.clear()

    assert not DOORS[door](app, Import())
    assert [first] == [event.owner for event in skipped(events)]
    assert {KEY: first} == locks(app)
    work()
    assert 1 == done.count("a.csv")
    events.clear()
    DOORS[door](app, Import())
    work()
    assert (2, {}, []) == (done.count("a.csv"), locks(app), skipped(events))


def test_of_two_in_one_bulk_the_first_is_pushed(app: App, work: Work) -> None:
    ids = bulk([Import(), Other(), Import(), Import("b.csv")])

    assert 3 == len(ids)
    assert {KEY: ids[0]}.items() <= locks(app).items()
    work()
    assert ["a.csv", "b.csv", "other"] == sorted(map(str, done))


def test_what_is_refused_before_the_push_takes_no_lock(app: App) -> None:
    class Broken(Import, name="test:BrokenUnique"):
        def __init__(self, path: object) -> None:
            self.path = path  # type: ignore[assignment]

        def unique_id(self) -> object:
            return "a"

    with pytest.raises(Exception, match="cannot be stored"):
        Broken(lambda: None).dispatch()
    app.before_push(lambda *_: False)
    assert Import().dispatch() is None
    assert {} == locks(app)


def test_a_push_that_fails_leaves_no_lock(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise DriverError("no space left")

    # Below the driver, so that the step is broken off and not only left out.
    how = {"memory": "push", "database": "connection", "redis": "run"}
    monkeypatch.setattr(app.connection().driver.home, how[app.config.default], refuse)
    with pytest.raises(DriverError):
        Import().dispatch()
    monkeypatch.undo()

    assert Import().dispatch() is not None


class Misled(Job):
    def unique_id(self) -> object:
        return "x"

    def handle(self) -> None: ...


def test_a_unique_id_of_a_job_that_is_not_unique_is_refused(app: App) -> None:
    with pytest.raises(JobDefinitionError, match=r"write class Misled\(Job, unique=True\)"):
        Misled().dispatch()
    assert app.connection().size() == 0
