"""The locks of unique jobs and the tokens of debounced ones: taken with the push, looked at when a job is delivered.

Where lock and queue share a home the driver takes and frees the lock in the step that stores or deletes the payload.
Elsewhere it takes two steps, and the owner is written as ``pending``: nobody beside the lock can know that it is live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import Lock, Locking, LockRule, Outbox, Unlock, pending
from qcore.errors import UnsupportedError
from qcore.events import JobDebounced, UniqueJobSkipped
from qcore.links import lock_field
from qcore.store import Joining, Listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.clock import Clock
    from qcore.delivery import Delivery
    from qcore.driver import Driver, Push
    from qcore.events import Events
    from qcore.jobs import Job
    from qcore.links import LockField
    from qcore.store import Store

RESERVED_FOR = 3600.0
"""Seconds for which a lock is kept for a payload that waits for a commit: its process may die before."""

_SINCE = "since:{}"


def is_pending(value: str) -> bool:
    """Tell whether the job that holds a lock waits for a commit, or lives in another backend than its lock."""
    return value.startswith(pending(""))


def owner_id(value: str) -> str:
    """Give the id of the job that holds a lock, whose value this is."""
    return value.removeprefix(pending(""))


class UniqueLocks:
    """The locks of the jobs of one connection."""

    def __init__(
        self, connection: str, driver: Driver, *, store: Callable[[], Store], clock: Clock, events: Events
    ) -> None:
        """Take the parts; the App joins them."""
        self._connection = connection
        self._driver = driver
        self._store = store
        self._clock = clock
        self._events = events

    @property
    def share_home(self) -> bool:
        """True when locks and payloads live in one backend, so that one step can write both."""
        return self._store().home is self._driver.home

    def joined(self, transaction: object) -> UniqueLocks | None:
        """Give the locks as they are inside a transaction of the caller; None when that is on another backend.

        What is taken there is gone with a rollback. Any other way it would have to wait for the transaction's end.
        """
        store, driver = self._store(), self._driver
        inside = store.joined(transaction) if isinstance(store, Joining) else None
        if inside is None:
            return None
        if self.share_home and isinstance(driver, Outbox):
            driver = driver.joined(transaction)
        return UniqueLocks(self._connection, driver, store=lambda: inside, clock=self._clock, events=self._events)

    def written_by(self, transaction: object) -> UniqueLocks:
        """Give the locks of payloads that a transaction of the caller writes; those elsewhere cannot be taken."""
        inside = self.joined(transaction) if self.share_home else None
        return inside or _Elsewhere(
            self._connection, self._driver, store=self._store, clock=self._clock, events=self._events
        )

    # When a job is pushed.

    def push(self, push: Push) -> str | None:
        """Push a payload and take its lock; gives the holder when that refused it."""
        lock = push.lock
        if lock is not None and isinstance(self._driver, Locking) and self.share_home:
            holder = self._driver.push_locked(push)
            return None if holder is None else owner_id(holder)
        if lock is None or lock.rule is LockRule.REPLACE:
            self._push_replacing(push)
            return None
        # Rather a lock without a job, which ends by itself, than two jobs.
        holder = self._take_apart(lock)
        if holder is not None and lock.rule is LockRule.REFUSE:
            return holder
        try:
            self._push_bare(push)
        except BaseException:
            self._free(lock.key, lock.owner)
            raise
        return None

    def _push_replacing(self, push: Push) -> None:
        """Push first, where that is safe: a token of a job that is not there would keep the others from running.

        A job that is due at once may be delivered before its token is written, and so be taken for an old one.
        """
        lock = push.lock
        if push.delay > 0 or lock is None:
            self._push_bare(push)
        if lock is not None:
            self._store().put(lock.key, lock.owner, ttl=lock.ttl)
            if push.delay <= 0:
                self._push_bare(push)

    def _push_bare(self, push: Push) -> None:
        self._driver.push(push.queue, push.payload, delay=push.delay)

    def reserve(self, push: Push) -> str | None:
        """Keep the lock of a payload that is to be pushed after a commit; gives the holder when it is taken.

        The push that follows takes it over. Without a push it ends within an hour; on a rollback, ``cancel`` it.
        """
        lock = push.lock
        if lock is None or lock.rule is not LockRule.REFUSE:
            return None
        ttl = RESERVED_FOR if lock.ttl is None else min(lock.ttl, RESERVED_FOR)
        if isinstance(self._driver, Locking) and self.share_home:
            holder = self._driver.take_lock(Lock(lock.key, pending(lock.owner), ttl))
            return None if holder is None else owner_id(holder)
        return self._take_apart(lock._replace(ttl=ttl))

    def cancel(self, push: Push) -> None:
        """Free the lock that was kept for a payload, which will not be pushed."""
        if push.lock is not None and push.lock.rule is LockRule.REFUSE:
            self._store().forget(push.lock.key, value=pending(push.lock.owner))

    def before(self, push: Push, *, after: Delivery | None = None) -> Push:
        """Take the lock of a payload that another step pushes, where that step cannot; give it without the lock then.

        Only for payloads that are pushed whoever holds their lock. ``after`` is the delivery that ends with that step:
        its own lock is given up for the payload, as it would be in the step.
        """
        lock = push.lock
        if lock is None or self.share_home:
            return push
        if lock.rule is not LockRule.REPLACE:
            if after is not None:
                self.give_up(after, push)
            self._take_apart(lock)
        elif after is not None or push.delay <= 0:  # it comes again until the step is done, or see _push_replacing
            self._store().put(lock.key, lock.owner, ttl=lock.ttl)
        return push._replace(lock=None)

    def give_up(self, delivery: Delivery, push: Push) -> None:
        """Free the lock of a job that is over but for its delete, when what follows it needs that very lock.

        A worker may get what follows before the delete has freed it, and would not run it.
        """
        field = _field_of(delivery)
        if field is not None and push.lock is not None and field.key == push.lock.key:
            self.free(delivery)

    def after(self, push: Push, *, pushed: bool) -> None:
        """Do what was left by ``before`` for the time after that step."""
        lock = push.lock
        if lock is None or self.share_home:
            return
        if lock.rule is LockRule.REPLACE:
            if pushed and push.delay > 0:
                self._store().put(lock.key, lock.owner, ttl=lock.ttl)
        elif not pushed:
            self._free(lock.key, lock.owner)

    def put_off(self, push_body: dict[str, object], delay: float) -> float:
        """Give the seconds for which a debounced job is put off: fewer, when others were put off for it already."""
        field = lock_field(push_body)
        if field is None or field.max_wait is None or field.rule is not LockRule.REPLACE:
            return delay
        store, key, now = self._store(), _SINCE.format(field.key), self._clock.now()
        if store.add(key, repr(now), ttl=field.max_wait + (field.ttl or 0)):
            return delay
        first = float(store.get(key) or now)
        return max(min(delay, first + field.max_wait - now), 0)

    def tell_skipped(self, push: Push, job: Job | None, holder: str) -> None:
        """Tell that a job was not pushed because another one holds its lock."""
        lock = push.lock
        if lock is not None and self._events.wants(UniqueJobSkipped):
            left = self._left(lock.key)
            event = UniqueJobSkipped(
                self._connection, push.queue, job, push.payload.id, lock.key, holder, left, delivery=None
            )
            self._events.emit(event)

    # When it is delivered.

    def holder_against(self, delivery: Delivery) -> str | None:
        """Find the job for whose sake a delivered one is not run; None when it may run."""
        field = _field_of(delivery)
        if field is None or field.rule is None:
            return None
        if field.rule is LockRule.REPLACE:
            return self._successor(delivery, field)
        if field.until_processing and delivery.attempts() > 1:
            return None  # it gave its lock up when it was begun
        lock = Lock(field.key, delivery.id, field.ttl)
        if isinstance(self._driver, Locking) and self.share_home:
            holder = self._driver.take_lock(lock)
            return None if holder is None else owner_id(holder)
        return self._take_apart(lock)

    def _successor(self, delivery: Delivery, field: LockField) -> str | None:
        """Find the job that was dispatched after a debounced one; when nobody knows any more, it may run."""
        last = self._store().get(field.key)
        if last is not None and owner_id(last) != delivery.id:
            return owner_id(last)
        if field.max_wait is not None:
            self._store().forget(_SINCE.format(field.key))
        return None

    def tell_kept_away(self, delivery: Delivery, holder: str) -> None:
        """Tell that a delivered job is not run."""
        field = _field_of(delivery)
        if field is None:
            return
        if field.rule is LockRule.REPLACE:
            self._events.emit(JobDebounced(delivery, field.key, holder))
        elif self._events.wants(UniqueJobSkipped):
            left = self._left(field.key)
            event = UniqueJobSkipped(
                delivery.connection, delivery.queue, delivery.job, delivery.id, field.key, holder, left, delivery
            )
            self._events.emit(event)

    # When it begins, or has ended.

    def unlocks(self, delivery: Delivery) -> tuple[Unlock, ...]:
        """Give what is to be freed with the delete; nothing where that takes a step of its own."""
        field = _field_of(delivery)
        if field is None or field.rule is LockRule.REPLACE or not self.share_home:
            return ()
        return (Unlock(field.key, delivery.id),)

    def free(self, delivery: Delivery) -> None:
        """Free the lock of a job in a step of its own, unless it is in other hands."""
        field = _field_of(delivery)
        # A token stays: it tells older deliveries, which may come yet, that they were replaced.
        if field is not None and field.rule is not LockRule.REPLACE:
            self._free(field.key, delivery.id)

    # The two steps.

    def _take_apart(self, lock: Lock) -> str | None:
        """Take a lock for which nobody can say whether its owner is live; gives the holder when it is taken."""
        store, mine = self._store(), pending(lock.owner)
        while not store.add(lock.key, mine, ttl=lock.ttl):
            holder = store.get(lock.key)
            if holder in {mine, lock.owner}:
                store.put(lock.key, mine, ttl=lock.ttl)
                return None
            if holder is not None:
                return owner_id(holder)
        return None

    def _free(self, key: str, owner: str) -> None:
        if not self._store().forget(key, value=owner):
            self._store().forget(key, value=pending(owner))

    def _left(self, key: str) -> float | None:
        store = self._store()
        held = store.held(key) if isinstance(store, Listing) else None
        return None if held is None or held.expires_at is None else max(held.expires_at - self._clock.now(), 0)


class _Elsewhere(UniqueLocks):
    """Locks that a transaction could not take back."""

    def push(self, push: Push) -> str | None:  # noqa: ARG002
        """Refuse it."""
        raise UnsupportedError(
            f"within= takes the lock of a unique job in your transaction, so it has to live on the connection "
            f"{self._connection!r}: set store = {self._connection!r}, or say after_commit= instead"
        )


def _field_of(delivery: Delivery) -> LockField | None:
    return None if delivery.body is None else lock_field(delivery.body.raw)
