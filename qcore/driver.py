"""The driver port: four methods, the records they carry, and the abilities beyond them.

A driver is a stranger to jobs: it moves payloads, which it never reads, between three places
(ready, delayed, reserved). The promises it makes are tested by ``qtest.contract.DriverContract``.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.batches import BatchStep
    from qcore.failed import FailedJob


class Payload(NamedTuple):
    """A job at rest: an id, and bytes that no backend parses or re-encodes."""

    id: str
    body: bytes


class Reservation(NamedTuple):
    """A payload in hand: hidden from other workers until its lease ends."""

    queue: str
    payload: Payload
    attempts: int
    """How often it was reserved, this time included; counted by the backend inside ``reserve``."""
    token: int
    """Fencing token. Grows with every reservation of an id, also across a retry; never restarts."""
    verdict: str = ""
    """A note left beside the payload by ``release``: how a killed job ended."""
    receipt: object = None
    """The driver's own handle. Nobody else reads it."""


class Settled(enum.Enum):
    """What became of a ``delete``, ``release`` or ``extend``."""

    DONE = "done"
    LATE = "late"
    """Accepted although the lease had passed to another worker: a success counts whoever brings it."""
    STALE = "stale"
    """Refused: somebody else holds the job now, or it was pushed anew. Nothing was changed."""
    GONE = "gone"
    """There is no such job (any more). Nothing was changed."""


class LockRule(enum.Enum):
    """What a lock that somebody else holds means for a push."""

    REFUSE = "refuse"
    """The payload is not stored."""
    SHARE = "share"
    """The payload is stored without the lock; whether it runs is decided when it is reserved."""
    REPLACE = "replace"
    """The lock passes to the payload."""


class Lock(NamedTuple):
    """A key of the store with the same ``home``, which is taken in the step that stores a payload.

    It is free when there is no such key, when its time is over, or when its owner is the id of a payload that is not
    live any more. An owner written as ``pending(id)`` counts as live: its payload waits for a commit.
    """

    key: str
    owner: str
    """The id of the payload."""
    ttl: float | None
    """Seconds, None for ever."""
    rule: LockRule = LockRule.REFUSE


def pending(owner: str) -> str:
    """Write an owner whose payload is not stored yet. Its own push takes the lock over."""
    return f"pending:{owner}"


class Push(NamedTuple):
    """One payload on its way to a queue, due in ``delay`` seconds."""

    queue: str
    payload: Payload
    delay: float = 0
    lock: Lock | None = None


class Unlock(NamedTuple):
    """A lock to free, unless it is in other hands by now."""

    key: str
    owner: str


class Effects(NamedTuple):
    """What must happen in the same atomic step as a delete, exactly when it removed something."""

    pushes: tuple[Push, ...] = ()
    failed: FailedJob | None = None
    """A record for the failed store that lives in the driver's own ``home``."""
    unlocks: tuple[Unlock, ...] = ()
    """Locks in the key store that lives in the driver's own ``home``."""
    batch: BatchStep | None = None
    """How a member of a batch ended; the batch lives in the driver's own ``home``."""


NONE = Effects()


class Driver(Protocol):
    """What every backend can do. Delays and waits are seconds."""

    retry_after: float
    """Seconds after which a reserved payload that was not settled comes back."""
    shared: bool
    """True when another process can read what is pushed here."""

    @property
    def home(self) -> object:
        """Where the payloads live. A store with the same ``home`` is written in the same atomic step."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        """Store the payload; it may be reserved ``delay`` seconds from now.

        A second push of an id changes nothing while the first copy is live.
        """

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take the first due payload of the first queue that has one, and count the attempt.

        Nothing due: wait up to ``wait`` seconds for a push to any of the queues or for the
        next delayed payload to become due.
        """

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a payload wherever it is, and apply ``effects`` in the same step.

        Any token issued since its push is accepted; with ``only_last`` just the newest one.
        """

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give a reserved payload back, due in ``delay`` seconds. Only the newest token may.

        ``count=False`` takes the attempt back that ``reserve`` counted.
        """


@runtime_checkable
class Pipelined(Protocol):
    """The driver settles one payload and takes the next for the price of one call."""

    def delete_and_reserve(
        self, reservation: Reservation, queues: Sequence[str], *, effects: Effects = NONE
    ) -> tuple[Settled, Reservation | None]:
        """Do what ``delete`` does, then what ``reserve`` does without waiting, whatever became of the delete."""


@runtime_checkable
class Bulk(Protocol):
    """The driver stores many payloads for less than the sum of single pushes."""

    def bulk(self, pushes: Iterable[Push]) -> None:
        """Store all, in order."""


@runtime_checkable
class Locking(Protocol):
    """The driver stores a payload and takes its lock in one step."""

    def push_locked(self, push: Push) -> str | None:
        """Store the payload and take ``push.lock``. Gives the owner that holds the lock when that refused the push."""

    def take_lock(self, lock: Lock) -> str | None:
        """Take a lock for a payload that is stored already, or not yet. Gives the owner that holds it instead."""


@runtime_checkable
class Outbox(Protocol):
    """The driver can write in a transaction that the caller began, and will end, on the driver's own database."""

    def joined(self, transaction: object) -> Driver:
        """Give the driver as it is inside of that transaction: what it stores there is gone with a rollback.

        ``transaction`` is the session or connection of the caller.

        :raises ConfigError: when it is on another database, or no transaction is open there.
        """


@runtime_checkable
class Extendable(Protocol):
    """The driver can move the end of a lease."""

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        """Let the lease end ``seconds`` from now. Only the newest token may."""


@runtime_checkable
class Advising(Protocol):
    """The driver knows what is wrong with its backend."""

    def warnings(self) -> list[str]:
        """Say what endangers jobs and can be set right, a sentence each: told when a worker starts."""


@runtime_checkable
class Sizable(Protocol):
    """The driver knows how much it holds."""

    def size(self, queue: str) -> int:
        """Count the payloads of a queue: ready, delayed and reserved."""


@runtime_checkable
class Clearable(Protocol):
    """The driver can empty a queue."""

    def clear(self, queue: str) -> int:
        """Remove every payload of a queue, reserved ones too, and say how many."""


class QueueCounts(NamedTuple):
    """How much waits on one queue."""

    queue: str
    ready: int
    delayed: int
    reserved: int
    waited: float | None
    """Seconds for which the first ready payload has been available, by the clock that the driver goes by."""


class Listed(NamedTuple):
    """One payload as an inspector sees it."""

    queue: str
    payload: Payload
    state: str
    """``ready``, ``delayed`` or ``reserved``."""
    attempts: int
    available_at: float
    """When it may be reserved, or when its lease ends, in seconds since 1970."""


@runtime_checkable
class Findable(Protocol):
    """The driver can look a payload up by its id."""

    def find(self, job_id: str) -> Listed | None:
        """Show a live payload, whatever queue it is on; None when there is none."""


@runtime_checkable
class Inspectable(Protocol):
    """The driver can show what it holds without taking it."""

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something, by name."""

    def listed(self, queue: str, *, limit: int = 100) -> list[Listed]:
        """Show the payloads of a queue in the order in which they become available."""

    def next_due(self, queues: Sequence[str]) -> float | None:
        """When the next payload of these queues becomes available, lease ends included, or None.

        Seconds since 1970; in the past when something is ready. What ``--drain`` waits for.
        """
