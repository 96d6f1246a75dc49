"""What unique and debounced jobs say: the class keywords, the name of the lock, the field of the payload. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.driver import LockRule
from qcore.errors import JobDefinitionError, PayloadError
from qcore.layers import store_key
from qcore.payload import FAR

if TYPE_CHECKING:
    from qcore.definition import Definition
    from qcore.jobs import Job

DAY = 86_400.0
LOCK = "unique"
"""How the keys of the locks of unique jobs begin."""
TOKEN = "debounce"  # noqa: S105 - no secret
"""How the keys begin that say which of several debounced jobs was dispatched last."""


class Unique(NamedTuple):
    """How jobs of a class keep each other away."""

    ttl: float = DAY
    """Seconds that a lock lasts at most, counted from when the job is due."""
    until_processing: bool = False
    """The lock is freed when the handler begins, not when the job has ended."""
    debounce: float | None = None
    """Seconds for which each dispatch puts the job off; only the last one dispatched runs."""
    max_wait: float | None = None
    """Seconds after the first of several dispatches beyond which a debounced job is not put off."""


Debounce = float | tuple[float, float]
"""Seconds, or seconds and the most that several dispatches may put the job off together."""


class Words(NamedTuple):
    """The class keywords as they were said; None: not said, so inherited."""

    unique: bool | None = None
    unique_for: float | None = None
    unique_until_processing: bool | None = None
    debounce_for: Debounce | None = None

    def rule(self, inherited: Unique | None, whose: str) -> Unique | None:
        """Give what they mean; ``whose`` is what the class is called.

        :raises JobDefinitionError: when they contradict each other, or cannot mean anything.
        """
        if self == UNSAID:
            return inherited
        for name in ("unique", "unique_until_processing"):
            _check_flag(getattr(self, name), f"{whose}: {name}")
        base = None if self.unique is False else inherited
        if self.debounce_for is not None:
            return self._debounced(base, whose)
        if base is not None and base.debounce is not None:
            raise _contradiction(whose)
        return self._unique(base, whose)

    def _says_unique(self) -> bool:
        return bool(self.unique or self.unique_until_processing or self.unique_for is not None)

    def _debounced(self, base: Unique | None, whose: str) -> Unique:
        if self._says_unique() or (base is not None and base.debounce is None):
            raise _contradiction(whose)
        given: Any = self.debounce_for
        seconds, max_wait = given if isinstance(given, tuple) and len(given) == 2 else (given, None)  # noqa: PLR2004
        what = f"{whose}: debounce_for is a number of seconds above 0, or (seconds, max_wait)"
        if not _is_a_time(seconds) or (max_wait is not None and not (_is_a_time(max_wait) and max_wait >= seconds)):
            raise JobDefinitionError(f"{what} with a max_wait that is not shorter, got {given!r:.60}")
        return Unique(debounce=seconds, max_wait=max_wait)

    def _unique(self, base: Unique | None, whose: str) -> Unique | None:
        if self.unique is False:
            if self._says_unique():
                raise JobDefinitionError(f"{whose}: unique=False, and yet unique_for or unique_until_processing")
            return None
        if base is None and not (self.unique or self.unique_until_processing):
            if self.unique_for is None:
                return None
            raise JobDefinitionError(f"{whose}: unique_for says how long a lock may last: say unique=True, too")
        known = base or Unique()
        return Unique(
            ttl=known.ttl if self.unique_for is None else _checked_ttl(self.unique_for, whose),
            until_processing=(
                known.until_processing if self.unique_until_processing is None else self.unique_until_processing
            ),
        )


UNSAID = Words()
KEYWORDS = Words._fields


def key_of(job: Job) -> str:
    """Give the key of a unique or debounced job: one for all jobs of its class that say the same ``unique_id()``.

    :raises PayloadError: when that is no id.
    """
    definition = type(job).__job__
    kind = TOKEN if definition.unique is not None and definition.unique.debounce is not None else LOCK
    text = _text_of(job.unique_id(), type(job).__qualname__)
    if definition.seal is not None and text:
        from hashlib import sha256  # what is encrypted in the payload shall not be read beside it

        text = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return store_key(kind, definition.name, text)


def field_of(job: Job, *, at_once: bool) -> dict[str, Any] | None:
    """Write the field ``unique`` of a payload; None for a debounced job that is run ``at_once``, where it is pushed.

    :raises PayloadError: when the job's ``unique_id()`` is no id.
    """
    rule = type(job).__job__.unique or Unique()
    if at_once and rule.debounce is not None:
        return None
    field: dict[str, Any] = {"key": key_of(job), "ttl": rule.ttl}
    if rule.debounce is not None:
        field["rule"] = LockRule.REPLACE.value
        if rule.max_wait is not None:
            field["maxWait"] = rule.max_wait
    elif rule.until_processing:
        field["untilProcessing"] = True
    return field


def put_off_by(definition: Definition) -> float:
    """Seconds for which a dispatch that names no delay puts a job of the class off."""
    return 0 if definition.unique is None else definition.unique.debounce or 0


def _text_of(given: object, whose: str) -> str:
    """Give an id as text. Ids that read the same are the same, whether they were numbers or texts."""
    parts = given if isinstance(given, tuple) else (given,)
    texts = [_part(part, whose) for part in parts]
    if len(texts) == 1 and not texts[0].startswith("["):
        return texts[0]
    import json  # few ids have several parts

    return json.dumps(texts, separators=(",", ":"))


def _part(part: object, whose: str) -> str:
    if isinstance(part, str):
        return str.__str__(part)
    if isinstance(part, int) or (isinstance(part, float) and math.isfinite(part)) or _is_rare(part):
        return str(part)
    raise PayloadError(
        f"{whose}.unique_id() is a text, a number, a UUID or a tuple of those, got {part!r:.60} "
        f"({type(part).__qualname__})"
    )


def _is_rare(part: object) -> bool:
    from decimal import Decimal  # defining a job class loads neither
    from uuid import UUID

    return isinstance(part, Decimal | UUID)


def _checked_ttl(seconds: object, whose: str) -> float:
    if _is_a_time(seconds):
        return seconds  # type: ignore[return-value] # it was just found out
    raise JobDefinitionError(
        f"{whose}: unique_for is a number of seconds above 0, got {seconds!r:.60}; a lock has an end, so that a job "
        "that gets lost does not keep others away for ever"
    )


def _is_a_time(seconds: Any) -> bool:  # noqa: ANN401 - what it is is found out here
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < FAR


def _check_flag(value: object, what: str) -> None:
    if value is not None and not isinstance(value, bool):
        raise JobDefinitionError(f"{what} is True or False, got {value!r:.60}")


def _contradiction(whose: str) -> JobDefinitionError:
    return JobDefinitionError(
        f"{whose}: a job is either unique (the first dispatch wins) or debounced (the last one wins): say one of the "
        "two; unique=False takes back what is inherited"
    )
