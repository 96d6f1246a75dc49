"""Callbacks of chains and batches: jobs that run when others have ended, and hear what became of them.

A callback is a job, which runs as it is, or a function, which is called with as much as it asks for: of a chain the
error and the failed job; of a batch the batch, then the error and the failed job if there are. Parameters with such
names get just that, others by their place.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Protocol

from qcore import payload
from qcore.callback_arguments import placed
from qcore.closure_pickle import Function
from qcore.closures import Closure
from qcore.errors import JobDefinitionError, StoredError
from qcore.function_job import FunctionCall, FunctionJob
from qcore.injection import parameters
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.delivery import Delivery
    from qcore.injection import Provider
    from qcore.job_codec import JobCodec
    from qcore.links import Link

Callback = Job | Prepared | FunctionJob[..., Any] | Function
"""What can be called when a chain or a batch comes to its end, or to a failure."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_RULES = {
    1: "this callback gets the batch",
    2: "a callback gets the error and the failed job",
    3: "this callback gets the batch, the error and the failed job",
}


class Linking(Protocol):
    """What writes links: the App."""

    provider: Provider
    """Gives functions what they ask for by type: that is not asked of who calls the callback."""

    def link(self, job: Any, wide: JobOptions = UNSET, *, job_id: str | None = None) -> Link | None:  # noqa: ANN401
        """Write a job as a link."""


def callback_link(
    app: Linking,
    given: Callback,
    wide: JobOptions = UNSET,
    *,
    takes: int = 2,
    job_id: str | None = None,
) -> Link | None:
    """Write a callback, to be pushed when its time comes; None when a hook dropped it.

    ``wide`` says where it goes when it says nothing itself; ``takes``, how many arguments there are for it at most.

    :raises JobDefinitionError: when it cannot be stored, or asks for more.
    :raises PayloadError: when its state cannot be written.
    """
    return app.link(_as_job(given, takes, app.provider), wide, job_id=job_id)


def _as_job(given: object, takes: int, provider: Provider) -> Job | Prepared:
    rule = _RULES[takes]
    if isinstance(given, Job | Prepared):
        return given
    if isinstance(given, FunctionJob):
        call = given.job_class({})
        _check(call, takes, rule, provider)
        return call
    if inspect.isfunction(given):
        return Closure(given, most=takes, rule=rule)
    hint = ""
    if isinstance(given, type) and issubclass(given, Job):
        hint = ": make an instance"
    elif callable(given):
        hint = ": write a lambda that calls it, or a function under @job"
    message = f"a callback is a job, a function under @job or a plain function; {given!r:.200} cannot be stored{hint}"
    raise JobDefinitionError(message)


def arguments(delivery: Delivery, *, codec: JobCodec) -> dict[str, object]:
    """Give what a callback is called with. A failed job that cannot be restored here is None."""
    callback: dict[str, Any] = delivery.body.raw["callback"] if delivery.body is not None else {}
    given: dict[str, object] = {}
    if "batch" in callback:
        given["batch"] = delivery.batch()
    if "failure" in callback:
        failure = callback["failure"]
        given["error"] = StoredError(failure["type"], failure["message"], failure["traceback"])
        given["job"] = _restored(failure["body"], codec)
    return given


def completed(job: Job, given: Callable[[], dict[str, object]], provider: Provider) -> Job:
    """Make a callback know what it is called with, if it asks for anything."""
    if isinstance(job, Closure):
        return job.passing(given())
    if isinstance(job, FunctionCall) and (names := _asked(job, provider)):
        # One that is there for less than it asks for is told by Python itself what is missing.
        return type(job)({**job.arguments, **placed(names, given())})
    return job


def _check(call: FunctionCall, takes: int, rule: str, provider: Provider) -> None:
    asked = _asked(call, provider)
    if len(asked) > takes or any(call.signature.parameters[name].kind not in _POSITIONAL for name in asked):
        message = f"{type(call).__qualname__}() asks for {', '.join(asked)}; {rule}"
        raise JobDefinitionError(message)


def _asked(call: FunctionCall, provider: Provider) -> list[str]:
    """List the parameters without a default that were left open, and that nobody else gives."""
    wanted = {each.name: each.wanted for each in parameters(type(call).function)}
    return [
        name
        for name, each in call.signature.parameters.items()
        if each.default is each.empty
        and each.kind not in _VARIADIC
        and name not in call.arguments
        and not (name in wanted and provider.gives(wanted[name]))
    ]


def _restored(body: str, codec: JobCodec) -> Job | None:
    try:
        return codec.restored(payload.decode(body.encode(), codec.codec))
    except Exception:  # noqa: BLE001 - a class that is gone, a key, an extra, code of the user: the callback runs anyway
        return None
