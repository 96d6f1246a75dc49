"""What an assertion may be given beside the job. What could never match is refused: a negative would always pass."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from qcore.options import seconds_until, timestamp
from qtest.expecting import ExpectationError

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


def _check_time(name: str, given: Any, what: str) -> None:  # noqa: ANN401 - what compares itself is left alone
    if isinstance(given, _NO_TIMES):
        raise ExpectationError(f"{name} is {what}, got {given!r:.80}")
    if hasattr(given, "utcoffset") or isinstance(given, int | float):
        try:
            seconds_until(given, 0) if name == "delay" else timestamp(given)
        except ValueError as error:
            raise ExpectationError(f"{name}: {error}") from None
