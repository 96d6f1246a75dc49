"""Calls code of the user: under its time limit, in the delivery's context, to its end if it is async."""

from __future__ import annotations

import inspect
import os
from contextvars import copy_context
from typing import TYPE_CHECKING

from qcore.async_loop import GRACE, AsyncLoop
from qcore.delivery import end_forked_process
from qcore.errors import JobDefinitionError, JobError, TimeLimitReached

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from qcore.time_limit import TimeLimit


class OutOfTime(Exception):  # noqa: N818 - never reaches a user
    """Code of the user reached its own limit, in contrast to one around it."""


class UserCode:
    """The one place where code of the user runs."""

    def __init__(self, time_limit: TimeLimit) -> None:
        """Take the limit."""
        self.is_running = False
        """True while code of the user runs: only then may a signal raise."""
        self.takes_signals = False
        """True when the process takes Ctrl-C as a signal: then a KeyboardInterrupt is the job's own."""
        self.context: Context | None = None
        """The context of the delivery at work."""
        self._time_limit = time_limit
        self._loop = AsyncLoop()
        self._process = os.getpid()

    def enter(self, context: Context) -> None:
        """Begin a delivery."""
        self.context = context
        self._process = os.getpid()

    def leave(self) -> None:
        """End a delivery."""
        self.context = None

    def rest(self) -> None:
        """Say that no job runs for a while."""
        self._time_limit.rest()

    def close(self) -> None:
        """Close the event loop of async jobs."""
        self._loop.close()

    def call(self, function: Callable[..., object], timeout: float, *args: object) -> object:
        """Run it under its time limit and give what it returned.

        :raises OutOfTime: when it reached the limit.
        """
        context = self.context or copy_context()
        try:
            with self._time_limit.enforce(timeout):
                # Innermost: a signal that raises while the limit is being set or lifted would leave it behind.
                try:
                    self.is_running = True
                    result = context.run(function, *args)
                finally:
                    self.is_running = False
                    if os.getpid() != self._process:
                        end_forked_process()
            return None if result is None else self.finished(result, timeout, context)
        except KeyboardInterrupt as error:
            if not self.takes_signals:
                raise
            message = "the job raised KeyboardInterrupt"
            raise JobError(message) from error
        except TimeLimitReached as reached:
            if reached.args and reached.args[0] is not self._time_limit:
                raise  # the limit of a job around this one, which runs this one in place
            raise OutOfTime from reached

    def finished(self, result: object, timeout: float, context: Context | None = None) -> object:
        """Await what the user's function returned if it is async; without a context, in a copy of the one in force."""
        if inspect.isawaitable(result):
            was_running = self.is_running
            # The loop cancels at the deadline; the alarm is there for code that blocks the loop, and is late enough
            # not to meet the loop while it gives a job up.
            with self._time_limit.enforce(timeout + 3 * GRACE if timeout else None):
                try:
                    self.is_running = True
                    return self._loop.run(result, timeout, context or copy_context())
                finally:
                    self.is_running = was_running
                    if os.getpid() != self._process:
                        end_forked_process()
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            message = "handle() is a generator: nothing of it would run; use return instead of yield"
            raise JobDefinitionError(message)
        return result
