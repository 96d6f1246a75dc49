"""The database driver and its stores on a real MariaDB keep every promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.sql import Database
from tests.contract.on_databases import (
    DatabaseBatchStoreContract,
    DatabaseDriverContract,
    DatabaseFailedStoreContract,
    DatabaseStoreContract,
    emptied,
)
from tests.contract.on_servers import ServerContract

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest.servers import MariaServer


_OTHERS = "SELECT id FROM information_schema.processlist"


@pytest.fixture(scope="module")
def url(maria_server: MariaServer) -> str:
    return maria_server.fresh()


@pytest.fixture
def server(maria_server: MariaServer) -> MariaServer:
    return maria_server


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    yield from emptied(url)


class TestMariaDriver(DatabaseDriverContract):
    pass


class TestMariaStore(DatabaseStoreContract):
    pass


class TestMariaFailedStore(DatabaseFailedStoreContract):
    pass


class TestMariaBatchStore(DatabaseBatchStoreContract):
    pass


class TestMaria(ServerContract):
    keeps_nul = True

    def kill_connections(self, url: str) -> None:
        other = Database(url)
        connection = other.connection()
        for (number,) in connection.say(f"{_OTHERS} WHERE db = DATABASE() AND id <> CONNECTION_ID()"):
            connection.say(f"KILL {number}")
        other.close()

    def connections(self, url: str) -> int:
        other = Database(url)
        found = other.connection().say(f"{_OTHERS} WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        other.close()
        return len(found)
