"""What waits for the transactions of Django. Imported when Django's own database module is."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from qcore.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable


def in_force() -> DjangoTransaction | None:
    """Give the open transaction of Django's default database, else of another one; None without one."""
    from django.conf import settings
    from django.db import DEFAULT_DB_ALIAS, connections

    if not settings.configured:
        return None
    opened = connections.all(initialized_only=True)
    opened.sort(key=lambda connection: bool(connection.alias != DEFAULT_DB_ALIAS))
    return next((found for connection in opened if (found := transaction_on(connection)) is not None), None)


def transaction_on(connection: Any) -> DjangoTransaction | None:  # noqa: ANN401 - Django has no types
    """Give the open transaction of one database; None when there is none.

    :raises UnsupportedError: when its transactions are committed by hand, where Django tells nobody of it.
    """
    if connection.in_atomic_block:
        return DjangoTransaction(connection)
    if connection.connection is not None and not connection.get_autocommit():
        message = (
            f"autocommit is off on Django's database {connection.alias!r}, so nobody hears when you commit: "
            "use transaction.atomic(), or say after_commit=False"
        )
        raise UnsupportedError(message)
    return None


class DjangoTransaction:
    """The transaction that one of Django's databases is in."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - Django has no types
        """Take the connection, in an atomic block."""
        self.origin: object = connection
        self._connection = connection

    def when_over(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        """Call one of the two when the transaction, or the savepoint, is over. What ``commit`` raises, Django logs."""
        # ``robust``: else an error would keep all that follows, ours and the user's, from being called.
        self._connection.on_commit(_Callback(commit, rollback).call, robust=True)


class _Callback:
    """Called on a commit. Django tells nobody of a rollback: it drops its callbacks, and that is noticed."""

    def __init__(self, commit: Callable[[], object], rollback: Callable[[], object]) -> None:
        self._commit = commit
        self._dropped = weakref.finalize(self, rollback)
        self._dropped.atexit = False  # a forked child that ends has rolled nothing back

    def call(self) -> None:
        self._dropped.detach()
        self._commit()
