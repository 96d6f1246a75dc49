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
"""The handler of payloads that hold a job object."""


class Body(NamedTuple):
    """The fields of a payload that qcore acts on; ``raw`` holds all of them, hooks' additions too."""

    id: str
    display_name: str
    handler: str
    command_name: str
    command: dict[str, Any]
    max_tries: int | None
    max_exceptions: int | None
    fail_on_timeout: bool
    backoff: float | list[float] | None
    timeout: float | None
    retry_until: float | None
    """Seconds since 1970, fixed when the job was dispatched."""
    tags: list[str]
    created_at: float
    raw: dict[str, Any]


def decode(body: bytes, codec: Codec) -> Body:
    """Read the bytes of a payload.

    :raises PayloadError: says what is wrong with them; nothing of the job is run.
    """
    raw = codec.loads(body)
    if type(raw) is not dict:
        message = f"a payload is a JSON object, this one is {_kind(raw)}"
        raise PayloadError(message)
    data = raw.get("data")
    if type(data) is not dict:
        message = f"the payload's data is a JSON object, this one has {_kind(data)}"
        raise PayloadError(message)
    get = raw.get
    return Body(
        id=_text(raw, "uuid"),
        display_name=_text(raw, "displayName"),
        handler=_text(raw, "job"),
        command_name=_text(data, "commandName"),
        command=_object(data, "command"),
        max_tries=_count(get("maxTries"), "maxTries"),
        max_exceptions=_count(get("maxExceptions"), "maxExceptions"),
        fail_on_timeout=get("failOnTimeout") is True,
        backoff=_backoff(get("backoff")),
        timeout=_seconds(get("timeout"), "timeout"),
        retry_until=_seconds(get("retryUntil"), "retryUntil"),
        tags=get("tags") or [],
        created_at=_seconds(get("createdAt"), "createdAt") or 0,
        raw=raw,
    )


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if type(value) is str and value:
        return value
    message = f"the payload's {name} is text, this one has {_kind(value)}"
    raise PayloadError(message)


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    if type(value) is dict:
        return value
    message = f"the payload's {name} is a JSON object, this one has {_kind(value)}"
    raise PayloadError(message)


def _count(value: object, name: str) -> int | None:
    if value is None or (type(value) is int and 0 <= value < 1 << 63):
        return value
    message = f"the payload's {name} is a whole number, 0 or more, this one has {value!r:.60}"
    raise PayloadError(message)


def _seconds(value: object, name: str) -> float | None:
    if value is None or (type(value) in (int, float) and 0 <= value < 1e12):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    message = f"the payload's {name} is a number of seconds, this one has {value!r:.60}"
    raise PayloadError(message)


def _backoff(value: object) -> float | list[float] | None:
    if type(value) is list:
        return [_seconds(seconds, "backoff") or 0 for seconds in value] or None
    return _seconds(value, "backoff")


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.40} ({type(value).__name__})"
