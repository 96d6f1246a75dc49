"""A process to which something happens between two statements, or commands to a redis server."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from qcore.sql.connection import Connection

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDS = ("COMMIT", "ROLLBACK")


def die_at(point: int) -> None:
    """Let this process be killed at a point: 1 is before the first statement from now on, 2 after it, and so on."""
    at_points(_Countdown(point, lambda: os.kill(os.getpid(), signal.SIGKILL)))


class _Countdown:
    def __init__(self, point: int, act: Callable[[], object]) -> None:
        self._left = point
        self._act = act

    def __call__(self, _connection: object, *, within: bool) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()


def at_points(reach: Callable[..., None]) -> None:
    """Call ``reach(connection, within=...)`` before and after each statement from now on.

    ``within`` is true inside of a transaction.
    """
    run, within = Connection._run, False

    def counted(connection: Connection, sql: str, *arguments: object, **options: object) -> object:
        nonlocal within
        reach(connection, within=within)
        answer: object = run(connection, sql, *arguments, **options)  # type: ignore[arg-type]
        within = sql.startswith(("BEGIN", "START")) or (within and not sql.startswith(_ENDS))
        reach(connection, within=within)
        return answer

    Connection._run = counted  # type: ignore[assignment,method-assign]


def at_commands(reach: Callable[..., None]) -> None:
    """Call ``reach(raw, within=False)`` for each command to a redis server: before, when it was sent, and after."""
    from redis.connection import AbstractConnection

    send, read = AbstractConnection.send_packed_command, AbstractConnection.read_response

    def sent(raw: AbstractConnection, *arguments: Any, **options: Any) -> None:
        reach(raw, within=False)
        send(raw, *arguments, **options)  # type: ignore[no-untyped-call]
        reach(raw, within=False)

    def answered(raw: AbstractConnection, *arguments: Any, **options: Any) -> object:
        given: object = read(raw, *arguments, **options)
        reach(raw, within=False)
        return given

    AbstractConnection.send_packed_command = sent  # type: ignore[assignment,method-assign]
    AbstractConnection.read_response = answered  # type: ignore[assignment,method-assign]
