"""The database driver and its stores on a real PostgreSQL keep every promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qtest.contract import Features
from tests.contract.on_databases import (
    DatabaseBatchStoreContract,
    DatabaseDriverContract,
    DatabaseFailedStoreContract,
    DatabaseStoreContract,
)
from tests.contract.on_servers import ServerContract

if TYPE_CHECKING:
    from qtest.servers import PostgresServer


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> PostgresServer:
    return postgres_server


class TestPostgresDriver(DatabaseDriverContract):
    features = Features(pipelined=True)


class TestPostgresStore(DatabaseStoreContract):
    pass


class TestPostgresFailedStore(DatabaseFailedStoreContract):
    pass


class TestPostgresBatchStore(DatabaseBatchStoreContract):
    pass


class TestPostgres(ServerContract):
    keeps_nul = False
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ending = "SELECT pg_terminate_backend({}, 10000)"
