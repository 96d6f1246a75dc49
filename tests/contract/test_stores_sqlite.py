"""What the key store on SQLite leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.driver import Lock, Payload, Push
from qcore.drivers.database import DatabaseDriver
from qcore.sql import Database
from qcore.stores.database import DatabaseStore
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/queue.sqlite3")
    yield database
    database.close()


def test_locks_that_nobody_freed_leave_no_garbage(database: Database) -> None:
    clock = FrozenClock()
    driver = DatabaseDriver(database, clock)

    for number in range(2100):
        driver.push_locked(Push("default", Payload("job", b""), 0, Lock(f"lock {number}", "job", 1)))
        driver.clear("default")
        clock.advance(1)

    [(kept,)] = database.connection().say("SELECT COUNT(*) FROM qcore_keys")
    assert kept <= 1000


def test_keys_whose_time_is_over_leave_no_garbage(database: Database) -> None:
    clock = FrozenClock()
    store = DatabaseStore(database, clock)

    for number in range(2500):
        store.add(f"lock {number}", "owner", ttl=1)
        clock.advance(1)

    [(kept,)] = database.connection().say("SELECT COUNT(*) FROM qcore_keys")
    assert kept <= 1000
