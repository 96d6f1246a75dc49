"""A process to which something happens between two statements, or commands to a redis server."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

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
    """Call ``reach(link, within=False)`` for each command to a redis server: before, when it was sent, and after."""
    from qcore.redis.link import Link

    send, answer = Link.send, Link.answer

    def sent(link: Link, command: bytes) -> None:
        reach(link, within=False)
        send(link, command)
        reach(link, within=False)

    def answered(link: Link) -> object:
        given: object = answer(link)
        reach(link, within=False)
        return given

    Link.send = sent  # type: ignore[assignment,method-assign]
    Link.answer = answered  # type: ignore[assignment,method-assign]
