"""Pushing when a transaction of somebody else has committed, or inside of it.

*After the commit* (``after_commit=``) the payload is made and its lock is taken at the dispatch, and it is pushed when
the transaction has committed: at most once, as a process that dies in between takes it along. *Within* (``within=``)
it is written by the transaction itself, on the database of the queue: exactly when that commits.
"""

from __future__ import annotations

import logging
import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from qcore import sessions
from qcore.errors import ConfigError, JobDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Push
    from qcore.jobs import Job
    from qcore.options import JobOptions
    from qcore.queue import Queue

    Prepared = Sequence[tuple[Push, Job | None]]

logger = logging.getLogger("qcore")


class Transaction(Protocol):
    """Something that will be over: committed, or rolled back."""

    @property
    def origin(self) -> object:
        """What the user knows it by: a session, or a connection."""

    def when_over(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        """Call one of the two, once. What ``commit`` raises reaches whoever ends the transaction, or the log.

        ``rollback`` raises nothing.
        """


class PushSide(Protocol):
    """Makes payloads and sends them: the queue itself, or one that waits."""

    def prepare(self, job: Job, options: JobOptions) -> Push | None:
        """Make a job ready to be sent."""

    def send(self, prepared: Prepared) -> list[str]:
        """Send what was prepared; gives the ids of what no lock refused."""


class Later:
    """The push side of a connection when it waits for a transaction; nothing is left when that is rolled back."""

    def __init__(self, queue: Queue, transaction: Transaction, clock: Clock) -> None:
        """Wait for that transaction."""
        self._queue = queue
        self._transaction = transaction
        self._clock = clock

    @cached_property
    def _inside(self) -> Queue:
        """The queue whose locks are taken by the transaction itself, when it is on their database.

        Another connection would have to wait for its end. Asked only for jobs that have a lock.
        """
        origin = self._transaction.origin
        return self._queue if origin is None else self._queue.before_commit(origin)

    def prepare(self, job: Job, options: JobOptions) -> Push | None:
        """Make a job ready to be sent."""
        queue = self._queue if type(job).__job__.unique is None else self._inside
        return queue.prepare(job, options)

    def send(self, prepared: Prepared) -> list[str]:
        """Keep payloads and their locks until the transaction is over. Delays count from now: a moment stays that."""
        queue = self._inside if any(push.lock is not None for push, _ in prepared) else self._queue
        kept = _reserved(queue, prepared)
        if kept:
            queue.tell_held(kept)
            since = self._clock.monotonic()
            self._transaction.when_over(
                lambda: _push(self._queue, kept, passed=self._clock.monotonic() - since),
                lambda: _discard(queue, kept, joined=queue is not self._queue),
            )
        return [push.payload.id for push, _ in kept]


def _reserved(queue: Queue, prepared: Prepared) -> Prepared:
    """Take the locks, and leave out what others hold."""
    kept: list[tuple[Push, Job | None]] = []
    try:
        for push, job in prepared:
            holder = queue.locks.reserve(push)
            if holder is None:
                kept.append((push, job))
            else:
                queue.locks.tell_skipped(push, job, holder)
    except BaseException:
        _cancel(queue, kept)
        raise
    return kept


def both(transaction: Transaction | None, response: Transaction | None) -> Transaction | None:
    """Wait for a transaction, and when that has committed for a response."""
    if transaction is None or response is None:
        return transaction or response
    return _Then(transaction, response)


class _Then:
    """A transaction, and what begins to count when it has committed."""

    def __init__(self, first: Transaction, second: Transaction) -> None:
        self.origin = first.origin
        self._first = first
        self._second = second

    def when_over(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        self._first.when_over(lambda: self._second.when_over(commit, rollback), rollback)


def _push(queue: Queue, prepared: Prepared, *, passed: float) -> None:
    """Push what waited. Those with a lock one by one: what is not pushed gives its lock back."""
    due = [(push._replace(delay=max(push.delay - passed, 0)), job) for push, job in prepared]
    free = [each for each in due if each[0].lock is None]

    def push_locked(each: tuple[Push, Job | None]) -> None:
        try:
            queue.send([each])
        except BaseException:
            _cancel(queue, [each])
            raise

    locked = [lambda each=each: push_locked(each) for each in due if each[0].lock is not None]
    run_all([*([lambda: queue.send(free)] if free else []), *locked])


def _discard(queue: Queue, prepared: Prepared, *, joined: bool) -> None:
    """Drop what waited; what the transaction took it gives back itself."""
    _cancel(queue, () if joined else prepared)
    queue.tell_held(prepared, over=True)


def _cancel(queue: Queue, prepared: Prepared) -> None:
    """Give locks back. It is the end of something that went wrong already, so it raises nothing."""
    for push, _ in prepared:
        if push.lock is None:
            continue
        try:
            queue.locks.cancel(push)
        except Exception:
            logger.exception("the lock %s of %s stays for up to an hour", push.lock.key, push.payload.id)


def run_all(actions: Iterable[Callable[[], object]]) -> None:
    """Run all, whatever the ones before raise; the first error is raised afterwards, the others are logged."""
    errors: list[BaseException] = []
    for action in actions:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - what follows shall not be lost with it
            errors.append(error)
    if not errors:
        return
    # Ctrl-C first of all: it must not end in the log.
    raised = next((each for each in errors if not isinstance(each, Exception)), errors[0])
    for each in errors:
        if each is not raised:
            logger.error("one more push after a commit failed: %r", each, exc_info=each)
    raise raised


class Transactions:
    """Finds the transaction that a push waits for."""

    def __init__(self) -> None:
        """Begin without sources; Django's connections are looked at without one."""
        self.sources: list[Callable[[], object]] = []
        """They are asked in this order."""
        self._has_warned = False

    def add_source(self, source: Callable[[], object]) -> None:
        """Ask ``source()`` for the session in force, or None, when a push shall wait for whatever there is.

        :raises ConfigError: when it cannot be asked.
        """
        given: Any = source
        if not callable(given) or sessions.makes_sessions(given):
            message = (
                f"a source of transactions is called without arguments and gives the session in force, or None, "
                f"got {given!r:.100}: pass a scoped_session, or lambda: my_session_variable.get(None)"
            )
            raise ConfigError(message)
        self.sources.append(source)

    def waited_for(self, after_commit: object) -> Transaction | None:
        """Give the open transaction that a push waits for; ``after_commit`` is True, False or a session.

        :raises JobDefinitionError: for something that is no session.
        """
        if after_commit is True:
            return self.in_force()
        return None if after_commit is None or after_commit is False else transaction_of(after_commit)

    def in_force(self) -> Transaction | None:
        """Give the first open transaction of the sources, in their order, and then of Django; None without one."""
        if not self.sources and "django.db" not in sys.modules and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "a push is to wait for the transaction in force, and nobody said how to find it, so it does not wait: "
                "say app.transactions(...), or after_commit=session"
            )
        for source in self.sources:
            transaction = transaction_of(sessions.asked(source))
            if transaction is not None:
                return transaction
        if "django.db" in sys.modules:
            from qcore.django_transaction import in_force

            return in_force()
        return None


def transaction_of(given: object) -> Transaction | None:
    """Give the open transaction of a session or connection; None when none is open.

    :raises JobDefinitionError: for something that is no session.
    """
    origin = sessions.unwrapped(given)
    if origin is None:
        return None
    if sessions.is_session(origin):
        from qcore.alchemy_session import waits_of  # SQLAlchemy is there, or it could be no session of its

        return waits_of(origin) if origin.in_transaction() else None
    if sessions.is_django(origin):
        from qcore.django_transaction import transaction_on

        return transaction_on(origin)
    message = f"after_commit is True, False, {sessions.KINDS}, got {given!r:.100}"
    raise JobDefinitionError(message)
