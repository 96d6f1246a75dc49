"""What an assertion may be given beside the job. What could never match is refused: a negative would always pass."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from qcore.options import seconds_until, timestamp
from qtest.expecting import ExpectationError, closed

if TYPE_CHECKING:
    from qtest.matching import Terms

ASYNC_CALLBACK = "the callback is async, and nobody awaits it: write a plain function or a lambda"

_NO_NAMES = (int, float, bytes, list, tuple, dict, set, frozenset)
_NO_TIMES = (str, bytes, bool, list, tuple, dict, set, frozenset)


def check_terms(terms: Terms) -> None:
    """Look at each of them.

    :raises ExpectationError: says which one is wrong, and what it is.
    """
    check_callback(terms.where)
    for name in ("queue", "connection"):
        given = getattr(terms, name)
        value = getattr(given, "value", given)
        if isinstance(value, _NO_NAMES):
            raise ExpectationError(f"{name} is the name of one, got {given!r:.80}")
    if terms.delay is not None:
        _check_time("delay", terms.delay, "a number of seconds, a timedelta or an aware datetime")
    if terms.at is not None:
        _check_time("at", terms.at, "an aware datetime, or seconds since 1970")
    if type(terms.exact) is not bool:
        raise ExpectationError(f"exact is True or False, got {terms.exact!r:.80}")


def refuse_none(name: str, given: object) -> None:
    """Complain about None where it can only be a mistake: it would mean that anything will do.

    :raises ExpectationError: names what is missing.
    """
    if given is None:
        raise ExpectationError(f"{name} is what this assertion is about, got None: say which, or assert_pushed(job)")


def check_callback(where: object) -> None:
    """Look at a callback that is asked whether something matches.

    :raises ExpectationError: when it cannot be called, or is async.
    """
    if where is None:
        return
    if inspect.iscoroutinefunction(where):
        raise ExpectationError(ASYNC_CALLBACK)
    if not callable(where):
        raise ExpectationError(
            f"the callback is a function that says True or False, got {where!r:.80}: "
            "options such as queue= are said by their names"
        )


def answer_of(answer: object) -> object:
    """Give what a callback has said.

    :raises ExpectationError: when it has said nothing yet: it is async.
    """
    if inspect.iscoroutine(answer):
        closed(answer)
    if inspect.isawaitable(answer):
        raise ExpectationError(ASYNC_CALLBACK)
    return answer


def check_delay(delay: object) -> None:
    """Look at a delay that is compared with another one.

    :raises ExpectationError: when it is no time.
    """
    _check_time("delay", delay, "a number of seconds or a timedelta")


def check_delays(delays: object) -> None:
    """Look at the delays between attempts.

    :raises ExpectationError: when they are no list of times.
    """
    if isinstance(delays, str | bytes) or not isinstance(delays, Sequence):
        raise ExpectationError(f"delays is a list of seconds, got {delays!r:.80}")
    for each in delays:
        check_delay(each)


def check_error(error: object, match: object) -> None:
    """Look at what an exception is to be.

    :raises ExpectationError: for what is neither an exception nor the class of one, and for a text that is none.
    """
    is_class = isinstance(error, type) and issubclass(error, BaseException)
    if not (error is None or is_class or isinstance(error, BaseException)):
        raise ExpectationError(f"error is the class of an exception, or one, got {error!r:.80}; match= is a text")
    if match is None:
        return
    if not isinstance(match, str | re.Pattern):
        raise ExpectationError(f"match is a text, or a regular expression, got {match!r:.80}")
    try:
        re.compile(match)
    except re.error as wrong:
        raise ExpectationError(f"match is no regular expression: {wrong}, got {match!r:.80}") from None


def _check_time(name: str, given: Any, what: str) -> None:  # noqa: ANN401 - what compares itself is left alone
    if isinstance(given, _NO_TIMES):
        raise ExpectationError(f"{name} is {what}, got {given!r:.80}")
    if hasattr(given, "utcoffset") or isinstance(given, int | float):
        try:
            seconds_until(given, 0) if name == "delay" else timestamp(given)
        except ValueError as error:
            raise ExpectationError(f"{name}: {error}") from None
