"""How the lines of ``qcore work`` look: for a terminal, for a log, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, Protocol

from qcore.commands.terminal import coloured, escaped, local, moment_text, span_text, width
from qcore.process import memory_in_use
from qcore.redaction import Redactor, exception_text

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

    from qcore.delivery import Delivery

_LONGEST = 500
"""Characters of an exception's message in a line."""


STARTED = "started"


class Report(NamedTuple):
    """What is known when a job begins or ends."""

    delivery: Delivery
    status: str
    at: float
    duration: float | None = None
    error: BaseException | None = None
    delay: float | None = None
    others: int = 0
    """Like it, and without a line since the last one."""
    told: bool = True
    """False when the backend could not be told of the end."""


class Note(NamedTuple):
    """That a worker begins, or what it was told from outside."""

    worker: str
    connection: str
    status: str
    at: float
    queue: str = ""
    reason: str = ""
    place: str = ""

    def __str__(self) -> str:
        """Say what it is about."""
        if self.status == STARTED:
            where = f"{self.connection} ({self.place})" if self.place else self.connection
            return f"on the queues {self.queue} of {where}"
        return f"queue {self.queue}" if self.queue else _REASONS[self.reason]


_REASONS = {"signal": "by a signal", "maintenance": "maintenance", "restart_signal": "told to restart"}


class Style(Protocol):
    """How reports and warnings become lines."""

    def report(self, report: Report) -> Iterator[str]:
        """Write a job's begin or end."""

    def note(self, note: Note) -> str:
        """Write what the worker was told."""

    def warning(self, record: logging.LogRecord, at: float) -> Iterator[str]:
        """Write what qcore has to say beside that."""


class Json:
    """One JSON object a line, without what is empty."""

    def __init__(self, redactor: Redactor) -> None:
        """Take what hides secrets."""
        self._redactor = redactor

    def report(self, report: Report) -> Iterator[str]:
        """Write a job's begin or end."""
        delivery = report.delivery
        wrong = report.error is not None or report.status == "lost"
        yield _json(
            level="warning" if wrong else "info",
            id=delivery.id,
            connection=delivery.connection,
            queue=delivery.queue,
            job=delivery.name,
            status=report.status,
            attempts=delivery.attempts(),
            **self._error(report.error),
            reason=None if report.told else "not_told",
            blocked_by=_blocked_by(report),
            timestamp=_iso(report.at),
            duration=None if report.duration is None else round(report.duration, 6),
            delay=report.delay,
        )

    def note(self, note: Note) -> str:
        """Write what the worker was told."""
        return _json(
            level="info",
            worker=note.worker,
            connection=note.connection,
            queue=note.queue,
            status=note.status,
            reason=note.reason,
            place=note.place,
            timestamp=_iso(note.at),
        )

    def warning(self, record: logging.LogRecord, at: float) -> Iterator[str]:
        """Write what qcore has to say beside that."""
        error = record.exc_info[1] if record.exc_info else None
        yield _json(level="warning", **{**self._error(error), "message": record.getMessage()}, timestamp=_iso(at))

    def _error(self, error: BaseException | None) -> dict[str, object]:
        if error is None:
            return {}
        return {"exception": _class_name(error), "message": self._redactor.text(_text_of(error))}


def _json(**fields: object) -> str:
    return json.dumps({name: value for name, value in fields.items() if value not in (None, "")})


def _iso(at: float) -> str:
    return local(at).isoformat(timespec="microseconds")


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


class _ForPeople:
    def __init__(self, redactor: Redactor, verbosity: int) -> None:
        self._redactor = redactor
        self._verbosity = verbosity

    def warning(self, record: logging.LogRecord, at: float) -> Iterator[str]:
        """Write what qcore has to say beside that."""
        error = record.exc_info[1] if record.exc_info else None
        yield f"[{moment_text(at)}] {record.levelname}: {escaped(record.getMessage())}{self._in_brackets(error)}"
        yield from self._traceback(error)

    def _in_brackets(self, error: BaseException | None) -> str:
        return "" if error is None else f" ({self._in_short(error)})"

    def _in_short(self, error: BaseException) -> str:
        text = self._redactor.text(_text_of(error))
        name = type(error).__qualname__
        return escaped(f"{name}: {text}" if text else name, _LONGEST)

    def _traceback(self, error: BaseException | None) -> Iterator[str]:
        if error is not None and self._verbosity:
            for line in exception_text(error, self._redactor).splitlines():
                yield f"    {escaped(line)}"

    def _details(self, delivery: Delivery) -> str:
        where = f"{escaped(delivery.id)} {escaped(delivery.connection)} {escaped(delivery.queue)}"
        return f"{where} attempt {delivery.attempts()} {memory_in_use():.0f} MB"


class Plain(_ForPeople):
    """Lines for a log: ``[2026-11-21 08:49:56][id] Processing: name``."""

    _VERBS = {  # noqa: RUF012 - never changed
        "starting": "Processing",
        "success": "Processed",
        "skipped": "Skipped",
        "released": "Released",
        "failed": "Failed",
        "lost": "Lost",
    }

    def report(self, report: Report) -> Iterator[str]:
        """Write a job's begin or end."""
        delivery = report.delivery
        verb, name = self._VERBS[report.status], escaped(delivery.name)
        details = f" [{self._details(delivery)}]" if self._verbosity else ""
        head = f"[{moment_text(report.at)}][{escaped(delivery.id)}]"
        yield f"{head} {verb}: {name}{self._in_brackets(report.error)}{_again(report)}{_block(report)}{details}"
        yield from self._traceback(report.error)

    def note(self, note: Note) -> str:
        """Write what the worker was told."""
        return f"[{moment_text(note.at)}] {note.status.capitalize()}: {escaped(str(note))}"


class Terminal(_ForPeople):
    """Lines for a terminal: time, job, dots, and what becomes of it at the right side."""

    _WORDS = {  # noqa: RUF012 - never changed
        "starting": ("RUNNING", "yellow"),
        "success": ("DONE", "green"),
        "skipped": ("SKIPPED", "yellow"),
        "released": ("RELEASED", "yellow"),
        "failed": ("FAIL", "red"),
        "lost": ("LOST", "red"),
    }

    def __init__(self, redactor: Redactor, verbosity: int, *, colour: bool) -> None:
        """Take what hides secrets, how much to say, and whether to colour it."""
        super().__init__(redactor, verbosity)
        self._colour = colour

    def report(self, report: Report) -> Iterator[str]:
        """Write a job's begin or end."""
        word, colour = self._WORDS[report.status]
        yield self._line(report.at, self._head(report.delivery), self._tail(report), word, colour)
        if report.error is not None:
            yield f"    {self._dressed(self._in_short(report.error) + _again(report), colour)}"
            yield from self._traceback(report.error)

    def note(self, note: Note) -> str:
        """Write what the worker was told."""
        return self._line(note.at, escaped(str(note)), "", note.status.upper(), "yellow")

    def _line(self, at: float, head: str, tail: str, word: str, colour: str) -> str:
        taken = len("  2026-11-21 10:10:11 ") + len(head) + len(tail) + len(word) + 2
        dots = "." * max(width() - taken, 3)
        time = self._dressed(moment_text(at), "grey")
        return f"  {time} {head} {self._dressed(dots, 'grey')} {tail}{self._dressed(word, colour)}"

    def _head(self, delivery: Delivery) -> str:
        name = escaped(delivery.name)
        return f"{name} {self._details(delivery)}" if self._verbosity else name

    def _tail(self, report: Report) -> str:
        took = "" if report.duration is None else f"{span_text(report.duration)} "
        who = f"{escaped(by)} " if (by := _blocked_by(report)) else ""
        again = f"again in {span_text(report.delay)} " if report.delay else ""
        return f"{who}{took}{again}{_others(report)}"

    def _dressed(self, text: str, colour: str) -> str:
        return coloured(text, colour) if self._colour else text


def _blocked_by(report: Report) -> str:
    """Say which middleware put the job off or skipped it; empty when none did."""
    return report.delivery.blocked_by if report.status in {"released", "skipped"} else ""


def _block(report: Report) -> str:
    by = _blocked_by(report)
    if not by:
        return ""
    again = f", again in {span_text(report.delay)}" if report.delay else ""
    others = f"; {_others(report).rstrip()}" if report.others else ""
    return f" ({escaped(by)}{again}{others})"


def _again(report: Report) -> str:
    """Say that a job is not lost whose end the backend does not know."""
    return "" if report.told else ": runs again when its lease is over"


def _others(report: Report) -> str:
    return f"and {report.others} more like it " if report.others else ""


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception of the user's may not even have a text
        return "(this exception has no readable text)"
