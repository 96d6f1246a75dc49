"""Which pushes a test means: one engine for every assertion. It says yes, or names each difference."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - a NamedTuple reads its annotations
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.codec import Codec
from qcore.codec_canonical import canonical
from qcore.errors import PayloadError
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions, seconds_until, timestamp
from qtest.expecting import ExpectationError, Named, did_you_mean, fields_of, named_by
from qtest.plain_text import repr_of, text_of
from qtest.terms import answer_of, check_terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qtest.expecting import Wanted
    from qtest.pushes import Pushed


class Text(str):
    """A value that is shown as it is, without quotes."""

    __slots__ = ()


class Difference(NamedTuple):
    """One thing that is not as expected."""

    field: str
    expected: object
    got: object
    note: str = ""
    """Why, where that helps: "int became str"."""


class Terms(NamedTuple):
    """Where and when a push is to have gone; None: anywhere, anytime."""

    queue: object = None
    connection: object = None
    delay: float | timedelta | datetime | object | None = None
    at: float | datetime | object | None = None
    """When it is due: the instant of the push and its delay."""
    where: Callable[[Any], object] | None = None
    exact: bool = False
    """True: subclasses do not count."""

    @classmethod
    def given(cls, **terms: object) -> Terms:
        """Take what an assertion was given.

        :raises ExpectationError: for something that cannot be compared.
        """
        unknown = sorted(set(terms) - set(cls._fields))
        if unknown:
            raise ExpectationError(
                f"{', '.join(unknown)} is nothing that a push has{did_you_mean(unknown[0], cls._fields)}; there are "
                f"{', '.join(cls._fields)}, and like(Job, field=...) for the fields of the job"
            )
        made = cls(**terms)  # type: ignore[arg-type] # checked right now
        check_terms(made)
        return made

    def over(self, options: JobOptions) -> Terms:
        """Add what was said of a job ``with_options``.

        :raises ExpectationError: for options that a push does not show.
        """
        if options is UNSET:
            return self
        rest = [name for name in JobOptions.__slots__ if name not in _SHOWN and getattr(options, name) is not None]
        if rest:
            raise ExpectationError(f"{', '.join(rest)} cannot be compared: expect the job without it, and say where=")
        said = {name: getattr(options, name) for name in _SHOWN if getattr(self, name) is None}
        return self._replace(**said)


_SHOWN = ("queue", "connection", "delay")


class Expectation:
    """One expected job, ready to be compared."""

    def __init__(self, wanted: Wanted, terms: Terms | None = None) -> None:
        """Understand what the test wrote.

        :raises ExpectationError: when it cannot mean a job.
        """
        self.named: Named = named_by(wanted)
        self.terms = (terms or Terms()).over(wanted.options if isinstance(wanted, Prepared) else UNSET)
        self.wanted = wanted

    def is_kind(self, job: Job | None) -> bool:
        """Tell whether a job is of the expected class at all; ``Job`` means every push, also one that is unreadable."""
        if self.named.job_class is Job:
            return True
        if self.terms.exact or self.named.is_instance:
            return type(job) is self.named.job_class
        return isinstance(job, self.named.job_class)

    def job_differences(self, job: Job) -> list[Difference]:
        """Compare the fields of a job of the right kind."""
        return different_fields(self.named.fields, fields_of(job), completely=self.named.is_instance)

    def differences(self, pushed: Pushed, beyond: Iterable[Difference] = ()) -> list[Difference]:
        """Compare with a push of the right kind; empty when it matches. ``beyond`` is what else is different."""
        found = self.job_differences(pushed.job) if pushed.job is not None else []
        found += [*_different_terms(self.terms, pushed), *beyond]
        if not found and self.terms.where is not None:
            found = asked(self.terms.where, pushed.job)
        return found

    def fits(self, job: Job | None) -> bool:
        """Tell whether a job is the expected one, wherever it goes."""
        return job is not None and self.is_kind(job) and not self.job_differences(job)


def different_fields(
    expected: Mapping[str, object], got: Mapping[str, object], *, completely: bool = False
) -> list[Difference]:
    """Compare fields by ``is_same``: ``ANY``, ``approx`` and the like decide."""
    found = []
    for name, value in expected.items():
        if name not in got:
            found.append(Difference(name, value, Text("(no such field)")))
        elif not is_same(value, got[name]):
            found.append(Difference(name, value, got[name], _became(value, got[name])))
    if completely:
        found += [Difference(name, Text("(nothing)"), got[name]) for name in got if name not in expected]
    return found


def is_same(expected: object, got: object) -> bool:
    """Compare by ``==``, the expected value on the left, or else by what a payload would hold, as jobs are compared.

    A value may be unequal to itself, such as NaN, or equal to nothing else, such as an object without ``==``.
    """
    if expected == got:
        return True
    if type(expected) is not type(got) or type(expected) in _PLAIN:
        return False
    one = written(expected)
    return one is not None and one == written(got)


def written(value: object) -> str | None:
    """Write a value as a payload would hold it; None for one that no payload can hold."""
    try:
        return canonical(_codec.encode(value))
    except PayloadError:
        return None


_codec = Codec()
_PLAIN = frozenset((str, int, bool, bytes, type(None)))
"""Types whose ``==`` says it all."""


def _became(expected: object, got: object) -> str:
    one, other = type(expected).__name__, type(got).__name__
    if one == other:
        return ""
    if text_of(expected) == text_of(got) or (
        isinstance(expected, tuple | list) and isinstance(got, tuple | list) and [*expected] == [*got]
    ):
        return f"{one} became {other}"
    return ""


def _different_terms(terms: Terms, pushed: Pushed) -> list[Difference]:
    found = []
    if terms.queue is not None and not (name_of(terms.queue) == pushed.queue):  # noqa: SIM201
        note = f"routed to queue {pushed.queue}" if pushed.was_routed else ""
        found.append(Difference("queue", name_of(terms.queue), pushed.queue, note))
    if terms.connection is not None and not (name_of(terms.connection) == pushed.connection):  # noqa: SIM201
        found.append(Difference("connection", name_of(terms.connection), pushed.connection))
    if terms.delay is not None:
        expected = _seconds(terms.delay, pushed.at)
        if not _same_time(expected, pushed.delay):
            found.append(Difference("delay", in_seconds(expected), in_seconds(pushed.delay)))
    if terms.at is not None:
        try:
            moment: object = timestamp(terms.at)  # type: ignore[arg-type] # whatever else compares itself
        except ValueError as error:
            raise ExpectationError(f"at: {error}") from None
        if not _same_time(moment, pushed.at + pushed.delay):
            found.append(Difference("due", in_seconds(moment), in_seconds(pushed.at + pushed.delay)))
    return found


def name_of(given: object) -> object:
    """Give the name that a member of an enum stands for; whatever else is given stays as it is."""
    value = getattr(given, "value", given)  # a member of an enum
    return value if isinstance(value, str) else given


def _seconds(delay: Any, now: float) -> object:  # noqa: ANN401 - what compares itself is left alone
    try:
        return seconds_until(delay, now)
    except ValueError as error:
        if isinstance(delay, bool) or hasattr(delay, "utcoffset"):
            raise ExpectationError(f"delay: {error}") from None
        return delay


def _same_time(expected: object, got: float) -> bool:
    # Exact, but for what a sum of floats loses: a frozen clock has no excuse for a wrong second.
    if isinstance(expected, int | float):
        return round(expected, 6) == round(got, 6)
    return bool(expected == got)


def seconds_equal(expected: Any, got: float) -> bool:  # noqa: ANN401 - what compares itself decides
    """Compare a number of seconds, or a timedelta, with what there is."""
    return _same_time(_seconds(expected, 0), got)


def in_seconds(seconds: object) -> Text:
    """Write a number of seconds, or the instant that it is; whatever else compares itself is written as it is."""
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if not isinstance(seconds, int | float):
        return Text(repr_of(seconds))
    if seconds < _DATES:
        return Text(f"{round(seconds, 6):.10g}s")
    return Text(datetime.fromtimestamp(round(seconds, 6), UTC).isoformat().replace("+00:00", "Z"))


_DATES = 1e9


def asked(where: Callable[[Any], object], given: object) -> list[Difference]:
    """Ask a callback.

    :raises ExpectationError: when it is async.
    """
    answer = answer_of(where(given))
    if answer:
        return []
    note = "it returned None: return True or False" if answer is None else ""
    return [Difference("callback", Text("True"), Text(repr_of(answer)), note)]
