"""The start of a batch: its record is kept, its members are pushed, and then it may finish."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from qcore.batch_members import push_members
from qcore.dispatched_batch import Batch
from qcore.errors import DriverError, QcoreError
from qcore.events import BatchDispatched, BatchFinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qcore.batch_members import Member
    from qcore.batches import BatchRecord, BatchStore
    from qcore.dispatcher import Dispatcher

    Tell = Callable[[int], object]
    """Hears after each step how many members were pushed."""


def start(
    app: Dispatcher,
    store: BatchStore,
    record: BatchRecord,
    members: Iterable[Member],
    *,
    before: Sequence[Callable[[Batch], object]] = (),
    tell: Tell = lambda _: None,
) -> Batch:
    """Start a new batch; an error before the first push leaves nothing behind, a later one cancels it.

    On a connection that runs what it is given, nothing has run yet.
    """
    store.create(record)
    batch, pushed = Batch(app, store, record), 0
    try:
        for callback in before:
            callback(batch)
            _check_kept(store, record, callback)
        for pushed in push_members(app.connection(record.connection), store, record.id, members):
            tell(pushed)
    except BaseException as error:
        with suppress(DriverError):  # the first error is the one to hear of
            _undo(app, store, record, pushed)
        if pushed:
            error.add_note(f"{pushed} members of the batch {record.id} were pushed before that; it is cancelled")
        raise
    return close(app, store, record)


def go_on(app: Dispatcher, store: BatchStore, record: BatchRecord, members: Iterable[Member]) -> Batch:
    """Start a batch that may have been started before, in part or as a whole: what was done then is not done again."""
    store.create(record)
    for _ in push_members(app.connection(record.connection), store, record.id, members):
        pass
    return close(app, store, record)


def close(app: Dispatcher, store: BatchStore, record: BatchRecord) -> Batch:
    """Let a batch finish from now on, and tell so."""
    at = app.clock.now()
    closed = store.close(record.id, at) or record
    tell_of_start(app, closed, at)
    return Batch(app, store, closed)


def tell_of_start(app: Dispatcher, closed: BatchRecord, at: float) -> None:
    """Tell that a batch was dispatched, and that it is finished, if that happened with it."""
    if app.events.wants(BatchDispatched):
        app.events.emit(BatchDispatched(closed))
    if closed.finished_at == at and app.events.wants(BatchFinished):
        app.events.emit(BatchFinished(closed))


def _check_kept(store: BatchStore, record: BatchRecord, callback: Callable[[Batch], object]) -> None:
    if store.find(record.id) is None:
        name = getattr(callback, "__qualname__", repr(callback))
        raise QcoreError(f"before({name}) deleted the batch, so that nothing was pushed: raise an error instead")


def _undo(app: Dispatcher, store: BatchStore, record: BatchRecord, pushed: int) -> None:
    if not pushed:
        store.forget(record.id)
        return
    store.cancel(record.id, app.clock.now())
    close(app, store, record)
