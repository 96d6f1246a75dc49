"""The contracts of drivers and stores on databases: the same for every kind, each test with empty tables."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from qcore.drivers.database import DatabaseDriver, driver_on
from qcore.sql import Database
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.batch_contract import BatchStoreContract
from qtest.contract import DriverContract
from qtest.store_contract import FailedStoreContract, StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.clock import Clock
    from qcore.driver import Driver


def emptied(url: str) -> Iterator[Database]:
    """Open a database of a server, with tables in which nothing is."""
    create_all(url)
    database = Database(url)
    database.empty()
    yield database
    database.close()


@cache
def create_all(url: str) -> None:
    """Make the tables: once is enough, since none of the tests that get them so removes one."""
    Database(url).create_all()


class DatabaseDriverContract(DriverContract):
    """Give a fixture ``database`` and subclass it."""

    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        self.database = database

    def make_driver(self, clock: Clock) -> DatabaseDriver:
        return driver_on(self.database, clock, retry_after=self.retry_after)

    def make_failed_store(self, driver: Driver) -> DatabaseFailedStore:
        assert isinstance(driver.home, Database)
        return DatabaseFailedStore(driver.home)

    def make_store(self, driver: Driver, clock: Clock) -> DatabaseStore:
        assert isinstance(driver.home, Database)
        return DatabaseStore(driver.home, clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> DatabaseBatchStore:
        assert isinstance(driver.home, Database)
        return DatabaseBatchStore(driver.home, clock)


class DatabaseStoreContract(StoreContract):
    """Give a fixture ``database`` and subclass it."""

    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        self.database = database

    def make_store(self, clock: Clock) -> DatabaseStore:
        return DatabaseStore(self.database, clock)


class DatabaseFailedStoreContract(FailedStoreContract):
    """Give a fixture ``database`` and subclass it."""

    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        self.database = database

    def make_failed_store(self) -> DatabaseFailedStore:
        return DatabaseFailedStore(self.database)


class DatabaseBatchStoreContract(BatchStoreContract):
    """Give a fixture ``database`` and subclass it."""

    @pytest.fixture(autouse=True)
    def _database(self, database: Database) -> None:
        self.database = database

    def make_driver(self, clock: Clock) -> DatabaseDriver:
        return DatabaseDriver(self.database, clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> DatabaseBatchStore:
        assert isinstance(driver.home, Database)
        return DatabaseBatchStore(driver.home, clock)
