"""How an idle thread waits for a push, on a connection of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from qcore.clock import SystemClock
from qcore.errors import DriverError
from qcore.redis.script import packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.redis.home import RedisHome
    from qcore.redis.link import Link


logger = logging.getLogger("qcore")

_POLL_DEAF = 0.05
"""Seconds between two looks for jobs as long as nobody can be heard."""

_TRY_AGAIN = 5.0
"""Seconds after which a read is tried again that failed."""

_TELL_AT = 2
"""The failure that is told: a server that is away for a moment fails once, and who looks for jobs says so."""


class Waiter:
    """Reads from the ``notify`` lists of queues, and never longer than it is told.

    The server ends a blocking read up to a tenth of a second late. So it is sent with a long time, and it is the
    socket that is waited on; a read that is still under way goes on when the thread waits again.
    """

    def __init__(self, home: RedisHome) -> None:
        """Open nothing yet."""
        self._home = home
        self._link: Link | None = None
        self._places: tuple[bytes, ...] | None = None
        """What is being read from; None between two reads."""
        self._clock = SystemClock()
        self._failures = 0
        self._failed_at: float | None = None

    def wait(self, places: Sequence[bytes], seconds: float) -> None:
        """Wait until one of the queues was pushed to, at most that long.

        It may end early. When the server is lost it ends at once: whoever asks next will be told why. When only the
        read fails, as for a user who may not block, it is a pause between two looks.
        """
        if self._failed_at is not None and self._clock.monotonic() < self._failed_at + _TRY_AGAIN:
            self._clock.sleep(min(seconds, _POLL_DEAF))
            return
        try:
            self._wait(tuple(places), seconds)
            self._failures, self._failed_at = 0, None
        except (RedisError, OSError, DriverError) as error:
            self._drop()
            self._failures += 1
            if self._failures == _TELL_AT:
                said = error if isinstance(error, DriverError) else self._home.explained(error)
                logger.warning("%s; looking for jobs every %g ms until it can be waited on", said, _POLL_DEAF * 1000)
            self._failed_at = self._clock.monotonic()

    def _wait(self, places: tuple[bytes, ...], seconds: float) -> None:
        link = self._reading(places)
        if link.has_answer(seconds):
            self._places = None
            link.finish()

    def _reading(self, places: tuple[bytes, ...]) -> Link:
        link = self._link
        if link is None or not link.usable or self._places not in {None, places}:
            self._drop()
            link = self._link = self._home.open()
        if self._places is None:
            root, most = self._home.root, f"{self._home.block_for:.3f}"
            self._places = places
            link.begin(packed((b"BLPOP", *(b"%bqueues:%b:notify" % (root, each) for each in places), most)))
        return link

    def stop(self) -> None:
        """End a read that is under way: a thread that has work to do must not take what would wake another."""
        if self._places is None or self._link is None:
            return
        try:
            if self._link.has_answer(0):
                self._places = None
                self._link.finish()
            else:
                self._drop()
        except (RedisError, OSError):
            self._drop()

    def _drop(self) -> None:
        link, self._link, self._places = self._link, None, None
        if link is not None:
            link.close()
