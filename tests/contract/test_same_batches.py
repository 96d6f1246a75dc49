"""Memory and SQLite count batches alike, and whatever is called, the numbers stay right."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import hypothesis
from hypothesis import strategies as some

from qcore.batches import BatchRecord, State
from qcore.driver import Effects, Lock, LockRule, Payload, Push
from qcore.drivers.database import DatabaseDriver
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.sql import Database
from qcore.stores.database_batches import DatabaseBatchStore
from qcore.stores.memory_batches import MemoryBatchStore
from qtest.clock import FrozenClock
from qtest.contract_records import BATCH, NOW, callbacks, chain, new_batch, options, step

if TYPE_CHECKING:
    from pathlib import Path

    from qcore.batches import BatchStore

names = some.sampled_from("abcdef")
states = some.sampled_from([State.DONE, State.FAILED])
seconds = some.integers(0, 9).map(lambda number: NOW + number)
written = some.builds(
    options,
    *[some.just(event) for event in ("progress", "failure", "catch", "then", "finally")],
    allow_failures=some.booleans(),
    chain=some.sampled_from([None, chain("next", "last")]),
)


@some.composite
def pushes(draw: some.DrawFn, member: str) -> Push:
    lock = some.builds(Lock, some.just("key"), some.just(member), some.none(), some.sampled_from(LockRule))
    return Push("default", Payload(member, b""), 0, draw(some.none() | lock))


@some.composite
def additions(draw: some.DrawFn) -> tuple[str, list[str], list[Push]]:
    members = draw(some.lists(names, max_size=4))
    first = draw(some.integers(0, len(members)))  # the others are later links of chains
    return "add", members, [draw(pushes(member)) for member in members[:first]]


dropped = some.lists(names, max_size=2)
calls = some.one_of(
    additions(),
    some.tuples(some.just("settle"), names, states, dropped, seconds),
    some.tuples(some.just("settle"), names, states, dropped, seconds),
    # These end the first member that waits: by the delete of its payload.
    some.tuples(some.just("run"), states, dropped, seconds),
    some.tuples(some.just("run"), states, dropped, seconds),
    some.tuples(some.just("close"), seconds),
    some.tuples(some.just("cancel"), seconds),
    some.tuples(some.just("revive"), some.lists(names, max_size=3)),
    some.tuples(some.just("give_up"), seconds),
    some.tuples(some.just("reopen")),
)


class World:
    """A batch store with its driver, and how often each callback came."""

    def __init__(self, driver: MemoryDriver | DatabaseDriver, batches: BatchStore) -> None:
        self.driver, self.batches = driver, batches
        self.told: Counter[str] = Counter()

    def call(self, name: str, *arguments: object) -> object:
        answer: object = getattr(self, name)(*arguments)
        came = callbacks(self.driver)
        self.told.update(came)
        members = [self.batches.members(BATCH, state) for state in State]
        return answer, came, self.record, members, self.driver.listed("default")

    @property
    def record(self) -> BatchRecord:
        record = self.batches.find(BATCH)
        assert record is not None
        return record

    def add(self, members: list[str], pushes: list[Push]) -> bool:
        return self.batches.add(BATCH, members, pushes)

    def settle(self, member: str, state: State, dropped: list[str], at: float) -> None:
        self.batches.settle(step(member, state, dropped=dropped, at=at))

    def run(self, state: State, dropped: list[str], at: float) -> object:
        held = self.driver.reserve(["default"])
        ended = None if held is None else step(held.payload.id, state, dropped=dropped, at=at)
        return held and self.driver.delete(held, effects=Effects(batch=ended), only_last=True)

    def close(self, at: float) -> BatchRecord | None:
        return self.batches.close(BATCH, at)

    def cancel(self, at: float) -> bool:
        return self.batches.cancel(BATCH, at)

    def revive(self, members: list[str]) -> bool:
        return self.batches.revive(BATCH, members)

    def give_up(self, at: float) -> bool:
        return self.batches.give_up(BATCH, at)

    def reopen(self) -> bool:
        return self.batches.reopen(BATCH)

    def is_sound(self) -> None:
        record, told = self.record, self.told
        counts = [len(self.batches.members(BATCH, state)) for state in State]
        assert [record.pending, record.done, record.failed, record.dropped] == counts
        assert (sum(counts), True) == (record.total, min(counts) >= 0)
        assert all(told[event] <= 1 for event in ("catch", "then", "finally", "next", "catch of the chain"))
        if record.pending == 0 and not record.adding:
            assert told["finally"] == 1
            assert record.finished_at is not None
        else:
            assert record.finished_at is None


@hypothesis.settings(
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(script=some.lists(calls, max_size=20), options=written)
def test_every_sequence_of_calls_keeps_the_counts_right_and_tells_each_callback_once(
    script: list[tuple[str, object]], options: str, tmp_path: Path
) -> None:
    """BAT-18, BAT-20."""
    clock = FrozenClock()
    database = Database(f"sqlite:///{tmp_path}/queue.sqlite3", synchronous="OFF")
    for table in ("jobs", "keys", "batches", "batch_members"):
        database.connection().say(f"DELETE FROM qcore_{table}")
    memory = Memory()
    worlds = [
        World(MemoryDriver(memory, clock), MemoryBatchStore(memory, clock)),
        World(DatabaseDriver(database, clock), DatabaseBatchStore(database, clock)),
    ]
    for world in worlds:
        world.batches.create(new_batch(options))

    for name, *arguments in script:
        first, second = (world.call(name, *arguments) for world in worlds)
        assert first == second
        worlds[0].is_sound()
    database.close()
