"""The database driver on real SQLite files keeps every promise, also between processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.drivers.database import DatabaseDriver
from qcore.sql import Database
from qcore.stores.database import DatabaseFailedStore
from qtest.contract import DriverContract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qcore.clock import Clock
    from qcore.driver import Driver


class TestSqlite(DriverContract):
    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path) -> Iterator[None]:
        self.database = Database(f"sqlite:///{tmp_path}/queue.sqlite3")
        yield
        self.database.close()

    def make_driver(self, clock: Clock) -> DatabaseDriver:
        return DatabaseDriver(self.database, clock, retry_after=self.retry_after)

    def make_failed_store(self, driver: Driver) -> DatabaseFailedStore:
        assert isinstance(driver.home, Database)
        return DatabaseFailedStore(driver.home)
