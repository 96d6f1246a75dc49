"""A batch as a link of a chain: what dispatches it when its turn comes, and what is left to do when it fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from qcore import current, links
from qcore.batch_members import MemberWriter
from qcore.batch_start import go_on, tell_of_start
from qcore.batches import BatchRecord, BatchStep, State
from qcore.delivery import current_delivery
from qcore.errors import JobError
from qcore.follow_up import tell_of_step
from qcore.jobs import Job
from qcore.options import JobOptions
from qcore.payload_fields import check_batch, check_dropped, damage_of

if TYPE_CHECKING:
    from qcore.delivery import Delivery
    from qcore.dispatcher import Dispatcher
    from qcore.links import Chain, Link

_BACKOFF = (1, 5, 15, 60)


class BatchLink(Job, name="qcore:batch", tries=len(_BACKOFF) + 1, backoff=_BACKOFF):
    """Dispatches a batch whose members are written already. Doing it once more changes nothing.

    The rest of the chain is handed to the batch: it goes on when the batch is finished.
    """

    def __init__(self, record: BatchRecord, members: list[Chain]) -> None:
        """Take the record of the batch and its members, each as a chain."""
        self.batch_id = record.id
        self.batch_name = record.name
        self.connection = record.connection
        self.queue = record.queue
        self.callbacks = record.options
        self.members = members

    def handle(self) -> None:
        """Dispatch the batch, and let it carry on the chain."""
        app, delivery = current.app(), current_delivery()
        if (damage := damage_of(check_batch, vars(self))) is not None:
            delivery.fail(damage)  # it would be there the next time, too
            return
        rest = _carried(app, delivery, JobOptions(connection=self.connection, queue=self.queue or None))
        record = self._record(rest)
        writer = MemberWriter(app, record)
        members = map(writer.pushed_later, self.members)
        store = app.batches.store(self.connection)
        store.reopen(self.batch_id)  # it may have been given up before somebody retried this link
        go_on(app, store, record, members)
        delivery.chain = None
        app.connection(self.connection).run_quietly()

    def failed(self, _: BaseException) -> None:
        """Let members that were pushed run, and the batch end: the chain hears of the failure of this link itself."""
        if damage_of(check_batch, vars(self)) is not None:
            return  # nothing of it was pushed
        app, delivery = current.app(), current_delivery()
        store, at = app.batches.store(self.connection), app.clock.now()
        given_up = store.give_up(self.batch_id, at)
        found = store.find(self.batch_id)
        if found is not None and given_up:
            tell_of_start(app, found, at)
            app.connection(self.connection).run_quietly()
        elif found is not None and "g" not in found.fired:
            delivery.chain = None  # all members are there, so the chain is the batch's

    def display_name(self) -> str:
        """Name the batch."""
        return f"batch {self.batch_name}" if self.batch_name else "batch"

    def _record(self, rest: Chain | None) -> BatchRecord:
        return BatchRecord(
            id=self.batch_id,
            name=self.batch_name,
            connection=self.connection,
            queue=self.queue,
            created_at=current.app().clock.now(),
            options=json.dumps({**json.loads(self.callbacks), "chain": rest}),
        )


class RestDropped(Job, name="qcore:rest-dropped", tries=0, backoff=(*_BACKOFF, 600)):
    """Counts the members of a batch that follow another batch in their chain, and will not run because that failed.

    It is tried until it succeeds: the batch cannot finish without it.
    """

    def __init__(self, batch_id: str, connection: str, members: list[str]) -> None:
        """Take the batch and its members."""
        self.batch_id = batch_id
        self.connection = connection
        self.members = members

    def handle(self) -> None:
        """Count the first of them as failed, for the reason that the inner batch had."""
        app, delivery = current.app(), current_delivery()
        if (damage := damage_of(check_dropped, vars(self))) is not None:
            delivery.fail(damage)  # it would be there the next time, too
            return
        told = delivery.body.raw.get("callback", {}).get("failure") if delivery.body is not None else None
        first, *others = self.members
        reason = json.dumps(told) if told else links.failure("JobError", "the batch before it was cancelled", "", "")
        step = BatchStep(self.batch_id, first, State.FAILED, app.clock.now(), tuple(others), reason)
        store = app.batches.store(self.connection)
        before = store.find(self.batch_id)
        store.settle(step)
        after = store.find(self.batch_id)
        if before is not None and after is not None:
            tell_of_step(app.events, before, after, step)
        app.connection(self.connection).run_quietly()


def _carried(app: Dispatcher, delivery: Delivery, place: JobOptions) -> Chain | None:
    """Give what follows a batch in its chain, such that the step which ends the batch can push it.

    That step pushes to the connection of the batch only: a link of another one is pushed by a link between.
    """
    chain = delivery.chain
    if chain is None:
        return None
    connection, queue = str(place.connection), place.queue or app.connection(place.connection).default_queue
    carried = chain.copy()
    carried["catch"] = [links.placed(link, connection, queue) for link in chain["catch"]]
    waiting = links.split(chain["links"])
    if waiting and links.connection_of(waiting[0]) != connection:
        from qcore.chains import Rest  # it knows batches, too

        between = _link(app, Rest(), links.derived_id(delivery.id, "between"), place)
        carried["links"] = links.joined([between, chain["links"]])
    if waiting and delivery.body is not None and (outer := delivery.body.raw.get("batchId")) is not None:
        ids = list(map(links.id_of, waiting))
        dropped = RestDropped(outer, delivery.connection, ids)
        carried["outer"] = {"batch": outer, "connection": delivery.connection, "members": ids}
        carried["broken"] = [_link(app, dropped, links.derived_id(delivery.id, "dropped"), place)]
    return carried


def _link(app: Dispatcher, job: Job, job_id: str, place: JobOptions) -> Link:
    link = app.link(job, forced=place, job_id=job_id)
    if link is None:
        raise JobError(f"a hook dropped {type(job).__qualname__}, which the chain cannot do without")
    return link
