"""Pushes, locks and failed jobs as scripts take them. What cannot be stored raises here, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.clock import milliseconds
from qcore.driver import Payload, Reservation
from qcore.errors import DriverError
from qcore.redis.keys import name, place, queue_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qcore.driver import Lock, Push, Unlock
    from qcore.failed import FailedJob
    from qcore.redis.script import Argument

_FAR = 1 << 52
"""Milliseconds: beyond that a sorted set cannot tell two instants apart."""

LARGEST = 512 << 20
"""Bytes of one value: more, the server does not even read."""

_CHUNK = 100
_CHUNK_BYTES = 1 << 20


def micros(seconds: float) -> int:
    """Whole microseconds, in which scripts are told how long something takes.

    :raises DriverError: for a time that cannot be kept.
    :raises ArithmeticError, ValueError: for what is no number of seconds.
    """
    if milliseconds(seconds) > _FAR:
        raise DriverError(f"redis cannot keep a time of {seconds:g} seconds: the longest is {_FAR / 1000:g}")
    return round(seconds * 1_000_000)


def body_of(payload: Payload) -> bytes:
    """Give the body, unless no server would take it.

    :raises DriverError: when it is too large.
    """
    if len(payload.body) > LARGEST:
        raise DriverError(f"redis cannot hold a payload of {len(payload.body)} bytes: {LARGEST} are the most it takes")
    return payload.body


def taken(record: bytes) -> Reservation:
    """Read what a script took: attempts, token, three lengths, and then id, verdict, queue and body in one piece."""
    attempts, token, *lengths, rest = record.split(b" ", 5)
    of_id, of_verdict, of_place = map(int, lengths)
    verdict, place, body = of_id, of_id + of_verdict, of_id + of_verdict + of_place
    return Reservation(
        queue_of(rest[place:body]),
        Payload(rest[:verdict].decode(), rest[body:]),
        int(attempts),
        int(token),
        rest[verdict:place].decode(),
    )


def plain_arguments(queue: str, payload: Payload, delay: float, _lock: Lock | None = None) -> tuple[Argument, ...]:
    """Write a push without its lock."""
    return place(queue), name(payload.id, "the id of a job"), body_of(payload), micros(delay)


def push_arguments(push: Push) -> tuple[Argument, ...]:
    """Write a push with its lock."""
    return *plain_arguments(*push), *((b"", b"", b"", b"") if push.lock is None else lock_arguments(push.lock))


def lock_arguments(lock: Lock) -> list[Argument]:
    """Write a lock."""
    ttl: Argument = b"" if lock.ttl is None else micros(lock.ttl)
    return [name(lock.key, "a key"), lock.owner.encode(), ttl, lock.rule.value]


def unlock_arguments(unlocks: Iterable[Unlock]) -> list[Argument]:
    """Write locks to free."""
    return [part.encode() for unlock in unlocks for part in unlock]


def failed_arguments(record: FailedJob) -> list[Argument]:
    """Write the record of a failed job."""
    # A traceback may show what is not quite text, such as a file name in a broken encoding.
    exception = record.exception.encode("utf-8", "backslashreplace")
    job_id = name(record.payload.id, "the id of a job")
    return [job_id, record.payload.body, record.connection, record.queue, exception, repr(float(record.failed_at))]


def pieces(pushes: Iterable[Push]) -> Iterator[list[Push]]:
    """Part many pushes so that no call keeps a server busy for more than a moment."""
    piece: list[Push] = []
    size = 0
    for push in pushes:
        piece.append(push)
        size += len(push.payload.body)
        if len(piece) == _CHUNK or size >= _CHUNK_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece
