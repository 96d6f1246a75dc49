"""What a handler is given beside its job: objects by the types of its parameters, and handlers of their own classes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from qcore.errors import ConfigError, JobDefinitionError
from qcore.function_job import FunctionCall
from qcore.handlers import HandlerCall
from qcore.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Parameter(NamedTuple):
    """What a function asks for."""

    name: str
    wanted: object
    """Its annotation; a text when that could not be resolved."""
    is_needed: bool
    """False when it has a default."""


class Provider:
    """The objects that the handlers of an App may ask for, by type."""

    def __init__(self) -> None:
        """Begin with nothing to give."""
        self.factories: dict[type, Callable[[], object]] = {}
        self.handlers: dict[type[Job], type] = {}

    def provide(self, kind: type, factory: Callable[[], object]) -> None:
        """Give what ``factory()`` makes to parameters of that type; it is called anew for each job.

        :raises ConfigError: when one of the two is something else.
        """
        if not isinstance(kind, type):
            raise ConfigError(f"provide() takes a class and a factory, got {kind!r} as the class")
        if not callable(factory):
            raise ConfigError(f"provide({kind.__name__}, ...) takes a function that makes one, got {factory!r}")
        if inspect.iscoroutinefunction(factory) or inspect.isgeneratorfunction(factory):
            raise ConfigError(
                f"provide({kind.__name__}, ...) takes a plain function, and {factory!r} is async or yields"
            )
        self.factories[kind] = factory

    def map(self, handlers: Mapping[type[Job], type]) -> None:
        """Let jobs of a class be handled by ``handle(job)`` of another class.

        :raises JobDefinitionError: when that class has no such method.
        """
        given: object = handlers
        if not isinstance(given, Mapping):
            raise JobDefinitionError(f"map() takes {{JobClass: HandlerClass}}, got {given!r:.100}")
        for job_class, handler in given.items():
            if not (isinstance(job_class, type) and issubclass(job_class, Job)):
                raise JobDefinitionError(f"map() takes job classes, got {job_class!r:.100} for {handler!r:.100}")
            if not (isinstance(handler, type) and callable(getattr(handler, "handle", None))):
                raise JobDefinitionError(
                    f"map() wants a class with handle(self, job) for {job_class.__qualname__}, got {handler!r}"
                )
        self.handlers.update(handlers)

    def handler_of(self, job_class: type[Job]) -> type | None:
        """Give the class that handles such jobs in their place, None when they do it themselves."""
        return next((self.handlers[base] for base in job_class.__mro__ if base in self.handlers), None)

    def gives(self, wanted: object) -> bool:
        """Tell whether there is a factory for a parameter with that annotation."""
        return self._factory(wanted) is not None

    def made(self, kind: type) -> Any:  # noqa: ANN401 - an instance of whatever class is asked for
        """Make an instance, with what its constructor asks for.

        :raises JobDefinitionError: when it asks for what nobody gives.
        """
        return kind(**self.arguments(_by_name(kind), of=f"{kind.__qualname__}()"))

    def arguments(self, known: Iterable[Parameter], *, of: str, given: Collection[str] = ()) -> dict[str, object]:
        """Make what the parameters ask for that are not ``given``.

        :raises JobDefinitionError: when a parameter without a default asks for what nobody gives.
        """
        made = {}
        for name, wanted, is_needed in known:
            if name in given:
                continue
            factory = self._factory(wanted)
            if factory is not None:
                made[name] = factory()
            elif is_needed:
                raise JobDefinitionError(self._nobody_gives(of, name, wanted))
        return made

    def asks(self, job: Job) -> bool:
        """Tell whether a job whose class may ask does so: of a function, whether arguments were left open."""
        return not isinstance(job, FunctionCall) or len(_parameters_of(type(job))) > len(job.arguments)

    def completes(self, job: FunctionCall) -> bool:
        """Tell whether everything that was left open is given here."""
        known = _parameters_of(type(job))
        return all(self.gives(each.wanted) for each in known if each.is_needed and each.name not in job.arguments)

    def target(self, job: Job) -> Callable[[], object] | None:
        """Give what is to be called to run the job, or None: then it is its own ``handle()``, without arguments.

        :raises JobDefinitionError: when a parameter asks for what nobody gives.
        """
        job_class = type(job)
        if self.handlers and (mapped := self.handler_of(job_class)) is not None:
            handler = self.made(mapped)
            more = self.arguments(_by_name(handler.handle, skip=1), of=f"{mapped.__qualname__}.handle()")
            return partial(handler.handle, job, **more)
        if isinstance(job, HandlerCall):
            return job.made_by(self.made).handle
        known = _parameters_of(job_class)
        given = job.arguments if isinstance(job, FunctionCall) else ()
        if len(known) <= len(given):
            return None
        of = f"{job_class.__qualname__}()" if isinstance(job, FunctionCall) else f"{job_class.__qualname__}.handle()"
        more = self.arguments(known, of=of, given=given)
        return partial(job.handle, **more) if more else None

    def _factory(self, wanted: object) -> Callable[[], object] | None:
        if isinstance(wanted, type):
            return self.factories.get(wanted)
        if isinstance(wanted, str):  # an annotation whose names are imported for the type checker only
            short = wanted.strip("'\"").rpartition(".")[2]
            found = [factory for kind, factory in self.factories.items() if kind.__name__ == short]
            return found[0] if len(found) == 1 else None
        return None

    def _nobody_gives(self, of: str, name: str, wanted: object) -> str:
        if wanted is inspect.Parameter.empty:
            return f"{of} takes {name!r} without a type: annotate it with a class that is given by app.provide()"
        called = wanted if isinstance(wanted, str) else getattr(wanted, "__qualname__", repr(wanted))
        known = ", ".join(kind.__qualname__ for kind in self.factories) or "nothing"
        return f"{of} takes {name}: {called}, which nobody gives: say app.provide({called}, factory); given is {known}"


_known: dict[type[Job], list[Parameter]] = {}


def _parameters_of(job_class: type[Job]) -> list[Parameter]:
    """List the parameters of a job function, or those of ``handle`` beside ``self``; once for each class."""
    known = _known.get(job_class)
    if known is None:
        known = parameters(job_class.function) if issubclass(job_class, FunctionCall) else _of_handle(job_class)
        _known[job_class] = known
    return known


def _of_handle(job_class: type[Job]) -> list[Parameter]:
    """List what ``handle`` takes beside the job; a class without one is mapped to a handler."""
    method = inspect.getattr_static(job_class, "handle", None)
    if isinstance(method, staticmethod | classmethod):
        return _by_name(method.__func__, skip=isinstance(method, classmethod))
    return _by_name(method, skip=1) if callable(method) else []


def may_ask(job_class: type[Job]) -> bool:
    """Tell whether a handler of that class may take more than its job."""
    return issubclass(job_class, HandlerCall) or bool(_parameters_of(job_class))


def parameters(function: Callable[..., object], *, skip: int = 0) -> list[Parameter]:
    """List the parameters behind the first ``skip`` ones."""
    try:
        known = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:  # a class without a Python constructor
        return []
    hints = {name: _bare(hint) for name, hint in _hints(function).items()}
    return [
        Parameter(each.name, hints.get(each.name, each.annotation), each.default is each.empty)
        for each in known
        if each.kind not in _VARIADIC
    ]


def _by_name(function: Callable[..., object], *, skip: int = 0) -> list[Parameter]:
    """List parameters, all of which can be given by their names.

    :raises JobDefinitionError: when one cannot.
    """
    known = parameters(function, skip=skip)
    signature = inspect.signature(function).parameters if known else {}
    for each in known:
        if signature[each.name].kind is inspect.Parameter.POSITIONAL_ONLY:
            name = getattr(function, "__qualname__", repr(function))
            raise JobDefinitionError(f"{name}() takes {each.name!r} by position only: write it behind the slash")
    return known


def _bare(hint: object) -> object:
    """Give the type of an optional one."""
    if get_origin(hint) in {Union, UnionType}:
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else hint
    return hint


def _hints(function: Callable[..., object]) -> dict[str, object]:
    target: Any = function
    if isinstance(function, type):
        target = target.__init__
    try:
        return get_type_hints(target)
    except (NameError, AttributeError, TypeError):
        return {}  # names that are imported for the type checker only: the text is what there is
