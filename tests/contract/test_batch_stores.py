"""The batch stores keep every promise: in memory, and on the sync connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.stores.memory_batches import MemoryBatchStore
from qcore.sync import SyncDriver
from qtest.batch_contract import BatchStoreContract, Features

if TYPE_CHECKING:
    from qcore.batches import BatchStore
    from qcore.clock import Clock
    from qcore.driver import Driver


class TestMemoryBatchStore(BatchStoreContract):
    def make_driver(self, clock: Clock) -> MemoryDriver:
        return MemoryDriver(Memory(), clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> MemoryBatchStore:
        return MemoryBatchStore(driver.home, clock)


class TestSyncBatchStore(BatchStoreContract):
    features = Features(locks=False)

    def make_driver(self, clock: Clock) -> SyncDriver:
        return SyncDriver(clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> BatchStore:
        assert isinstance(driver, SyncDriver)
        return driver.batches
