"""Being woken by PostgreSQL: a connection of its own hears of the queues that somebody waits for."""

from __future__ import annotations

import logging
import select
from typing import TYPE_CHECKING

from qcore.clock import SystemClock
from qcore.errors import DriverError
from qcore.sql.statement import Statement
from qcore.sql.trouble import LostError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.sql.connection import Connection
    from qcore.sql.dialect import Dialect

logger = logging.getLogger("qcore")

IDLE = 1_903_390_578
"""The first half of the advisory locks that idle workers hold: the letters qcor as a number."""

_NUMBER = Statement("SELECT hashtext(%s)", ("queue",))
"""The second half of those locks, and the name of a channel: queues that share a number wake each other, no more."""

_POLL = 0.5
"""Seconds between two looks at a queue that nobody told of: notifications are a hint, and may be missed."""

_POLL_DEAF = 0.05
"""As long as nobody can be heard."""

_TRY_AGAIN = 5.0
"""Seconds after which listening is tried again that was refused."""

_TELL_AT = 2
"""The refusal that is told: a server that is away for a moment refuses once, and who looks for jobs says so."""


class Ear:
    """One thread's connection for listening."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._clock = SystemClock()
        self._held: Connection | None = None
        self._queues: tuple[str, ...] = ()
        self._looked = False
        self._refusals = 0
        self._refused_at: float | None = None

    def listen(self, queues: Sequence[str]) -> None:
        """Be told of pushes to these queues from now on, and of no others."""
        self._looked = False
        if self._held is None or not self._held.usable or tuple(queues) != self._queues:
            self._try_to_listen(tuple(queues))

    def _try_to_listen(self, queues: tuple[str, ...]) -> None:
        now = self._clock.monotonic()
        if self._refused_at is not None and now < self._refused_at + _TRY_AGAIN:
            return
        try:
            self._listen(queues)
        except DriverError as error:
            self._held = None
            self._refusals += 1
            if self._refusals == _TELL_AT:
                logger.warning("%s; looking for jobs every %g ms until it listens", error, _POLL_DEAF * 1000)
            self._refused_at = now
        else:
            self._refusals, self._refused_at = 0, None

    def _listen(self, queues: tuple[str, ...]) -> None:
        if self._held is None or not self._held.usable:
            self._held = self._dialect.connect()
        self._held.say("UNLISTEN *; SELECT pg_advisory_unlock_all()")
        for name in queues:
            [(number,)] = self._held.rows(_NUMBER, queue=name)
            # Who pushes sees by the lock that somebody waits, and says so on the channel.
            self._held.say(f'LISTEN "qcore_{number}"; SELECT pg_advisory_lock_shared({IDLE}, {number})')
        self._queues = queues

    def changed(self) -> bool:
        """Tell whether it is time to look: at first, and after each wait."""
        looked, self._looked = self._looked, True
        return not looked

    def wait(self, seconds: float) -> bool:
        """Wait that long at most, less when a queue was pushed to; True when it was."""
        told = False
        if self._held is None:
            self._clock.sleep(min(seconds, _POLL_DEAF))
        else:
            try:
                told = self._hear(self._held, max(min(seconds, _POLL), 0))
            except LostError:
                self._held = None  # looking will tell whether the server is away
        self._looked = told
        return told

    def _hear(self, held: Connection, seconds: float) -> bool:
        raw, told = held.raw.pgconn, False
        poll = select.poll()
        poll.register(raw.socket, select.POLLIN)
        if poll.poll(seconds * 1000):
            held.run(raw.consume_input)
            while raw.notifies() is not None:
                told = True  # whatever was pushed, one look finds it
        return told

    def found(self) -> None:
        """Go on listening: whether this was all, nobody knows."""

    def rest(self) -> None:
        """Listen no more until the next wait."""
        if self._held is not None and self._queues:
            self._try_to_listen(())

    def close(self) -> None:
        """Close the connection; the next wait opens another one."""
        if self._held is not None:
            self._held.close()
            self._held = None
