"""``key=value`` from a shell, made into the arguments that a job's constructor or function wants."""

from __future__ import annotations

import inspect
import json
import sys
from types import GenericAlias, SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

import click

from qcore.commands.conversion import KNOWN_BY_NAME, convert, from_json, is_many
from qcore.errors import ConfigError
from qcore.function_job import FunctionCall
from qcore.injection import parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from qcore.injection import Provider
    from qcore.jobs import Job

_Parameters = dict[str, inspect.Parameter]
_Said = dict[str, list[tuple[str, bool]]]
"""The texts said for each name, and whether each is JSON."""


def make_job(job_class: type[Job], words: Sequence[str], provider: Provider) -> Job:
    """Make a job from ``key=value`` and ``key:=json``. What the provider gives to a function is left open.

    :raises click.UsageError: names what is unknown, missing or not of the type that is wanted.
    :raises ConfigError: when the constructor itself raises.
    """
    signature = _signature(job_class)
    wanted = dict(signature.parameters)
    bound = signature.bind_partial()
    bound.arguments |= _converted(job_class, wanted, _split(words), _given_later(job_class, provider))
    if any(each.kind is each.VAR_POSITIONAL for each in wanted.values()):
        bound.apply_defaults()  # what stands before *args must be there for them to be passed
    try:
        if issubclass(job_class, FunctionCall):
            return job_class(bound.arguments)
        return job_class(*bound.args, **bound.kwargs)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{job_class.__qualname__} cannot be made of these arguments: {reason}") from error


def _given_later(job_class: type[Job], provider: Provider) -> set[str]:
    """List the parameters of a job function that get an object where it runs."""
    if not issubclass(job_class, FunctionCall) or not provider.factories:
        return set()
    return {each.name for each in parameters(job_class.function) if provider.gives(each.wanted)}


def _signature(job_class: type[Job]) -> inspect.Signature:
    return job_class.signature if issubclass(job_class, FunctionCall) else inspect.signature(job_class)


def _split(words: Sequence[str]) -> _Said:
    said: _Said = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise click.UsageError(f"{word!r} is no argument: write key=value, or key:=json")
        said.setdefault(name.removesuffix(":"), []).append((text, name.endswith(":")))
    return said


def _converted(job_class: type[Job], wanted: _Parameters, said: _Said, later: set[str]) -> dict[str, Any]:
    types = _types(job_class, wanted)
    rest = next((each.name for each in wanted.values() if each.kind is each.VAR_KEYWORD), "")
    named = {name: texts for name, texts in said.items() if name in wanted and name != rest}
    asked = {name: each for name, each in wanted.items() if name in said or name not in later}
    _check_names(job_class, asked, said.keys(), takes_any=bool(rest))
    given = {name: _value(name, types[name], texts) for name, texts in named.items()}
    if rest:
        others = said.keys() - named.keys()
        given[rest] = {name: _value(name, types[rest], said[name]) for name in others}
    return given


def _check_names(job_class: type[Job], wanted: _Parameters, said: Collection[str], *, takes_any: bool) -> None:
    unknown = [] if takes_any else sorted(set(said) - set(wanted))
    missing = [name for name, each in wanted.items() if _is_needed(each) and name not in said]
    problems = [f"has no parameter {', '.join(unknown)}"] if unknown else []
    problems += [f"needs {', '.join(missing)}"] if missing else []
    if problems:
        takes = ", ".join(_shown(each) for each in wanted.values()) or "nothing"
        raise click.UsageError(f"{job_class.__qualname__} {' and '.join(problems)}; it takes: {takes}")


def _shown(parameter: inspect.Parameter) -> str:
    text = parameter.annotation
    if not isinstance(text, str):
        return str(parameter)
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.replace(annotation=parameter.empty, default=parameter.empty)!s}: {text}{default}"


def _is_needed(parameter: inspect.Parameter) -> bool:
    several = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not several


def _value(name: str, wanted: Any, texts: list[tuple[str, bool]]) -> Any:  # noqa: ANN401 - whatever the job takes
    if len(texts) > 1 and (not is_many(wanted) or any(as_json for _, as_json in texts)):
        raise click.UsageError(f"{name} is given {len(texts)} times, and takes one value")
    try:
        if texts[0][1]:
            return from_json(_loaded(texts[0][0]), wanted)
        return convert([text for text, _ in texts], wanted)
    except ValueError as error:
        raise click.UsageError(f"{name}: {error}") from error


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{text!r} is no JSON: {error}") from error


def _types(job_class: type[Job], wanted: _Parameters) -> dict[str, Any]:
    """Give the types of the parameters; the annotations may be texts."""
    function: Callable[..., Any]
    function = job_class.function if issubclass(job_class, FunctionCall) else job_class.__init__
    module = sys.modules.get(job_class.__module__)
    names = KNOWN_BY_NAME | vars(module) | getattr(function, "__globals__", {})
    return {name: _type(each, names) for name, each in wanted.items()}


def _type(parameter: inspect.Parameter, names: dict[str, Any]) -> Any:  # noqa: ANN401 - as the typing module sees it
    annotation = str if parameter.annotation is parameter.empty else parameter.annotation
    holder = SimpleNamespace(__annotations__={"": annotation})
    try:
        wanted = get_type_hints(holder, globalns=names)[""]
        return GenericAlias(tuple, (wanted, ...)) if parameter.kind is parameter.VAR_POSITIONAL else wanted
    except Exception:  # noqa: BLE001 - a type that only the type checker can see: then only JSON is taken
        return annotation
