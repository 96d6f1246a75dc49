"""Failed jobs and keys in a SQL database."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from qcore.clock import milliseconds
from qcore.driver import Payload
from qcore.errors import DriverError
from qcore.failed import FailedJob
from qcore.sql.records import begun, hold_key, keep_failed, take_key
from qcore.store import Held

if TYPE_CHECKING:
    from qcore.clock import Clock
    from qcore.sql import Database
    from qcore.sql.connection import Asks, Runs
    from qcore.sql.database import Timed


class DatabaseFailedStore:
    """Keeps failed jobs as rows of ``qcore_failed_jobs``."""

    def __init__(self, home: Database) -> None:
        """Use the tables of ``home``."""
        self.home = home

    def add(self, record: FailedJob) -> None:
        """Keep the record under a new number; an older one with the same id is replaced."""
        self.home.atomically(lambda runs: keep_failed(runs, self.home.statements, record), repeatable=True)

    def find(self, job_id: str) -> FailedJob | None:
        """Look one up."""
        rows = self.home.rows(self.home.statements.find_failed, uuid=job_id)
        return _record(rows[0]) if rows else None

    def listed(self, *, queue: str | None = None) -> list[FailedJob]:
        """Show all records, of one queue if given; the newest failure first."""
        statements = self.home.statements
        if queue is None:
            rows = self.home.rows(statements.list_failed)
        else:
            rows = self.home.rows(statements.list_failed_of, queue=queue)
        return [_record(row) for row in rows]

    def forget(self, job_id: str, *, number: int | None = None) -> bool:
        """Remove one, with ``number`` only that failure of it; False when there was none."""
        statements = self.home.statements
        if number is None:
            return self.home.changed(statements.forget_failed, uuid=job_id) > 0
        return self.home.changed(statements.forget_failure, uuid=job_id, number=number) > 0

    def flush(self, *, before: float | None = None) -> int:
        """Remove all, or those that failed at or before that instant; say how many."""
        statements = self.home.statements
        if before is None:
            return self.home.changed(statements.flush_failed)
        return self.home.changed(statements.flush_failed_before, before=before)


def _record(row: tuple[Any, ...]) -> FailedJob:
    job_id, body, *rest = row
    return FailedJob(Payload(job_id, body), *rest)


class DatabaseStore:
    """Keeps keys as rows of ``qcore_keys``."""

    shared = True

    def __init__(self, home: Database, clock: Clock) -> None:
        """Use the tables of ``home``; the time of keys runs on ``clock``."""
        self.home = home
        self._clock = clock

    @cached_property
    def _timed(self) -> Timed:
        return self.home.timed(self._clock)

    def get(self, key: str) -> str | None:
        """Read a value; None when there is none or its time is over."""
        return self._value(self.home, key)

    def _value(self, runs: Asks, key: str) -> str | None:
        rows = runs.rows(self._timed.statements.get_key, key=key, now=self._now())
        return rows[0][0] if rows else None

    def put(self, key: str, value: str, *, ttl: float | None = None) -> None:
        """Write a value, whatever was there."""
        self._sweep_now_and_then()
        self.home.changed(self._timed.statements.put_key, key=key, value=value, end=self._end(ttl))

    def add(self, key: str, value: str, *, ttl: float | None = None) -> bool:
        """Write a value only when the key is free, in one atomic step; False when it is taken."""
        self._sweep_now_and_then()
        row = {"key": key, "value": value, "end": self._end(ttl), "now": self._now()}

        def add(*, again: bool) -> bool:
            runs = self.home.connection()
            # Who adds says by the value who he is: what is there when he asks again, he has written.
            return take_key(runs, self._timed.statements, **row) or (again and self._value(runs, key) == value)

        return self.home.insist(add)

    def increment(self, key: str, *, by: int = 1, ttl: float | None = None) -> int:
        """Add to a counter and return it, in one atomic step. A new counter starts at 0 and gets ``ttl``."""
        self._sweep_now_and_then()
        statements = self._timed.statements

        def step(runs: Runs) -> int:
            hold_key(runs, statements, key)
            first = {"key": key, "value": str(by), "end": self._end(ttl), "now": self._now()}
            if take_key(runs, statements, **first):
                return by
            [(value,)] = runs.rows(statements.lock_key, key=key)
            try:
                total = int(value) + by
            except ValueError as error:
                raise DriverError(f"the key {key!r} holds {value!r}, which is no counter: forget it first") from error
            runs.changed(statements.change_key, key=key, value=str(total))
            return total

        return self.home.atomically(step)

    def forget(self, key: str, *, value: str | None = None) -> bool:
        """Remove a key; with ``value`` only when it holds just that. False when nothing was removed."""
        statements, row = self._timed.statements, {"key": key, "now": self._now()}

        def forget(*, again: bool) -> bool:
            runs = self.home.connection()
            if value is None:
                return runs.changed(statements.forget_key, **row) > 0 or again
            changed = runs.changed(statements.forget_key_with, value=value, **row)
            return changed > 0 or (again and self._value(runs, key) is None)

        return self.home.insist(forget)

    def joined(self, transaction: object) -> DatabaseStore | None:
        """Give the store as it is inside a transaction of the caller; None when that is on another database."""
        from qcore.sql.borrowed import joined_if_there  # few need it

        home = joined_if_there(self.home, transaction)
        return None if home is None else DatabaseStore(home, self._clock)

    def held(self, key: str) -> Held | None:
        """Show one key; None when there is none or its time is over."""
        rows = self.home.rows(self._timed.statements.get_key, key=key, now=self._now())
        return _held(key, *rows[0]) if rows else None

    def held_below(self, prefix: str, *, limit: int = 1000) -> list[Held]:
        """Show the keys that begin with ``prefix``, in the order of their characters."""
        statement = self._timed.statements.list_keys
        rows = self.home.rows(statement, prefix=prefix, length=len(prefix), now=self._now(), most=limit)
        return [_held(*row) for row in rows]

    def _sweep_now_and_then(self) -> None:
        self.home.sweep_keys_now_and_then(self._timed, self._now())

    def _now(self) -> int:
        return begun(self._timed.now())

    def _end(self, ttl: float | None) -> int | None:
        return None if ttl is None else milliseconds(self._timed.now() + ttl)


def _held(key: str, value: str, end: int | None) -> Held:
    return Held(key, value, None if end is None else end / 1000)
