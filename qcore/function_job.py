"""Functions as jobs: ``@job``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, ParamSpec, TypeVar, overload

from qcore import current
from qcore.codec import Codec, canonical
from qcore.errors import JobDefinitionError
from qcore.jobs import Job
from qcore.other_words import dispatch_hint
from qcore.wrong_dispatch import AT_DISPATCH

P = ParamSpec("P")
R = TypeVar("R")


class FunctionCall(Job):
    """One call of a job function, with its arguments by name."""

    owner: ClassVar[FunctionJob[..., Any]]
    function: ClassVar[Callable[..., Any]]
    signature: ClassVar[inspect.Signature]
    unique_by: ClassVar[tuple[str, ...] | None] = None
    """The parameters that tell unique calls apart, None for all."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments; they were bound to the function's signature."""
        self.arguments = arguments

    def handle(self, **given: object) -> object:
        """Call the function; ``given`` are arguments that were left open."""
        bound = inspect.BoundArguments(self.signature, {**self.arguments, **given} if given else self.arguments)
        return type(self).function(*bound.args, **bound.kwargs)

    if not TYPE_CHECKING:  # a type checker is to know what there is

        def __getattr__(self, name: str) -> object:
            """Give an argument, or its default, as jobs of classes have attributes."""
            arguments, parameter = vars(self).get("arguments", {}), type(self).signature.parameters.get(name)
            if name in arguments:
                return arguments[name]
            if parameter is not None and parameter.default is not parameter.empty:
                return parameter.default
            known = ", ".join(type(self).signature.parameters) or "none"
            message = f"a job of {type(self).__qualname__}() has no attribute {name!r}; its arguments are {known}"
            raise AttributeError(message, name=name, obj=self)

    def unique_id(self) -> str:
        """Give the arguments, defaults included, as text: all of them, or those that ``unique_by=`` names."""
        parameters = self.signature.parameters.values()
        known = {each.name: each.default for each in parameters if each.default is not each.empty} | self.arguments
        wanted = known if self.unique_by is None else {name: known[name] for name in self.unique_by if name in known}
        return canonical(_codec.encode(wanted, path=type(self).__qualname__)) if wanted else ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let a closure capture the call, and not the class: that has the name of the function, and is not found."""
        return _call_of, (type(self).owner, self.arguments)

    def __repr__(self) -> str:
        """Show it as it is called; without arguments when they are encrypted."""
        if type(self).__job__.seal is not None:
            return super().__repr__()
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__qualname__}({arguments})"


class FunctionJob(Generic[P, R]):
    """A function that can also be a job: ``f(...)`` calls it, ``f.dispatch(...)`` queues the call."""

    def __init__(self, function: Callable[P, R], job_class: type[FunctionCall]) -> None:
        """Join the function and the class of its jobs."""
        functools.update_wrapper(self, function)
        self.job_class = job_class
        job_class.owner = self
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Just call the function."""
        return self._function(*args, **kwargs)

    def job(self, *args: P.args, **kwargs: P.kwargs) -> FunctionCall:
        """Make a job of this call, to be dispatched, chained or batched.

        :raises TypeError: when the arguments do not fit the function.
        """
        try:
            bound = self.job_class.signature.bind(*args, **kwargs)
        except TypeError as error:
            left_open = self._left_open(args, kwargs)
            if left_open is not None:
                return left_open
            message = f"{self.job_class.__qualname__}(): {error}"
            raise TypeError(message) from None
        return self.job_class(dict(bound.arguments))

    def _left_open(self, args: tuple[object, ...], kwargs: dict[str, object]) -> FunctionCall | None:
        """Make a job whose other arguments are given where it runs, by type; None when not all of them are."""
        try:
            bound = self.job_class.signature.bind_partial(*args, **kwargs)
        except TypeError:
            return None
        job = self.job_class(dict(bound.arguments))
        return job if current.app().provider.completes(job) else None

    def dispatch(self, *args: P.args, **kwargs: P.kwargs) -> str | None:
        """Queue this call and give the job's id. For options: ``f.job(...).dispatch(delay=60)``."""
        try:
            made = self.job(*args, **kwargs)
        except TypeError as error:
            said = [name for name in kwargs if name in set(AT_DISPATCH) - self.job_class.signature.parameters.keys()]
            if not said:
                raise
            name, options = self.job_class.__name__, ", ".join(f"{name}={kwargs[name]!r:.40}" for name in said)
            message = f"{error}; an option is said behind the job: {name}.job(...).dispatch({options})"
            raise TypeError(message) from None
        return made.dispatch()

    if not TYPE_CHECKING:  # a type checker is to know what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Say how it is dispatched to those who know another word for that."""
            hint = dispatch_hint(name, vars(self).get("__name__", "it"))
            message = f"a job function has no attribute {name!r}{hint}"
            raise AttributeError(message, name=name, obj=self)

    def __reduce__(self) -> str:
        """Let a closure capture its name, under which it is found where the closure runs."""
        return self.job_class.__qualname__

    def __repr__(self) -> str:
        """Show whose job it is."""
        return f"<job {self.job_class.__job__.name}>"


def _call_of(function_job: FunctionJob[..., Any], arguments: dict[str, Any]) -> FunctionCall:
    return function_job.job_class(arguments)


@overload
def job(function: Callable[P, R], /) -> FunctionJob[P, R]: ...


@overload
def job(**options: Any) -> Callable[[Callable[P, R]], FunctionJob[P, R]]: ...


def job(function: Callable[P, R] | None = None, /, **options: Any) -> Any:
    """Make a job of a function; takes the options that a job class takes as keywords.

    ::

        @job(queue="mail", tries=3)
        def send_welcome(user_id: int) -> None: ...

        send_welcome.dispatch(42)
        send_welcome.job(42).dispatch(delay=60)

    Unique and debounced ones are told apart by all arguments, or by those that ``unique_by=("user_id",)`` names.

    :raises JobDefinitionError: for an unknown option, or something that is no plain function.
    """
    if function is not None:
        return FunctionJob(function, _class_of(function, options))
    return lambda function: FunctionJob(function, _class_of(function, options))


def _class_of(function: Callable[..., Any], options: dict[str, Any]) -> type[FunctionCall]:
    if (
        not inspect.isfunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        message = f"@job stands over a plain or async function, not over {function!r}"
        raise JobDefinitionError(message)
    if function.__name__ == "<lambda>":
        message = "a lambda has no name of its own, which a payload could use: write the job with def"
        raise JobDefinitionError(message)
    signature, given = inspect.signature(function), dict(options)
    body: dict[str, object] = {
        "__doc__": function.__doc__,
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "function": staticmethod(function),
        "signature": signature,
    }
    if "unique_by" in given:
        body["unique_by"] = _checked_parameters(given.pop("unique_by"), signature, function.__qualname__)
        if not any(given.get(word) for word in ("unique", "unique_until_processing", "debounce_for")):
            message = f"{function.__qualname__}: unique_by goes with unique=True or debounce_for="
            raise JobDefinitionError(message)
    return type(function.__name__, (FunctionCall,), body, **given)


def _checked_parameters(given: object, signature: inspect.Signature, whose: str) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if isinstance(names, list | tuple) and names and all(name in signature.parameters for name in names):
        return tuple(names)
    known = ", ".join(signature.parameters) or "none"
    message = f"{whose}: unique_by names parameters of the function, which are {known}; got {given!r:.100}"
    raise JobDefinitionError(message)


# Wide limits: what calls are told apart by is stored as a hash when it is long.
_codec = Codec(max_bytes=1 << 40, max_depth=200)
