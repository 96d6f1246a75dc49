"""What a fake writes down of each dispatch: once, in the order of the pushes, and as what it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import App, Job, batch, bulk, chain
from qcore.events import JobProcessed, JobQueued
from qtest.drivers import app_in_memory
from qtest.leaks import leftovers
from tests.qtest.signup import Audit, Broken, Only, Reminder, SendMail, Welcome

if TYPE_CHECKING:
    from qtest import QueueFake


@pytest.fixture
def app_that_welcomes() -> App:
    """An App of the user whose listener dispatches."""
    app = app_in_memory()

    def listener(event: JobQueued) -> None:
        if isinstance(event.job, Audit):
            Welcome(1).dispatch()

    app.listen(JobQueued, listener)
    return app


class Parent(Job):
    """Dispatches another one while it runs."""

    def handle(self) -> None:
        Welcome(5).dispatch()


class Threaded(Job):
    def handle(self) -> None:
        thread = threading.Thread(target=lambda: Welcome(6).dispatch())
        thread.start()
        thread.join()


class Appends(Job):
    def handle(self) -> None:
        self.append_to_chain(Welcome(7))


class Incomparable(Job):
    def __eq__(self, other: object) -> bool:
        raise AssertionError("nobody is to compare it")

    __hash__ = None  # type: ignore[assignment]

    def handle(self) -> None:
        pass


class Nesting(Job):
    def handle(self) -> None:
        Incomparable().dispatch_sync()
        Welcome(8).dispatch_sync()


def test_what_a_performed_job_dispatches_is_a_push(queue_fake: QueueFake) -> None:
    queue_fake.perform(Parent())

    queue_fake.assert_pushed_once(Welcome(5))
    queue_fake.assert_count(1)
    with pytest.raises(AssertionError):
        queue_fake.assert_not_pushed(Welcome)
    with pytest.raises(AssertionError):
        queue_fake.assert_pushed(Parent)


def test_what_threads_of_a_performed_job_dispatch_is_a_push(queue_fake: QueueFake) -> None:
    queue_fake.perform(Threaded())

    queue_fake.assert_pushed_exactly(Welcome(6))


def test_what_follows_a_performed_job_in_its_own_chain_is_no_push(queue_fake: QueueFake) -> None:
    queue_fake.perform(Appends())

    queue_fake.assert_nothing_pushed()
    queue_fake.assert_empty()


def test_threads_that_run_equal_jobs_in_place_push_none_of_them(queue_fake: QueueFake) -> None:
    with ThreadPoolExecutor(8) as threads:
        for each in [threads.submit(lambda: Welcome(1).dispatch_sync()) for _ in range(400)]:
            each.result()

    queue_fake.assert_nothing_pushed()
    queue_fake.assert_dispatched_sync(Welcome(1), times=400)


def test_a_job_in_place_is_never_compared_with_others(queue_fake: QueueFake) -> None:
    Nesting().dispatch_sync()

    queue_fake.assert_nothing_pushed()
    assert ["Nesting", "Incomparable", "Welcome"] == [each.name for each in queue_fake.recorder.dispatches]


def test_pushes_of_many_threads_are_written_down_once(queue_fake: QueueFake) -> None:
    def work(_: int) -> None:
        for _ in range(10):
            batch([Welcome(1), Welcome(2), Welcome(3)]).then(Welcome(9)).dispatch()
            SendMail(1).dispatch()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    queue_fake.assert_count(320)
    assert {3} == {len(each.members) for each in queue_fake.batches()}


def test_looking_while_others_push_finds_nothing_twice(queue_fake: QueueFake) -> None:
    def push() -> None:
        for number in range(600):
            Welcome(number).dispatch()

    pushing = threading.Thread(target=push)
    pushing.start()
    while pushing.is_alive():
        queue_fake.next_due()
    pushing.join()

    queue_fake.assert_count(600)
    assert list(range(1, 601)) == [each.number for each in queue_fake.pushed()]


def test_a_listener_that_dispatches_a_batch_doubles_nothing(queue_fake: QueueFake) -> None:
    said = []

    def listener(event: JobQueued) -> None:
        if isinstance(event.job, Audit):
            said.append(batch([Welcome(1)]).then(Welcome(2)).dispatch())

    queue_fake.app.events.listen(JobQueued, listener)
    Audit("a").dispatch()

    queue_fake.assert_pushed_once(Audit)
    queue_fake.assert_count(2)
    assert len(said) == 1


def test_a_listener_that_looks_for_what_is_due_doubles_nothing(queue_fake: QueueFake) -> None:
    queue_fake.app.events.listen(JobQueued, lambda _: queue_fake.next_due())
    bulk([Welcome(1), Welcome(2), Welcome(3)])

    queue_fake.assert_count(3)
    assert {__file__} == {each.dispatched_from[0] for each in queue_fake.pushed() if each.dispatched_from is not None}


def test_a_job_that_is_retried_is_a_push_of_its_own(queue_fake: QueueFake) -> None:
    Broken().dispatch()
    queue_fake.next_due()
    queue_fake.run_due(raises=False)
    queue_fake.app.failed.retry([each.id for each in queue_fake.failed()])

    queue_fake.assert_pushed_times(Broken, 2)


def test_what_was_held_is_pushed_after_what_was_not(queue_fake: QueueFake) -> None:
    with queue_fake.transaction():
        Welcome(1).dispatch(after_commit=True)
        Reminder(2).dispatch()

    queue_fake.assert_pushed_in_order(Reminder, Welcome)
    with pytest.raises(AssertionError):
        queue_fake.assert_pushed_in_order(Welcome, Reminder)
    assert [Reminder(2), Welcome(1)] == [each.job for each in queue_fake.pushed()]
    queue_fake.run_due()
    ended = [each.event.delivery.name for each in queue_fake.timeline() if isinstance(each.event, JobProcessed)]
    assert ["Reminder", "Welcome"] == ended


def test_what_a_listener_dispatches_follows_its_cause(app_that_welcomes: App) -> None:
    with qtest.fake(app_that_welcomes) as queue:
        Audit("a").dispatch()

        queue.assert_pushed_in_order(Audit, Welcome)
        assert [(1, "Audit"), (2, "Welcome")] == [(each.number, each.name) for each in queue.pushed()]


def test_a_push_that_is_refused_leaves_no_gap(queue_fake: QueueFake) -> None:
    Only("b.csv").dispatch()
    Only("b.csv").dispatch()
    Welcome(3).dispatch()

    assert [1, 2, 3] == [each.number for each in queue_fake.recorder.dispatches]
    queue_fake.assert_discarded(Only("b.csv"), reason="unique")


def test_a_block_sees_what_was_held_before_it_and_is_pushed_in_it(queue_fake: QueueFake) -> None:
    transaction = queue_fake.transaction()
    transaction.__enter__()
    Welcome(1).dispatch(after_commit=True)

    with pytest.raises(AssertionError), queue_fake.pushes(Welcome, times=0):
        transaction.__exit__(None, None, None)


def test_a_look_at_a_queue_reads_only_what_is_new(queue_fake: QueueFake, monkeypatch: pytest.MonkeyPatch) -> None:
    bulk([Welcome(number) for number in range(50)])
    queue_fake.next_due()
    driver = type(queue_fake.app.connection().driver)
    asked = []
    monkeypatch.setattr(driver, "find", lambda _, job_id: asked.append(job_id))
    monkeypatch.setattr(driver, "listed", lambda _, queue, **__: asked.append(queue))
    for _ in range(10):
        queue_fake.run_next_job()
    batch([Welcome(1), Broken()], allow_failures=True).dispatch()

    assert [] == asked


def test_a_batch_that_waits_for_a_commit_is_held(queue_fake: QueueFake) -> None:
    with queue_fake.transaction():
        batch([Welcome(1), [Welcome(2), Welcome(3)]]).dispatch(after_commit=True)
        queue_fake.assert_held(Welcome, times=2)
        queue_fake.assert_nothing_pushed()
        queue_fake.assert_nothing_batched()

    queue_fake.assert_count(2)
    queue_fake.assert_batched([Welcome(1), [Welcome(2), Welcome(3)]])
    queue_fake.assert_dispatched_after_commit(Welcome, times=2)


def test_a_batch_whose_transaction_is_rolled_back_is_discarded(queue_fake: QueueFake) -> None:
    with queue_fake.transaction(commit=False):
        batch([Welcome(1)]).dispatch(after_commit=True)

    queue_fake.assert_discarded(Welcome(1), reason="rollback")
    queue_fake.assert_nothing_batched()


def test_a_batch_that_is_still_held_at_the_end_is_left_over(queue_fake: QueueFake) -> None:
    transaction = queue_fake.transaction()
    transaction.__enter__()
    batch([Welcome(1)]).dispatch(after_commit=True)

    assert "1 job still waits at the end of the test" in leftovers(queue_fake)
    transaction.__exit__(None, None, None)


def test_a_commit_inside_of_a_transaction_that_is_rolled_back_pushes_nothing(queue_fake: QueueFake) -> None:
    with queue_fake.transaction(commit=False):
        with queue_fake.transaction():
            Welcome(1).dispatch(after_commit=True)
        queue_fake.assert_held(Welcome(1))

    queue_fake.assert_nothing_pushed()
    queue_fake.assert_discarded(Welcome(1), reason="rollback")


def test_a_rollback_inside_of_a_transaction_is_its_own(queue_fake: QueueFake) -> None:
    with queue_fake.transaction():
        Welcome(1).dispatch(after_commit=True)
        with queue_fake.transaction(commit=False):
            Welcome(2).dispatch(after_commit=True)
        with queue_fake.transaction():
            Welcome(3).dispatch(after_commit=True)

    queue_fake.assert_pushed_in_order(Welcome(1), Welcome(3), strict=True)
    queue_fake.assert_discarded(Welcome(2), reason="rollback")


def test_the_rest_of_a_running_chain_is_no_chain_that_was_dispatched(queue_fake: QueueFake) -> None:
    chain(Welcome(1), Welcome(2), Audit("a")).dispatch()
    queue_fake.run_next_job()

    queue_fake.assert_chained([Welcome(1), Welcome(2), Audit("a")])
    with pytest.raises(AssertionError, match="pushed by the queue itself"):
        queue_fake.assert_chained([Welcome(2), Audit("a")])
    queue_fake.assert_chained([Welcome(2), Audit("a")], times=0)

    queue_fake.run_next_job()
    queue_fake.assert_pushed(Audit)
    with pytest.raises(AssertionError, match="pushed by the queue itself"):
        queue_fake.assert_pushed_without_chain(Audit)


def test_a_chain_that_a_thread_dispatches_by_itself_was_dispatched(queue_fake: QueueFake) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(chain(Welcome(2), Audit("a")).dispatch).result()

    queue_fake.assert_chained([Welcome(2), Audit("a")])


def test_a_chain_that_goes_on_after_a_batch_was_not_dispatched_then(queue_fake: QueueFake) -> None:
    chain(batch([Welcome(1)]), Welcome(2), Audit("a")).dispatch()
    queue_fake.run_next_job()
    queue_fake.run_next_job()
    queue_fake.next_due()

    queue_fake.assert_pushed(Welcome(2))
    queue_fake.assert_chained([Welcome(2), Audit("a")], times=0)
    assert "" == queue_fake.pushed(Welcome(2))[0].origin
