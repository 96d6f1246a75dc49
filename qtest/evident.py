"""Jobs of which it is evident that a payload loses nothing, so that none has to be read again to see it.

That holds where all that stands in the payload is the very text, number, list or table that the job holds, and where no
code of the user has a part in putting it back.
"""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from qcore.codec import fields_of
from qcore.function_job import FunctionCall
from qcore.injection import parameters
from qcore.job_state import comes_back_by_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.jobs import Job

_ATOMS = frozenset((str, int, float, bool, type(None)))
"""Types whose values come out of JSON as they went in, where they are written as they are."""


def is_evident(job: Job, command: object) -> bool:
    """Tell whether a job certainly comes back as it is, and can be run then; ``command`` is how it was written."""
    kind = type(job)
    facts = _facts.get(kind)
    if facts is None or facts.handle is not getattr(kind, "handle", None) or facts.constructor is not kind.__init__:
        facts = _facts[kind] = _facts_of(kind)
    if not facts.comes_back or type(command) is not dict or not facts.declared <= command.keys():
        return False
    held = vars(job)
    for name, written in command.items():
        value = held.get(name)
        # What most fields hold, without a call.
        if not (value is written if type(value) in _ATOMS else _is_same(value, written)):
            return False
    if facts.arguments <= command.keys():
        return True
    return not any(name in held or f"_{name}" in held for name in facts.arguments - command.keys())


def _is_same(value: object, written: object) -> bool:
    """Tell whether a value was written as it is, part by part; behind a tag it was not."""
    kind = type(value)
    if kind in _ATOMS:
        return value is written
    if kind is not type(written):
        return False
    given, got = cast("Any", value), cast("Any", written)
    if kind is list:
        return len(given) == len(got) and all(map(_is_same, given, got))
    return kind is dict and given.keys() == got.keys() and all(_is_same(given[key], got[key]) for key in given)


class _Facts(NamedTuple):
    """What is the same for all jobs of a class, as long as its methods are these."""

    handle: object
    constructor: object
    comes_back: bool
    declared: frozenset[str]
    arguments: frozenset[str]
    """What its constructor takes; a job may keep each under its name, or under that with an underscore."""


_facts: dict[type[Job], _Facts] = {}


def _facts_of(job_class: type[Job]) -> _Facts:
    return _Facts(
        handle=getattr(job_class, "handle", None),
        constructor=job_class.__init__,
        comes_back=comes_back_by_name(job_class) and not asked_by_handle(job_class),
        declared=frozenset(fields_of(job_class) or ()),
        arguments=frozenset(arguments_of(job_class)),
    )


def asked_by_handle(job_class: type[Job]) -> tuple[tuple[str, object], ...]:
    """List what ``handle`` takes that no object could be meant by: no annotation, or a type like ``int``."""
    handle = inspect.getattr_static(job_class, "handle", None)
    if issubclass(job_class, FunctionCall) or not inspect.isfunction(handle):
        return ()
    return _asked_by(handle)


@lru_cache(maxsize=1024)
def _asked_by(handle: Callable[..., object]) -> tuple[tuple[str, object], ...]:
    known = [each for each in parameters(handle, skip=1) if each.is_needed]
    return tuple((each.name, each.wanted) for each in known if _is_plain(each.wanted))


def _is_plain(wanted: object) -> bool:
    return wanted is inspect.Parameter.empty or getattr(wanted, "__module__", "") == "builtins"


def arguments_of(job_class: type[Job]) -> tuple[str, ...]:
    """Name the arguments of a constructor; none of one that keeps nothing by itself, as that of a model does."""
    if issubclass(job_class, FunctionCall) or hasattr(job_class, "__pydantic_fields__"):
        return ()
    return _names_of(job_class.__init__)


@lru_cache(maxsize=1024)
def _names_of(constructor: Callable[..., object]) -> tuple[str, ...]:
    return tuple(each.name for each in parameters(constructor, skip=1))
