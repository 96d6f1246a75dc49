"""What is said to a dispatch that cannot work: on the class, or with options that it does not take."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper, wraps
from inspect import Parameter, signature
from types import MethodType
from typing import TYPE_CHECKING, Any, TypeVar

from qcore.errors import JobDefinitionError
from qcore.options import JobOptions, refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

F = TypeVar("F", bound=Callable[..., Any])

AT_DISPATCH = ("delay", "queue", "connection", "middleware", "after_commit", "within")
"""The options that ``dispatch`` takes itself."""


def of_instances(method: F) -> F:
    """Make a method of jobs say what to write when it is called on the class."""
    made: Any = OfInstances(method)
    return made  # type: ignore[no-any-return]


class OfInstances:
    """A method, and what stands in for it on the class."""

    def __init__(self, method: Callable[..., Any]) -> None:
        """Look like it."""
        self._method = method
        looking_like: Any = self
        update_wrapper(looking_like, method)

    def __get__(self, job: object, kind: type) -> Callable[..., Any]:
        """Give the method of the job, or what refuses all but a job."""
        if job is not None:
            return MethodType(self._method, job)

        @wraps(self._method)
        def on_the_class(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - what the method gives
            if given and isinstance(given[0], kind):
                return self._method(*given, **named)
            raise _called_on_a_class(kind, self._method, given, named)

        return on_the_class


def _called_on_a_class(
    kind: type, method: Callable[..., Any], given: tuple[Any, ...], named: Mapping[str, Any]
) -> JobDefinitionError:
    parameters = list(signature(method).parameters.values())[1:]
    own = sum(each.kind is Parameter.POSITIONAL_OR_KEYWORD for each in parameters)
    said = {name: value for name, value in named.items() if name in JobOptions.__slots__}
    arguments = _written(given[own:], {name: value for name, value in named.items() if name not in said})
    call = f"{kind.__qualname__}({arguments}).{method.__name__}({_written(given[:own], said)})"
    return JobDefinitionError(f"{method.__name__}() was called on a class: make an instance: {call}")


def _written(given: tuple[Any, ...], named: Mapping[str, Any]) -> str:
    return ", ".join([*(f"{each!r:.40}" for each in given), *(f"{name}={each!r:.40}" for name, each in named.items())])


def refuse_at_dispatch(unknown: Mapping[str, Any]) -> None:
    """Complain about options that ``dispatch`` does not take.

    :raises JobDefinitionError: names those that it takes, and where others are said.
    """
    elsewhere = {name: value for name, value in unknown.items() if name in JobOptions.__slots__}
    if elsewhere:
        message = (
            f"{', '.join(elsewhere)} cannot be said in dispatch(), which takes {', '.join(AT_DISPATCH)}: "
            f"write .with_options({_written((), elsewhere)}).dispatch(), or say it of the job class"
        )
        raise JobDefinitionError(message)
    refuse_unknown(unknown.keys(), known=AT_DISPATCH)
