"""Calls whose answers are lost: what each does to a scene, which has to be the same when it is made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.batches import BatchStep, State
from qcore.driver import Effects, Lock, LockRule, Push, Reservation, Unlock
from qcore.failed import FailedJob
from qtest.contract_base import payload, pushed_and_reserved, reserved
from qtest.contract_records import BATCH, EVERY, new_batch, options, pushes

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.batches import BatchStore
    from qcore.failed import FailedStore
    from qcore.store import Store
    from qtest.clock import FrozenClock

    Parts = tuple[Any, Store, FailedStore, BatchStore]
    """The driver, pipelined or not, and the stores of one home."""

FAILED = FailedJob(payload(), "connection", "default", "Traceback", 1_900_000_000.0)
LOCKED = Push("default", payload("locked"), 0, Lock("key", "locked", 10, LockRule.REFUSE))


class Scene:
    """A driver with its stores and one job in hand."""

    held: Reservation

    def __init__(self, clock: FrozenClock, parts: Parts) -> None:
        self.clock = clock
        self.look_through(parts)
        self.held = pushed_and_reserved(self.driver)
        self.batches.create(new_batch(options("then", "finally")))
        self.batches.add(BATCH, ["job", "b"], [])

    def look_through(self, parts: Parts) -> None:
        """Ask these from now on."""
        self.driver, self.store, self.failed, self.batches = parts

    def everything(self) -> object:
        """All that there is, but for tokens and numbers of failures."""
        queues = [self.driver.listed(name) for name in ("default", "next", "callbacks")]
        keys = [self.store.get(key) for key in ("key", "hits")]
        failed = [record._replace(number=0) for record in self.failed.listed()]
        members = [self.batches.members(BATCH, state) for state in State]
        return queues, keys, failed, self.batches.listed(), members, self.driver.counts()


def without_tokens(answer: object) -> object:
    return answer._replace(token=0, receipt=None) if isinstance(answer, Reservation) else answer


CALLS: dict[str, Callable[[Scene], object]] = {
    "push": lambda on: on.driver.push("next", payload("other")),
    "push with a delay": lambda on: on.driver.push("next", payload("other"), delay=5),
    "bulk": lambda on: on.driver.bulk(pushes("1", "2", "3")),
    "push_locked": lambda on: on.driver.push_locked(LOCKED),
    "push_locked, refused": lambda on: [on.store.add("key", "job"), on.driver.push_locked(LOCKED)],
    "take_lock": lambda on: on.driver.take_lock(Lock("key", "job", 10)),
    "reserve": lambda on: [on.batches.add(BATCH, ["1", "2"], pushes("1", "2")), without_tokens(reserved(on.driver))],
    "reserve a lost one": lambda on: without_tokens(on.driver.reserve(["default"], wait=90)),
    "delete": lambda on: on.driver.delete(on.held),
    "delete as failed": lambda on: on.driver.delete(on.held, effects=Effects(failed=FAILED), only_last=True),
    "delete with all that follows": lambda on: on.driver.delete(
        on.held,
        effects=Effects(
            pushes=(LOCKED, Push("next", payload("link"), 3)),
            unlocks=(Unlock("other", "job"),),
            batch=BatchStep(BATCH, "job", State.DONE, 1.0),
        ),
    ),
    "delete and reserve": lambda on: [
        on.batches.add(BATCH, ["1", "2"], pushes("1", "2")),
        [without_tokens(each) for each in on.driver.delete_and_reserve(on.held, ["default"])],
    ],
    "delete and reserve nothing": lambda on: on.driver.delete_and_reserve(on.held, ["default"]),
    "delete with what follows and reserve": lambda on: [
        without_tokens(each)
        for each in on.driver.delete_and_reserve(
            on.held, ["next", "default"], effects=Effects(pushes=(LOCKED, Push("next", payload("link"))))
        )
    ],
    "release": lambda on: on.driver.release(on.held, delay=5, count=False, verdict="killed"),
    "extend": lambda on: on.driver.extend(on.held, 600),
    "size": lambda on: on.driver.size("default"),
    "find": lambda on: on.driver.find("job"),
    "put": lambda on: on.store.put("key", "value", ttl=5),
    "add": lambda on: on.store.add("key", "value"),
    "add, taken": lambda on: [on.store.add("key", "value"), on.store.add("key", "other")],
    "add, taken by an equal value": lambda on: [on.store.add("key", "value"), on.store.add("key", "value")],
    "increment": lambda on: on.store.increment("hits", ttl=5),
    "increment a second time": lambda on: [on.store.increment("hits"), on.store.increment("hits", by=2)],
    "forget": lambda on: [on.store.add("key", "value"), on.store.forget("key", value="value")],
    "keep a failed job": lambda on: on.failed.add(FAILED),
    "create a batch": lambda on: on.batches.create(new_batch(EVERY, "other")),
    "create a batch, taken": lambda on: on.batches.create(new_batch(EVERY)),
    "add to a batch": lambda on: on.batches.add(BATCH, ["c", "locked"], [*pushes("c"), LOCKED]),
    "close a batch": lambda on: on.batches.close(BATCH, 5.0),
    "give a batch up": lambda on: on.batches.give_up(BATCH, 5.0),
    "cancel a batch": lambda on: on.batches.cancel(BATCH, 5.0),
    "count a member": lambda on: on.batches.settle(BatchStep(BATCH, "job", State.FAILED, 5.0, ("b",), "{}")),
    "forget a batch": lambda on: on.batches.forget(BATCH),
}
