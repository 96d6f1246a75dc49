"""Reading and writing batches. What changes one says which version of it was read, and is done anew if that is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.batches import BatchRecord, State
from qcore.redis.batch_scripts import LOOK
from qcore.redis.script import call_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qcore.batches import Counted
    from qcore.redis.home import RedisHome
    from qcore.redis.script import Argument

_FIELDS = BatchRecord._fields
_NUMBERS = {"total", "pending", "failed", "dropped"}
_INSTANTS = {"created_at", "cancelled_at", "finished_at"}


class Seen(NamedTuple):
    """A batch as it was read."""

    record: BatchRecord
    version: bytes
    states: dict[str, State]
    """Of the members asked for; who is none is left out."""


def look(home: RedisHome, batch_id: str, members: Sequence[str] = ()) -> Seen | None:
    """Read a batch, and how far some members are; None when there is none."""
    found = home.run(LOOK, batch_id, *_FIELDS, b"version", *members)
    if found is None:
        return None
    fields, states = found
    known = {member: State(state[:1].decode()) for member, state in zip(members, states, strict=True) if state}
    return Seen(record_of(fields), fields[len(_FIELDS)], known)


def record_of(fields: Sequence[Any]) -> BatchRecord:
    """Make a record of its fields; what follows them is left out."""
    return BatchRecord(**{field: _read(field, value) for field, value in zip(_FIELDS, fields, strict=False)})


def _read(field: str, value: bytes | None) -> Any:  # noqa: ANN401 - as the record has it
    text = "" if value is None else value.decode()
    if field in _NUMBERS:
        return int(text or 0)
    if field in _INSTANTS:
        return float(text) if text else None
    return text == "1" if field == "adding" else text


def written(record: BatchRecord) -> list[Argument]:
    """Write the fields of a record, each behind its name."""
    return [part for field in _FIELDS for part in (field, _write(getattr(record, field)))]


def _write(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def counted_arguments(counted: Counted, version: bytes) -> list[Argument]:
    """Write what a step made of a batch, but for the pushes."""
    head: list[Argument] = [counted.record.id, version, call_id(), len(_FIELDS)]
    changes = [part for member, state in counted.changes.items() for part in (member, state.value)]
    return [*head, *written(counted.record), len(counted.changes), *changes]
