"""The database driver and its stores on a real MariaDB keep every promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.on_databases import (
    DatabaseBatchStoreContract,
    DatabaseDriverContract,
    DatabaseFailedStoreContract,
    DatabaseStoreContract,
)
from tests.contract.on_servers import ServerContract

if TYPE_CHECKING:
    from qtest.servers import MariaServer


@pytest.fixture(scope="module")
def server(maria_server: MariaServer) -> MariaServer:
    return maria_server


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
    others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    ending = "KILL {}"
