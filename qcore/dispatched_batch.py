"""A batch as users hold it: what is known of its members, and what can be done about them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Self, cast

from qcore import current, links
from qcore.batch_members import MemberWriter, items_of, prepared, push_members
from qcore.batches import State
from qcore.delivery import running
from qcore.errors import ConfigError, UnsupportedError
from qcore.events import BatchCancelled
from qcore.holdings import is_there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from qcore.batches import BatchRecord, BatchStore
    from qcore.dispatcher import Dispatcher
    from qcore.failed_jobs import Retried

_ALL = 100
_MOST = 100_000
"""Batches that are looked through for those inside another one."""
HOUR = 3600.0


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
        Callbacks that were called are not called again. A job that is tried again, and adds the same members in the
        same order, adds them once.

        :raises QcoreError: when the batch was deleted or pruned; nothing is pushed then.
        :raises JobDefinitionError: for something that is no job; nothing of a list is pushed then.
        """
        queue = self._app.connection(self.connection)
        with current.belonging_to(cast("Any", self._app)):
            items = prepared(items_of(members), MemberWriter(self._app, self._record, delivery=running()))
            for _ in push_members(queue, self._store, self.id, items):
                pass
        self._look_again()
        if queue.after_push is not None:
            queue.after_push()
            self._look_again()
        return self

    def cancel(self) -> bool:
        """Cancel it, so that ``then`` is not called; False when it is finished or cancelled already.

        Members that wait run nevertheless, unless they ask for ``cancelled``.
        """
        cancelled = self._store.cancel(self.id, self._app.clock.now())
        self._look_again()
        if cancelled and self._app.events.wants(BatchCancelled):
            self._app.events.emit(BatchCancelled(self._record))
        return cancelled

    def failed_ids(self) -> list[str]:
        """Give the ids of the members that failed, in the order in which they were added."""
        return self._store.members(self.id, State.FAILED)

    def causes(self) -> list[str]:
        """Give the ids of the failed jobs because of which members failed: these, or members of batches inside."""
        failed = self.failed_ids()
        if all(self._app.failed.find(each) for each in failed):
            return failed
        batches: Batches = cast("Any", self._app).batches  # an App has it, and is above this module
        inside = {first: batch for first, batch in batches.inside(self.id) if first in failed}
        found = [inside[each].causes() if each in inside else [each] for each in failed]
        return [each for ids in found for each in ids]

    def retry(self) -> Retried:
        """Push the members that failed anew; when a failure had cancelled the batch, that is taken back.

        In place of a member that failed because a batch before it in its chain did, what failed in that is pushed.

        :raises ConfigError: when one of them cannot be pushed; the others are pushed before it is said.
        """
        try:
            with current.belonging_to(cast("Any", self._app)):
                return self._app.failed.retry(self.causes())
        finally:
            self._look_again()

    def delete(self) -> bool:
        """Forget the batch: its members run all the same, and no callback is called. False when it was gone."""
        return self._store.forget(self.id)

    def to_dict(self) -> dict[str, Any]:
        """Give all that is known of it, to be shown or written as JSON."""
        return {name: getattr(self, name) for name in _SHOWN}

    def _look_again(self) -> None:
        self._record = self._store.find(self.id) or self._record

    def __repr__(self) -> str:
        """Show how far it is."""
        return f"<Batch {self.name or self.id}: {self.state}, {self.processed} of {self.total}, {self.failed} failed>"


def _is_age(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < math.inf


_SHOWN = (
    "id",
    "name",
    "connection",
    "queue",
    "state",
    "total",
    "pending",
    "processed",
    "done",
    "failed",
    "dropped",
    "progress",
    "created_at",
    "cancelled_at",
    "finished_at",
)


def find_batch(batch_id: str, *, connection: str | None = None) -> Batch | None:
    """Look a batch up by its id; None when there is none, or no more.

    Without a ``connection`` it is looked for on the default one, and then on the others.

    :raises UnknownConnectionError: when there is no such connection.
    """
    return current.app().find_batch(batch_id, connection=connection)


class Batches:
    """The batches of an App: find, list, prune. The commands stand on this."""

    def __init__(self, app: Dispatcher, names: Iterable[str], store_of: Callable[[str], BatchStore | None]) -> None:
        """Look after the batches of those connections, the default one first."""
        self._app = app
        self._names = tuple(dict.fromkeys(names))
        self._store_of = store_of

    def store(self, connection: str | None = None) -> BatchStore:
        """Give the store of the batches of a connection, the default one if none is named.

        :raises UnsupportedError: when its driver cannot have batches.
        :raises UnknownConnectionError: when there is no such connection.
        """
        connection = connection or self._names[0]
        store = self._store_of(connection)
        if store is None:
            raise UnsupportedError(
                f"the driver of the connection {connection!r} cannot have batches: "
                "take a connection whose driver is database, memory or sync"
            )
        return store

    def find(self, batch_id: str, *, connection: str | None = None) -> Batch | None:
        """Look a batch up; without a ``connection`` on the default one, and then on the others.

        :raises ConfigError: for an id that is no text.
        """
        given: object = batch_id
        if not isinstance(given, str):
            raise ConfigError(f"the id of a batch is a text, got {given!r:.200}")
        for store in self.stores(connection):
            record = store.find(batch_id)
            if record is not None:
                return Batch(self._app, store, record)
        return None

    def list(self, *, connection: str | None = None, limit: int = 100) -> list[Batch]:
        """Give the batches of a connection, the newest first.

        :raises ConfigError: when ``limit`` is no such number.
        """
        given: object = limit
        if not isinstance(given, int) or isinstance(given, bool) or given < 0:
            raise ConfigError(f"limit is a whole number, 0 or more, got {given!r:.200}")
        store = self.store(connection)
        return [Batch(self._app, store, record) for record in store.listed(limit=limit)]

    def prune(
        self,
        *,
        hours: float = 24,
        unfinished: float | None = None,
        cancelled: float | None = None,
        connection: str | None = None,
    ) -> int:
        """Forget old batches of a connection and say how many: like ``Batch.delete``. All ages are hours.

        Those that were finished ``hours`` ago or earlier; if given, those that were dispatched ``unfinished`` hours
        ago and are not finished, and those that were dispatched ``cancelled`` hours ago and were cancelled.

        :raises ConfigError: when an age is no such number.
        """
        now = self._app.clock.now()
        ages = {"finished": hours, "unfinished": unfinished, "cancelled": cancelled}
        for name, age in (("hours", hours), ("unfinished", unfinished), ("cancelled", cancelled)):
            if age is not None and not _is_age(age):
                raise ConfigError(f"{name} is a number of hours, 0 or more, got {age!r:.200}")
        before = {name: now - age * HOUR for name, age in ages.items() if age is not None}
        return self.store(connection).prune(**before)

    def inside(self, batch_id: str) -> Iterator[tuple[str, Batch]]:
        """Give batches that are links of chains in a batch, each with the member that waits for it."""
        for store in self.stores():
            for record in store.listed(limit=_MOST):
                chain = links.batch_options(record.options)["chain"] if batch_id in record.options else None
                outer = None if chain is None else chain.get("outer")
                if outer is not None and outer["batch"] == batch_id:
                    yield outer["members"][0], Batch(self._app, store, record)

    def stores(self, connection: str | None = None) -> Iterator[BatchStore]:
        """Give the store of a connection, or all of them but those in files that are not there: looking makes none."""
        if connection is not None:
            yield self.store(connection)
        for name in self._names if connection is None else ():
            store = self._store_of(name)
            if store is not None and is_there(store.home):
                yield store
