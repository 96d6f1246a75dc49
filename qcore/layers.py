"""The shape of a middleware: ``layer(job, call_next)``, and what keeps something from being one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from qcore.errors import JobDefinitionError, PayloadError
from qcore.payload import FAR

if TYPE_CHECKING:
    from qcore.codec import JSON, Codec
    from qcore.jobs import Job

Next: TypeAlias = Callable[[Any], object]
"""Runs what stands behind a layer, the handler at the end, and gives what that returned."""
Layer: TypeAlias = Callable[[Any, Next], object]
"""Stands around a job: runs it by ``call_next(job)``, or does not."""

_SHAPE = "a middleware is def layer(job, call_next), or an object with __call__(self, job, call_next)"
_LONGEST_KEY = 190


class Middleware:
    """Base of middleware that a single dispatch can be given: it is written into the payload of the job.

    A subclass is a dataclass (or an attrs class, or a pydantic model) at the top of a module that workers import.
    What stands in a payload is called only if it derives from this class, whoever wrote the payload.
    """

    __slots__ = ()

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Run the job by ``call_next(job)``, or do not."""
        raise NotImplementedError


def listed(layers: object, whose: str) -> tuple[Layer, ...]:
    """Give the layers of a list in their order.

    :raises JobDefinitionError: when it is no list, or something in it cannot be called, or is a class.
    """
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        closed(layers)
        message = f"{whose} is a list of middleware, got {layers!r:.100}: write [...] around it"
        raise JobDefinitionError(message)
    found = tuple(layers)
    for layer in found:
        # A class would be called, and make an instance, and the job would be skipped by that.
        if not callable(layer) or isinstance(layer, type):
            raise refused(layer, str(fault_of(layer)), whose)
    return found


def checked(layers: object, whose: str) -> tuple[Layer, ...]:
    """Give the layers of a list in their order, after a closer look than a worker has time for.

    :raises JobDefinitionError: when it is no list, or one of them can be no middleware.
    """
    found = listed(layers, whose)
    for layer in found:
        if fault := fault_of(layer):
            raise refused(layer, fault, whose)
    return found


def fault_of(layer: Any) -> str | None:  # noqa: ANN401 - what it is is found out here
    """Say why something can be no middleware, None when it can."""
    if isinstance(layer, type):
        return "is a class: give an instance of it"
    if not callable(layer):
        return "cannot be called"
    return _fault_of_function(layer if inspect.isroutine(layer) else type(layer).__call__) or _fault_of_arguments(layer)


def _fault_of_function(function: object) -> str | None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is async: write it with def, call_next(job) sees an async handler through to its end"
    if inspect.isgeneratorfunction(function):
        return "is a generator: nothing of it would run; use return instead of yield"
    return None


def _fault_of_arguments(layer: Layer) -> str | None:
    try:
        inspect.signature(layer).bind(None, None)
    except TypeError as error:
        return f"cannot be called with a job and call_next ({error})"
    except ValueError:  # written in C: it does not tell what it takes
        return None
    return None


def refused(layer: object, fault: str, whose: str) -> JobDefinitionError:
    """Make the error about something that can be no middleware."""
    return JobDefinitionError(f"{whose}: {layer!r:.100} {fault}; {_SHAPE}")


def closed(result: object) -> bool:
    """Tell whether something was to be awaited or iterated, and drop it then, so that Python does not complain."""
    if inspect.isawaitable(result) or inspect.isgenerator(result) or inspect.isasyncgen(result):
        if not inspect.isasyncgen(result) and hasattr(result, "close"):
            result.close()
        return True
    return False


def encoded(layers: Iterable[Layer], codec: Codec, of: str) -> list[JSON]:
    """Write the middleware of one dispatch for a payload; ``of`` is what the job is called.

    :raises PayloadError: names the path of what cannot be written.
    """
    path = f"{of}.middleware"
    for index, layer in enumerate(layers):
        if not isinstance(layer, Middleware):
            message = (
                f"{path}[{index}]: {layer!r:.100} cannot be stored in a payload: let middleware() of the job give it, "
                "or make it a dataclass that derives from qcore.middleware.Middleware"
            )
            raise PayloadError(message)
    return cast("list[JSON]", codec.encode(list(layers), path=path))


# What the shipped ones have in common.


def checked_condition(condition: object) -> object:
    """Give a condition that is asked when the job runs.

    :raises JobDefinitionError: for an async function: its coroutine would always count as true.
    """
    if inspect.iscoroutinefunction(condition):
        message = f"a condition is a value or a plain function of the job, got {condition!r:.100}: write it with def"
        raise JobDefinitionError(message)
    return condition


def checked_seconds(value: object, what: str) -> float:
    """Give a number of seconds.

    :raises JobDefinitionError: when it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < FAR:
        return value
    message = f"{what} is a number of seconds, 0 or more, got {value!r:.60}"
    raise JobDefinitionError(message)


def kind_of(job: Job) -> str:
    """Give what tells jobs of one kind from others: the name of their class.

    Closures, and pushes of raw data, are all of one class of ours: of these it is what they are called.
    """
    name = type(job).__job__.name
    return job.display_name() if name.startswith("qcore:") else name


def store_key(kind: str, *parts: object) -> str:
    """Make a key of the store from what users say: short, and of plain text, whatever that is."""
    # Names of jobs and limiters hold no comma; what may hold one comes last.
    key = f"{kind}:{','.join(map(str, parts))}"
    if len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable():
        return key
    from hashlib import sha256  # few keys are so long

    return f"{kind}:{sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"
