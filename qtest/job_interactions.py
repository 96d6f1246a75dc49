"""One job on its own: a test calls ``handle()``, and asserts what the job asked for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from qcore import current
from qcore import delivery as deliveries
from qcore.delivery import Delivery, Tools
from qcore.driver import Payload, Reservation
from qcore.jobs import Job
from qcore.payload import CALL, read
from qcore.queue import new_id
from qtest.assertions_outcomes import error_differences
from qtest.entering import to_enter
from qtest.expecting import no_job
from qtest.matching import in_seconds, seconds_equal
from qtest.queue_fake import QueueFake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from qcore.dispatched_batch import Batch
    from qcore.payload import Body
    from qcore.pending_batch import PendingBatch

J = TypeVar("J", bound=Job)


class Interactions(Generic[J]):
    """A job, and what it asked for: the last of ``release()`` and ``delete()`` counts, ``fail()`` beats both."""

    def __init__(self, job: J, delivery: Delivery) -> None:
        """Take both."""
        self.job = job
        self.delivery = delivery

    def assert_released(self, delay: float | timedelta | None = None) -> None:
        """Assert that it gave itself back, for that long if it is said."""
        __tracebackhide__ = True
        got = self.delivery.release_delay
        if got is None or self.delivery.error is not None:
            self._fail("was not released")
        if delay is not None and not seconds_equal(delay, got):
            self._fail(f"was released with the delay {in_seconds(got)}, expected {in_seconds(delay)}")

    def assert_not_released(self) -> None:
        """Assert that it did not give itself back."""
        __tracebackhide__ = True
        if self.delivery.release_delay is not None:
            self._fail("was to keep itself")

    def assert_deleted(self) -> None:
        """Assert that it ended itself by ``delete()``."""
        __tracebackhide__ = True
        if not self.delivery.deleted:
            self._fail("was not deleted")

    def assert_not_deleted(self) -> None:
        """Assert that it did not end itself by ``delete()``."""
        __tracebackhide__ = True
        if self.delivery.deleted:
            self._fail("was not to delete itself")

    def assert_failed(
        self, error: type[BaseException] | BaseException | None = None, *, match: str | None = None
    ) -> BaseException:
        """Assert that it called ``fail()``, with an exception of that class whose text ``match`` is found in."""
        __tracebackhide__ = True
        got = self.delivery.error
        if got is None:
            self._fail("did not call fail()")
        for each in error_differences(got, error, match):
            self._fail(f"failed with another {each.field}: expected {each.expected}, got {each.got}")
        return got

    def assert_not_failed(self) -> None:
        """Assert that it did not call ``fail()``."""
        __tracebackhide__ = True
        if self.delivery.error is not None:
            self._fail("was not to fail")

    def _fail(self, what: str) -> NoReturn:
        __tracebackhide__ = True
        delivery = self.delivery
        did = [f"failed with {delivery.error!r}"] if delivery.error is not None else []
        did += [f"released, delay {in_seconds(delivery.release_delay)}"] if delivery.release_delay is not None else []
        did += ["deleted"] if delivery.deleted else []
        raise AssertionError(f"{type(self.job).__qualname__} {what}\n  it was: {', '.join(did) or 'left as it is'}")


@to_enter("with qtest.interactions(job) as it:")
def interactions(job: J, attempts: int = 1, *, batch: PendingBatch | None = None) -> Iterator[Interactions[J]]:
    """Let a job believe that a worker runs it, as its attempt of that number, while the test calls its methods.

    ::

        with qtest.interactions(SyncOrder(7), attempts=2) as it:
            it.job.handle()
            it.assert_released(delay=30)

    Nothing else happens: no payload, no middleware; ``QueueFake.perform`` has all of it. What the job dispatches lands
    in the fake that is active, or in one that lasts as long as the block. A ``batch`` is dispatched there first, and
    ``job.batch()`` gives it: what the job adds to it, and whether it cancels it, can be seen.

    :raises QcoreError: for something that is no job.
    """
    given: Any = job
    if not isinstance(given, Job):
        raise no_job(given, "interactions()")
    with ExitStack() as stack:
        app = current.overridden() or stack.enter_context(QueueFake()).app
        reservation = Reservation(app.connections.queue(app.config.default), Payload(new_id(), b"{}"), attempts, 1)
        tools = Tools(app.clock, app.events, lambda: app.connections.store, app.limiters)
        delivery = Delivery(app.config.default, reservation, tools)
        delivery.job, delivery.has_begun = job, True
        if batch is not None:
            started = batch.dispatch()
            delivery.body, delivery.connection = _member_of(started, job, delivery.id), started.connection
        stack.enter_context(deliveries.entered(delivery))
        yield Interactions(job, delivery)


def _member_of(batch: Batch, job: Job, job_id: str) -> Body:
    """Write down what makes a job a member of a batch."""
    data = {"commandName": type(job).__job__.name, "command": {}}
    name = job.display_name()
    return read({"uuid": job_id, "displayName": name, "job": CALL, "data": data, "batchId": batch.id})
