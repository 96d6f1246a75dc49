"""Jobs that run in this process when the response has gone (behaviour DSP-09, DRV-03)."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.orm import Session

import qcore
from qcore import Job, PayloadError, after_response, batch, chain, job
from qcore.driver import pending
from qcore.events import Event, JobFailed, JobHeld, JobProcessed, JobQueued, UniqueJobSkipped
from qcore.response import current_response
from qcore.unique import key_of
from tests.qcore.shop import Order, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.app import App
    from qcore.worker import Stopped

said: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    said.clear()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    engine = opened(tmp_path / "shop.sqlite3")
    with Session(engine) as session:
        session.add(Order(name="first"))
        yield session
    engine.dispose()


class Say(Job):
    def __init__(self, what: object = "hello", error: str = "") -> None:
        self.what = what
        self.error = error

    def handle(self) -> None:
        said.append(self.what)
        if self.error:
            raise ValueError(self.error)


class Waits(Say, after_commit=True):
    pass


class Once(Say, unique=True):
    pass


class SayNext(Job):
    def __init__(self, left: int) -> None:
        self.left = left

    def handle(self) -> None:
        said.append(self.left)
        if self.left:
            SayNext(self.left - 1).dispatch_after_response()
            said.append("dispatched")


@job
async def say_async(what: str) -> None:
    said.append(what)


def lock_of(app: App) -> str | None:
    return app.connections.store.get(key_of(Once()))


def test_a_job_runs_when_the_response_has_gone(app: App, events: list[Event]) -> None:
    """DSP-09. Through payload and runner, in this process."""
    with after_response():
        job_id = Say().dispatch_after_response()
        assert (said, [type(event) for event in events]) == ([], [JobHeld])

    assert said == ["hello"]
    assert isinstance(job_id, str)
    assert {type(event) for event in events} >= {JobQueued, JobProcessed}
    assert app.connection().size() == 0


def test_jobs_run_in_their_order_whatever_they_are(app: App) -> None:
    with after_response():
        Say(1).dispatch_after_response()
        qcore.dispatch_after_response(say_async.job("async"))
        qcore.dispatch_after_response(Say(3).with_options(tries=3))
        app.dispatch_after_response(Say(4))

    assert said == [1, "async", 3, 4]


def test_without_a_response_it_runs_at_once(app: App) -> None:
    """DSP-09, DSP-07: like `dispatch_sync`, its error included."""
    Say().dispatch_after_response()

    with pytest.raises(ValueError, match="loud"):
        Say("again", error="loud").dispatch_after_response()
    assert said == ["hello", "again"]


def test_behind_the_response_it_runs_at_once(app: App) -> None:
    with after_response():
        context = copy_context()
    context.run(Say().dispatch_after_response)

    assert said == ["hello"]


def test_a_job_that_runs_then_may_dispatch_more(app: App) -> None:
    with after_response():
        SayNext(2).dispatch_after_response()
        Say().dispatch_after_response()

    assert said == [2, "dispatched", "hello", 1, "dispatched", 0]


def test_a_response_inside_a_response_is_one_of_its_own(app: App) -> None:
    with after_response():
        Say("outer").dispatch_after_response()
        with after_response():
            Say("inner").dispatch_after_response()
        assert said == ["inner"]

    assert said == ["inner", "outer"]
    assert current_response() is None


def test_a_thread_that_takes_its_context_along_adds_to_the_response(app: App) -> None:
    with after_response():
        thread = threading.Thread(target=copy_context().run, args=[Say().dispatch_after_response])
        thread.start()
        thread.join()
        assert said == []

    assert said == ["hello"]


# What goes wrong.


def test_an_error_is_logged_and_keeps_no_other_job_from_running(
    app: App, events: list[Event], caplog: pytest.LogCaptureFixture
) -> None:
    with after_response():
        Say(1, error="loud").dispatch_after_response()
        Say(2).dispatch_after_response()

    assert said == [1, 2]
    assert "loud" in caplog.text
    [failed] = [event for event in events if isinstance(event, JobFailed)]
    assert str(failed.error) == "loud"


def test_an_error_response_loses_no_job(app: App) -> None:
    """DRV-03."""
    with pytest.raises(KeyError), after_response():  # noqa: PT012 - it ends the block
        Say().dispatch_after_response()
        raise KeyError

    assert said == ["hello"]


def test_an_interruption_comes_through_behind_the_other_jobs(app: App) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), after_response() as response:  # noqa: PT012 - it ends the block
        response.when_over(interrupted, lambda: None)
        Say().dispatch_after_response()

    assert said == ["hello"]


def test_what_cannot_be_written_is_told_at_the_dispatch(app: App) -> None:
    with after_response():
        with pytest.raises(PayloadError):
            Say(print).dispatch_after_response()
        what = ["before"]
        Say(what).dispatch_after_response()
        what.append("after")

    assert said == [["before"]]


def test_a_hook_may_drop_it(app: App) -> None:
    app.before_push(lambda *_: False)

    with after_response():
        assert Say().dispatch_after_response() is None

    assert said == []


# Unique jobs.


def test_the_lock_is_taken_before_the_response_and_freed_when_the_job_has_run(app: App, events: list[Event]) -> None:
    """DSP-09."""
    with after_response():
        first = str(Once().dispatch_after_response())
        assert lock_of(app) == pending(first)
        assert Once().dispatch_after_response() is None
        assert Once().dispatch() is None

    assert said == ["hello"]
    assert lock_of(app) is None
    assert [event.owner for event in events if isinstance(event, UniqueJobSkipped)] == [first, first]


def test_a_lock_in_other_hands_keeps_the_job_from_running(app: App) -> None:
    Once().dispatch()

    with after_response():
        assert Once().dispatch_after_response() is None

    assert said == []


def test_the_lock_of_a_job_that_fails_is_freed(app: App) -> None:
    with after_response():
        Once(error="loud").dispatch_after_response()

    assert lock_of(app) is None


# Transactions, chains and batches.


def test_a_job_that_waits_for_a_commit_runs_behind_both(app: App, session: Session) -> None:
    app.transactions(lambda: session)

    with after_response():
        Waits("rolled back").dispatch_after_response()
        session.rollback()
        session.add(Order(name="second"))
        Waits("committed").dispatch_after_response()
        session.commit()
        assert said == []
    assert said == ["committed"]
    with after_response():
        session.add(Order(name="third"))
        Waits("committed late").dispatch_after_response()
    assert said == ["committed"]
    session.commit()

    assert said == ["committed", "committed late"]


def test_a_chain_goes_to_its_queue_then(app: App, work: Callable[..., Stopped]) -> None:
    with after_response():
        job_id = chain(Say(1), Say(2)).dispatch_after_response()
        assert app.connection().size() == 0

    assert [each.payload.id for each in app.connection().listed()] == [job_id]
    work()
    assert said == [1, 2]


def test_a_batch_goes_to_its_queue_then(app: App, work: Callable[..., Stopped]) -> None:
    with after_response():
        dispatched = batch([Say(1), Say(2)]).dispatch_after_response()
        assert app.connection().size() == 0
    work()

    assert said == [1, 2]
    assert dispatched.fresh().state == "finished"  # type: ignore[union-attr]


def test_chains_and_batches_go_at_once_without_a_response(app: App) -> None:
    chain(Say(1), Say(2)).dispatch_after_response()
    batch([Say(1), Say(2)]).dispatch_after_response()

    assert app.connection().size() == 3
