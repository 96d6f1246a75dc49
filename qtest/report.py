"""What a failed assertion says: what was expected, the nearest miss with every difference, what there was."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from qcore.events import JobEnded, JobFailed, JobLost, JobProcessed, JobReleased, JobSkipped
from qcore.hiding import HIDDEN
from qcore.options import timestamp
from qtest.matching import Difference, Expectation, Text, in_seconds
from qtest.plain_text import plain, text_of
from qtest.pushes import Fate
from qtest.writing import CUT, WIDTH, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.app import App
    from qtest.pushes import Pushed
    from qtest.recorder import Recorder

_INDENT = "      "
_MOST = 20
_EVENTS = 5
_NARROW = 12


class Miss(NamedTuple):
    """A push that is not the expected one, and why."""

    pushed: Pushed
    differences: list[Difference]


class Reporter:
    """Writes failure messages; secrets stay out of them."""

    def __init__(self, app: App, recorder: Recorder) -> None:
        """Take what happened, and the app it happened to."""
        self._app = app
        self._recorder = recorder

    @property
    def writer(self) -> Writer:
        """Write values as the verbosity of this moment asks for."""
        return Writer(self._app.redactor)

    def headline(self, said: str, expected: Expectation) -> list[str]:
        """Say what was expected, on one line if it fits."""
        terms = ", ".join(self.terms(expected))
        job = self.writer.wanted(expected.wanted, WIDTH - len(said) - 2)
        line = f"{said}  {job}  {terms}".rstrip()
        if len(line) <= WIDTH or not terms:
            return [line]
        return [f"{said}  {job}", f"  {self.writer.cut(terms, WIDTH - 2)}"]

    def terms(self, expected: Expectation) -> list[str]:
        """Say where and when a push is to have gone."""
        queue, connection, delay, at, where, exact = expected.terms
        writer = self.writer
        said = [] if queue is None else [f"on queue {writer.value(getattr(queue, 'value', queue))}"]
        if connection is not None:
            said.append(f"on connection {writer.value(getattr(connection, 'value', connection))}")
        if delay is not None:
            said.append(f"delay {in_seconds(delay)}")
        if at is not None:
            said.append(f"due at {in_seconds(timestamp(at) if isinstance(at, datetime) else at)}")
        if where is not None:
            said.append("for which the callback holds")
        return [*said, "of that very class"] if exact else said

    def nothing_matched(self, expected: Expectation, misses: Iterable[Miss], said: str = "no job matched") -> list[str]:
        """Say that nothing was as expected, and what came nearest."""
        miss = nearest(misses)
        lines = self.headline(said, expected)
        return [*lines, *(self.miss(miss) if miss is not None else []), *self.table(), *self.last_events()]

    def miss(self, miss: Miss) -> list[str]:
        """Tell what is different about a push."""
        pushed = miss.pushed
        where = f" from {pushed.origin}" if pushed.origin else ""
        verb = "pushed" if pushed.fate is Fate.PUSHED else "dispatched"
        line = f"  nearest: #{pushed.number} {plain(pushed.name)}, {verb} at {self.moment(pushed.at)}{where}"
        return [line, *self.differences(miss.differences)]

    def differences(self, differences: Sequence[Difference]) -> list[str]:
        """Give a line for each difference: what was expected, what there was, and why if that is known."""
        if not differences:
            return []
        wide = max(len(each.field) for each in differences)
        room = max(WIDTH - len(_INDENT) - wide - len("   expected    got "), 2 * _NARROW)
        pairs = [self.writer.pair(each.expected, each.got, each.field, room) for each in differences]
        second = max(len(expected) for expected, _ in pairs)
        lines = []
        for each, (expected, got) in zip(differences, pairs, strict=True):
            shown = self.writer.cut(got, max(room - second, _NARROW))
            line = f"{_INDENT}{each.field:<{wide}}   expected {expected:<{second}}   got {shown}"
            why = each.note or self._why_alike(each)
            note = f"  ({why})" if why else ""
            if len(line) + len(note) <= WIDTH or self.writer.is_verbose:
                lines.append(line + note)
            else:
                lines += [line, *([f"{_INDENT}{'':<{wide}}  {note}"] if note else [])]
        return lines

    def _why_alike(self, each: Difference) -> str:
        """Say why two values that are written alike are not equal; empty when they are not."""
        one, other = (self.writer.value(value, each.field) for value in (each.expected, each.got))
        if one != other:
            return ""
        return "they differ in what is hidden" if HIDDEN in one else "they look alike, and are not equal"

    def table(self, pushes: Sequence[Pushed] | None = None, said: str = "pushed") -> list[str]:
        """List what was dispatched to a queue, or some of it."""
        rows_of = [each for each in self._recorder.dispatches if not each.way] if pushes is None else pushes
        if not rows_of:
            return [f"  nothing was {said}"]
        count = len(rows_of)
        head = f"  1 job was {said}" if count == 1 else f"  {count} jobs were {said}"
        if pushes is None and (gone := sum(each.fate is Fate.PUSHED for each in rows_of)) < count:
            parts = f"jobs were dispatched, {gone or 'none'} of them {said}"
            head = f"  1 job was dispatched, and not {said}" if count == 1 else f"  {count} {parts}"
        shown = rows_of if self.writer.is_verbose else rows_of[:_MOST]
        lines = self._rows(shown)
        if len(shown) < count:
            lines.append(f"{_INDENT}{CUT} and {count - len(shown)} more (-vv shows all)")
        return [head, *lines]

    def _rows(self, pushes: Sequence[Pushed]) -> list[str]:
        writer = self.writer
        numbers = [f"#{each.number}" for each in pushes]
        queues = [writer.cut(plain(self._place(each)), 24) for each in pushes]
        first, third = (max(map(len, column)) for column in (numbers, queues))
        left = WIDTH - len(_INDENT) - first - 1 - 3 - third - 3
        states = [writer.cut(self.state(each), min(left - _NARROW, 40)) for each in pushes]
        room = left - max(map(len, states))
        names = [writer.job(each.job, room) if each.job is not None else plain(each.name) for each in pushes]
        jobs = [writer.cut(name, room) for name in names]
        second = max(map(len, jobs))
        return [
            f"{_INDENT}{a:<{first}} {b:<{second}}   {c:<{third}}   {d}".rstrip()
            for a, b, c, d in zip(numbers, jobs, queues, states, strict=True)
        ]

    def _place(self, pushed: Pushed) -> str:
        """Name the queue, and its connection unless it is the default one."""
        is_default = pushed.connection == self._app.config.default
        return pushed.queue if is_default else f"{pushed.queue} on {pushed.connection}"

    def state(self, pushed: Pushed) -> str:
        """Say what became of a dispatch."""
        if pushed.fate is Fate.HELD:
            return "held until the response has gone" if pushed.way == "after_response" else "held until commit"
        if pushed.fate is Fate.UNIQUE:
            return "not pushed: " + unique_note(pushed)
        if pushed.fate is Fate.ROLLBACK:
            return "not pushed: rolled back"
        if pushed.is_elsewhere:
            return "taken by another process"
        if pushed.outcomes:
            return self.ending(pushed.outcomes[-1])
        return f"delayed +{in_seconds(pushed.delay)}" if pushed.delay else "ready"

    def ending(self, event: JobEnded) -> str:
        """Say how a delivery ended."""
        match event:
            case JobFailed(error=error):
                return f"failed: {self.error(error)}"
            case JobReleased(delay=delay, error=error):
                why = f" after {type(error).__name__}" if error is not None else ""
                return f"released +{in_seconds(delay)}{why}"
            case JobProcessed():
                return "deleted by itself" if event.delivery.deleted else "processed"
            case JobSkipped():
                return "skipped"
            case JobLost():
                return "lost to another worker"
        return type(event).__name__

    def error(self, error: BaseException) -> str:
        """Write an exception on one line."""
        message = plain(self._app.redactor.text(text_of(error)).partition("\n")[0])
        return self.writer.cut(f"{type(error).__name__}: {message}" if message else type(error).__name__, 60)

    def last_events(self) -> list[str]:
        """Tell how the last deliveries ended; nothing when nothing was run."""
        ended = [each for each in self._recorder.timeline if isinstance(each.event, JobEnded)]
        if not ended:
            return []
        shown = ended if self.writer.is_verbose else ended[-_EVENTS:]
        moments = [self.moment(each.at) for each in shown]
        wide = max(map(len, moments))
        lines = []
        for moment, each in zip(moments, shown, strict=True):
            assert isinstance(each.event, JobEnded)  # noqa: S101 - they were chosen by that
            delivery = each.event.delivery
            pushed = self._recorder.find(delivery.id)
            number = f"#{pushed.number} " if pushed is not None else ""
            line = f"{_INDENT}{moment:<{wide}}  {number}{plain(delivery.name)} {self.ending(each.event)}"
            lines.append(self.writer.cut(line, WIDTH))
        return ["  last events", *lines]

    def numbers(self, of: Sequence[int]) -> str:
        """Name dispatches by their numbers."""
        shown = of if self.writer.is_verbose else of[:_MOST]
        rest = f" and {len(of) - len(shown)} more" if len(shown) < len(of) else ""
        return ", ".join(f"#{number}" for number in shown) + rest

    def moment(self, at: float) -> str:
        """Say when, counted from the beginning of the test."""
        return f"+{in_seconds(at - self._recorder.started)}"


def unique_note(pushed: Pushed) -> str:
    """Say why a unique job was not pushed."""
    return f"unique lock held by #{pushed.owner}" if pushed.owner is not None else "unique lock held"


def nearest(misses: Iterable[Miss]) -> Miss | None:
    """Find the push of the right kind with the fewest differences, the last one of several."""
    return min(reversed([*misses]), key=lambda miss: len(miss.differences), default=None)


def fate_difference(pushed: Pushed) -> list[Difference]:
    """Tell why a dispatch was no push."""
    if pushed.fate is Fate.PUSHED and not pushed.way:
        return []
    if pushed.fate is Fate.HELD:
        waits = "the response has gone" if pushed.way == "after_response" else "commit"
        return [Difference("state", Text("pushed"), Text(f"held until {waits}"))]
    if pushed.fate is Fate.UNIQUE:
        return [Difference("state", Text("pushed"), Text("discarded"), unique_note(pushed))]
    if pushed.fate is Fate.ROLLBACK:
        return [Difference("state", Text("pushed"), Text("discarded"), "the transaction was rolled back")]
    how = {"sync": "run by dispatch_sync()", "after_response": "run after the response"}
    return [Difference("state", Text("pushed"), Text(how.get(pushed.way, "run in place")))]
