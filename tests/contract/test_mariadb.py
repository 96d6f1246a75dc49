"""The database driver and its stores on a real MariaDB keep every promise."""

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
    from qtest.servers import MariaServer


@pytest.fixture(scope="module")
def url(maria_server: MariaServer) -> str:
    return maria_server.fresh()


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
