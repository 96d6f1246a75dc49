"""The batch stores keep every promise: in memory, on real SQLite files, and on the sync connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.drivers.database import DatabaseDriver
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.sql import Database
from qcore.stores.database_batches import DatabaseBatchStore
from qcore.stores.memory_batches import MemoryBatchStore
from qcore.sync import SyncDriver
from qtest.batch_contract import BatchStoreContract, Features

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qcore.batches import BatchStore
    from qcore.clock import Clock
    from qcore.driver import Driver


class TestMemoryBatchStore(BatchStoreContract):
    def make_driver(self, clock: Clock) -> MemoryDriver:
        return MemoryDriver(Memory(), clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> MemoryBatchStore:
        return MemoryBatchStore(driver.home, clock)


class TestSqliteBatchStore(BatchStoreContract):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> Iterator[None]:
        self.database = Database(f"sqlite:///{tmp_path}/queue.sqlite3")
        yield
        self.database.close()

    def make_driver(self, clock: Clock) -> DatabaseDriver:
        return DatabaseDriver(self.database, clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> DatabaseBatchStore:
        assert isinstance(driver.home, Database)
        return DatabaseBatchStore(driver.home, clock)


class TestSyncBatchStore(BatchStoreContract):
    features = Features(locks=False)

    def make_driver(self, clock: Clock) -> SyncDriver:
        return SyncDriver(clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> BatchStore:
        assert isinstance(driver, SyncDriver)
        return driver.batches
