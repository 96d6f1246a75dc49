"""Batches as the contracts of drivers and of batch stores use them, and what became of their callbacks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qcore import links
from qcore.batches import BatchRecord, BatchStep, State
from qcore.driver import Payload, Push

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.batches import BatchStore
    from qcore.driver import Driver, Reservation
    from qcore.links import Chain, Link

BATCH = "the batch"
NOW = 1_900_000_000.25
"""When everything happens, in seconds since 1970."""
FAILURE = links.failure("ValueError", "broken", "Traceback", "{}")


def callback(name: str, delay: float = 0) -> Link:
    """Write a callback that waits on the queue ``callbacks`` when it is due."""
    return links.written("connection", "callbacks", delay, {"id": name, "uuid": name, "createdAt": NOW})


def chain(*names: str) -> Chain:
    """Write the chain that a batch is a link of: what follows it, and one callback for failures."""
    return {
        "id": "chain",
        "links": links.joined(callback(name) for name in names),
        "catch": [callback("catch of the chain")],
        "connection": None,
        "queue": None,
    }


def options(*events: str, allow_failures: bool = False, chain: Chain | None = None, delay: float = 0) -> str:
    """Write the options of a batch that has one callback for each of these events."""
    fields: dict[str, Any] = {
        event: [callback(event, delay)] if event in events else []
        for event in ("progress", "failure", "catch", "then", "finally")
    }
    return json.dumps({**fields, "allowFailures": allow_failures, "chain": chain})


EVERY = options("progress", "failure", "catch", "then", "finally")
"""A batch that tells everything."""


def new_batch(options: str, batch_id: str = BATCH, *, created_at: float = NOW) -> BatchRecord:
    """Make the record of a batch that nothing was added to yet."""
    return BatchRecord(batch_id, "nightly \u2603", "connection", "default", created_at, options)


def pushes(*members: str) -> list[Push]:
    """Make the pushes of members."""
    return [Push("default", Payload(member, b"body")) for member in members]


def dispatched(batches: BatchStore, options: str, *members: str) -> BatchRecord:
    """Make a batch with members and close it."""
    assert batches.create(new_batch(options))
    assert batches.add(BATCH, members, pushes(*members))
    record = batches.close(BATCH, NOW)
    assert record is not None
    return record


def member_of(driver: Driver, batches: BatchStore, options: str) -> Reservation:
    """Make a batch with the one member ``job``, and reserve that."""
    dispatched(batches, options, "job")
    reservation = driver.reserve(["default"])
    assert reservation is not None
    return reservation


def step(
    member: str = "job",
    state: State = State.DONE,
    *,
    batch_id: str = BATCH,
    dropped: Iterable[str] = (),
    at: float = NOW,
) -> BatchStep:
    """Say that a member ended."""
    return BatchStep(batch_id, member, state, at, tuple(dropped), FAILURE if state is State.FAILED else "")


def counts(record: BatchRecord | None) -> tuple[int, int, int, int, int]:
    """Give total, pending, done, failed, dropped."""
    assert record is not None
    return record.total, record.pending, record.done, record.failed, record.dropped


def settled(batches: BatchStore, state: State, members: Iterable[str]) -> None:
    """Let members end."""
    for member in members:
        batches.settle(step(member, state))


def callbacks(driver: Driver) -> list[str]:
    """Take all callbacks that are due, and give the events they are about; of the links of a chain, the ids."""
    told = []
    while (reservation := driver.reserve(["callbacks"])) is not None:
        driver.delete(reservation)
        told.append(_name(json.loads(reservation.payload.body)))
    return told


def _name(body: dict[str, Any]) -> str:
    callback = body.get("callback")
    if callback is None:
        return str(body["id"])
    return str(callback["event"]) if "batch" in callback else f"{callback['event']} of the chain"
