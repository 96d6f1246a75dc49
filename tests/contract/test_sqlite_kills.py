"""One step stays one step on SQLite: whoever is killed in the middle, and whoever comes at the same instant."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from qcore.batches import State
from qcore.driver import Effects, Lock, Push, Reservation, Settled, Unlock
from qcore.drivers.database import DatabaseDriver
from qcore.failed import FailedJob
from qcore.sql import Database
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.clock import FrozenClock
from qtest.contract_base import drained, payload, reserved
from qtest.contract_records import BATCH, EVERY, NOW, callbacks, chain, dispatched, new_batch, options, pushes, step

if TYPE_CHECKING:
    from qcore.batches import BatchRecord

ROOT = Path(__file__).parents[2]

LINK = Push("next", payload("link"), 0, Lock("of link", "link", None))
WITH_CHAIN = options("progress", "failure", "catch", "then", "finally", chain=chain("next"))


class Place:
    """A file, and all that stands on it."""

    def __init__(self, path: Path, clock: FrozenClock | None = None) -> None:
        self.database = Database(f"sqlite:///{path}")
        self.clock = clock or FrozenClock()
        self.driver = DatabaseDriver(self.database, self.clock)
        self.store = DatabaseStore(self.database, self.clock)
        self.failed = DatabaseFailedStore(self.database)
        self.batches = DatabaseBatchStore(self.database, self.clock)

    def seen(self) -> Seen:
        jobs = self.database.connection().say("SELECT queue, uuid FROM qcore_jobs ORDER BY queue, id")
        locks = [self.store.get("of job"), self.store.get("of link")]
        return Seen(jobs, locks, len(self.failed.listed()), self.batches.find(BATCH))


class Seen(NamedTuple):
    """What lies in the tables."""

    jobs: list[tuple[str, str]]
    locks: list[str | None]
    failures: int
    batch: BatchRecord | None


# Each step is begun by a process that is killed, and done again by another one that cannot know how far it came.


def before_succeeding(place: Place) -> None:
    """A unique member of a batch, which is the last one, and of a chain."""
    dispatched(place.batches, WITH_CHAIN, "job", "other")
    place.batches.settle(step("other"))
    place.driver.delete(reserved(place.driver)._replace(receipt=2))
    callbacks(place.driver)
    place.store.put("of job", "job")


def succeed(place: Place) -> None:
    held = place.driver.reserve(["default"])
    ending = Effects((LINK, Push("next", payload("plain"))), None, (Unlock("of job", "job"),), step("job"))
    assert held is None or place.driver.delete(held, effects=ending) is Settled.DONE


def before_failing(place: Place) -> None:
    """The first of a chain in a batch; what follows it will not run."""
    place.batches.create(new_batch(WITH_CHAIN))
    place.batches.add(BATCH, ["job", "second", "third"], pushes("job"))
    place.batches.close(BATCH, NOW)
    place.store.put("of job", "job")


def fail(place: Place) -> None:
    held = place.driver.reserve(["default"])
    if held is not None:
        assert place.driver.delete(held, effects=_failing(held), only_last=True) is Settled.DONE


def _failing(held: Reservation) -> Effects:
    ended = step("job", State.FAILED, dropped=["second", "third"])
    record = FailedJob(held.payload, "connection", "default", "Traceback", NOW)
    return Effects((), record, (Unlock("of job", "job"),), ended)


def before_pushing(place: Place) -> None:
    """The lock is that of a job that is gone."""
    place.store.put("of link", "gone")


def push(place: Place) -> None:
    assert place.driver.push_locked(LINK) is None


def before_adding(place: Place) -> None:
    """One member is known already, one will be refused by its lock."""
    dispatched(place.batches, EVERY, "a")
    place.store.put("of link", "a")


def add(place: Place) -> None:
    assert place.batches.add(BATCH, ["a", "b", "link", "c", "c 2"], [*pushes("a", "b"), LINK, *pushes("c")])


DONE = {
    "succeed": Seen(
        [
            ("callbacks", "progress"),
            ("callbacks", "then"),
            ("callbacks", "finally"),
            ("callbacks", "next"),
            ("next", "link"),
            ("next", "plain"),
        ],
        [None, "link"],
        0,
        None,
    ),
    "fail": Seen(
        [("callbacks", "catch"), ("callbacks", "finally"), ("callbacks", "catch of the chain")], [None, None], 1, None
    ),
    "push": Seen([("next", "link")], [None, "link"], 0, None),
    "add": Seen([("default", "a"), ("default", "b"), ("default", "c")], [None, "a"], 0, None),
}
COUNTED = {"succeed": (2, 0, 2, 0, 0), "fail": (3, 0, 0, 1, 2), "push": None, "add": (4, 4, 0, 0, 0)}

KILLED = """
import os, signal, sys
from pathlib import Path
from qcore.sql.connection import Connection
from tests.contract import test_sqlite_kills as steps

name, folder = sys.argv[1], Path(sys.argv[2])
run = Connection._run
number = 0
while True:
    path = folder / f"{number}.sqlite3"
    place = steps.Place(path)
    getattr(steps, f"before_{name}".removesuffix("_succeed").removesuffix("_fail"), None)
    steps.BEFORE[name](place)
    place.database.close()
    child = os.fork()
    if child == 0:
        left = number

        def counted(connection, sql, values, *, many=False):
            global left
            answer = run(connection, sql, values, many=many)
            if armed:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return answer

        Connection._run = counted
        armed = False
        place = steps.Place(path)
        place.database.connection()  # opened before it counts
        armed = True
        if number:
            steps.STEP[name](place)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(number, code, flush=True)
    if number and code == 0:
        break
    number += 1
"""
