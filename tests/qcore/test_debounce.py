"""A debounced job: of several dispatches the last one runs, some time after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import dispatch_sync
from qcore.events import JobDebounced, JobProcessing, JobSkipped
from qcore.failed_jobs import Retried
from tests.qcore.unique_jobs import Other, Patient, Report, debounced, done, during, fail, locks, names

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.events import Event
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

    Work = Callable[..., Stopped]

KEY = "debounce:tests.qcore.unique_jobs:Report,sales"


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    done.clear()
    during.clear()


def tokens(app: App) -> dict[str, str]:
    return locks(app, "debounce:")


def due_in(app: App, clock: FrozenClock) -> list[float]:
    return [round(each.available_at - clock.now(), 3) for each in app.connection().listed()]


def test_only_the_last_dispatch_runs(app: App, work: Work, clock: FrozenClock, events: list[Event]) -> None:
    """DEB-01, DEB-02."""
    first = Report(1).dispatch()
    clock.advance(20)
    last = Report(2).dispatch()
    assert (True, {KEY: last}) == (first is not None, tokens(app))
    clock.advance(29)
    work()
    assert [] == done
    assert ["JobProcessing", "JobDebounced", "JobSkipped"] == names(events, JobProcessing, JobDebounced, JobSkipped)
    [told] = debounced(events)
    assert (KEY, last, first, Report(1)) == (told.key, told.owner, told.delivery.id, told.delivery.job)
    clock.advance(1)
    work()

    assert ([2], 0) == (done, app.connection().size())


def test_each_dispatch_puts_the_job_off(app: App, work: Work, clock: FrozenClock) -> None:
    """DEB-01."""
    for version in range(10):
        Report(version).dispatch()
        clock.advance(20)
        work()
    assert [] == done
    clock.advance(10)
    work()

    assert [9] == done


def test_a_single_dispatch_waits_as_long_as_the_class_says(app: App, work: Work, clock: FrozenClock) -> None:
    Report(1).dispatch()
    assert [30] == due_in(app, clock)
    clock.advance(29.999)
    work()
    assert [] == done
    clock.advance(0.001)
    work()
    assert [1] == done


def test_what_the_dispatch_says_about_its_delay_counts(app: App, work: Work, clock: FrozenClock) -> None:
    """DEB-01: only a job without a delay is put off."""
    Report(1).dispatch(delay=5)
    assert [5] == due_in(app, clock)
    Report(2).dispatch(delay=0)
    work()
    clock.advance(60)
    work()

    assert [2] == done


def test_others_are_not_put_off(app: App, work: Work, clock: FrozenClock) -> None:
    """Each id for itself."""
    Report(1).dispatch()
    Report(2, "stock").dispatch()
    Other().dispatch()
    clock.advance(30)
    work()

    assert {1, 2, "other"} == set(done)


def test_a_later_round_begins_anew(app: App, work: Work, clock: FrozenClock) -> None:
    for version in range(3):
        Report(version).dispatch()
        clock.advance(30)
        work()

    assert [0, 1, 2] == done


# How long it can be put off.


def test_max_wait_ends_the_putting_off(app: App, work: Work, clock: FrozenClock) -> None:
    """DEB-01: it runs no later than that after the first dispatch."""
    for version in range(5):
        assert [] == done
        Patient(version).dispatch()
        clock.advance(20)
        work()

    assert [4] == done


def test_near_the_end_of_max_wait_it_is_put_off_for_the_rest(app: App, clock: FrozenClock) -> None:
    Patient(1).dispatch()
    clock.advance(25)
    Patient(2).dispatch()
    clock.advance(70)
    app.connection().clear()
    Patient(3).dispatch()

    assert [5] == due_in(app, clock)
    clock.advance(60)
    app.connection().clear()
    Patient(4).dispatch()
    assert [0] == due_in(app, clock)


def test_max_wait_counts_anew_when_the_job_has_begun(app: App, work: Work, clock: FrozenClock) -> None:
    """Also from a dispatch while it runs."""
    Patient(1).dispatch()
    during.append(lambda: Patient(2).dispatch())
    clock.advance(95)
    work()
    assert [1] == done
    assert [30] == due_in(app, clock)
    clock.advance(30)
    work()
    assert [1, 2] == done


def test_max_wait_does_not_shorten_a_delay_that_was_said(app: App, clock: FrozenClock) -> None:
    Patient(1).dispatch()
    app.connection().clear()
    clock.advance(90)
    Patient(2).dispatch(delay=500)

    assert [500] == due_in(app, clock)


# When nobody knows any more.


def test_without_a_token_it_runs(app: App, work: Work, clock: FrozenClock) -> None:
    """DEB-02: rather once too often than not at all."""
    Report(1).dispatch()
    Report(2).dispatch()
    clock.advance(30)
    app.connections.store.forget(KEY)
    work()

    assert [1, 2] == done


def test_an_old_delivery_does_not_run_after_the_last_one(app: App, work: Work, clock: FrozenClock) -> None:
    """It would undo what the last one did: the token outlives the job."""
    Report(1).with_options(tries=2, backoff=600).dispatch()
    during.append(fail)
    clock.advance(30)
    work()
    Report(2).dispatch()
    clock.advance(30)
    work()
    assert [1, 2] == done
    clock.advance(600)
    work()

    assert ([1, 2], 0) == (done, app.connection().size())


def test_tokens_are_no_garbage_for_ever(app: App, work: Work, clock: FrozenClock) -> None:
    Report(1).dispatch()
    clock.advance(30)
    work()
    clock.advance(86_400)

    assert {} == tokens(app)


def test_the_last_one_is_tried_again_when_it_fails(app: App, work: Work, clock: FrozenClock) -> None:
    during.append(fail)
    job_id = str(Report(1).dispatch())
    clock.advance(30)
    work()
    assert Retried([job_id], []) == app.failed.retry([job_id])
    work()

    assert [1, 1] == done


def test_a_retried_one_is_the_last_one_again(app: App, work: Work, clock: FrozenClock) -> None:
    during.append(fail)
    first = str(Report(1).dispatch())
    clock.advance(30)
    work()
    Report(2).dispatch()
    app.failed.retry([first])
    clock.advance(60)
    work()

    assert [1, 1] == done, "the last that somebody asked for"


# Where it is run at once.


def test_a_sync_run_waits_for_nothing_and_replaces_nothing(app: App, work: Work, clock: FrozenClock) -> None:
    """Should this process die, what waits would be lost."""
    Report(1).dispatch()
    dispatch_sync(Report(2))
    Report(3).dispatch(connection="sync")
    assert [2, 3] == done
    clock.advance(30)
    work()

    assert [2, 3, 1] == done
