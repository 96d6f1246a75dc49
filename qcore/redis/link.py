"""One connection to a server, held by one thread from call to call."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKS = 400
"""Looks at the socket before a thread sleeps: a fifth of a millisecond, which a server nearby seldom needs."""

_FAR = 20
"""Calls without such looks after one for which they were too few."""


class Link:
    """A connection of redis-py, which it opens, and on which nothing is repeated behind our back.

    After anything but an answer it is closed: a connection on which a call broke off may still get the answer,
    and would give it to the next call.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        """Open it.

        :raises RedisError: when the server cannot be reached or refuses us.
        """
        self._raw: Any = make()
        self._process = os.getpid()
        try:
            self._raw.connect()
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._far = 0.0
        if (socket := getattr(self._raw, "_sock", None)) is not None:
            self._poll.register(socket, select.POLLIN)
        else:
            self._far = float("inf")  # a fake server is asked without one

    @property
    def usable(self) -> bool:
        """False once it was closed, and in a process that was forked: it belongs to the parent."""
        return self._raw is not None and self._process == os.getpid()

    def ask(self, command: bytes) -> Any:  # noqa: ANN401 - whatever the server answers
        """Send a packed command and give the answer.

        :raises RedisError: when the server refuses it, or was lost.
        """
        # Until the answer is here it is nobody's: it may be cut off between any two lines, as by a time limit.
        raw, self._raw = self._raw, None
        try:
            # A tuple, since redis-py would take bytes for a list of numbers.
            raw.send_packed_command((command,), check_health=False)
            self._look_for_answer()
            answer = raw.read_response()
        except ResponseError:
            self._raw = raw
            raise
        except BaseException:
            raw.disconnect()
            raise
        self._raw = raw
        return answer

    def _look_for_answer(self) -> None:
        """Stay awake for a moment: on a machine with little to do, to be woken takes longer than the answer."""
        if self._far > 0:
            self._far -= 1
            return
        look = self._poll.poll
        for _ in range(_LOOKS):
            if look(0):
                return
        self._far = _FAR

    def begin(self, command: bytes) -> None:
        """Send a packed command whose answer is read later."""
        try:
            self._raw.send_packed_command((command,), check_health=False)
        except BaseException:
            self.close()
            raise

    def has_answer(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the answer to what was begun; False when it is not there yet."""
        try:
            return bool(self._raw.can_read(timeout=seconds))
        except BaseException:
            self.close()
            raise

    def finish(self) -> None:
        """Read the answer to what was begun."""
        try:
            self._raw.read_response()
        except ResponseError:
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it for good. A forked process only closes its own end: nothing is said to the server."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.disconnect()
