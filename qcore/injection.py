"""What a handler is given beside its job: objects by the types of its parameters, and handlers of their own classes."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, get_type_hints

from qcore.errors import ConfigError, JobDefinitionError
from qcore.function_job import FunctionCall
from qcore.handlers import HandlerCall

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from qcore.jobs import Job

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
        self.factories[kind] = factory

    def map(self, handlers: Mapping[type[Job], type]) -> None:
        """Let jobs of a class be handled by ``handle(job)`` of another class.

        :raises JobDefinitionError: when that class has no such method.
        """
        given: Mapping[type[Job], Any] = handlers
        for job_class, handler in given.items():
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
        return kind(**self.arguments(parameters(kind), of=f"{kind.__qualname__}()"))

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
            more = self.arguments(parameters(handler.handle)[1:], of=f"{mapped.__qualname__}.handle()")
            return partial(handler.handle, job, **more)
        if isinstance(job, HandlerCall):
            return partial(job.handle, self.made)
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
        if issubclass(job_class, FunctionCall):
            known = parameters(job_class.function)
        else:
            method = getattr(job_class, "handle", None)  # a class without one is mapped to a handler
            known = parameters(method)[1:] if method else []
        _known[job_class] = known
    return known


def may_ask(job_class: type[Job]) -> bool:
    """Tell whether a handler of that class may take more than its job."""
    return issubclass(job_class, HandlerCall) or bool(_parameters_of(job_class))


def parameters(function: Callable[..., object]) -> list[Parameter]:
    """List the parameters that a caller can name."""
    try:
        known = inspect.signature(function).parameters.values()
    except ValueError:  # a class without a Python constructor
        return []
    hints = _hints(function)
    return [
        Parameter(each.name, hints.get(each.name, each.annotation), each.default is each.empty)
        for each in known
        if each.kind not in _VARIADIC and each.kind is not each.POSITIONAL_ONLY
    ]


def _hints(function: Callable[..., object]) -> dict[str, object]:
    target: Any = function
    if isinstance(function, type):
        target = target.__init__
    try:
        return get_type_hints(target)
    except (NameError, AttributeError, TypeError):
        return {}  # names that are imported for the type checker only: the text is what there is
