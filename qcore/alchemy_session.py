"""What waits for the transactions of a SQLAlchemy session. Imported when a session is handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import event

from qcore.transactions import run_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session, SessionTransaction

_KEY = "qcore.waits"


def waits_of(session: Session) -> SessionWaits:
    """Give what waits for the transactions of a session; kept by the session itself, and gone with it."""
    waits: SessionWaits | None = session.info.get(_KEY)
    # A session may have been made with the ``info`` of another one.
    if waits is None or waits.origin is not session:
        waits = session.info[_KEY] = SessionWaits(session)
    return waits


class _Waiting(NamedTuple):
    commit: Callable[[], object]
    rollback: Callable[[], object]


class SessionWaits:
    """What waits for the transactions of one session, however many it has one after the other.

    A savepoint that is rolled back takes along what was dispatched inside it; what was dispatched inside one that is
    released goes on waiting for the transaction around it.
    """

    def __init__(self, session: Session) -> None:
        """Listen to the session, for as long as it lives."""
        self.origin: Session = session
        self._waiting: dict[SessionTransaction, list[_Waiting]] = {}
        self._committed: set[SessionTransaction] = set()
        event.listen(session, "after_commit", self._note_commit)
        event.listen(session, "after_transaction_end", self._end)

    def when_over(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        """Call one of the two when the session's transaction is over; what ``commit`` raises is raised by the session.

        The session is then out of its transaction: it can be used, and begins a new one.
        """
        self._waiting.setdefault(_innermost(self.origin), []).append(_Waiting(commit, rollback))

    def _note_commit(self, session: Session) -> None:
        # Nothing is pushed here: an error raised here would leave the session in the middle of its commit.
        self._committed.add(_innermost(session))

    def _end(self, _: Session, transaction: SessionTransaction) -> None:
        committed = transaction in self._committed
        self._committed.discard(transaction)
        waiting = self._waiting.pop(transaction, None)
        if waiting is None:
            return
        if not committed:
            for each in waiting:
                each.rollback()
        elif transaction.nested:
            assert transaction.parent is not None  # noqa: S101 - a savepoint has something around it
            self._waiting.setdefault(transaction.parent, []).extend(waiting)
        else:
            run_all(each.commit for each in waiting)


def _innermost(session: Session) -> SessionTransaction:
    """Give the savepoint that a session is in, else its transaction."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    assert transaction is not None  # noqa: S101 - asked while it is in one
    return transaction
