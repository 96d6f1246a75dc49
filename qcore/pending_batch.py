"""A batch before it is dispatched: its members, its callbacks, and where it goes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Never, Self

from qcore import current
from qcore.batch_callbacks import BatchCallbacks
from qcore.batch_members import MemberWriter, items_of, prepared
from qcore.batch_start import start
from qcore.batches import BatchRecord
from qcore.dispatched_batch import Batch
from qcore.errors import JobDefinitionError, UnsupportedError
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions, Name, job_options, said
from qcore.queue import new_id
from qcore.response import current_response

if TYPE_CHECKING:
    from qcore.batch_members import Item, Member
    from qcore.callbacks import Callback
    from qcore.dispatcher import Dispatcher
    from qcore.driver import Push
    from qcore.queue import Queue
    from qcore.response import Response

Before = Callable[["Batch"], object]
Progress = Callable[[int, int | None], object]
"""Hears while members are pushed how many there are, and how many there will be if that is known."""

_LONGEST_NAME = 190
_NO_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no database stores, or what a terminal takes for a command."""


def batch(
    members: object = (), *more: Never, name: str = "", allow_failures: bool | Callback | Iterable[Callback] = False
) -> PendingBatch:
    """Make a batch of jobs: dispatched together, run side by side, looked after as one.

    ::

        batch([ImportCsv(path) for path in paths], name="nightly").then(report).dispatch()

    A list inside the list is a chain: its jobs run one after the other. What is false is left out. Of a generator
    no more than a thousand members are held at a time.

    :raises JobDefinitionError: for something that cannot be a member; says what to write instead.
    """
    if more:
        several = ", ".join(f"{each!r:.60}" for each in (members, *more))
        raise JobDefinitionError(f"the members of a batch are one list: write batch([{several}])")
    return PendingBatch(members, name=name).allow_failures(allow_failures)


class PendingBatch:
    """A batch that was not dispatched yet. Its methods give it back, so that they can be written one after the other.

    A callback is a job, a job function (``@job``) or, with the extra ``closures``, any function. It is pushed as a job
    when its time comes, once. Functions are called with the batch, and after a failure with the error and the failed
    job, as far as they ask for them.
    """

    def __init__(self, members: object = (), *, name: str = "", app: Callable[[], Dispatcher] = current.app) -> None:
        """Take the members; ``app`` gives who writes and pushes them.

        :raises JobDefinitionError: for something that cannot be a member, or a name that is no text.
        """
        self._app = app
        self._members: list[list[Item] | Iterator[Item]] = []
        self._callbacks = BatchCallbacks()
        self._before: list[Before] = []
        self._options = UNSET
        self._is_used_up = False
        self._is_being_written = False
        self.name(name).add(members)

    def name(self, name: str) -> Self:
        """Call it something, for listings."""
        given: object = name
        if not isinstance(given, str) or len(given) > _LONGEST_NAME or _NO_TEXT.search(given):
            raise JobDefinitionError(
                f"the name of a batch is a text of at most {_LONGEST_NAME} characters, without control characters and "
                f"lone surrogates, got {given!r:.200}"
            )
        self._name = given
        return self

    def add(self, members: object) -> Self:
        """Add a member, or several.

        :raises JobDefinitionError: for something that cannot be a member.
        """
        self._members.append(items_of(members))
        return self

    def on_connection(self, name: Name) -> Self:
        """Push all members to this connection, whatever they say themselves."""
        return self._with(job_options(connection=name))

    def on_queue(self, name: Name) -> Self:
        """Push all members to this queue, whatever they say themselves."""
        return self._with(job_options(queue=name))

    def then(self, callback: Callback) -> Self:
        """Call back when all members have succeeded and the batch was not cancelled."""
        return self._calling("then", callback)

    def catch(self, callback: Callback) -> Self:
        """Call back when the first member has failed for good."""
        return self._calling("catch", callback)

    def finally_(self, callback: Callback) -> Self:
        """Call back when no member can run any more, however they ended."""
        return self._calling("finally", callback)

    def progress(self, callback: Callback) -> Self:
        """Call back when a member has succeeded; where failures are allowed, after each that failed, too."""
        return self._calling("progress", callback)

    def before(self, callback: Before) -> Self:
        """Call ``callback(batch)`` here and now when the batch is dispatched, before the first member is pushed.

        What it raises ends the dispatch, and nothing is pushed.

        :raises JobDefinitionError: when it cannot be called, or is async.
        """
        given: object = callback
        if not callable(given) or inspect.iscoroutinefunction(given):
            raise JobDefinitionError(f"before() takes a plain function, called with the batch, got {callback!r:.200}")
        self._before.append(callback)
        return self

    def allow_failures(self, given: bool | Callback | Iterable[Callback] = True) -> Self:  # noqa: FBT001, FBT002
        """Let the batch go on when members fail; without it the first failure cancels it.

        ``given`` may be a callback, or several, for each member that fails.
        """
        self._callbacks.allow_failures(given)
        return self

    def dispatch(self, *, progress: Progress | None = None, **options: Any) -> Batch:
        """Push all members, and give the batch; one without members finishes at once.

        Up to 10 000 members of a list are written before the first one is pushed, so that a wrong one pushes nothing.
        Of more, and of a generator, a wrong one cancels the batch; its error tells how many were pushed. ``progress``
        is called with how many members were pushed and how many there are, or None when nobody knows yet.
        ``options`` are those of jobs; they beat those of every member.

        :raises JobDefinitionError: when a callback cannot be stored, or members are no jobs.
        :raises PayloadError: when a member cannot be written.
        :raises UnsupportedError: when the connection cannot have batches.
        """
        return self._dispatch(progress, said(options))

    def dispatch_after_response(self, *, progress: Progress | None = None, **options: Any) -> Batch:
        """Push all members to their queues when the response has gone; at once when there is no response.

        :raises JobDefinitionError, PayloadError, UnsupportedError: see ``dispatch``.
        """
        return self._dispatch(progress, said(options), current_response())

    def _dispatch(self, progress: Progress | None, call: JobOptions, response: Response | None = None) -> Batch:
        if call.within is not None:
            message = "a batch is more than a job, so it cannot be written within a transaction: say after_commit="
            raise UnsupportedError(message)
        heard: object = progress
        if heard is not None and (not callable(heard) or inspect.iscoroutinefunction(heard)):
            raise JobDefinitionError(f"progress= takes a plain function of two numbers, got {heard!r:.200}")
        with self._app().taking(self) as app:
            return self._pushed(app, progress, call, response)

    def _pushed(self, app: Dispatcher, progress: Progress | None, call: JobOptions, response: Response | None) -> Batch:
        place = JobOptions(connection=call.connection, queue=call.queue).over(self._options)
        with self._being_written():
            record = self._record(app, place)
            store = app.batch_store(record.connection)
            queue = app.connection(record.connection)
            app.hooks.guard(queue.driver)
            items = self._items()
            writer = MemberWriter(app, record, call)
            members = prepared(items, writer)
            if call.after_commit is None and writer.after_commit is not None:
                call = replace(call, after_commit=writer.after_commit)
            transaction = app.waited_for(queue, call, response)
            held: list[tuple[Push, Job | None]] = []
            if transaction is not None:
                # What is wrong is told now, and an iterator may read from that very transaction.
                members = list(members)
                held = [(each.push, each.job) for each in members]
            begin = partial(start, app, store, record, members, before=self._before)
            begin = partial(begin, tell=_telling(progress, items, members))
            started = begin() if transaction is None else Batch(app, store, record)
        if transaction is not None:
            queue.tell_held(held)
            transaction.when_over(lambda: _drained(queue, begin()), lambda: queue.tell_held(held, over=True))
            return started
        return _drained(queue, started)

    @property
    def items(self) -> list[Item] | None:
        """Give its members as they are now; None when they come from an iterator, which can be read only once."""
        lists = [each for each in self._members if isinstance(each, list)]
        return list(chain.from_iterable(lists)) if len(lists) == len(self._members) else None

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """What is called back, whatever for."""
        return self._callbacks.all

    def dispatch_if(self, condition: object, **options: Any) -> Batch | None:
        """Dispatch when the condition holds; a callable condition is asked with this batch."""
        return self.dispatch(**options) if self._holds(condition) else None

    def dispatch_unless(self, condition: object, **options: Any) -> Batch | None:
        """Dispatch when the condition does not hold."""
        return None if self._holds(condition) else self.dispatch(**options)

    def as_link(self, app: Dispatcher, connection: str | None = None, queue: str | None = None) -> Prepared:
        """Make the job that dispatches this batch when its turn in a chain comes; all is written by then.

        ``connection`` and ``queue`` count where the batch names none.

        :raises JobDefinitionError: when it holds itself, or asks for something that cannot be stored.
        :raises PayloadError: when a member cannot be written.
        :raises UnsupportedError: when its connection cannot have batches.
        """
        from qcore.batch_link import BatchLink

        if self._before:
            raise JobDefinitionError(
                "a batch in a chain runs in another process, so before() cannot be called: "
                "write what it does as a link before the batch"
            )
        with self._being_written():
            record = self._record(app, self._options.over(JobOptions(connection=connection, queue=queue)))
            app.batch_store(record.connection)
            writer = MemberWriter(app, record)
            written = [chain for item in self._items() if (chain := writer.chain(item)) is not None]
        return BatchLink(record, written).with_options(connection=record.connection, queue=record.queue or None)

    def _record(self, app: Dispatcher, place: JobOptions) -> BatchRecord:
        connection = app.connection(place.connection).name
        here = JobOptions(connection=connection, queue=place.queue)
        return BatchRecord(
            id=new_id(),
            name=self._name,
            connection=connection,
            queue=place.queue or "",
            created_at=app.clock.now(),
            options=self._callbacks.written(app, here),
        )

    def _items(self) -> list[Item] | Iterator[Item]:
        """Give the members; those that came from an iterator only once."""
        if (items := self.items) is not None:
            return items
        if self._is_used_up:
            raise JobDefinitionError(
                "the members of this batch came from an iterator, which can be read only once: "
                "make the batch of a list to dispatch it again"
            )
        self._is_used_up = True
        return chain.from_iterable(self._members)

    @contextmanager
    def _being_written(self) -> Iterator[None]:
        if self._is_being_written:
            raise JobDefinitionError("a batch holds itself: it would never end")
        self._is_being_written = True
        try:
            yield
        finally:
            self._is_being_written = False

    def _with(self, options: JobOptions) -> Self:
        self._options = options.over(self._options)
        return self

    def _calling(self, event: str, callback: Callback) -> Self:
        self._callbacks.add(event, callback)
        return self

    def _holds(self, condition: object) -> bool:
        return bool(condition(self) if callable(condition) else condition)

    def __repr__(self) -> str:
        """Show its name, and how many members it has if that is known."""
        lists = [each for each in self._members if isinstance(each, list)]
        count = sum(map(len, lists)) if len(lists) == len(self._members) else "many"
        return f"<PendingBatch {self._name}: {count} members>" if self._name else f"<PendingBatch: {count} members>"


def _telling(
    progress: Progress | None, items: list[Item] | Iterator[Item], members: list[Member] | Iterator[Member]
) -> Callable[[int], object]:
    if progress is None:
        return lambda _: None
    total = None
    if isinstance(members, list):
        total = sum(len(member.ids) for member in members)
    elif isinstance(items, list) and all(isinstance(item, Job | Prepared) for item in items):
        total = len(items)
    return lambda done: progress(done, total)


def _drained(queue: Queue, started: Batch) -> Batch:
    """Run what was pushed to a connection that runs it at once, and look what became of the batch."""
    if queue.after_push is not None:
        queue.after_push()
    return started.fresh() or started
