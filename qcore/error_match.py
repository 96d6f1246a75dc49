"""Which exceptions are meant: classes by their names, and functions that are asked."""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from qcore.errors import JobDefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.jobs import Job

logger = logging.getLogger("qcore")

ErrorTest: TypeAlias = "type[Exception] | Callable[..., object]"
"""An exception class, which stands for those derived from it too, or a function of the error, and of the job if it
takes two arguments.
"""


@dataclass(frozen=True)
class ErrorMatch:
    """Classes stand here as names, so that they can be written into a payload and need no import to be known again."""

    names: tuple[str, ...] = ()
    functions: tuple[Callable[..., object], ...] = ()

    @classmethod
    def of(cls, tests: tuple[Any, ...], what: str) -> ErrorMatch:
        """Keep exception classes and functions; a list or tuple among them counts as what it holds.

        :raises JobDefinitionError: for something else, and for nothing.
        """
        flat: list[Any] = []
        for test in tests:
            flat += test if isinstance(test, list | tuple) else [test]
        if not flat:
            raise JobDefinitionError(f"{what} names no exception: give classes, or a function of the error")
        for test in flat:
            _check(test, what)
        names = tuple(_name(test) for test in flat if isinstance(test, type))
        return cls(names, tuple(test for test in flat if not isinstance(test, type)))

    def answers(self, error: Exception, job: Job) -> Iterator[object]:
        """Give True when the error's class is meant, then what each function says about it."""
        if self.names and any(_name(base) in self.names for base in type(error).__mro__):
            yield True
        for function in self.functions:
            yield _asked(function, error, job)


def _check(test: object, what: str) -> None:
    if isinstance(test, type) and issubclass(test, Exception):
        return
    if isinstance(test, type) or not callable(test) or inspect.iscoroutinefunction(test):
        message = f"{what} takes classes derived from Exception, or a function of the error, got {test!r:.100}"
        raise JobDefinitionError(message)


def _name(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _asked(function: Callable[..., object], error: Exception, job: Job) -> object:
    """Ask a function; an error in its answer must not hide the error it is asked about."""
    try:
        return function(error, job) if _wants_job(function) else function(error)
    except Exception:
        kind = type(error).__qualname__
        logger.exception("%r, asked about %s, raised itself: its answer is taken for no", function, kind)
        return False


def _wants_job(function: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C: it does not tell what it takes
        return False
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return sum(each.default is each.empty and each.kind not in variadic for each in parameters) > 1
