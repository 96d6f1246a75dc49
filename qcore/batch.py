"""A batch as users hold it: what is known of its members, and what can be done about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from qcore import current
from qcore.batch_members import add_members, listed
from qcore.batches import State
from qcore.errors import QcoreError, UnsupportedError
from qcore.events import BatchCancelled
from qcore.options import UNSET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from qcore.batch_members import Member
    from qcore.batches import BatchRecord, BatchStore
    from qcore.dispatcher import Dispatcher
    from qcore.failed_jobs import Retried

_ALL = 100


class Batch:
    """Jobs that were dispatched together, as they were when somebody looked; ``fresh()`` looks again.

    Instants are seconds since 1970.
    """

    __slots__ = ("_app", "_record", "_store")

    def __init__(self, app: Dispatcher, store: BatchStore, record: BatchRecord) -> None:
        """Hold the record of a batch."""
        self._app = app
        self._store = store
        self._record = record

    @property
    def id(self) -> str:
        """What ``find_batch`` finds it by."""
        return self._record.id

    @property
    def name(self) -> str:
        """What its builder called it; empty when it has no name."""
        return self._record.name

    @property
    def connection(self) -> str:
        """The connection of all members."""
        return self._record.connection

    @property
    def queue(self) -> str | None:
        """The queue of all members; None when each goes where its own options say."""
        return self._record.queue or None

    @property
    def total(self) -> int:
        """How many members were added until now."""
        return self._record.total

    @property
    def pending(self) -> int:
        """How many members may still run."""
        return self._record.pending

    @property
    def failed(self) -> int:
        """How many members failed for good."""
        return self._record.failed

    @property
    def dropped(self) -> int:
        """How many members will not run, because one before them in their chain failed."""
        return self._record.dropped

    @property
    def done(self) -> int:
        """How many members succeeded."""
        return self._record.done

    @property
    def processed(self) -> int:
        """How many members will not run any more, however they ended."""
        return self.total - self.pending

    @property
    def progress(self) -> int:
        """How much is processed, in percent: 100 only when everything is, 0 without members."""
        if not self.total:
            return 0
        return min(round(_ALL * self.processed / self.total), _ALL - bool(self.pending))

    @property
    def created_at(self) -> float:
        """When it was dispatched."""
        return self._record.created_at

    @property
    def finished_at(self) -> float | None:
        """Since when no member can run any more; None while one can."""
        return self._record.finished_at

    @property
    def cancelled_at(self) -> float | None:
        """When it was cancelled, by a member that failed or by somebody; None when it was not."""
        return self._record.cancelled_at

    @property
    def finished(self) -> bool:
        """Whether no member can run any more. A failed one can be retried all the same."""
        return self._record.finished_at is not None

    @property
    def cancelled(self) -> bool:
        """Whether it was cancelled. Members that wait run nevertheless, unless they ask."""
        return self._record.cancelled_at is not None

    @property
    def has_failures(self) -> bool:
        """Whether a member has failed and was not retried with success."""
        return self._record.failed > 0

    @property
    def state(self) -> str:
        """One word for it: ``adding``, ``running``, ``cancelled``, ``failed`` or ``finished``.

        ``failed`` and ``finished`` are those in which no member can run any more.
        """
        if self.cancelled:
            return "cancelled"
        if not self.finished:
            return "adding" if self._record.adding else "running"
        return "finished" if self.done == self.total else "failed"

    def fresh(self) -> Batch | None:
        """Look again; None when it was deleted or pruned."""
        record = self._store.find(self.id)
        return None if record is None else Batch(self._app, self._store, record)

    def add(self, members: object) -> Self:
        """Add a member, or several, as ``batch(...)`` takes them, and be up to date afterwards.

        Meant for members that add others while they run: these are counted before the running one ends.
        Callbacks that were called are not called again.

        :raises QcoreError: when the batch was deleted or pruned; nothing is pushed then.
        :raises JobDefinitionError: for something that is no job; nothing of a list is pushed then.
        """
        queue = self._app.connection(self.connection)
        added = listed(members)
        writer = self._app.member_writer(self._record, UNSET)
        prepared: Iterator[Member] | list[Member]
        prepared = writer.all(added)
        if add_members(queue, self._store, self.id, prepared) is None:
            raise QcoreError(f"the batch {self.id} was deleted or pruned: dispatch a new one")
        self._look_again()
        if queue.after_push is not None:
            queue.after_push()
        return self
