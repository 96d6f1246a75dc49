"""The database driver and its stores on a real PostgreSQL keep every promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.sql import Database
from qtest.contract import Features
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

    from qtest.servers import PostgresServer


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.fresh()


@pytest.fixture
def server(postgres_server: PostgresServer) -> PostgresServer:
    return postgres_server


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    yield from emptied(url)


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

    def kill_connections(self, url: str) -> None:
        other = Database(url)
        other.connection().say(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        other.close()

    def connections(self, url: str) -> int:
        other = Database(url)
        [(count,)] = other.connection().say(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        other.close()
        return int(count)
