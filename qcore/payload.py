"""The JSON body of a payload: what is written, and what may be read back.

``body`` here is the decoded JSON object; at rest it is bytes beside an id (``driver.Payload``).
A field that is added gets a default, so that yesterday's payload still decodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.errors import PayloadError

if TYPE_CHECKING:
    from qcore.codec import Codec

CALL = "qcore:call"
"""The handler of payloads that hold a job object; every other one is the name of a handler class."""


class Body(NamedTuple):
    """The fields of a payload that qcore acts on; ``raw`` holds all of them, hooks' additions too."""

    id: str
    display_name: str
    handler: str
    command_name: str
    """The name of the job's class; empty when the payload holds raw data for a handler class."""
    command: dict[str, Any] | str
    """The state of the job: a JSON object, or text when it is sealed (encrypted, or a closure)."""
    max_tries: int | None
    max_exceptions: int | None
    backoff: float | list[float] | None
    timeout: float | None
    retry_until: float | None
    """Seconds since 1970, fixed when the job was dispatched."""
    fail_on_timeout: bool
    has_more: bool
    """True when a field stands in it that few payloads have: see ``_MORE``."""
    raw: dict[str, Any]

    @property
    def tags(self) -> list[str]:
        """The words given by the job's ``tags()``."""
        return self.raw.get("tags") or []


FAR = 1e12
"""No number of seconds in a payload is this large: the year 33658."""
LARGEST = 1 << 63
"""No count in a payload is this large."""


def decode(body: bytes, codec: Codec) -> Body:
    """Read the bytes of a payload.

    :raises PayloadError: says what is wrong with them; nothing of the job is run.
    """
    return read(codec.loads(body))


def read(raw: Any) -> Body:  # noqa: ANN401 - what it is is found out here
    """Read the JSON structure of a payload.

    :raises PayloadError: says what is wrong with it.
    """
    if type(raw) is not dict:
        message = f"a payload is a JSON object, this one is {_kind(raw)}"
        raise PayloadError(message)
    get = raw.get
    handler = _text(raw, "job")
    name, command = _command(get("data")) if handler == CALL else ("", "")
    numbers = (get("maxTries"), get("maxExceptions"), get("backoff"), get("timeout"), get("retryUntil"))
    if numbers != _NOTHING_SAID:
        _check_numbers(*numbers)
    # In the order of the fields: by keyword a body costs half a microsecond more, and every job is decoded.
    return Body(
        _text(raw, "uuid"),
        _text(raw, "displayName"),
        handler,
        name,
        command,
        *numbers,
        get("failOnTimeout") is True,
        not raw.keys().isdisjoint(_MORE),
        raw,
    )


_MORE = frozenset(("chain", "batchId", "unique", "callback", "middleware"))
"""Fields of jobs that are more than one job: asked for once, when the payload is read."""

_NOTHING_SAID = (None, None, None, None, None)


def _check_numbers(
    max_tries: object, max_exceptions: object, backoff: object, timeout: object, retry_until: object
) -> None:
    _check_count(max_tries, "maxTries")
    _check_count(max_exceptions, "maxExceptions")
    for seconds in backoff if type(backoff) is list else (backoff,):
        _check_seconds(seconds, "backoff")
    _check_seconds(timeout, "timeout")
    _check_seconds(retry_until, "retryUntil")


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if type(value) is str and value:
        return value
    message = f"the payload's {name} is text, this one has {_kind(value)}"
    raise PayloadError(message)


def _command(data: object) -> tuple[str, dict[str, Any] | str]:
    if type(data) is not dict:
        message = f"the payload's data is a JSON object, this one has {_kind(data)}"
        raise PayloadError(message)
    command = data.get("command")
    if type(command) is dict or type(command) is str:
        return _text(data, "commandName"), command
    message = f"the payload's command is a JSON object, this one has {_kind(command)}"
    raise PayloadError(message)


def _check_count(value: object, name: str) -> None:
    if value is not None and not (type(value) is int and 0 <= value < LARGEST):
        message = f"the payload's {name} is a whole number, 0 or more, this one has {value!r:.60}"
        raise PayloadError(message)


def _check_seconds(value: object, name: str) -> None:
    if value is not None and not (type(value) in (int, float) and 0 <= value < FAR):  # type: ignore[operator]
        message = f"the payload's {name} is a number of seconds, this one has {value!r:.60}"
        raise PayloadError(message)


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.40} ({type(value).__name__})"
