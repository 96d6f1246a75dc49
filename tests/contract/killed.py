"""Steps on SQLite, and a program that is killed in the middle of one: `python -m tests.contract.killed NAME FOLDER`.

It begins the step on a new file again and again, and each time dies one statement later.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qcore.batches import BatchRecord, State
from qcore.driver import Effects, Lock, Push, Settled, Unlock
from qcore.drivers.database import DatabaseDriver
from qcore.failed import FailedJob
from qcore.sql import Database
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.clock import FrozenClock
from qtest.contract_base import payload
from qtest.contract_records import BATCH, EVERY, NOW, chain, dispatched, new_batch, options, pushes, step
from tests.dying import die_at

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = Push("next", payload("link"), 0, Lock("of link", "link", None))
WITH_CHAIN = options("progress", "failure", "catch", "then", "finally", chain=chain("behind the batch"))


class Seen(NamedTuple):
    """What lies in the tables."""

    jobs: list[tuple[str, str]]
    locks: list[str | None]
    failures: int
    batch: BatchRecord | None
    members: list[list[str]]


class Place:
    """A file, and all that stands on it."""

    def __init__(self, path: Path, clock: FrozenClock | None = None) -> None:
        clock = clock or FrozenClock()
        self.database = Database(f"sqlite:///{path}")
        self.driver = DatabaseDriver(self.database, clock)
        self.store = DatabaseStore(self.database, clock)
        self.failed = DatabaseFailedStore(self.database)
        self.batches = DatabaseBatchStore(self.database, clock)

    def seen(self) -> Seen:
        return Seen(
            self.database.connection().say("SELECT queue, uuid FROM qcore_jobs ORDER BY queue, id"),
            [self.store.get("of job"), self.store.get("of link")],
            len(self.failed.listed()),
            self.batches.find(BATCH),
            [self.batches.members(BATCH, state) for state in State],
        )


def _last_member(place: Place) -> None:
    dispatched(place.batches, WITH_CHAIN, "other", "job")
    other = place.driver.reserve(["default"])
    assert other is not None
    place.driver.delete(other, effects=Effects(batch=step("other")))
    place.store.put("of job", "job")


def _succeed(place: Place) -> None:
    held = place.driver.reserve(["default"])
    follow = (LINK, Push("next", payload("plain")))
    if held is not None:
        effects = Effects(follow, unlocks=(Unlock("of job", "job"),), batch=step("job"))
        assert place.driver.delete(held, effects=effects) is Settled.DONE


def _first_of_a_chain(place: Place) -> None:
    place.batches.create(new_batch(WITH_CHAIN))
    place.batches.add(BATCH, ["job", "second", "third"], pushes("job"))
    place.batches.close(BATCH, NOW)
    place.store.put("of job", "job")


def _fail(place: Place) -> None:
    held = place.driver.reserve(["default"])
    if held is not None:
        record = FailedJob(held.payload, "connection", "default", "Traceback", NOW)
        ended = step("job", State.FAILED, dropped=["second", "third"])
        effects = Effects(failed=record, unlocks=(Unlock("of job", "job"),), batch=ended)
        assert place.driver.delete(held, effects=effects, only_last=True) is Settled.DONE


def _lock_of_a_job_that_is_gone(place: Place) -> None:
    place.store.put("of link", "gone")


def _push(place: Place) -> None:
    assert place.driver.push_locked(LINK) is None


def _known_member_and_held_lock(place: Place) -> None:
    dispatched(place.batches, EVERY, "a")
    place.store.put("of link", "a")


def _add(place: Place) -> None:
    assert place.batches.add(BATCH, ["a", "b", "link", "c", "c 2"], [*pushes("a", "b"), LINK, *pushes("c")])


STEPS: dict[str, tuple[Callable[[Place], None], Callable[[Place], None]]] = {
    "succeed": (_last_member, _succeed),
    "fail": (_first_of_a_chain, _fail),
    "push": (_lock_of_a_job_that_is_gone, _push),
    "add": (_known_member_and_held_lock, _add),
}
"""What is there before, and the step."""


def main(name: str, folder: Path) -> None:
    prepare, act = STEPS[name]
    number = code = 0
    while number == 0 or code != 0:
        number += 1
        path = folder / f"{number}.sqlite3"
        place = Place(path)
        prepare(place)
        place.database.close()
        child = os.fork()
        if child == 0:
            place = Place(path)
            place.database.connection()  # its own statements are not counted
            die_at(2 * number)
            act(place)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(number, code, flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
