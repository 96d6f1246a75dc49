"""Runs one job in place: a throw-away queue in memory, and the real runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import LockRule
from qcore.drivers.memory import MemoryDriver
from qcore.errors import QcoreError
from qcore.jobs import Job, Prepared
from qcore.memory import Memory
from qcore.options import UNSET
from qtest.expecting import no_job

if TYPE_CHECKING:
    from qcore.outcome import Outcome
    from qtest.fake_app import FakeApp
    from qtest.stepper import Stepper


def performed(app: FakeApp, stepper: Stepper, job: Job | Prepared, attempts: int) -> Outcome:
    """Run a job as its attempt of that number, and give the outcome.

    :raises QcoreError: when it cannot be run: a hook dropped it, or it is no job.
    """
    given: object = job
    if not isinstance(given, Job | Prepared):
        raise no_job(given, "perform()")
    if type(attempts) is not int or attempts < 1:
        message = f"attempts counts from 1, got {attempts!r}"
        raise QcoreError(message)
    bare, call = (job.job, job.options) if isinstance(job, Prepared) else (job, UNSET)
    options = app.complete(bare, call)
    queue = app.connection(options.connection)
    # Its lock stays where it is: this run takes part in nothing that other jobs could see.
    push = queue.prepare(bare, options, rule=LockRule.REFUSE)
    if push is None:
        message = f"{bare.display_name()} was dropped: by its prepare_for_dispatch(), or by a hook of before_push()"
        raise QcoreError(message)
    driver = MemoryDriver(Memory(), app.clock, retry_after=queue.driver.retry_after)
    driver.push(push.queue, push.payload)
    driver.home.entries[push.payload.id].attempts = attempts - 1
    reservation = driver.reserve((push.queue,))
    assert reservation is not None  # noqa: S101 - it was just pushed
    runner = stepper.runner(queue.name, driver)
    with app.beside(driver.home):
        try:
            return runner.run(reservation)
        finally:
            runner.close()
