"""Every statement of qcore on a database, with its inputs.

Built with SQLAlchemy, so that a dialect costs no second text, and compiled once to a string: building
an expression for every call would take four times as long as running it. Imports SQLAlchemy, so it is
itself imported only when a database is first used.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    String,
    case,
    cast,
    delete,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)

from qcore.sql.batch_statements import BatchStatements
from qcore.sql.compiled import given
from qcore.sql.key_statements import KeyStatements
from qcore.sql.tables import failed_jobs, jobs

if TYPE_CHECKING:
    from sqlalchemy.sql.dml import ReturningUpdate

    from qcore.sql.statement import Statement
    from qcore.sql.words import Words

_FIRST_TOKEN = jobs.c.id * literal_column(str(1 << 24))
"""Tokens of a row start here. A row number is never used twice, so they never repeat for an id."""

NEXT_TOKEN = case((jobs.c.token >= _FIRST_TOKEN, jobs.c.token), else_=_FIRST_TOKEN) + literal_column("1")

_BODY = cast(jobs.c.body, LargeBinary)
"""SQLite keeps what it is given: a body that somebody wrote by hand, as text, shall come as bytes like the others."""

_RESERVED = jobs.c.id, jobs.c.queue, jobs.c.uuid, _BODY, jobs.c.attempts, jobs.c.token, jobs.c.verdict

_STATE = jobs.c.attempts, jobs.c.reserved_at, jobs.c.available_at


class Statements(KeyStatements, BatchStatements):
    """The statements in the words of one database.

    Instants of jobs and keys are whole milliseconds: since 1970, or since now where the server's clock tells them;
    there ``now`` and ``exact`` (now with a fraction) are no inputs.
    """

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.reserve = cache(self._reserve)
        self.due_in = cache(self._due_in)

    # jobs

    @cached_property
    def push(self) -> Statement:
        """Inputs: uuid, queue, body, due, now. Changes nothing while the id is live."""
        fields = {
            "uuid": given("uuid"),
            "queue": given("queue"),
            "body": given("body"),
            "attempts": literal_column("0"),
            "token": literal_column("0"),
            "verdict": literal_column("''"),
            "available_at": self._words.instant("due"),
            "created_at": self._words.now(),
        }
        return self._compiled(self._words.waking(self._words.add(jobs, fields, ["uuid"])))

    def _reserve(self, queues: int) -> Statement:
        """Inputs: queue_0, queue_1, ..., call, now, lease_end.

        Returns id, queue, uuid, body, attempts, token, verdict.

        One statement for all queues: the first subquery that finds a row decides, the rest is not run.
        """
        return self._compiled(self._taking(queues))

    def _taking(self, queues: int, *conditions: ColumnElement[bool]) -> ReturningUpdate[Any]:
        firsts = [
            select(jobs.c.id)
            .where(jobs.c.queue == given(f"queue_{index}"), jobs.c.available_at <= self._words.now(), *conditions)
            .order_by(jobs.c.available_at, jobs.c.id)
            .limit(literal_column("1"))
            .offset(literal_column("0"))
            .with_for_update(skip_locked=True)
            .scalar_subquery()
            for index in range(queues)
        ]
        taken: ColumnElement[int] = firsts[0] if queues == 1 else func.coalesce(*firsts)
        return update(jobs).where(jobs.c.id == taken).values(self._taken()).returning(*_RESERVED)

    def _taken(self) -> dict[str, Any]:
        return {
            "token": NEXT_TOKEN,
            "attempts": jobs.c.attempts + literal_column("1"),
            "reserved_at": given("call"),
            "available_at": self._words.instant("lease_end"),
        }

    @cached_property
    def taken_by(self) -> Statement:
        """Inputs: queue, call, now, lease_end. Returns what ``reserve`` returned to that call, while its lease runs."""
        # That ends by now's lease end, give or take what another server's clock says: what is delayed for longer,
        # which may be a million rows, is not looked at.
        latest = self._words.instant("lease_end") + literal_column("60000")
        running = jobs.c.queue == given("queue"), jobs.c.available_at > self._words.now(), jobs.c.available_at <= latest
        return self._compiled(select(*_RESERVED).where(*running, jobs.c.reserved_at == given("call")))

    def _due_in(self, queues: int) -> Statement:
        """Inputs: queue_0, queue_1, ..., exact. Returns milliseconds until the first of each is due, or NULL."""
        firsts = [
            select(func.min(jobs.c.available_at)).where(jobs.c.queue == given(f"queue_{index}")).scalar_subquery()
            for index in range(queues)
        ]
        return self._compiled(select(*(first - self._words.exactly_now() for first in firsts)))

    @cached_property
    def delete(self) -> Statement:
        """Inputs: row."""
        return self._compiled(delete(jobs).where(jobs.c.id == given("row")))

    @cached_property
    def delete_newest(self) -> Statement:
        """Inputs: row, token. Changes nothing unless it is the newest token."""
        return self._compiled(delete(jobs).where(jobs.c.id == given("row"), jobs.c.token == given("token")))

    @cached_property
    def delete_last(self) -> Statement:
        """Inputs: row, token. Changes nothing unless that token still holds the row."""
        return self._compiled(delete(jobs).where(*_held()))

    @cached_property
    def take_back(self) -> Statement:
        """Inputs: uuid. For a payload that was stored in this very transaction."""
        return self._compiled(delete(jobs).where(jobs.c.uuid == given("uuid")))

    @cached_property
    def release(self) -> Statement:
        """Inputs: row, token, due, returned (attempts to give back), note."""
        released = update(jobs).where(*_held())
        fields = {
            "reserved_at": null(),
            "available_at": self._words.instant("due"),
            "attempts": jobs.c.attempts - given("returned"),
            "verdict": given("note"),
        }
        return self._compiled(self._words.waking(released.values(fields)))

    @cached_property
    def is_released(self) -> Statement:
        """Inputs: row, token. Returns a row if the payload was given back by that token, and nobody has it."""
        by_token = jobs.c.id == given("row"), jobs.c.token == given("token")
        return self._compiled(select(jobs.c.id).where(*by_token, jobs.c.reserved_at.is_(None)))

    @cached_property
    def extend(self) -> Statement:
        """Inputs: row, token, lease_end."""
        extended = update(jobs).where(*_held()).values(available_at=self._words.instant("lease_end"))
        return self._compiled(self._words.waking(extended))

    @cached_property
    def is_live(self) -> Statement:
        """Inputs: uuid. Returns a row if the id is live."""
        return self._compiled(select(jobs.c.id).where(jobs.c.uuid == given("uuid")))

    @cached_property
    def next_due(self) -> Statement:
        """Inputs: queue. Returns the first available_at, or NULL."""
        return self._compiled(select(func.min(jobs.c.available_at)).where(jobs.c.queue == given("queue")))

    @cached_property
    def size(self) -> Statement:
        """Inputs: queue. Returns one number."""
        return self._compiled(select(func.count()).select_from(jobs).where(jobs.c.queue == given("queue")))

    @cached_property
    def clear(self) -> Statement:
        """Inputs: queue."""
        return self._compiled(delete(jobs).where(jobs.c.queue == given("queue")))

    @cached_property
    def counts(self) -> Statement:
        """Inputs: now. Returns queue, ready, delayed, reserved, milliseconds for which a ready one waits, or NULL."""
        ready = jobs.c.available_at <= self._words.now()
        return self._compiled(
            select(
                jobs.c.queue,
                func.count(case((ready, literal_column("1")))),
                func.count(case((~ready & jobs.c.reserved_at.is_(None), literal_column("1")))),
                func.count(case((~ready & jobs.c.reserved_at.is_not(None), literal_column("1")))),
                func.max(case((ready, self._words.now() - jobs.c.available_at))),
            )
            .group_by(jobs.c.queue)
            .order_by(jobs.c.queue)
        )

    @cached_property
    def listed(self) -> Statement:
        """Inputs: queue, most, now. Returns uuid, body, attempts, reserved_at, available_at, now."""
        return self._compiled(
            select(cast(jobs.c.uuid, String), _BODY, *_STATE, self._words.now().label("at"))
            .where(jobs.c.queue == given("queue"))
            .order_by(jobs.c.available_at, jobs.c.id)
            .limit(given("most"))
            .offset(literal_column("0"))
        )

    @cached_property
    def find_job(self) -> Statement:
        """Inputs: uuid, now. Returns queue, body, attempts, reserved_at, available_at, now."""
        columns = select(jobs.c.queue, _BODY, *_STATE, self._words.now().label("at"))
        return self._compiled(columns.where(jobs.c.uuid == given("uuid")))

    # failed jobs

    @cached_property
    def forget_failed(self) -> Statement:
        """Inputs: uuid."""
        return self._compiled(delete(failed_jobs).where(failed_jobs.c.uuid == given("uuid")))

    @cached_property
    def forget_failure(self) -> Statement:
        """Inputs: uuid, number."""
        one = delete(failed_jobs).where(failed_jobs.c.uuid == given("uuid"), failed_jobs.c.number == given("number"))
        return self._compiled(one)

    @cached_property
    def keep_failed(self) -> Statement:
        """Inputs: uuid, connection, queue, body, exception, failed_at."""
        names = ("uuid", "connection", "queue", "body", "exception", "failed_at")
        return self._compiled(insert(failed_jobs).values({name: given(name) for name in names}))

    @cached_property
    def find_failed(self) -> Statement:
        """Inputs: uuid. Returns a whole record."""
        return self._compiled(_FAILED.where(failed_jobs.c.uuid == given("uuid")))

    @cached_property
    def when_failed(self) -> Statement:
        """Inputs: uuid. Returns failed_at."""
        return self._compiled(select(failed_jobs.c.failed_at).where(failed_jobs.c.uuid == given("uuid")))

    @cached_property
    def list_failed(self) -> Statement:
        """Inputs: none. Returns whole records."""
        return self._compiled(_FAILED.order_by(failed_jobs.c.number.desc()))

    @cached_property
    def list_failed_of(self) -> Statement:
        """Inputs: queue. Returns whole records."""
        of_queue = _FAILED.where(failed_jobs.c.queue == given("queue"))
        return self._compiled(of_queue.order_by(failed_jobs.c.number.desc()))

    @cached_property
    def flush_failed(self) -> Statement:
        """Inputs: none."""
        return self._compiled(delete(failed_jobs))

    @cached_property
    def flush_failed_before(self) -> Statement:
        """Inputs: before."""
        return self._compiled(delete(failed_jobs).where(failed_jobs.c.failed_at <= given("before")))


_FAILED = select(
    cast(failed_jobs.c.uuid, String),
    cast(failed_jobs.c.body, LargeBinary),
    failed_jobs.c.connection,
    failed_jobs.c.queue,
    failed_jobs.c.exception,
    failed_jobs.c.failed_at,
    failed_jobs.c.number,
)


def _held() -> tuple[ColumnElement[bool], ...]:
    return jobs.c.id == given("row"), jobs.c.token == given("token"), jobs.c.reserved_at.is_not(None)
