"""What ``qcore work`` writes: one line when a job begins, and one when it ends."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, TextIO

from qcore.commands.terminal import has_colour
from qcore.commands.work_calm import Restless
from qcore.commands.work_lines import STARTED, Json, Note, Plain, Report, Terminal
from qcore.events import (
    JobEnded,
    JobFailed,
    JobLetThrough,
    JobLost,
    JobProcessed,
    JobProcessing,
    JobReleased,
    JobSkipped,
    WorkerPausing,
    WorkerQueuePaused,
    WorkerQueueResumed,
    WorkerResuming,
    WorkerStarting,
    WorkerStopping,
)
from qcore.limits import StopReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.app import App
    from qcore.commands.work_calm import Calm
    from qcore.commands.work_lines import Style
    from qcore.events import Event
    from qcore.redaction import Redactor

_STATUS: dict[type[Event], str] = {
    JobProcessing: "starting",
    JobProcessed: "success",
    JobSkipped: "skipped",
    JobReleased: "released",
    JobFailed: "failed",
    JobLost: "lost",
}

_Told = WorkerPausing | WorkerResuming | WorkerQueuePaused | WorkerQueueResumed | WorkerStopping
_TOLD: dict[type[_Told], str] = {
    WorkerPausing: "paused",
    WorkerResuming: "resumed",
    WorkerQueuePaused: "paused",
    WorkerQueueResumed: "resumed",
    WorkerStopping: "stopping",
}


class Printer:
    """Writes lines as they come; when nobody reads any more it says so, once, and is silent."""

    def __init__(self, stream: TextIO, on_broken: Callable[[], None]) -> None:
        """Take the stream."""
        self._stream = stream
        self._on_broken = on_broken
        self.lost = 0
        """Lines that could not be written."""

    def __call__(self, line: str) -> None:
        """Write a line, all the way."""
        try:
            self._stream.write(f"{line}\n")
            self._stream.flush()
        except BrokenPipeError:
            # What is still buffered, and what jobs print, must not meet the broken pipe again.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._on_broken()
        except (OSError, ValueError):
            self.lost += 1  # a full disk, or a stream that a job closed: no reason to stop working


def listen(app: App, style: Style, write: Callable[[str], None], *, calm: Calm) -> list[Callable[[], None]]:
    """Write a line for every begin and end of a job that ``calm`` lets pass, and for what is told from outside.

    Gives functions that end it.
    """

    def write_all(reports: Iterable[Report]) -> None:
        for report in reports:
            for line in style.report(report):
                write(line)

    def hear(event: JobProcessing | JobEnded) -> None:
        write_all(calm.heard(_reported(event, app.clock.now())))

    def hear_told(event: _Told) -> None:
        # Of the reasons to stop only this one comes from outside and leaves no other trace.
        if not isinstance(event, WorkerStopping) or event.reason == StopReason.RESTART.value:
            queue, reason = getattr(event, "queue", ""), getattr(event, "reason", "")
            status = _TOLD[type(event)]
            write(style.note(Note(event.worker, event.connection, status, app.clock.now(), queue, reason)))

    ends = [app.listen(JobProcessing, hear), app.listen(JobEnded, hear)]
    if not isinstance(calm, Restless):
        ends.append(app.listen(JobLetThrough, lambda _: write_all(calm.let_through())))
    return ends + [app.listen(told, hear_told) for told in _TOLD]


def listen_start(app: App, style: Style, write: Callable[[str], None], place: str) -> Callable[[], None]:
    """Write a line when a worker begins: one that looks in the wrong place would be silent for ever.

    Gives what ends it.
    """

    def hear(event: WorkerStarting) -> None:
        names = ",".join(event.queues)
        write(style.note(Note(event.worker, event.connection, STARTED, app.clock.now(), names, place=place)))

    return app.listen(WorkerStarting, hear)


def _reported(event: JobProcessing | JobEnded, now: float) -> Report:
    if isinstance(event, JobProcessing):
        return Report(event.delivery, "starting", now)
    error = getattr(event, "error", None)
    delay, told = getattr(event, "delay", None), getattr(event, "told", True)
    return Report(event.delivery, _STATUS[type(event)], now, event.duration, error, delay, told=told)


class Warnings(logging.Handler):
    """Gives qcore's own log the style of the other lines."""

    def __init__(self, app: App, style: Style, write: Callable[[str], None]) -> None:
        """Take where to write."""
        super().__init__(logging.WARNING)
        self._app = app
        self._style = style
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        for line in self._style.warning(record, self._app.clock.now()):
            self._write(line)


def style_for(stream: TextIO, redactor: Redactor, verbosity: int, *, as_json: bool) -> Style:
    """Choose: JSON when asked for, else by whether somebody looks."""
    if as_json:
        return Json(redactor)
    if stream.isatty():
        return Terminal(redactor, verbosity, colour=has_colour(stream))
    return Plain(redactor, verbosity)
