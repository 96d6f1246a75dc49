"""``WithoutOverlapping``: one at a time."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qcore.delivery import current_delivery
from qcore.driver import pending
from qcore.errors import DriverError, JobError
from qcore.layers import Middleware, checked_seconds, kind_of, store_key
from qcore.options import checked_name
from qcore.unique_locks import is_pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.delivery import Delivery
    from qcore.layers import Next
    from qcore.store import Store

logger = logging.getLogger("qcore")

_MARGIN = 60.0
"""Seconds by which a lock outlives the time limit of its job."""
_DAY = 86_400.0
"""Seconds that the lock of a job without a time limit lasts."""

_held: ContextVar[frozenset[str]] = ContextVar("qcore_without_overlapping", default=frozenset())
"""The locks that the job running here holds, and those of the jobs that run it in place."""


@dataclass(frozen=True)
class WithoutOverlapping(Middleware):
    """Run no two jobs of a class at once whose key is the same; the second is given back.

    The lock is freed when the job ends, however it ends. Should the worker die, the job takes its lock over when it is
    delivered again. Of a job that is gone anybody takes it over, where jobs and locks live in one backend; elsewhere it
    stays until it expires.
    """

    key: str = ""
    release_after: float = 1
    """Seconds until a blocked job is due again; 0: at once, and so over and over until the other one has ended."""
    expire_after: float | None = None
    """Seconds that the lock lasts at most, but never less than the time limit of the job and a minute.

    None: just that; a day for a job without a time limit.
    """
    releases: bool = True
    """False: a blocked job ends without running, as if it had succeeded."""
    is_shared: bool = False
    """True: jobs of other classes with this key are kept away, too."""
    prefix: str = ""

    def __post_init__(self) -> None:
        """Check the numbers; the key may be whatever ``str()`` tells apart.

        :raises JobDefinitionError: for what is no number of seconds.
        """
        object.__setattr__(self, "key", str(self.key))
        checked_seconds(self.release_after, "release_after")
        if self.expire_after is not None:
            checked_seconds(self.expire_after, "expire_after")

    def dont_release(self) -> WithoutOverlapping:
        """Skip a blocked job instead of giving it back."""
        return replace(self, releases=False)

    def shared(self) -> WithoutOverlapping:
        """Keep jobs of all classes with this key from overlapping."""
        return replace(self, is_shared=True)

    def with_prefix(self, prefix: str) -> WithoutOverlapping:
        """Begin the lock's name with something else: for applications that share a store.

        :raises JobDefinitionError: when it can be no part of a name.
        """
        return replace(self, prefix=checked_name(prefix, "prefix"))

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Run the job under the lock, or block it.

        :raises JobError: when it would have to wait for the very job that runs it in place.
        """
        delivery = current_delivery()
        store, key = delivery.tools.store(), self._key(job)
        # With the token: what a worker does that has lost its lease must not free the lock of the one that has it now.
        owner = f"{delivery.id}:{delivery.reservation.token}"
        find = delivery.tools.finder()
        if find is None:
            owner = pending(owner)  # nobody beside the lock can know whether the job is gone
        taken: bool | None = None  # not known as long as it is being taken: a time limit may interrupt that
        try:
            taken = _take(store, key, owner, self._lasts(delivery), find)
            if taken:
                return _run(job, call_next, key)
            self._block(delivery, key)
        finally:
            if taken is not False:
                _free(store, key, owner, delivery)
        return None

    def _block(self, delivery: Delivery, key: str) -> None:
        if self.releases and delivery.tools.in_place and key in _held.get():
            raise JobError(
                f"{delivery.name} would wait for ever: it is run in place by a job that holds its lock {key!r}. "
                "Dispatch it to a queue, or give it another key"
            )
        delivery.block(self, self.release_after if self.releases else None)

    def _key(self, job: Any) -> str:  # noqa: ANN401 - the job's own class
        return store_key("overlap", self.prefix, "" if self.is_shared else kind_of(job), self.key)

    def _lasts(self, delivery: Delivery) -> float:
        if not delivery.timeout:
            return self.expire_after or _DAY
        return max(delivery.timeout + _MARGIN, self.expire_after or 0)


def _take(store: Store, key: str, owner: str, ttl: float, find: Callable[[str], object] | None) -> bool:
    if store.add(key, owner, ttl=ttl):
        return True
    holder = store.get(key)
    if holder is not None:
        if not _is_left(holder, owner, find):
            return False
        store.forget(key, value=holder)
    return store.add(key, owner, ttl=ttl)


def _is_left(holder: str, owner: str, find: Callable[[str], object] | None) -> bool:
    """Tell whether nobody will free a lock: it is of this very job, delivered before, or of one that is gone."""
    job_id = holder.rpartition(":")[0]
    if job_id == owner.rpartition(":")[0]:
        return True
    return find is not None and not is_pending(holder) and find(job_id) is None


def _run(job: Any, call_next: Next, key: str) -> object:  # noqa: ANN401 - the job's own class
    token = _held.set(_held.get() | {key})
    try:
        return call_next(job)
    finally:
        _held.reset(token)


def _free(store: Store, key: str, owner: str, delivery: Delivery) -> None:
    try:
        store.forget(key, value=owner)
    except DriverError as error:
        # The job has ended, and its end counts.
        logger.warning("the lock %r of %s (%s) stays until it expires: %s", key, delivery.name, delivery.id, error)
