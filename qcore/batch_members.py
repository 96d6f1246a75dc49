"""The members of a batch: what may be one, and how they are written and pushed, some at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from qcore import links
from qcore.closures import as_job
from qcore.driver import LockRule
from qcore.errors import PayloadError, QcoreError
from qcore.handlers import HandlerCall
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions

if TYPE_CHECKING:
    from qcore.batches import BatchRecord, BatchStore
    from qcore.chains import PendingChain
    from qcore.delivery import Delivery
    from qcore.dispatcher import Dispatcher
    from qcore.driver import Push
    from qcore.links import Chain
    from qcore.queue import Queue

    Item: TypeAlias = Job | Prepared | PendingChain

CHUNK = 1000
"""Members that are counted and pushed in one step."""

AT_ONCE = 10_000
"""So many members of a list are written before the first one is pushed."""


class Member(NamedTuple):
    """What is pushed for a member, or for a chain of members."""

    push: Push
    job: Job | None
    ids: tuple[str, ...]
    """The one that is pushed, and those that follow it in its chain."""


def items_of(given: object) -> list[Item] | Iterator[Item]:
    """Check what are to be members: one, or several. Those of an iterator are checked when they are asked for.

    :raises JobDefinitionError: for something that is no job.
    """
    several = listed(given)
    items = (item for each in several if (item := _item_of(each)) is not None)
    return list(items) if isinstance(several, Collection) else items


def listed(given: Any) -> Iterable[Any]:  # noqa: ANN401 - what it is is found out here
    """Give several things as they are, and one thing as the only one."""
    # Models of pydantic can be walked; a text is no list of jobs, and shall be named as a whole.
    several = isinstance(given, Iterable) and not isinstance(given, Job | str | bytes)
    return given if several else (given,)


def _item_of(given: object) -> Item | None:
    """Check what is to be a member: a job, a chain as itself or as a list, a batch; None for what is left out."""
    if isinstance(given, Job | Prepared):
        return given
    from qcore.chains import PendingChain  # it knows batches, too
    from qcore.pending_batch import PendingBatch

    if isinstance(given, PendingChain):
        return given
    if isinstance(given, PendingBatch):
        return PendingChain([given])
    if not given:
        return None
    if isinstance(given, list | tuple):
        kept = [each for each in given if each or isinstance(each, Job)]
        return PendingChain(kept) if kept else None
    return as_job(given)


class MemberWriter:
    """Writes the members of one batch, all for its connection and, if it names one, for its queue."""

    def __init__(
        self, app: Dispatcher, record: BatchRecord, call: JobOptions = UNSET, *, delivery: Delivery | None = None
    ) -> None:
        """Take the batch, and options that beat those of every member; ``delivery`` is that of the job that adds them.

        A job that is tried again adds the same members under the same ids, so that they are not there twice.
        """
        self._delivery = delivery
        self._app = app
        self._queue = app.connection(record.connection)
        self._fields = {"batchId": record.id}
        self._place: dict[str, Any] = {"connection": record.connection}
        if record.queue:
            self._place["queue"] = record.queue
        self._call = replace(call, **self._place)
        self._of_class: dict[type[Job], JobOptions] = {}
        self.after_commit: object | None = None
        """What the members written until now say about waiting for a commit; None when none of them waits."""

    def all(self, items: Iterable[Item]) -> Iterator[Member]:
        """Write members; those that a hook or the job itself drops are left out.

        :raises PayloadError: when the state of one cannot be written.
        """
        return (member for item in items if (member := self._member(item)) is not None)

    def chain(self, item: Item) -> Chain | None:
        """Write a member as a chain, which it may be, to be pushed later; None when a hook dropped it."""
        from qcore.chains import PendingChain

        pending = item if isinstance(item, PendingChain) else PendingChain([item])
        # A delay is for the first link: the others follow at once.
        forced, wide = replace(self._call, delay=None), JobOptions(delay=self._call.delay)
        chain_id = self._id_of(item)
        written = pending.written(self._app, wide=wide, forced=forced, fields=self._fields, chain_id=chain_id)
        if written is None or written.head is None:
            return None
        self._note(self._app.complete(written.head, written.options).after_commit)
        return written.chain

    def _note(self, after_commit: object) -> None:
        if after_commit is not None and after_commit is not False:
            self.after_commit = after_commit

    def pushed_later(self, chain: Chain) -> Member:
        """Make a member of a chain that was written, now that its time has come."""
        ids = tuple(map(links.id_of, links.split(chain["links"])))
        first = links.following(chain, self._app.clock.now())
        assert first is not None  # noqa: S101 - what was written has links
        self._check_size(first[1], len(ids))
        return Member(first[1], None, ids)

    def _member(self, item: Item) -> Member | None:
        if not isinstance(item, Job | Prepared):
            chain = self.chain(item)
            return None if chain is None else self.pushed_later(chain)
        job, given = (item.job, item.options) if isinstance(item, Prepared) else (item, UNSET)
        # A member is counted, so it is pushed whoever holds its lock: whether it runs is seen when it is delivered.
        options, job_id = self._options(job, given), self._id_of(item)
        push = self._queue.prepare(job, options, fields=self._fields, rule=LockRule.SHARE, job_id=job_id)
        return None if push is None else Member(push, job, (push.payload.id,))

    def _id_of(self, item: Item) -> str | None:
        """Give the id of a member that a running job adds; it follows from that job, its place and what it says."""
        if self._delivery is None:
            return None
        self._delivery.added += 1
        place = (self._fields["batchId"], "member", str(self._delivery.added))
        return links.derived_id(self._delivery.id, *place, *map(self._said_by, getattr(item, "items", (item,))))

    def _said_by(self, item: object) -> str:
        job = item.job if isinstance(item, Prepared) else item
        # Ascii or not does not matter here: it is only told from what another one says.
        return self._queue.data_of(job).decode("utf-8", "replace") if isinstance(job, Job) else repr(item)

    def _options(self, job: Job, given: JobOptions) -> JobOptions:
        # Most members say nothing themselves: then one object will do for all of a class.
        plain = given is UNSET and not isinstance(job, HandlerCall)
        found = self._of_class.get(type(job)) if plain else None
        if found is None:
            found = self._app.complete(job, self._call.over(given))
            self._note(found.after_commit)
            if plain:
                self._of_class[type(job)] = found
        return found

    def _check_size(self, push: Push, count: int) -> None:
        size, limit = len(push.payload.body), self._app.codec.max_bytes
        if size > limit:
            raise PayloadError(
                f"a chain of {count} members takes {size} bytes, which the first one has to carry, and the limit is "
                f"{limit}: make it shorter, pass keys or paths instead of data, or raise the limit (max_bytes)"
            )


def prepared(items: list[Item] | Iterator[Item], writer: MemberWriter) -> list[Member] | Iterator[Member]:
    """Write members: all at once, so that a wrong one pushes nothing, or many one after the other.

    :raises PayloadError: when the state of one cannot be written.
    """
    members = writer.all(items)
    return list(members) if isinstance(items, list) and len(items) <= AT_ONCE else members


def push_members(queue: Queue, store: BatchStore, batch_id: str, members: Iterable[Member]) -> Iterator[int]:
    """Count members and push them, some at a time; gives after each time how many there are by then.

    :raises QcoreError: when there is no such batch (any more).
    """
    count, left = 0, iter(members)
    while chunk := _chunk(left):
        ids_of = {member.push.payload.id: member.ids for member in chunk}

        def add(pushes: list[Push], ids_of: dict[str, tuple[str, ...]] = ids_of) -> bool:
            return store.add(batch_id, [each for push in pushes for each in ids_of[push.payload.id]], pushes)

        if not queue.send_as([(member.push, member.job) for member in chunk], add):
            raise QcoreError(f"the batch {batch_id} was deleted or pruned, so nothing can be added: dispatch a new one")
        count += sum(map(len, ids_of.values()))
        yield count


def _chunk(members: Iterator[Member]) -> list[Member]:
    chunk, count = [], 0
    for member in members:
        chunk.append(member)
        count += len(member.ids)
        if count >= CHUNK:
            break
    return chunk
