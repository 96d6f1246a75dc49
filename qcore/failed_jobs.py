"""Failed jobs as a library: list, find, retry, forget, flush, prune. The commands stand on this."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import links, payload
from qcore.driver import LockRule, Payload, Push
from qcore.errors import ConfigError, PayloadError
from qcore.events import JobRetryRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qcore.batches import BatchStore
    from qcore.clock import Clock
    from qcore.events import Events
    from qcore.failed import FailedJob, FailedStore
    from qcore.job_codec import JobCodec
    from qcore.queue import Queue
    from qcore.store import Store

HOUR = 3600.0
CLAIM = 60.0
"""Seconds for which a failure that is being retried is left to who began; should that one die, it is free then."""


class Retried(NamedTuple):
    """What became of a request to retry."""

    ids: list[str]
    """Jobs that wait again."""
    missing: list[str]
    """Ids without a failed job."""
    skipped: tuple[str, ...] = ()
    """Unique jobs that stay failed, because another job holds their lock; ``UniqueJobSkipped`` says which."""


class FailedJobs:
    """The failed jobs of an App."""

    def __init__(  # noqa: PLR0913 - joined by the App
        self,
        failed: FailedStore,
        *,
        store: Callable[[], Store],
        connection: Callable[[str], Queue],
        codec: JobCodec,
        clock: Clock,
        events: Events,
        batches: Callable[[str], BatchStore | None] = lambda _: None,
    ) -> None:
        """Take the failed store; ``connection`` gives the push side of a connection by name, ``batches`` its store."""
        self._failed = failed
        self._store = store
        self._connection = connection
        self._codec = codec
        self._clock = clock
        self._events = events
        self._batches = batches

    def list(self, *, queue: str | None = None) -> list[FailedJob]:
        """All failed jobs, of one queue if given; the newest failure first."""
        return self._failed.listed(queue=queue)

    def find(self, job_id: str) -> FailedJob | None:
        """Look one up by its id."""
        return self._failed.find(job_id)

    def display_name(self, record: FailedJob) -> str:
        """What to call the job in front of people."""
        body = self._decoded(record)
        return body.display_name if body else "(unreadable payload)"

    def retry(self, ids: Iterable[str]) -> Retried:
        """Push failed jobs anew: the id stays, attempts start at 0, options come from today's class.

        :raises ConfigError: when a job's connection is configured no more, or its class cannot be a job any
            more; that job stays failed, the others are pushed before it is said.
        """
        retried, skipped, refused = Retried([], []), list[str](), None
        for job_id in dict.fromkeys(ids):
            record = self._failed.find(job_id)
            if record is None:
                retried.missing.append(job_id)
                continue
            try:
                (retried.ids if self._retry(record) else skipped).append(job_id)
            except ConfigError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return retried._replace(skipped=tuple(skipped))

    def retry_all(self, *, queue: str | None = None) -> Retried:
        """Push all failed jobs anew, of one queue if given; the oldest failure first."""
        return self.retry(record.id for record in reversed(self.list(queue=queue)))

    def numbered(self, first: int, last: int) -> Sequence[str]:
        """Ids of the failed jobs with these numbers, both included; the oldest failure first."""
        return [record.id for record in reversed(self.list()) if first <= record.number <= last]

    def forget(self, job_id: str) -> bool:
        """Drop one failed job; False when there was none."""
        return self._failed.forget(job_id)

    def flush(self, *, hours: float | None = None) -> int:
        """Drop all, or only those that failed at least that many hours ago; say how many.

        :raises ConfigError: when ``hours`` is no such number.
        """
        if hours is not None and not 0 <= hours < math.inf:
            message = f"hours is a number, 0 or more, got {hours!r}"
            raise ConfigError(message)
        before = None if hours is None else self._clock.now() - hours * HOUR
        return self._failed.flush(before=before)

    def prune(self, *, hours: float = 24) -> int:
        """Drop those that failed at least that many hours ago; say how many."""
        return self.flush(hours=hours)

    def _retry(self, record: FailedJob) -> bool:
        """Push a failed job anew; False when another one holds its lock."""
        queue = self._connection(record.connection)
        claim = f"retry:{record.id}:{record.number}"
        if not self._store().add(claim, "", ttl=CLAIM):
            return True  # somebody else is at it, and a second push could come after the job has run
        pushed = False
        try:
            pushed = self._push_anew(record, queue)
        finally:
            if not pushed:
                self._store().forget(claim)
        return pushed

    def _push_anew(self, record: FailedJob, queue: Queue) -> bool:
        if self._events.wants(JobRetryRequested):
            self._events.emit(JobRetryRequested(record))
        push = self._fresh(record, queue)
        try:
            # Pushed first: should the process die in between, the job is there twice rather than not at all,
            # and a push of an id that waits already changes nothing.
            if not self._revive_batch(record, queue, push) or not queue.push_again(push):
                return False
        except BaseException:
            queue.locks.cancel(push)
            raise
        # This failure only: a worker may have run it meanwhile, and a new failure is a new record.
        self._failed.forget(record.id, number=record.number)
        return True

    def _revive_batch(self, record: FailedJob, queue: Queue, push: Push) -> bool:
        """Let a member of a batch wait: before the push, as the job may end right after it. False without its lock."""
        body = self._decoded(record)
        batch_id = None if body is None else body.raw.get("batchId")
        if body is None or batch_id is None:
            return True
        # The lock before that: a batch would wait for ever for a member that was refused.
        holder = queue.locks.reserve(push)
        if holder is not None:
            queue.locks.tell_skipped(push, None, holder)
            return False
        rest = links.split((body.raw.get("chain") or {}).get("links", ""))
        self._revive(record.connection, batch_id, [record.id, *map(links.id_of, rest)])
        return True

    def _revive(self, connection: str, batch_id: str, members: Sequence[str]) -> None:
        """Let members wait, and what follows their batch in an outer one, unless that has gone on."""
        store = self._batches(connection)
        if store is None or not store.revive(batch_id, members):
            return
        record = store.find(batch_id)
        chain = None if record is None else links.batch_options(record.options)["chain"]
        outer = None if chain is None else chain.get("outer")
        if outer is not None and record is not None and "n" not in record.fired:
            self._revive(outer["connection"], outer["batch"], outer["members"])

    def _fresh(self, record: FailedJob, queue: Queue) -> Push:
        """Write the payload anew from today's class; what cannot be read or written is pushed as it is."""
        body = self._decoded(record)
        if body is None:
            return Push(record.queue, record.payload)
        raw, at_rest = body.raw, record.payload
        try:
            job = self._codec.restored(body)
            fresh: Any = self._codec.codec.loads(queue.body_of(job, type(job).__job__.options, record.id))
            raw = {name: value for name, value in raw.items() if name != "unique"} | fresh
            at_rest = Payload(record.id, self._codec.codec.dumps(raw, what=body.display_name))
        except PayloadError:
            raw = body.raw
        return Push(record.queue, at_rest, 0, links.lock_of(raw, 0, LockRule.REFUSE))

    def _decoded(self, record: FailedJob) -> payload.Body | None:
        try:
            return payload.decode(record.payload.body, self._codec.codec)
        except PayloadError:
            return None
