"""How a test names a job: a class, an instance, a job function, a registered name, or ``like(...)``."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import registry
from qcore.errors import QcoreError
from qcore.function_job import FunctionCall, FunctionJob
from qcore.handlers import HandlerCall, call_of
from qcore.job_state import state_of
from qcore.jobs import Job, Prepared
from qtest.stored_names import stored_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import CodeType

Wanted = object
"""A job as a test names it."""


class ExpectationError(QcoreError, TypeError):
    """The assertion itself is wrong: it names a job or a field that does not exist."""


class Like(NamedTuple):
    """A job of which only some fields are named."""

    job: type[Job]
    fields: dict[str, object]

    def __repr__(self) -> str:
        """Show it as it was written."""
        named = "".join(f", {name}={value!r}" for name, value in self.fields.items())
        return f"like({self.job.__qualname__}{named})"


def like(job: Any, /, **fields: object) -> Like:  # noqa: ANN401 - whatever names a job class
    """Mean every job of a class whose named fields are equal.

    :raises ExpectationError: for a field that such jobs do not have.
    """
    named = named_by(job)
    refuse_unknown_fields(named.job_class, fields)
    return Like(named.job_class, {**named.fields, **fields})


class Named(NamedTuple):
    """What was meant."""

    job_class: type[Job]
    fields: dict[str, object]
    """What is compared: all fields of an instance, the named ones of a ``like``, none of a class."""
    is_instance: bool = False
    """True when no other class and no other field will do."""


def named_by(wanted: Wanted) -> Named:
    """Find out which jobs a test means.

    :raises ExpectationError: when it cannot mean any; says what to write instead.
    """
    if isinstance(wanted, Prepared):
        wanted = wanted.job
    if isinstance(wanted, Job):
        return Named(type(wanted), fields_of(wanted), is_instance=True)
    if isinstance(wanted, type) and issubclass(wanted, Job):
        return Named(wanted, {})
    if isinstance(wanted, FunctionJob):
        return Named(wanted.job_class, {})
    if isinstance(wanted, Like):
        return Named(*wanted)
    if isinstance(wanted, str):
        return _registered(wanted)
    raise ExpectationError(
        f"expected a job class, a job, a job function, a registered name or like(...), got {_hinted(wanted)}"
    )


def _registered(name: str) -> Named:
    try:
        return Named(registry.find(name), {})
    except QcoreError as error:
        try:
            return Named(HandlerCall, {"handler": call_of(name, None).handler})
        except QcoreError:
            short = {full.rpartition(".")[2].rpartition(":")[2] for full in registry.names()}
            hint = "" if "did you mean" in str(error) else did_you_mean(name, short)
            raise ExpectationError(f"{error}{hint}") from None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Offer the names that are most like one that does not exist; empty when none is."""
    import difflib  # only a failing look-up needs it

    close = difflib.get_close_matches(name, known, n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def _hinted(wanted: Any) -> str:  # noqa: ANN401 - the user's mistake
    if inspect.iscoroutine(wanted):
        name = closed(wanted).rpartition("<locals>.")[2]
        owner, _, _ = name.rpartition(".")
        instead = f"{owner}(...)" if owner else f"{name}, or one call of it, {name}.job(...)"
        return f"a coroutine: {name}() was called; name the job itself: {instead}"
    shown = f"{wanted!r:.80}"
    if inspect.isfunction(wanted):
        return f"{shown}: put @job over the function, or say assert_closure_pushed() for a closure"
    if isinstance(wanted, type):
        return f"{shown}: it does not derive from qcore.Job"
    if wanted is None:
        return f"{shown}: what dispatch() and handle() give is not the job; name the job"
    return shown


def no_job(given: object, said: str) -> ExpectationError:
    """Make the error for something that is to be run and is no job: says what to write instead."""
    is_class = isinstance(given, type) and issubclass(given, Job)
    hint = f"{given!r:.80}: make an instance" if is_class else _hinted(given)
    return ExpectationError(f"{said} takes a job, such as MyJob(7) or my_function.job(7), got {hint}")


def closed(coroutine: Any) -> str:  # noqa: ANN401 - it was made by mistake
    """Close a coroutine and give its name: nobody will await it, and nobody needs to hear that."""
    coroutine.close()
    name: str = coroutine.cr_code.co_qualname
    return name


def fields_of(job: Job) -> dict[str, object]:
    """Give what can be compared of a job: the arguments of a function, defaults included, or the state of a class."""
    if isinstance(job, FunctionCall):
        parameters = job.signature.parameters.values()
        defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        return defaults | job.arguments
    if isinstance(job, HandlerCall):
        return {"handler": job.handler, "data": job.data}
    return state_of(job)


def refuse_unknown_fields(job_class: type[Job], fields: dict[str, object]) -> None:
    """Complain about fields that such jobs do not have: a negative assertion would pass on a typing error.

    :raises ExpectationError: lists the fields that exist.
    """
    known = fields_known(job_class)
    unknown = sorted(set(fields) - known) if known is not None else []
    if unknown:
        there_are = f"it has {', '.join(sorted(known or ()))}" if known else "it has none"
        hint = did_you_mean(unknown[0], known or ())
        raise ExpectationError(f"{job_class.__qualname__} has no field {', '.join(unknown)}{hint}; {there_are}")


def fields_known(job_class: type[Job]) -> set[str] | None:
    """Name the fields that jobs of a class can have; None when only an instance can tell."""
    if issubclass(job_class, FunctionCall):
        return set(job_class.signature.parameters)
    if issubclass(job_class, HandlerCall):
        return {"handler", "data"}
    known: set[str] = set()
    for base in job_class.__mro__:
        if base is Job:
            break
        if base.__module__.partition(".")[0] in _LIBRARIES:
            continue
        known |= {name for name, kind in inspect.get_annotations(base).items() if not _is_of_class(kind)}
        known |= set(getattr(base, "__pydantic_fields__", ()))
        for code, is_method in _codes(base):
            if _SECRETIVE & set(code.co_names):
                return None
            known |= stored_names(code, is_method=is_method)
    if getattr(job_class, "model_config", {}).get("extra") == "allow":
        return None
    return {name for name in known if name[0] != "_"}


def _is_of_class(annotation: object) -> bool:
    """Tell whether an annotation, which may be a text, is that of a class variable, or of a mere argument."""
    kind = annotation if isinstance(annotation, str) else getattr(annotation, "__origin__", annotation)
    text = kind if isinstance(kind, str) else repr(kind)
    return re.match(r"(\w+\.)*(ClassVar|InitVar)\b", text) is not None


_SECRETIVE = {"setattr", "__setattr__", "vars", "__dict__"}
"""What a method uses that sets attributes whose names its code does not show."""


def _codes(job_class: type) -> Iterator[tuple[CodeType, bool]]:
    """Give the code of all methods of the user, and whether each is a plain one: what they store may be a field."""
    for attribute in vars(job_class).values():
        function = getattr(attribute, "__func__", attribute)
        if inspect.isfunction(function) and not _is_generated(job_class, function.__code__.co_filename):
            yield inspect.unwrap(function).__code__, attribute is function


_LIBRARIES = {"pydantic", "typing", "abc"}


def _is_generated(job_class: type, file: str) -> bool:
    """Tell whether a decorator wrote the method; it took the names from the annotations."""
    return file.startswith("<attrs generated") or (file == "<string>" and hasattr(job_class, "__dataclass_fields__"))
