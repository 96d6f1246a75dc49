"""What a fake writes down of each dispatch: once, in the order of the pushes, and as what it was."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from qcore import Job
from tests.qtest.signup import Welcome

if TYPE_CHECKING:
    from qtest import QueueFake


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
