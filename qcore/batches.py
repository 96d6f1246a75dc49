"""The port of the batch store, its records, and what an ended member changes: a pure function.

Members are counted by id, each with one state, so that a job that is delivered twice counts once and no number
goes below zero. A home calls ``after_step`` inside the atomic step that deletes the member's payload.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from qcore import links

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from qcore.driver import Push
    from qcore.links import BatchOptions, Link


class State(enum.Enum):
    """How far a member of a batch is. The values are what a database holds."""

    PENDING = "p"
    DONE = "d"
    FAILED = "f"
    DROPPED = "x"
    """A link of a chain that will not run, because one before it failed."""


class BatchRecord(NamedTuple):
    """A batch at rest. Instants are seconds since 1970."""

    id: str
    name: str
    connection: str
    queue: str
    created_at: float
    options: str
    """What the builder wrote: see ``BatchOptions``."""
    total: int = 0
    pending: int = 0
    failed: int = 0
    dropped: int = 0
    adding: bool = True
    """True until all members that it was dispatched with are there: before that it cannot be finished."""
    cancelled_at: float | None = None
    cancelled_by: str = ""
    """``failure`` when a failed member cancelled it, ``request`` when somebody did, ``link`` when it was given up."""
    finished_at: float | None = None
    failure: str = ""
    """The first failure of a member, written by ``links.failure``."""
    fired: str = ""
    """What was pushed already, a letter each: c(atch), t(hen), f(inally), the chain's n(ext link), (c)a(tch), b(roken).

    And a g when it was given up: the chain heard of that by other means.
    """

    @property
    def done(self) -> int:
        """Members that succeeded."""
        return self.total - self.pending - self.failed - self.dropped


class BatchStep(NamedTuple):
    """One member ended for good."""

    batch_id: str
    member: str
    state: State
    """DONE or FAILED."""
    at: float
    """Seconds since 1970."""
    dropped: tuple[str, ...] = ()
    """Members that will not run because this one failed: the rest of its chain."""
    failure: str = ""
    """The failure as callbacks get it, written by ``links.failure``."""


class _Due(NamedTuple):
    """A callback to push."""

    event: str
    link: Link
    member: str = ""
    """What tells it from the same callback about another member."""
    told: str = ""


class BatchStore(Protocol):
    """Keeps batches beside the queues of their connection."""

    @property
    def home(self) -> object:
        """The backend it lives in; see ``Driver.home``."""

    def create(self, record: BatchRecord) -> bool:
        """Keep a new batch; False, and nothing is changed, when there is one with its id."""

    def add(self, batch_id: str, members: Sequence[str], pushes: Sequence[Push]) -> bool:
        """Count new members and push their payloads, in one step. False, and nothing is done, without such a batch.

        Every push is that of one of the members; members without one are pushed later, by those before them in a chain.
        A member that is known already is neither counted nor pushed again; nor is one whose push its lock refuses.
        """

    def close(self, batch_id: str, at: float) -> BatchRecord | None:
        """Say that all members it was dispatched with are there; one without pending members is finished by that.

        None when there is no such batch. Saying it again changes nothing.
        """

    def give_up(self, batch_id: str, at: float) -> bool:
        """Close and cancel a batch that cannot be filled; its chain hears nothing from it. False when it was closed."""

    def reopen(self, batch_id: str) -> bool:
        """Take back that a batch was given up, so that it can be filled; False when it was not."""

    def find(self, batch_id: str) -> BatchRecord | None:
        """Look one up."""

    def listed(self, *, limit: int = 100) -> list[BatchRecord]:
        """Show batches, the newest first; of the same age, the one with the greatest id."""

    def members(self, batch_id: str, state: State, *, limit: int = 100_000) -> list[str]:
        """Give the ids of the members in a state, in the order in which they were added."""

    def cancel(self, batch_id: str, at: float) -> bool:
        """Cancel a batch; False when there is none, or it is finished or cancelled already."""

    def revive(self, batch_id: str, members: Sequence[str]) -> bool:
        """Let members wait that failed, or were dropped, because they will be pushed anew; False when none of them had.

        The batch is not finished then, and a cancellation that a failed member brought about is taken back.
        """

    def forget(self, batch_id: str) -> bool:
        """Drop a batch and what is known of its members; their payloads stay."""

    def prune(
        self, *, finished: float | None = None, unfinished: float | None = None, cancelled: float | None = None
    ) -> int:
        """Drop batches and say how many, like ``forget``. Instants are seconds since 1970.

        Those that were finished at or before ``finished``; those created at or before ``unfinished`` and not
        finished; those created at or before ``cancelled`` and cancelled.
        """

    def settle(self, step: BatchStep) -> None:
        """Count a member that ended, and push the callbacks that are due: where a delete cannot do it.

        Without such a batch or member, and when it was counted before, it does nothing.
        """


class Counted(NamedTuple):
    """What a step makes of a batch."""

    record: BatchRecord
    changes: Mapping[str, State]
    """New states of members."""
    pushes: tuple[Push, ...]
    """Callbacks that are due, and the rest of the chain that the batch is a link of."""


def after_step(record: BatchRecord, states: Mapping[str, State], step: BatchStep) -> Counted | None:
    """Count an ended member; None when it changes nothing, because it was counted before.

    ``states`` are those of the step's member and of the members it drops; one without a state is no member.
    """
    old = states.get(step.member)
    if old is None or old is State.DONE or old is step.state:
        return None
    options = links.batch_options(record.options)
    changes = {member: State.DROPPED for member in step.dropped if states.get(member) is State.PENDING}
    changes[step.member] = step.state
    dropped = len(changes) - 1
    counted = record._replace(
        pending=record.pending - (old is State.PENDING) - dropped,
        failed=record.failed - (old is State.FAILED) + (step.state is State.FAILED),
        dropped=record.dropped - (old is State.DROPPED) + dropped,
    )
    due: list[_Due] = []
    if step.state is State.DONE or options["allowFailures"]:
        due += [_Due("progress", each, f"{step.member}:{step.state.value}") for each in options["progress"]]
    if step.state is State.FAILED:
        counted = _count_failure(counted, options, step, due)
    elif counted.failed == 0:
        counted = _not_cancelled(counted, "failure")
    return _finished(Counted(counted, changes, ()), options, step.at, due)


def after_closing(record: BatchRecord, at: float) -> Counted | None:
    """Let a batch be finished from now on; one without pending members is so at once. None when it was closed."""
    if not record.adding:
        return None
    return _finished(Counted(record._replace(adding=False), {}, ()), links.batch_options(record.options), at, [])


def after_retry(record: BatchRecord, states: Mapping[str, State], members: Iterable[str]) -> Counted | None:
    """Let members wait that failed or were dropped; None when it changes nothing. ``states`` are those of them."""
    old = {each: its for each in members if (its := states.get(each)) in {State.FAILED, State.DROPPED}}
    if not old:
        return None
    failed = sum(its is State.FAILED for its in old.values())
    revived = _not_cancelled(record, "failure")._replace(
        pending=record.pending + len(old),
        failed=record.failed - failed,
        dropped=record.dropped - (len(old) - failed),
        finished_at=None,
        fired=record.fired.replace("b", ""),
    )
    return Counted(revived, dict.fromkeys(old, State.PENDING), ())


def after_giving_up(record: BatchRecord, at: float) -> Counted | None:
    """Close and cancel a batch that cannot be filled. None when it was closed."""
    if not record.adding:
        return None
    given_up = record._replace(adding=False, fired=record.fired + "g")
    if record.cancelled_at is None:
        given_up = given_up._replace(cancelled_at=at, cancelled_by="link")
    return _finished(Counted(given_up, {}, ()), links.batch_options(record.options), at, [])


def after_reopening(record: BatchRecord) -> Counted | None:
    """Take back that a batch was given up. None when it was not."""
    if "g" not in record.fired:
        return None
    opened = _not_cancelled(record, "link")._replace(adding=True, finished_at=None)
    return Counted(opened._replace(fired=record.fired.replace("g", "")), {}, ())


def _not_cancelled(record: BatchRecord, by: str) -> BatchRecord:
    return record._replace(cancelled_at=None, cancelled_by="") if record.cancelled_by == by else record


def after_adding(record: BatchRecord, members: Iterable[str], known: Container[str]) -> tuple[BatchRecord, list[str]]:
    """Count new members; gives the record and those that were not known before."""
    fresh = [member for member in dict.fromkeys(members) if member not in known]
    if not fresh:
        return record, fresh
    count = len(fresh)
    return record._replace(total=record.total + count, pending=record.pending + count, finished_at=None), fresh


def _count_failure(record: BatchRecord, options: BatchOptions, step: BatchStep, due: list[_Due]) -> BatchRecord:
    if options["allowFailures"]:
        due += [_Due("failure", each, step.member, step.failure) for each in options["failure"]]
    elif record.cancelled_at is None:
        record = record._replace(cancelled_at=step.at, cancelled_by="failure")
    if "c" not in record.fired:
        due += [_Due("catch", each, "", step.failure) for each in options["catch"]]
        record = record._replace(fired=record.fired + "c", failure=step.failure)
    return record


def _finished(counted: Counted, options: BatchOptions, at: float, due: list[_Due]) -> Counted:
    """Find out what is due when no member can run any more; every callback once."""
    record = counted.record
    follow: tuple[Push, ...] = ()
    if record.pending == 0 and not record.adding:
        record = record._replace(finished_at=at)
        if record.done == record.total and record.cancelled_at is None and not {"t", "g"} & set(record.fired):
            due += [_Due("then", each) for each in options["then"]]
            record = record._replace(fired=record.fired + "t")
        if "f" not in record.fired:
            due += [_Due("finally", each) for each in options["finally"]]
            record = record._replace(fired=record.fired + "f")
        record, follow = _chain_of(record, options, at)
    called = tuple(
        links.batch_callback(record.id, each.event, each.link, at, member=each.member, told=each.told) for each in due
    )
    return counted._replace(record=record, pushes=called + follow)


def _chain_of(record: BatchRecord, options: BatchOptions, at: float) -> tuple[BatchRecord, tuple[Push, ...]]:
    """Let the chain that the batch is a link of go on, or hear of the failure; after a retry it may still go on."""
    may_go_on = record.cancelled_at is None and (options["allowFailures"] or record.done == record.total)
    chain, fired = options["chain"], "n" if may_go_on else "ab"
    if chain is None or "g" in record.fired or set(fired) <= set(record.fired):
        return record, ()
    if not may_go_on and "a" in record.fired:  # after a retry: what follows is dropped again, and nobody told again
        chain, fired = {**chain, "catch": []}, "b"
    told = "" if options["allowFailures"] else record.failure
    follow = links.after_batch(chain, at, cancelled=not may_go_on, told=told, salt=record.id)
    return record._replace(fired=record.fired + fired), follow
