"""The batch store of a connection: beside its queues, or none."""

from __future__ import annotations

import threading
from contextvars import copy_context
from typing import TYPE_CHECKING

import pytest

from qcore.batches import State
from qcore.config import Config
from qcore.connections import Connections, DriverRow
from qcore.drivers.memory import MemoryDriver
from qcore.drivers.null import NullDriver
from qcore.errors import UnknownConnectionError
from qcore.memory import Memory
from qcore.stores.memory_batches import MemoryBatchStore
from qcore.sync import SyncDriver
from qtest.contract_base import drained
from qtest.contract_records import BATCH, callbacks, dispatched, new_batch, options, step

if TYPE_CHECKING:
    from pathlib import Path

    from qtest.clock import FrozenClock


@pytest.fixture
def connections(tmp_path: Path, clock: FrozenClock) -> Connections:
    kept = Memory()
    rows = {
        "bare": DriverRow((), lambda *_: NullDriver()),
        "own": DriverRow((), lambda *_: MemoryDriver(kept, clock), lambda *_: MemoryBatchStore(kept, clock)),
    }
    kinds = ("memory", "database", "sync", "null", "bare", "own")
    return Connections(Config(root=tmp_path, connections={kind: {"driver": kind} for kind in kinds}), clock, rows)


@pytest.mark.parametrize("name", ["memory", "database", "sync", "own"])
def test_batches_live_where_the_jobs_of_their_connection_live(connections: Connections, name: str) -> None:
    batches, driver = connections.batch_store(name), connections.driver(name)

    assert batches is not None
    assert batches is connections.batch_store(name)
    assert driver.home is batches.home
    dispatched(batches, options("finally"), "a")
    assert ["a"] == drained(driver)
    connections.close()


@pytest.mark.parametrize("name", ["null", "bare"])
def test_a_connection_that_keeps_nothing_has_no_batches(connections: Connections, name: str) -> None:
    assert connections.batch_store(name) is None


def test_batches_of_an_unknown_connection_are_asked_for_in_vain(connections: Connections) -> None:
    with pytest.raises(UnknownConnectionError, match="there is no connection 'other'"):
        connections.batch_store("other")


# A sync connection has a turn for each caller, and one place for the batches of all.


def test_a_batch_outlives_the_turn_in_which_its_members_ran(clock: FrozenClock) -> None:
    driver = SyncDriver(clock)
    copy_context().run(dispatched, driver.batches, options("then"), "a")
    copy_context().run(driver.batches.settle, step("a"))

    record = driver.batches.find(BATCH)
    assert record is not None
    assert (1, 0) == (record.done, record.pending)
    assert callbacks(driver) == [], "they are those of the caller who settled"


def test_what_a_batch_makes_due_runs_in_the_turn_of_who_made_it_due(clock: FrozenClock) -> None:
    driver = SyncDriver(clock)
    dispatched(driver.batches, options("then", "finally"), "a", "b")
    there: list[list[str]] = []

    def elsewhere() -> None:
        driver.batches.settle(step("a"))
        there.extend([drained(driver), callbacks(driver)])

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    driver.batches.settle(step("b"))

    assert [[], []] == there
    assert [["a", "b"], ["then", "finally"]] == [drained(driver), callbacks(driver)]


def test_threads_share_the_batches_of_a_sync_connection(clock: FrozenClock) -> None:
    driver = SyncDriver(clock)
    driver.batches.create(new_batch(options()))
    threads = [
        threading.Thread(target=driver.batches.add, args=(BATCH, [f"{name} {number}" for number in range(500)], []))
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    record = driver.batches.find(BATCH)
    assert record is not None
    assert (2000, 2000) == (record.pending, len(driver.batches.members(BATCH, State.PENDING)))
