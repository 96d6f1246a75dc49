"""Failed jobs as a library: list, find, retry, forget, flush, prune. The commands stand on this."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import payload
from qcore.driver import Payload
from qcore.errors import ConfigError, PayloadError
from qcore.events import JobRetryRequested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

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


class FailedJobs:
    """The failed jobs of an App."""

    def __init__(
        self,
        failed: FailedStore,
        *,
        store: Callable[[], Store],
        connection: Callable[[str], Queue],
        codec: JobCodec,
        clock: Clock,
        events: Events,
    ) -> None:
        """Take the failed store; ``connection`` gives the push side of a connection by name."""
        self._failed = failed
        self._store = store
        self._connection = connection
        self._codec = codec
        self._clock = clock
        self._events = events

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
        retried, refused = Retried([], []), None
        for job_id in dict.fromkeys(ids):
            record = self._failed.find(job_id)
            if record is None:
                retried.missing.append(job_id)
                continue
            try:
                self._retry(record)
                retried.ids.append(job_id)
            except ConfigError as error:
                refused = refused or error
        if refused is not None:
            raise refused
        return retried

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

    def _retry(self, record: FailedJob) -> None:
        queue = self._connection(record.connection)
        claim = f"retry:{record.id}:{record.number}"
        if not self._store().add(claim, "", ttl=CLAIM):
            return  # somebody else is at it, and a second push could come after the job has run
        try:
            self._push_anew(record, queue)
        except BaseException:
            self._store().forget(claim)
            raise

    def _push_anew(self, record: FailedJob, queue: Queue) -> None:
        if self._events.wants(JobRetryRequested):
            self._events.emit(JobRetryRequested(record))
        # Pushed first: should the process die in between, the job is there twice rather than not at all,
        # and a push of an id that waits already changes nothing.
        queue.push_raw(self._fresh(record, queue), record.queue)
        # This failure only: a worker may have run it meanwhile, and a new failure is a new record.
        self._failed.forget(record.id, number=record.number)

    def _fresh(self, record: FailedJob, queue: Queue) -> Payload:
        """Write the payload anew from today's class; what cannot be read or written is pushed as it is."""
        body = self._decoded(record)
        if body is None:
            return record.payload
        try:
            job = self._codec.restored(body)
            fresh: Any = self._codec.codec.loads(queue.body_of(job, type(job).__job__.options, record.id))
            return Payload(record.id, self._codec.codec.dumps(body.raw | fresh, what=body.display_name))
        except PayloadError:
            return record.payload

    def _decoded(self, record: FailedJob) -> payload.Body | None:
        try:
            return payload.decode(record.payload.body, self._codec.codec)
        except PayloadError:
            return None
