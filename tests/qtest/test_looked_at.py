"""Which failed jobs a test has looked at, so that they do not fail it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import Job
from qtest.leaks import unseen_failures, unused
from tests.qtest.signup import Broken, Welcome

if TYPE_CHECKING:
    from qtest import QueueFake
    from qtest.work_once import QueueWorker


class Once(Broken, tries=1):
    """Fails for good at once."""


def test_an_error_that_is_raised_to_who_dispatches_in_place_was_looked_at(queue_fake: QueueFake) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        Once().dispatch_sync()

    assert "" == unseen_failures(queue_fake)


def test_the_exit_code_of_a_worker_looks_at_what_failed(queue_fake: QueueFake, queue_worker: QueueWorker) -> None:
    Once().dispatch()
    worked = queue_worker.work_once()

    assert "a job failed" in unseen_failures(queue_fake)
    assert worked.exit_code == 1
    assert "" == unseen_failures(queue_fake)


def test_the_exit_code_looks_at_no_failure_of_another_run(queue_fake: QueueFake, queue_worker: QueueWorker) -> None:
    Once("b.csv").dispatch()
    queue_fake.run_next_job()
    Welcome(1).dispatch()

    assert queue_worker.work_once().exit_code == 0
    assert "a job failed" in unseen_failures(queue_fake)
    queue_fake.assert_failed(Once)


def test_an_assertion_that_names_no_job_looks_at_no_failure(queue_fake: QueueFake) -> None:
    Once().dispatch()
    queue_fake.run_next_job()

    queue_fake.assert_pushed(Job)
    queue_fake.assert_count(1)
    assert "a job failed" in unseen_failures(queue_fake)
    queue_fake.assert_failed(Job)
    assert "" == unseen_failures(queue_fake)


@pytest.mark.parametrize("assertion", ["assert_pushed_exactly", "assert_pushed_in_order"])
def test_an_assertion_of_several_jobs_looks_at_those_it_names(queue_fake: QueueFake, assertion: str) -> None:
    Once().dispatch()
    queue_fake.run_next_job()

    getattr(queue_fake, assertion)(Job)
    assert "a job failed" in unseen_failures(queue_fake)
    getattr(queue_fake, assertion)(Once)
    assert "" == unseen_failures(queue_fake)


def test_a_block_that_was_never_entered_is_told_of_after_a_reset(queue_fake: QueueFake) -> None:
    never_entered = queue_fake.pushes(Welcome)
    queue_fake.reset()

    assert "write `with queue.pushes(...):`" in unused(queue_fake)
    queue_fake.recorder.blocks.remove(never_entered)
