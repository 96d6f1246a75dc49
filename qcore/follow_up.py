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
from qcore.driver import NONE, Effects, LockRule, Push, Unlock
from qcore.errors import ConfigError
from qcore.events import JobQueued, JobQueueing
from qcore.redaction import Redactor, exception_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.clock import Clock
    from qcore.delivery import Delivery
    from qcore.driver import Driver
    from qcore.events import Events
    from qcore.store import Store

logger = logging.getLogger("qcore")

_FIELDS = ("chain", "batchId", "unique")
"""Fields of a payload whose job has consequences when it ends."""


class FollowUps:
    """The consequences of the jobs of one connection."""

    def __init__(  # noqa: PLR0913 - joined by the App
        self,
        *,
        connection: str,
        driver: Driver,
        store: Callable[[], Store],
        clock: Clock,
        events: Events,
        redactor: Redactor,
        push_elsewhere: Callable[[str, Push], object],
    ) -> None:
        """Take the parts; ``push_elsewhere`` pushes to another connection."""
        self._connection = connection
        self._driver = driver
        self._store = store
        self._clock = clock
        self._events = events
        self._redactor = redactor
        self._push_elsewhere = push_elsewhere

    def after_success(self, delivery: Delivery) -> Effects:
        """Prepare what follows a job that ran or was skipped; other connections get theirs now."""
        if not _has_any(delivery):
            return NONE
        following = links.following(delivery.chain, self._clock.now()) if delivery.chain else None
        pushes = self._own([following] if following else [])
        return Effects(pushes, None, self._unlocks(delivery), self._step(delivery, State.DONE))

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
            pushes = self._own(links.caught(delivery.chain, self._clock.now(), told, salt))
        return Effects(pushes, None, self._unlocks(delivery), self._step(delivery, State.FAILED, told))

    def freed(self, delivery: Delivery, effects: Effects) -> None:
        """Do what was left for the time after the delete, and tell what it pushed."""
        if delivery.body is not None and "unique" in delivery.body.raw and not effects.unlocks:
            self.unlock(delivery)
        for push in effects.pushes:
            self._tell(JobQueued, push)

    def unlock(self, delivery: Delivery) -> None:
        """Free the lock of a unique job, unless it is in other hands."""
        lock = delivery.body.raw["unique"] if delivery.body is not None else None
        if lock is not None:
            self._store().forget(lock["key"], value=delivery.id)

    def _own(self, prepared: Iterable[tuple[str, Push]]) -> tuple[Push, ...]:
        """Push what belongs to other connections; give the rest."""
        own = []
        for connection, push in prepared:
            if connection != self._connection and self._pushed_elsewhere(connection, push):
                continue
            self._tell(JobQueueing, push)
            own.append(self._with_lock_taken(push))
        return tuple(own)

    def _pushed_elsewhere(self, connection: str, push: Push) -> bool:
        try:
            self._push_elsewhere(connection, push)
        except ConfigError as error:
            # The configuration was changed while it waited; on this connection it is not lost, and can be seen.
            logger.error("%s is pushed to the connection %s: %s", push.payload.id, self._connection, error)  # noqa: TRY400
            return False
        return True

    def _with_lock_taken(self, push: Push) -> Push:
        """Take the lock beforehand where it lives in another backend than the queue."""
        lock = push.lock
        if lock is None or self._locks_here():
            return push
        if not self._store().add(lock.key, lock.owner, ttl=lock.ttl) and lock.rule is LockRule.REPLACE:
            self._store().put(lock.key, lock.owner, ttl=lock.ttl)
        return push._replace(lock=None)

    def _locks_here(self) -> bool:
        return self._store().home is self._driver.home

    def _unlocks(self, delivery: Delivery) -> tuple[Unlock, ...]:
        lock = delivery.body.raw.get("unique") if delivery.body is not None else None
        return (Unlock(lock["key"], delivery.id),) if lock and self._locks_here() else ()

    def _step(self, delivery: Delivery, state: State, told: str = "") -> BatchStep | None:
        batch_id = delivery.body.raw.get("batchId") if delivery.body is not None else None
        if batch_id is None:
            return None
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


def _has_any(delivery: Delivery) -> bool:
    if delivery.chain is not None:
        return True
    return delivery.body is not None and any(field in delivery.body.raw for field in _FIELDS)
