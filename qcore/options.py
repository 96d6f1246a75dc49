"""What can be said about how a job runs, and the rules by which one saying beats another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

from qcore.errors import JobDefinitionError
from qcore.other_words import option_hints
from qcore.payload import FAR, LARGEST

if TYPE_CHECKING:
    from qcore.layers import Layer

Delay = float | timedelta | datetime
"""Seconds, a timedelta, or the aware datetime at which something is due."""
Backoff = float | Sequence[float]
"""Seconds before the next attempt: one number, or one for each attempt (the last one repeats)."""
Name = str | Enum
"""A queue or connection: its name, or a member of an enum whose value is the name."""

_LONGEST_NAME = 190


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """Options of a job; None means: not said here, ask the next one.

    Precedence: the call (``dispatch(queue=...)``, ``with_options``), the class keywords, the route,
    the connection, the default.
    """

    queue: str | None = None
    connection: str | None = None
    delay: Delay | None = None
    tries: int | None = None
    """How often the job may be tried; 0 means without limit."""
    max_exceptions: int | None = None
    """How many exceptions may escape before the job fails, however many tries are left."""
    backoff: float | tuple[float, ...] | None = None
    timeout: float | None = None
    """Seconds an attempt may run; 0 means without limit."""
    fail_on_timeout: bool | None = None
    middleware: tuple[Layer, ...] | None = None
    """What stands around the job beside its own ``middleware()``; said for a dispatch, never for a class."""
    after_commit: object | None = None
    """True: pushed when the transaction in force has committed; for a dispatch also the session that has it."""
    within: object | None = None
    """The session or connection in whose transaction the job is written; said for a dispatch, never for a class."""

    def over(self, base: JobOptions) -> JobOptions:
        """These options, and those of ``base`` where nothing is said here."""
        if self is UNSET:
            return base
        said = {name: value for name in JobOptions.__slots__ if (value := getattr(self, name)) is not None}
        return replace(base, **said)


UNSET = JobOptions()

OF_A_CLASS = tuple(name for name in JobOptions.__slots__ if name not in {"middleware", "within"})
"""The options that a job class can be given as keywords."""


def job_options(  # noqa: PLR0913 - one keyword for each option
    *,
    queue: Name | None = None,
    connection: Name | None = None,
    delay: Delay | None = None,
    tries: int | None = None,
    max_exceptions: int | None = None,
    backoff: Backoff | None = None,
    timeout: float | None = None,
    fail_on_timeout: bool | None = None,
    middleware: Sequence[Layer] | None = None,
    after_commit: object | None = None,
    within: object | None = None,
) -> JobOptions:
    """Check what the user said, and keep it.

    :raises JobDefinitionError: when a value cannot mean anything.
    """
    return JobOptions(
        queue=None if queue is None else checked_name(queue, "queue"),
        connection=None if connection is None else checked_name(connection, "connection"),
        delay=_checked_delay(delay),
        tries=_checked_count(tries, "tries"),
        max_exceptions=_checked_count(max_exceptions, "max_exceptions"),
        backoff=_checked_backoff(backoff),
        timeout=None if timeout is None else _checked_seconds(timeout, "timeout"),
        fail_on_timeout=_checked_flag(fail_on_timeout, "fail_on_timeout"),
        middleware=None if middleware is None else _checked_layers(middleware),
        after_commit=after_commit,
        within=within if within is None else _checked_within(within, after_commit),
    )


def said(options: dict[str, Any]) -> JobOptions:
    """Check options that a caller handed through, and keep them.

    :raises JobDefinitionError: for an unknown option or a value that cannot mean anything.
    """
    if not options:
        return UNSET
    refuse_unknown(options.keys() - set(JobOptions.__slots__))
    return job_options(**options)


def refuse_unknown(unknown: Collection[str], *, of: str = "", known: Collection[str] = JobOptions.__slots__) -> None:
    """Complain about options that do not exist, if there are any.

    :raises JobDefinitionError: lists the options that exist.
    """
    if unknown:
        words = ", ".join(sorted(unknown))
        message = f"{of}{words} is no option of a job; there are {', '.join(known)}{option_hints(unknown, known)}"
        raise JobDefinitionError(message)


def checked_name(name: Name, what: str) -> str:
    """Give the name of a queue or connection as text, or say why it cannot be one.

    :raises JobDefinitionError: not text, empty, too long, or with characters that no backend,
        log line or ``--queue a,b`` could tell apart.
    """
    text: object = name
    if isinstance(name, Enum):
        text = name.value if isinstance(name.value, str) else name.name
    if not isinstance(text, str):
        message = f"a {what} name is text, got {text!r} ({type(text).__qualname__})"
        raise JobDefinitionError(message)
    if not text or text != text.strip() or "," in text or not text.isprintable() or len(text) > _LONGEST_NAME:
        message = (
            f"{text[:60]!r} cannot be a {what} name: use 1 to {_LONGEST_NAME} printable characters "
            "without a comma and without spaces at the ends"
        )
        raise JobDefinitionError(message)
    return text


def _checked_count(value: int | None, what: str) -> int | None:
    if value is None or (type(value) is int and 0 <= value < LARGEST):
        return value
    message = f"{what} is a whole number, 0 or more, got {value!r}"
    raise JobDefinitionError(message)


def _checked_seconds(value: object, what: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < FAR:
        return value
    message = f"{what} is a number of seconds, 0 or more, got {value!r}"
    raise JobDefinitionError(message)


def _checked_backoff(backoff: object) -> float | tuple[float, ...] | None:
    if isinstance(backoff, Sequence) and not isinstance(backoff, str | bytes):
        return tuple(_checked_seconds(seconds, "backoff") for seconds in backoff) or None
    return None if backoff is None else _checked_seconds(backoff, "backoff")


def _checked_delay(delay: Delay | None) -> Delay | None:
    try:
        seconds_until(delay, 0)
    except ValueError as error:
        message = f"delay: {error}"
        raise JobDefinitionError(message) from None
    return delay


def _checked_layers(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    from qcore.layers import checked  # only those who say it pay for it

    return checked(layers, "middleware=")


def _checked_within(within: object, after_commit: object) -> object:
    if after_commit is None or after_commit is False:
        return within
    message = "a job is written within a transaction, or pushed after its commit: say within= or after_commit="
    raise JobDefinitionError(message)


def _checked_flag(value: object, what: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    message = f"{what} is True or False, got {value!r}"
    raise JobDefinitionError(message)


def seconds_until(delay: Delay | None, now: float) -> float:
    """Seconds from ``now`` until ``delay``; a moment in the past is now.

    :raises ValueError: for a naive datetime, which means a different moment on every machine, and for
        a number that is no time.
    """
    if delay is None:
        return 0
    if isinstance(delay, timedelta):
        return max(delay.total_seconds(), 0)
    if isinstance(delay, datetime):
        return max(timestamp(delay) - now, 0)
    number: object = delay
    if isinstance(number, bool) or not isinstance(number, int | float) or not -FAR < number < FAR:
        message = f"a delay is seconds, a timedelta or an aware datetime, got {delay!r}"
        raise ValueError(message)
    return max(number, 0)


def timestamp(moment: float | datetime) -> float:
    """Give a moment in seconds since 1970.

    :raises ValueError: for a naive datetime.
    """
    if not isinstance(moment, datetime):
        return moment
    if moment.utcoffset() is None:
        message = f"{moment!r} has no time zone: pass an aware datetime, such as datetime.now(UTC)"
        raise ValueError(message)
    return moment.timestamp()
