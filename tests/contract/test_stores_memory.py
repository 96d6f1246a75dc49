"""The stores in memory keep every promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import Lock, Payload, Push
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.stores.memory import MemoryFailedStore, MemoryStore
from qtest.clock import FrozenClock
from qtest.store_contract import FailedStoreContract, StoreContract

if TYPE_CHECKING:
    from qcore.clock import Clock


class TestMemoryStore(StoreContract):
    def make_store(self, clock: Clock) -> MemoryStore:
        return MemoryStore(Memory(), clock)


class TestMemoryFailedStore(FailedStoreContract):
    def make_failed_store(self) -> MemoryFailedStore:
        return MemoryFailedStore(Memory())


def test_locks_that_nobody_freed_leave_no_garbage() -> None:
    memory, clock = Memory(), FrozenClock()
    driver = MemoryDriver(memory, clock)

    for number in range(5000):
        driver.push_locked(Push("default", Payload("job", b""), 0, Lock(f"lock {number}", "job", 1)))
        driver.clear("default")
        clock.advance(1)

    assert len(memory.keys) <= 1000


def test_keys_whose_time_is_over_leave_no_garbage() -> None:
    memory, clock = Memory(), FrozenClock()
    store = MemoryStore(memory, clock)

    for number in range(5000):
        store.add(f"lock {number}", "owner", ttl=1)
        clock.advance(1)

    assert len(memory.keys) <= 1000
