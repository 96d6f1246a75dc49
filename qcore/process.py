"""What a worker asks of its process: signals and memory."""

from __future__ import annotations

import os
import resource
import signal
import sys

# That of ``signal`` looks every handler up in an enum, which costs more than a tenth of a job, after every job.
from _signal import getsignal  # type: ignore[import-not-found]
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qcore.errors import JobInterrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class Interruption(Protocol):
    """Tells a worker that it shall stop, or pause."""

    signal: int
    """The number of the signal that asked it to stop; 0 while nobody did."""
    paused: bool
    """True from the signal that asked it to pause until the one that lets it go on."""

    def keep(self) -> None:
        """Go on listening, although a job may have taken the signals for itself."""


class NotInterrupted:
    """Nobody ever asks: for workers that are stepped by a test or a caller."""

    signal = 0
    paused = False

    def keep(self) -> None:
        """Have nothing to keep."""


class Signals:
    """SIGTERM, SIGINT and SIGQUIT: stop after the current job; a second one interrupts the job.

    SIGUSR2: pause after the current job; SIGCONT: go on. A handler sets a flag and no more, so that it
    cannot meet a lock or a half-written log line. It raises only while code of the user runs, and only when it
    is told to stop a second time.
    """

    STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    PAUSE, RESUME = signal.SIGUSR2, signal.SIGCONT
    TAKEN = (*STOP, PAUSE, RESUME)

    def __init__(self, in_user_code: Callable[[], bool], on_stop: Callable[[], object] = bool) -> None:
        """Take the signals of this process; ``in_user_code`` tells whether raising is safe.

        ``on_stop`` is called inside the handler when a job is told for the first time to stop: it must not wait, nor
        use a stream that the job may be writing to.
        """
        self.signal = 0
        self.paused = False
        self._in_user_code = in_user_code
        self._on_stop = on_stop
        self._process = os.getpid()
        self._handler = self._handle
        self._before = {number: signal.signal(number, self._handler) for number in self.TAKEN}

    def keep(self) -> None:
        """Take the signals again that a job has taken: a worker that cannot be told to stop would be killed."""
        for number in self._before:
            if getsignal(number) is not self._handler:
                signal.signal(number, self._handler)

    def restore(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            # None: it was not Python that handled it, so it cannot be given back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def ignore(self) -> None:
        """Ignore them from now on: for a process that is ending anyway, so that its exit code stays the right one."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if os.getpid() != self._process:
            # A process that a job forked inherits the handlers, but no worker that would heed them.
            self.restore()
            signal.raise_signal(number)
            return
        if number in {self.PAUSE, self.RESUME}:
            self.paused = number == self.PAUSE
            return
        again, self.signal = self.signal, number
        if not self._in_user_code():
            return
        if again:
            raise JobInterrupted
        self._on_stop()


def memory_in_use(interesting_from: float = 0) -> float:
    """Megabytes of memory in use.

    While the process never used ``interesting_from`` megabytes its peak is given instead, which is
    never less and costs a tenth: a worker asks after every job.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MAXRSS_UNITS
    return peak if peak < interesting_from else _resident(peak)


_MAXRSS_UNITS = 1024 * 1024 if sys.platform == "darwin" else 1024


def _resident(peak: float) -> float:
    try:
        pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    except OSError:
        return peak  # no /proc on this system: the peak is the best there is
    return pages * resource.getpagesize() / (1024 * 1024)
