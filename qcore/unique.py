"""Unique jobs: one lock for each unique id, taken with the push and freed with the delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.driver import Locking, LockRule, pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.delivery import Delivery
    from qcore.driver import Driver, Push
    from qcore.events import Events
    from qcore.jobs import Job
    from qcore.store import Store

DAY = 86_400.0


class Unique(NamedTuple):
    """How jobs of a class keep each other away."""

    ttl: float | None = DAY
    """Seconds that a lock lasts at most, counted from when the job is due; None: for ever."""
    until_processing: bool = False
    """The lock is freed when the handler begins, not when the job has ended."""
    debounce: float | None = None
    """Seconds for which each push puts the job off; only the last one pushed runs."""
    max_wait: float | None = None
    """Seconds after which a debounced job is put off no longer."""


class UniqueLocks:
    """The locks of the unique jobs of an App."""

    def __init__(self, store: Callable[[], Store], events: Events) -> None:
        """Keep them in that store."""
        self._store = store
        self._events = events

    def field_of(self, job: Job) -> dict[str, Any]:
        """Write the field ``unique`` of a payload."""
        rule = type(job).__job__.unique
        return {"key": f"unique:{type(job).__job__.name}:{job.unique_id()}", "ttl": rule.ttl if rule else DAY}

    def push(self, driver: Driver, push: Push) -> str | None:
        """Push a payload and take its lock; gives the holder when that refused it."""
        lock = push.lock
        if lock is not None and isinstance(driver, Locking) and self.are_in(driver):
            return driver.push_locked(push)
        # Two backends, so two steps: rather a lock without a job, which ends by itself, than two jobs.
        holder = self.take_elsewhere(driver, push)
        if holder is not None:
            return holder
        try:
            driver.push(push.queue, push.payload, delay=push.delay)
        except BaseException:
            self.give_back(push)
            raise
        return None

    def take_elsewhere(self, driver: Driver, push: Push) -> str | None:
        """Take the lock of a payload before its push, where they live in two backends; gives who holds it against that.

        Where they live in one, the push itself takes it.
        """
        lock, store = push.lock, self._store()
        if lock is None or self.are_in(driver):
            return None
        if not store.add(lock.key, lock.owner, ttl=lock.ttl):
            holder = store.get(lock.key)
            mine = holder in {lock.owner, pending(lock.owner)}
            if lock.rule is LockRule.REFUSE and not mine and holder is not None:
                return holder
            if mine or lock.rule is LockRule.REPLACE:
                store.put(lock.key, lock.owner, ttl=lock.ttl)
        return None

    def are_in(self, driver: Driver) -> bool:
        """Tell whether they live where the driver's payloads do, so that a push takes its lock itself."""
        return isinstance(driver, Locking) and self._store().home is driver.home

    def holder_of(self, push: Push) -> str | None:
        """Say who holds the lock of a payload: the id of its owner, None when nobody does."""
        return None if push.lock is None else self._store().get(push.lock.key)

    def give_back(self, push: Push) -> None:
        """Free the lock of a payload that was not pushed after all."""
        if push.lock is not None:
            self._store().forget(push.lock.key, value=push.lock.owner)

    def tell_skipped(self, connection: str, push: Push, job: Job | None, holder: str) -> None:
        """Tell that a job was not pushed because another one holds its lock."""

    def may_run(self, delivery: Delivery) -> bool:
        """Tell whether a job that was pushed without its lock may run now."""
        return True
