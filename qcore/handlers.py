"""Handler classes: ``push("app.jobs.Import", data)`` runs ``Import().fire(job, data)``, where ``job`` is the delivery.

Names are those of classes that ``@handler`` made known here; a name in a payload is never imported.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar, overload

from qcore.delivery import current_delivery
from qcore.errors import DuplicateJobError, JobDefinitionError, PayloadError, UnknownJobError
from qcore.jobs import Job
from qcore.options import UNSET, JobOptions, checked_name, said

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRE = "fire"
"""The method that is called when a name says no other: ``Import@method``."""

FAILED = "failed"
"""The method that hears of a failure, and is no handler."""


class Registered(NamedTuple):
    """A handler class, and the options of what is pushed for it."""

    handler: type
    options: JobOptions


_handlers: dict[str, Registered] = {}


@overload
def handler(handler_class: type[T], /) -> type[T]: ...


@overload
def handler(*, name: str | None = None, **options: Any) -> Callable[[type[T]], type[T]]: ...


def handler(handler_class: type | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a class known as a handler of raw data, by ``module.ClassName`` or the ``name`` given.

    It has ``fire(self, job, data)``, other methods to be called as ``Name@method``, and may have
    ``failed(self, data, error)``. Options are those of job classes: queue, tries, timeout, ...

    :raises JobDefinitionError: when it is no class with such a method, or an option is wrong.
    """
    if handler_class is None:
        return lambda given: _register(given, name, said(options))
    return _register(handler_class, name, said(options))


def _register(handler_class: type[T], name: str | None, options: JobOptions) -> type[T]:
    given: Any = handler_class
    if not isinstance(given, type) or issubclass(given, Job):
        raise JobDefinitionError(f"@handler stands over a class that is no Job, not over {handler_class!r}")
    known_as = _name_of(handler_class) if name is None else checked_name(name, "handler")
    other = _handlers.get(known_as)
    if other is not None and _name_of(other.handler) != _name_of(handler_class):
        taken_by = _name_of(other.handler)
        raise DuplicateJobError(f"the handler name {known_as!r} is taken by {taken_by}: give this one another name=")
    _handlers[known_as] = Registered(handler_class, options)
    return handler_class


def _name_of(handler_class: type) -> str:
    return f"{handler_class.__module__}.{handler_class.__qualname__}"


def resolve(name: str) -> tuple[Registered, str]:
    """Find the class, and the method, that a name in a payload stands for.

    :raises UnknownJobError: when no such class was loaded, or it has no such method.
    """
    known_as, _, method = name.partition("@")
    method = method or FIRE
    registered = _handlers.get(known_as)
    if registered is None:
        close = difflib.get_close_matches(known_as, _handlers, n=3)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise UnknownJobError(
            f"no handler named {known_as!r} is known here{hint}: "
            "put @handler over the class and add its module to imports"
        )
    # What the class and its bases define as methods, and nothing else that can be called.
    found = inspect.getattr_static(registered.handler, method, None)
    if method.startswith("_") or method == FAILED or not inspect.isfunction(found):
        raise UnknownJobError(f"the handler {known_as} has no method {method}(self, job, data)")
    return registered, method


def call_of(name: str, data: object) -> HandlerCall:
    """Make the job of a push to a handler class. The name comes from code, so its module is imported if need be.

    :raises JobDefinitionError: when there is no such handler.
    :raises PayloadError: when the data is more than plain JSON.
    """
    checked_name(name, "handler")
    module = name.partition("@")[0].rpartition(".")[0]
    if name.partition("@")[0] not in _handlers and all(part.isidentifier() for part in module.split(".")):
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if not module.startswith(error.name or module):
                raise
    try:
        resolve(name)
    except UnknownJobError as error:
        raise JobDefinitionError(str(error)) from None
    _check_plain(data, "data")
    return HandlerCall(name, data)


def _made(kind: type) -> Any:  # noqa: ANN401 - an instance of whatever class is asked for
    return kind()


class HandlerCall(Job, name="qcore:handler"):
    """One push of raw data to a handler class. It never stands in a payload as a job: its name and its data do."""

    def __init__(self, handler: str, data: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep the name, with ``@method`` if it has one, and the data."""
        self.handler = handler
        self.data = data
        self._make: Callable[[type], Any] = _made

    def display_name(self) -> str:
        """Give the name without the method."""
        return self.handler.partition("@")[0]

    def made_by(self, make: Callable[[type], Any]) -> Self:
        """Say how handlers are made, with what their constructors ask for."""
        self._make = make
        return self

    def handle(self) -> object:
        """Call the method of a new handler."""
        registered, method = resolve(self.handler)
        return getattr(self._make(registered.handler), method)(current_delivery(), self.data)

    def failed(self, error: BaseException) -> object:  # type: ignore[override] # awaited if it can be
        """Tell the handler, if it wants to hear it: ``failed(data, error)`` or ``failed(data)``."""
        handler_class = resolve(self.handler)[0].handler
        told = getattr(self._make(handler_class), FAILED, None) if hasattr(handler_class, FAILED) else None
        return None if told is None else told(*(self.data, error)[: _count(told)])

    def __repr__(self) -> str:
        """Show it as it was pushed."""
        return f"push({self.handler!r}, {self.data!r:.200})"


def options_of(job: HandlerCall) -> JobOptions:
    """Give the options that were said with ``@handler``."""
    found = _handlers.get(job.handler.partition("@")[0])
    return found.options if found else UNSET


def _count(function: Callable[..., object]) -> int:
    known = inspect.signature(function).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in known):
        return 2
    return sum(each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD} for each in known)


_DEEPEST = 50


def _check_plain(value: object, path: str, room: int = _DEEPEST) -> None:
    kind = type(value)
    if not room:
        raise PayloadError(f"the data is nested deeper than {_DEEPEST} levels, or holds itself")
    if kind is dict:
        for key, held in value.items():  # type: ignore[attr-defined] # its type is known
            if type(key) is not str:
                raise PayloadError(f"{path} has the key {key!r:.40}: raw data has text as keys")
            _check_plain(held, f"{path}.{key}", room - 1)
    elif kind is list:
        for index, held in enumerate(value):  # type: ignore[arg-type]
            _check_plain(held, f"{path}[{index}]", room - 1)
    elif kind is float and not isfinite(value):  # type: ignore[arg-type] # its type is known
        raise PayloadError(f"{path} is {value}, which is no number of JSON: pass None, or text")
    elif value is not None and kind not in (str, int, float, bool):
        raise PayloadError(
            f"{path} is {value!r:.40} ({kind.__qualname__}): raw data holds dict, list, str, int, float, bool "
            "and None; for anything else write a Job"
        )
