"""Payloads that a home pushed by itself, such as the callbacks of a batch: nobody told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore import links
from qcore.drivers.memory import MemoryDriver
from qtest.pushes import Content

if TYPE_CHECKING:
    from collections.abc import Container

    from qcore.batches import BatchRecord
    from qcore.driver import Inspectable, Listed
    from qcore.job_codec import JobCodec

_ALL = 1_000_000

_TURNS = ("progress", "failure", "catch", "then", "finally")
"""The callbacks of one step of a batch, in their order."""

_OF_FAILURES = frozenset(("failure", "catch", "finally", "chain"))


def unknown(driver: Inspectable, known: Container[str], codec: JobCodec) -> list[Listed]:
    """Give what lies in the home of a driver and is not known, in the order in which it was pushed."""
    if isinstance(driver, MemoryDriver):
        # Asked before every job: only what is new is worth a look.
        ids = [each for each in list(driver.home.entries) if each not in known]
        found = [listed for each in ids if (listed := driver.find(each)) is not None]
    else:
        queues = [each.queue for each in driver.counts()]
        found = [each for queue in queues for each in driver.listed(queue, limit=_ALL) if each.payload.id not in known]
    # Queue by queue they are found, and were pushed in the order of what they are called for.
    return sorted(found, key=lambda each: _turn_of(each, codec)) if len(found) > 1 else found


def _turn_of(listed: Listed, codec: JobCodec) -> int:
    callback = Content(listed.payload, codec, None).look()[2].get("callback") or {}
    event = callback.get("event", "")
    return _TURNS.index(event) if event in _TURNS else len(_TURNS)


class Callbacks:
    """Which batches call back, and what for: without that their home pushes nothing by itself."""

    def __init__(self) -> None:
        """Begin without batches."""
        self._of: dict[str, frozenset[str]] = {}

    def note(self, record: BatchRecord) -> bool:
        """Read what a batch calls back; False when that is nothing."""
        options = links.batch_options(record.options)
        named = frozenset(each for each in (*_TURNS, "chain") if options.get(each))
        self._of[record.id] = named
        return bool(named)

    def may_follow(self, batch_id: str, *, failure: bool) -> bool:
        """Tell whether the end of a member can have brought one about; a batch that ends by that tells so itself."""
        named = self._of.get(batch_id)
        if named is None:
            return failure  # it is not known yet, and tells what it is when all of it was pushed
        return "progress" in named or (failure and bool(named & _OF_FAILURES))
