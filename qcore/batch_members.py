"""The members of a batch: what may be one, and how they are written and pushed, some at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from qcore.closures import as_job
from qcore.errors import JobDefinitionError
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qcore.batches import BatchRecord, BatchStore
    from qcore.dispatcher import Dispatcher
    from qcore.driver import Push
    from qcore.queue import Queue

CHUNK = 1000
"""Members that are counted and pushed in one step."""


class Member(NamedTuple):
    """What is pushed for a member."""

    push: Push
    job: Job | None
    ids: tuple[str, ...]
    """The member itself, and those that follow it in its chain."""


Item = Job | Prepared


def item_of(given: object) -> Item | None:
    """Check what is to be a member; None for what is left out: ``None``, ``0``, ``""``, an empty list.

    :raises JobDefinitionError: for something that is no job.
    """
    if isinstance(given, Job | Prepared):
        return given
    if not given:
        return None
    return as_job(given)


def items_of(given: Iterable[object]) -> Iterator[Item]:
    """Check what are to be members."""
    return (item for each in given if (item := item_of(each)) is not None)


def is_many(given: object) -> bool:
    """Tell whether this stands for several members, and not for one."""
    return isinstance(given, Iterable) and not isinstance(given, Job | str | bytes)


class MemberWriter:
    """Writes the members of one batch, all for its connection and, if it names one, for its queue."""

    def __init__(self, app: Dispatcher, record: BatchRecord, call: JobOptions = UNSET) -> None:
        """Take the batch, and options that beat those of every member."""
        self._app = app
        self._queue = app.connection(record.connection)
        self._call = call
        self._fields = {"batchId": record.id}
        self._forced = {"connection": record.connection, **({"queue": record.queue} if record.queue else {})}
        self._of_class: dict[type[Job], JobOptions] = {}

    def all(self, items: Iterable[Item]) -> Iterator[Member]:
        """Write members; those that a hook or the job itself drops are left out."""
        return (member for item in items if (member := self._written(item)) is not None)

    def _written(self, item: Item) -> Member | None:
        job, given = (item.job, item.options) if isinstance(item, Prepared) else (item, UNSET)
        push = self._queue.prepare(job, self._options(job, given), fields=self._fields)
        return None if push is None else Member(push, job, (push.payload.id,))

    def _options(self, job: Job, given: JobOptions) -> JobOptions:
        # Most members say nothing themselves: then one object will do for all of a class.
        plain = given is UNSET and not isinstance(job, HandlerCall)
        found = self._of_class.get(type(job)) if plain else None
        if found is None:
            found = replace(self._app.complete(job, self._call.over(given)), **self._forced)
            if plain:
                self._of_class[type(job)] = found
        return found


def push_members(
    queue: Queue,
    store: BatchStore,
    batch_id: str,
    members: Iterable[Member],
    tell: Callable[[int], object] = lambda _: None,
) -> int | None:
    """Count members and push them, some at a time; gives how many, None without such a batch.

    ``tell`` hears after each step how many there are by then.
    """
    count, left = 0, iter(members)
    while chunk := _chunk(left):
        ids = [each for member in chunk for each in member.ids]
        if not queue.send_as((member[:2] for member in chunk), partial(store.add, batch_id, ids)):
            return None
        count += len(ids)
        tell(count)
    return count


def _chunk(members: Iterator[Member]) -> list[Member]:
    chunk, count = [], 0
    for member in members:
        chunk.append(member)
        count += len(member.ids)
        if count >= CHUNK:
            break
    return chunk
