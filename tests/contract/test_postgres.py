"""The database driver and its stores on a real PostgreSQL keep every promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.on_databases import (
    DatabaseBatchStoreContract,
    DatabaseDriverContract,
    DatabaseFailedStoreContract,
    DatabaseStoreContract,
    emptied,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.sql import Database
    from qtest.servers import PostgresServer


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> str:
    return postgres_server.fresh()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    yield from emptied(url)


class TestPostgresDriver(DatabaseDriverContract):
    pass


class TestPostgresStore(DatabaseStoreContract):
    pass


class TestPostgresFailedStore(DatabaseFailedStoreContract):
    pass


class TestPostgresBatchStore(DatabaseBatchStoreContract):
    pass
