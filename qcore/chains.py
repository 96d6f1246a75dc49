"""Chains: jobs that run one after the other, each when the one before it has succeeded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, runtime_checkable

from qcore import current, links
from qcore.callbacks import Callback, callback_link
from qcore.closure_pickle import Function
from qcore.closures import as_job
from qcore.driver import LockRule
from qcore.errors import JobDefinitionError, PayloadError
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, Delay, JobOptions, Name, job_options
from qcore.queue import new_id
from qcore.response import current_response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qcore.delivery import Delivery
    from qcore.dispatcher import Dispatcher
    from qcore.links import Chain, Link
    from qcore.response import Response


@runtime_checkable
class AsLink(Protocol):
    """What is no job, and can be a link: a batch."""

    def as_link(self, app: Any, connection: str | None, queue: str | None) -> Prepared:  # noqa: ANN401 - an App
        """Give the job that stands for it, which goes to that connection and queue if it names none itself."""


Linkable = Job | Prepared | Function | AsLink | bool | int | str | None
"""What can be a link of a chain; what is false is left out, so that a link can be written ``fast or Check()``."""

Item = Job | Prepared | AsLink
"""What links are written from."""

_OPTIONS = ("delay", "queue", "connection", "after_commit", "within")


class Written(NamedTuple):
    """A chain that is ready to be pushed."""

    chain: Chain
    """All links are in it, the first one too."""
    ids: list[str]
    """The ids of all links, in their order."""
    head: Job | None
    """The job of the first link, for those who listen to pushes."""
    options: JobOptions = UNSET
    """What was said for the first link alone."""


def chain(*jobs: Linkable | Iterable[Linkable]) -> PendingChain:
    """Make a chain of jobs, functions and batches, or of one list of them.

    ::

        chain(Extract("a.csv"), Load("a.csv"), lambda: print("done")).catch(alert).dispatch()

    :raises JobDefinitionError: for what cannot be a link; says what to write instead.
    """
    return PendingChain(listed(jobs))


class PendingChain:
    """A chain that was not dispatched yet. What its methods change they change in place, and give it back."""

    def __init__(self, items: Iterable[object] = (), app: Callable[[], Dispatcher] = current.app) -> None:
        """Take the links; ``app`` gives who writes and pushes them.

        :raises JobDefinitionError: for what cannot be a link.
        """
        self._app = app
        self._items = _checked(items)
        self._catch: list[Callback] = []
        self._options = UNSET
        self._is_being_written = False

    @property
    def items(self) -> tuple[Item, ...]:
        """What the links are written from."""
        return tuple(self._items)

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """What is called back."""
        return tuple(self._catch)

    def on_connection(self, name: Name) -> Self:
        """Push the links that name no connection themselves to this one."""
        return self._with(job_options(connection=name))

    def on_queue(self, name: Name) -> Self:
        """Push the links that name no queue themselves to this one."""
        return self._with(job_options(queue=name))

    def delay(self, delay: Delay) -> Self:
        """Let the first link wait, if it names no delay itself; the others follow at once."""
        return self._with(job_options(delay=delay))

    def catch(self, callback: Callback) -> Self:
        """Call back when a link has failed for good; may be said several times.

        A function gets the error and the failed job, or less when it asks for less. A job runs as it is.
        """
        self._catch.append(callback)
        return self

    def prepend(self, *jobs: Linkable | Iterable[Linkable]) -> Self:
        """Add links before the first one; they keep their order."""
        self._items[:0] = _checked(listed(jobs))
        return self

    def append(self, *jobs: Linkable | Iterable[Linkable]) -> Self:
        """Add links after the last one."""
        self._items += _checked(listed(jobs))
        return self

    def dispatch(self, **options: Any) -> str | None:
        """Push the first link, which carries the others, and give its id.

        None when nothing was pushed on purpose: a hook dropped every link, or the first one is unique and there
        already. ``delay``, ``queue``, ``connection``, ``after_commit`` and ``within`` can be given here as well.

        :raises JobDefinitionError: when it has no links, or a callback cannot be stored.
        :raises PayloadError: when a link cannot be written, or all together are too long. Nothing is pushed then.
        """
        return self._dispatch(options)

    def dispatch_after_response(self, **options: Any) -> str | None:
        """Push the first link to its queue when the response has gone; at once when there is no response.

        :raises JobDefinitionError, PayloadError: see ``dispatch``.
        """
        return self._dispatch(options, current_response())

    def _dispatch(self, options: dict[str, Any], response: Response | None = None) -> str | None:
        if unknown := sorted(options.keys() - set(_OPTIONS)):
            message = f"{', '.join(unknown)}: of a chain {', '.join(_OPTIONS)} can be said; say others of its links"
            raise JobDefinitionError(message)
        with self._app().taking(self) as app:
            return self._pushed(app, job_options(**options), response)

    def _pushed(self, app: Dispatcher, call: JobOptions, response: Response | None) -> str | None:
        written = self.written(app, wide=call)
        if written is None:
            return None
        assert written.head is not None  # noqa: S101 - what was written has a first link
        first = links.following(written.chain, app.clock.now(), LockRule.REFUSE)
        assert first is not None  # noqa: S101 - what was written has links
        connection, push = first
        _check_size(len(push.payload.body), len(written.ids), app)
        own = app.complete(written.head, call.over(written.options))
        side = app.side(app.connection(connection), own, response)
        return push.payload.id if side.send([(push, written.head)]) else None

    def dispatch_if(self, condition: object, **options: Any) -> str | None:
        """Dispatch when the condition holds; a callable condition is asked with the chain."""
        return self.dispatch(**options) if self._holds(condition) else None

    def dispatch_unless(self, condition: object, **options: Any) -> str | None:
        """Dispatch when the condition does not hold."""
        return None if self._holds(condition) else self.dispatch(**options)

    def written(
        self,
        app: Dispatcher,
        *,
        wide: JobOptions = UNSET,
        forced: JobOptions = UNSET,
        fields: Mapping[str, Any] | None = None,
        chain_id: str | None = None,
    ) -> Written | None:
        """Write all links and callbacks; None when hooks dropped every link. Nothing is pushed.

        ``wide`` beats what was said of the chain, ``forced`` beats what the links say themselves; ``fields`` are
        added to the body of each; the ids of all follow from ``chain_id``, if that is given.

        :raises JobDefinitionError, PayloadError: see ``dispatch``.
        """
        if not self._items:
            message = "a chain without links cannot be dispatched: write chain(A(), B()), or append() to it first"
            raise JobDefinitionError(message)
        if self._is_being_written:
            message = "a chain holds itself, through a batch: it would never end"
            raise JobDefinitionError(message)
        self._is_being_written = True
        try:
            return self._written(app, wide.over(self._options), forced, fields, chain_id or new_id())
        finally:
            self._is_being_written = False

    def _written(
        self, app: Dispatcher, wide: JobOptions, forced: JobOptions, fields: Mapping[str, Any] | None, chain_id: str
    ) -> Written | None:
        head, own = None, UNSET
        found: list[Link] = []
        ids: list[str] = []
        after_head = JobOptions(queue=wide.queue, connection=wide.connection)
        items = [*self._items, Rest()] if fields and isinstance(self._items[-1], AsLink) else self._items
        for index, item in enumerate(items):
            job_id = links.derived_id(chain_id, str(index)) if found else chain_id
            job = _as_job(app, item, forced.over(wide))
            link = app.link(job, after_head if found else wide, forced=forced, job_id=job_id, fields=fields)
            if link is not None:
                if not found:
                    head, own = _bare(job), job.options if isinstance(job, Prepared) else UNSET
                found.append(link)
                ids.append(job_id)
        if not found:
            return None
        place = forced.over(after_head)
        caught = [
            callback_link(app, each, place, job_id=links.derived_id(chain_id, "catch", str(index)))
            for index, each in enumerate(self._catch)
        ]
        held = [link for link in caught if link is not None]
        return Written(_chain(chain_id, links.joined(found), held, place.connection, place.queue), ids, head, own)

    def _with(self, options: JobOptions) -> Self:
        self._options = options.over(self._options)
        return self

    def _holds(self, condition: object) -> bool:
        return bool(condition(self) if callable(condition) else condition)

    def __repr__(self) -> str:
        """Show the links."""
        return f"chain({', '.join(map(repr, self._items))})"


class Rest(Job, name="qcore:rest-of-chain"):
    """A link that does nothing. It stands for what has to wait for the batch before it."""

    def handle(self) -> None:
        """Do nothing."""


def extend(app: Dispatcher, delivery: Delivery, jobs: Iterable[object], *, at_end: bool) -> None:
    """Add links to what follows a running job, before the others or after them.

    They are kept when the job succeeds: one that is tried again adds them again.

    :raises JobDefinitionError: for what cannot be a link.
    :raises PayloadError: when a link cannot be written, or all together are too long.
    """
    old = delivery.chain or _chain(delivery.id, "", [], None, None)
    place = JobOptions(connection=old["connection"], queue=old["queue"])
    before = links.split(old["links"])
    found: list[Link] = []
    for item in _checked(jobs):
        # Only ever more links while the job runs, and as many in every attempt that does the same.
        job_id = links.derived_id(delivery.id, "added", str(len(before) + len(found)))
        link = app.link(_as_job(app, item, place), place, job_id=job_id)
        if link is not None:
            found.append(link)
    text = links.joined(before + found if at_end else found + before)
    _check_size(len(text), len(before) + len(found), app)
    delivery.chain = {**old, "links": text}


def listed(jobs: tuple[object, ...]) -> Iterable[object]:
    """Give the items of one list, if it is that what was given, or of many arguments."""
    if len(jobs) == 1 and _is_many(jobs[0]):
        return jobs[0]  # type: ignore[return-value] # it can be walked
    return jobs


def _checked(items: Iterable[object]) -> list[Item]:
    return [_checked_one(item) for item in items if not _is_nothing(item)]


def _checked_one(item: object) -> Item:
    if isinstance(item, AsLink):
        return item
    if isinstance(item, PendingChain):
        message = f"{item!r:.200} is no link: write its links into the chain itself"
        raise JobDefinitionError(message)
    if _is_many(item):
        message = (
            f"a list is no link, got {item!r:.200}: write chain(A(), B()) for jobs that follow each other, "
            "batch([A(), B()]) for jobs that run side by side"
        )
        raise JobDefinitionError(message)
    return as_job(item)


def _as_job(app: Dispatcher, item: Item, place: JobOptions) -> Job | Prepared:
    return item if isinstance(item, Job | Prepared) else item.as_link(app, place.connection, place.queue)


def _bare(job: Job | Prepared) -> Job:
    return job.job if isinstance(job, Prepared) else job


def _is_many(item: object) -> bool:
    return isinstance(item, Iterable) and not isinstance(item, Job | Prepared | AsLink | str | bytes | type)


def _is_nothing(item: object) -> bool:
    """Tell whether an item is left out; what a job that has a length says of itself does not count."""
    return item is None or (isinstance(item, bool | int | float | str | list | tuple | dict | set) and not item)


def _chain(chain_id: str, text: str, catch: list[Link], connection: str | None, queue: str | None) -> Chain:
    return {"id": chain_id, "links": text, "catch": catch, "connection": connection, "queue": queue}


def _check_size(size: int, count: int, app: Dispatcher) -> None:
    limit = app.codec.max_bytes
    if size > limit:
        message = (
            f"a chain of {count} links takes {size} bytes, which the first one has to carry; the limit is {limit}: "
            "let the last link dispatch another chain, pass keys instead of data, or raise the limit (max_bytes)"
        )
        raise PayloadError(message)
