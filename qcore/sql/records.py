"""Writing payloads with their locks, and failed jobs: alone, or in the transaction of something else."""

from __future__ import annotations

from itertools import groupby
from os import urandom
from typing import TYPE_CHECKING

from qcore.clock import milliseconds
from qcore.driver import LockRule, pending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.driver import Lock, Push, Unlock
    from qcore.failed import FailedJob
    from qcore.sql.connection import Asks, Runs
    from qcore.sql.statements import Statements


def begun(now: float) -> int:
    """Give an instant in whole milliseconds, rounded down: it has come when all of it is over."""
    return -milliseconds(-now)


def call_name(now: float) -> int:
    """Name a call that reserves, so that what it took is found again when its answer was lost.

    It is its instant, in nanoseconds since 1970; what is less than a millisecond is chance.
    """
    return milliseconds(now) * 1_000_000 + int.from_bytes(urandom(4)) % 1_000_000


def push_row(push: Push, now: float) -> dict[str, object]:
    """Give the inputs of ``statements.push`` for a payload that is stored ``now``, in seconds since 1970."""
    today = begun(now)
    return {
        "uuid": push.payload.id,
        "queue": push.queue,
        "body": push.payload.body,
        # Without a delay it is due in this very millisecond; with one, never early.
        "due": today if push.delay <= 0 else milliseconds(now + push.delay),
        "now": today,
    }


def push_within(runs: Runs, statements: Statements, push: Push, now: float) -> str | None:
    """Store a payload and take its lock, inside an open transaction; ``now`` is in seconds since 1970.

    Gives the owner that holds the lock when that refused the push. What cannot be written raises before the first
    statement. It writes before it reads: a transaction that read first may be refused the write lock.
    """
    row, lock = push_row(push, now), push.lock
    taking = {} if lock is None else _lock_row(lock, now)
    if not runs.changed(statements.push, **row) or lock is None:
        return None  # without a lock, or a live id: its lock was taken with its first push
    holder = _take_lock(runs, statements, lock, taking)
    if holder is None or lock.rule is LockRule.SHARE:
        return None
    runs.changed(statements.take_back, uuid=push.payload.id)
    return holder


def take_lock(runs: Runs, statements: Statements, lock: Lock, now: float) -> str | None:
    """Take a lock that is free or may be replaced, inside an open transaction; gives the owner that holds it instead.

    ``now`` is in seconds since 1970.
    """
    return _take_lock(runs, statements, lock, _lock_row(lock, now))


def _take_lock(runs: Runs, statements: Statements, lock: Lock, row: dict[str, object]) -> str | None:
    is_held = hold_key(runs, statements, lock.key)
    while is_held or not runs.changed(statements.add_key, **row):
        # Held first, and looked into by another statement: one that waited for the row would not see whose
        # payload was stored meanwhile.
        held = runs.rows(statements.lock_key, key=lock.key)
        if not held:
            continue  # freed meanwhile
        if lock.rule is LockRule.REPLACE:
            runs.changed(statements.put_key, **row)
        elif not runs.changed(statements.take_over_key, **row):
            return str(held[0][0])
        break
    return None


def hold_key(runs: Asks, statements: Statements, key: str) -> bool:
    """Keep others from a key before it is written, inside an open transaction; False where that is not needed.

    What is not there is then there, with its time over.
    """
    if statements.hold_key is None:
        return False
    runs.changed(statements.hold_key, key=key)
    return True


def take_key(runs: Asks, statements: Statements, **row: object) -> bool:
    """Write a key that is free: there is none, or its time is over. Inputs as those of ``statements.renew_key``."""
    # The last one is for a key whose time was over, and that was swept in between.
    return any(runs.changed(each, **row) for each in (statements.add_key, statements.renew_key, statements.add_key))


def push_all(runs: Runs, statements: Statements, pushes: Iterable[Push], now: float) -> set[str]:
    """Store payloads in their order, inside an open transaction; gives the ids of those that their locks refused."""
    refused = set()
    for locked, group in groupby(pushes, lambda push: push.lock is not None):
        if not locked:
            runs.many(statements.push, [push_row(push, now) for push in group])
            continue
        refused |= {push.payload.id for push in group if push_within(runs, statements, push, now) is not None}
    return refused


def unlock_all(runs: Runs, statements: Statements, unlocks: Iterable[Unlock]) -> None:
    """Free locks, unless they are in other hands."""
    for key, owner in unlocks:
        runs.changed(statements.unlock, key=key, owner=owner, waiting=pending(owner))


def _lock_row(lock: Lock, now: float) -> dict[str, object]:
    return {
        "key": lock.key,
        "value": lock.owner,
        "waiting": pending(lock.owner),
        "end": None if lock.ttl is None else milliseconds(now + lock.ttl),
        "now": begun(now),
    }


def keep_failed(runs: Runs, statements: Statements, record: FailedJob) -> None:
    """Keep a failed job under the next number, in place of an older record. Call it inside a transaction."""
    runs.changed(statements.forget_failed, uuid=record.payload.id)
    runs.changed(
        statements.keep_failed,
        uuid=record.payload.id,
        connection=record.connection,
        queue=record.queue,
        body=record.payload.body,
        # A traceback may show what no database stores, such as a file name in a broken encoding, or a NUL.
        exception=record.exception.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00"),
        failed_at=record.failed_at,
    )
