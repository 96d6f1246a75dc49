"""What the end of a job brings about: the next link of its chain, the count of its batch, the lock it held.

All of it goes into the ``Effects`` of the delete, so that it happens with it or not at all. What another backend has
to do comes before the delete (twice rather than lost), or after it (freeing a lock).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from qcore import links
from qcore.batches import BatchStep, State
from qcore.driver import NONE, Effects, Push
from qcore.errors import ConfigError
from qcore.events import BatchCancelled, BatchFinished, JobQueued, JobQueueing
from qcore.redaction import Redactor, exception_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.batches import BatchRecord, BatchStore
    from qcore.clock import Clock
    from qcore.delivery import Delivery
    from qcore.driver import Driver
    from qcore.events import Events
    from qcore.unique_locks import UniqueLocks

logger = logging.getLogger("qcore")


class FollowUps:
    """The consequences of the jobs of one connection."""

    def __init__(  # noqa: PLR0913 - joined by the App
        self,
        *,
        connection: str,
        driver: Driver,
        locks: UniqueLocks,
        clock: Clock,
        events: Events,
        redactor: Redactor,
        push_elsewhere: Callable[[str, Push], object],
        batches: Callable[[], BatchStore | None] = lambda: None,
    ) -> None:
        """Take the parts; ``push_elsewhere`` pushes to another connection, ``batches`` gives the store of this one."""
        self._connection = connection
        self._driver = driver
        self._locks = locks
        self._clock = clock
        self._events = events
        self._redactor = redactor
        self._push_elsewhere = push_elsewhere
        self._batches = batches
        self._batch_before: BatchRecord | None = None
        """The batch of the delivery at work before it is counted; None when nobody wants to hear of it."""

    def after_success(self, delivery: Delivery) -> Effects:
        """Prepare what follows a job that ran or was skipped; other connections get theirs now."""
        if not _has_any(delivery):
            return NONE
        following = links.following(delivery.chain, self._clock.now()) if delivery.chain else None
        pushes = self._own(delivery, [following] if following else [])
        return Effects(pushes, None, self._locks.unlocks(delivery), self._step(delivery, State.DONE))

    def after_failure(self, delivery: Delivery, error: BaseException) -> Effects:
        """Prepare what follows a job that failed for good; other connections get theirs now."""
        if not _has_any(delivery):
            return NONE
        told = ""
        pushes: tuple[Push, ...] = ()
        body = delivery.body
        if body is not None and (delivery.chain or "batchId" in body.raw):
            told = self._told(body.raw, error)
        if delivery.chain and delivery.chain["catch"]:
            # The token makes it a failure of its own: the same link may be retried and fail again.
            salt = f"{delivery.id}:{delivery.reservation.token}"
            pushes = self._own(delivery, links.caught(delivery.chain, self._clock.now(), told, salt))
        return Effects(pushes, None, self._locks.unlocks(delivery), self._step(delivery, State.FAILED, told))

    def freed(self, delivery: Delivery, effects: Effects) -> None:
        """Do what was left for the time after the delete, and tell what it pushed."""
        if delivery.body is not None and "unique" in delivery.body.raw and not effects.unlocks:
            self._locks.free(delivery)
        for push in effects.pushes:
            self._tell(JobQueued, push)
        if effects.batch is not None and self._batch_before is not None:
            self._tell_of_batch(self._batch_before, effects.batch)

    def _tell_of_batch(self, before: BatchRecord, step: BatchStep) -> None:
        """Tell what the step made of the batch. Only the record shows it: the step was taken inside the delete."""
        store = self._batches()
        after = None if store is None else store.find(step.batch_id)
        if after is not None:
            tell_of_step(self._events, before, after, step)

    def _own(self, delivery: Delivery, prepared: Iterable[tuple[str, Push]]) -> tuple[Push, ...]:
        """Push what belongs to other connections; give the rest."""
        own = []
        for connection, push in prepared:
            if connection != self._connection:
                self._locks.give_up(delivery, push)
                if self._pushed_elsewhere(connection, push):
                    continue
            self._tell(JobQueueing, push)
            own.append(self._locks.before(push, after=delivery))
        return tuple(own)

    def _pushed_elsewhere(self, connection: str, push: Push) -> bool:
        try:
            self._push_elsewhere(connection, push)
        except ConfigError as error:
            # The configuration was changed while it waited; on this connection it is not lost, and can be seen.
            logger.error("%s is pushed to the connection %s: %s", push.payload.id, self._connection, error)  # noqa: TRY400
            return False
        return True

    def _step(self, delivery: Delivery, state: State, told: str = "") -> BatchStep | None:
        batch_id = delivery.body.raw.get("batchId") if delivery.body is not None else None
        if batch_id is None:
            return None
        heard = self._events.wants(BatchFinished) or self._events.wants(BatchCancelled)
        store = self._batches() if heard else None
        self._batch_before = None if store is None else store.find(batch_id)
        rest = delivery.chain["links"] if delivery.chain and state is State.FAILED else ""
        dropped = tuple(links.id_of(link) for link in links.split(rest))
        return BatchStep(batch_id, delivery.id, state, self._clock.now(), dropped, told)

    def _told(self, raw: dict[str, Any], error: BaseException) -> str:
        message = self._redactor.text(str(error))
        # Without the chain: whoever hears of the failure is no part of it, and it may be long.
        kept = {name: value for name, value in raw.items() if name != "chain"}
        body = json.dumps(kept, separators=(",", ":"))
        return links.failure(type(error).__qualname__, message, exception_text(error, self._redactor), body)

    def _tell(self, event: type[JobQueueing | JobQueued], push: Push) -> None:
        if self._events.wants(event):
            self._events.emit(event(self._connection, push.queue, None, push.payload, push.delay))


def tell_of_step(events: Events, before: BatchRecord, after: BatchRecord, step: BatchStep) -> None:
    """Tell whether a batch was cancelled or finished by that step, and not by one of somebody else."""
    if after.cancelled_at == step.at and before.cancelled_at is None and events.wants(BatchCancelled):
        events.emit(BatchCancelled(after))
    if after.finished_at == step.at and after != before and events.wants(BatchFinished):
        events.emit(BatchFinished(after))


def _has_any(delivery: Delivery) -> bool:
    """Tell whether a job has consequences when it ends: asked of every job, and nearly always answered no."""
    if delivery.chain is not None:
        return True
    body = delivery.body
    return body is not None and body.has_more and ("unique" in body.raw or "batchId" in body.raw)
