"""How a job stands in a payload: ``data`` as it is written, and the job as it is restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore import registry
from qcore.closures import Closure
from qcore.errors import PayloadError
from qcore.handlers import HandlerCall
from qcore.job_state import complete_state_of, restored
from qcore.payload import CALL
from qcore.sealing import Keys

if TYPE_CHECKING:
    from qcore.codec import Codec
    from qcore.definition import Definition
    from qcore.jobs import Job
    from qcore.payload import Body


class JobCodec:
    """Writes jobs into payloads and restores them."""

    def __init__(self, codec: Codec, keys: Keys | None = None) -> None:
        """Use the codec for what a job holds, and the keys for those that are encrypted or closures."""
        self.codec = codec
        self._keys = keys or Keys()

    def data_of(self, job: Job) -> Any:  # noqa: ANN401 - any JSON
        """Give the ``data`` of a payload: the name of the job's class, and its state; raw data for a handler class.

        :raises PayloadError: when the state cannot be written.
        :raises ConfigError: when it is to be sealed, and there is no key or the extra is not installed.
        """
        if isinstance(job, HandlerCall):
            return job.data
        definition = type(job).__job__
        command: object
        if definition.seal is not None:
            command = self._sealed(job, definition)
        else:
            command = self.codec.encode(complete_state_of(job), path=definition.short_name)
        return {"commandName": definition.name, "command": command}

    def restored(self, body: Body) -> Job:
        """Make the job of a payload anew, without calling ``__init__``.

        :raises PayloadError: when its class is not known here, its state does not fit it, or it is not sealed
            as its class asks for.
        """
        if body.handler != CALL:
            return HandlerCall(body.handler, body.raw.get("data"))
        return self.restored_as(registry.resolve(body.command_name), body)

    def restored_as(self, job_class: type[Job], body: Body) -> Job:
        """Make the job of a payload, of a class that is known already.

        :raises PayloadError: when its state does not fit the class, or is not sealed as that asks for.
        """
        if type(body.command) is str or job_class.__job__.seal is not None:
            return self._opened(job_class, body)
        state: Any = self.codec.decode(body.command)
        if type(state) is not dict:
            message = f"the payload of {body.display_name} holds {state!r:.40} where its fields should be"
            raise PayloadError(message)
        return restored(job_class, state, body.display_name)

    def _sealed(self, job: Job, definition: Definition) -> str:
        if isinstance(job, Closure):
            return job.signed(self._keys)
        state = self.codec.encode(complete_state_of(job), path=definition.short_name)
        # The name stands inside too: what was written for one class is none of another's.
        content = self.codec.dumps([definition.name, state], what=definition.name)
        return self._keys.encrypt(content, what=definition.short_name)

    def _opened(self, job_class: type[Job], body: Body) -> Job:
        name, command = body.display_name, body.command
        if job_class.__job__.seal is None:
            message = f"the payload of {name} holds sealed text, and {job_class.__qualname__} is not encrypted"
            raise PayloadError(message)
        if type(command) is not str:
            message = (
                f"the payload of {name} can be read and written by anybody, and {job_class.__qualname__} is "
                f"{job_class.__job__.seal.value}: it was not dispatched by this class"
            )
            raise PayloadError(message)
        if issubclass(job_class, Closure):
            return job_class.opened(command, self._keys, name)
        return self._decrypted(job_class, command, body)

    def _decrypted(self, job_class: type[Job], command: str, body: Body) -> Job:
        written: Any = self.codec.loads(self._keys.decrypt(command, what=body.display_name))
        written_for, encoded = written
        if written_for != body.command_name:
            message = f"what {body.display_name} holds was encrypted for another job class"
            raise PayloadError(message)
        try:
            state: Any = self.codec.decode(encoded)
            return restored(job_class, state, body.display_name)
        except PayloadError as error:
            # The reason may quote what nobody was to read, and would be kept with the failed job.
            kind = type(error.__cause__ or error).__name__
        message = f"what {body.display_name} holds does not fit {job_class.__qualname__} as it is today ({kind})"
        raise PayloadError(message)
