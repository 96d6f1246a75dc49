"""What a payload would lose: every job that is pushed into a fake is written, read again, and compared.

The codec refuses what it cannot write. What is asked here is too dear for every push in production: whether the job
comes out of its payload as it went in, and whether a worker could call it.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from qcore import payload as payloads
from qcore import registry
from qcore.closures import Closure
from qcore.codec import canonical, fields_of
from qcore.errors import PayloadError, UnknownJobError
from qcore.handlers import HandlerCall, resolve
from qcore.job_codec import JobCodec
from qcore.job_state import held_by, state_of
from qtest.evident import arguments_of, asked_by_handle, is_evident
from qtest.lossy import LEAVES, loss

if TYPE_CHECKING:
    from qcore.codec import Codec
    from qcore.injection import Provider
    from qcore.jobs import Job
    from qcore.sealing import Keys


class CheckingJobCodec(JobCodec):
    """Writes jobs as the real one does, and complains about those that would not come back as they are."""

    def __init__(self, codec: Codec, keys: Keys, provider: Provider) -> None:
        """Take what the real one takes, and what is given to handlers by type."""
        super().__init__(codec, keys)
        self._provider = provider

    def data_of(self, job: Job) -> Any:  # noqa: ANN401 - any JSON
        """Give the ``data`` of a payload, checked.

        :raises PayloadError: names what would be lost, or could not be run.
        """
        data = super().data_of(job)
        if isinstance(job, HandlerCall):
            _check_method(job)
        else:
            _check_registered(type(job))
            if is_evident(job, data["command"]):
                return data
            _check_handle(type(job), self._provider)
        self._check_round_trip(job, self._read_again(job, data))
        return data

    def _read_again(self, job: Job, data: Any) -> Job:  # noqa: ANN401
        name = type(job).__job__.short_name
        handler = job.handler if isinstance(job, HandlerCall) else payloads.CALL
        body = {"uuid": "checked", "displayName": name, "job": handler, "data": data}
        again = self.codec.loads(self.codec.dumps(body, what=name))
        try:
            restored = self.restored(payloads.read(again))
            if isinstance(restored, Closure):
                restored.load()
        except PayloadError as error:
            raise PayloadError(f"{name} can be written, but no worker could read it: {error}") from error
        return restored

    def _check_round_trip(self, job: Job, restored: Job) -> None:
        if isinstance(job, Closure):
            return  # functions cannot be compared; that it loads was seen
        name = type(job).__job__.short_name
        before, after = state_of(job), state_of(restored)
        for field, value in before.items():
            if field not in after:
                raise PayloadError(f"{name}.{field} would be lost: it does not come back from its payload")
            if said := loss(value, after[field], f"{name}.{field}"):
                raise PayloadError(said)
        if type(job) is not type(restored) or len(before) != len(after) or self._is_another(before, after):
            raise PayloadError(f"{name} comes out of its payload as another job than it went in")
        _check_arguments(job, restored, before)

    def _is_another(self, before: dict[str, Any], after: dict[str, Any]) -> bool:
        if all(type(value) in LEAVES for value in before.values()):
            return False  # they were compared as they are
        one, two = (canonical(self.codec.encode(state)) for state in (before, after))
        return one != two


def _check_registered(job_class: type[Job]) -> None:
    """Refuse jobs of a class whose name stands for another one by now: they would come back as jobs of that."""
    name = job_class.__job__.name
    try:
        found = registry.resolve(name)
    except UnknownJobError as error:
        raise PayloadError(f"{name} cannot be found by a worker: {error}") from None
    if found is not job_class:
        raise PayloadError(
            f"the class {name} was defined again after this job's, so it would come back as a job of the newer one: "
            "make the job of that class (was a module reloaded, or a function called twice that defines it?)"
        )


def _check_handle(job_class: type[Job], provider: Provider) -> None:
    for name, wanted in asked_by_handle(job_class):
        if not provider.gives(wanted) and provider.handler_of(job_class) is None:
            where = f"{job_class.__qualname__}.handle()"
            raise PayloadError(
                f"{where} takes {name!r}, and a worker calls it without arguments: "
                f"take it in __init__ and keep it as self.{name}"
            )


def _check_method(job: HandlerCall) -> None:
    registered, method = resolve(job.handler)
    signature = inspect.signature(inspect.getattr_static(registered.handler, method))
    try:
        signature.bind(None, None, job.data)
    except TypeError as error:
        called = f"{registered.handler.__qualname__}.{method}"
        raise PayloadError(
            f"{called}(self, job, data) is how a worker calls it, and it takes {signature}: {error}"
        ) from None


def _check_arguments(job: Job, restored: Job, state: dict[str, Any]) -> None:
    """Find arguments of the constructor that the job holds where no payload looks."""
    declared = fields_of(type(job)) or ()
    for name in arguments_of(type(job)):
        kept = next((each for each in (name, f"_{name}") if each not in state and held_by(job, each)), None)
        if kept is None:
            continue
        if not held_by(restored, kept):
            if kept != name and hasattr(type(job), kept) and kept not in declared:
                continue  # what it is without is said by the class
        elif loss(getattr(job, kept), getattr(restored, kept), kept) is None:
            continue
        raise PayloadError(f"{type(job).__job__.short_name}.{kept} would be lost: {_why(kept, name)}")


def _why(kept: str, argument: str) -> str:
    if kept[0] != "_":
        return "the class defines the same name as something that is computed, so no payload holds it: rename one"
    return (
        f"names with an underscore are not stored, and the argument {argument} is kept under no other: "
        f"keep it as {kept.lstrip('_')}, or make it in handle()"
    )
