"""A database on a server, which a module names by its fixture ``server``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.on_databases import emptied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.sql import Database
    from qtest.servers import MariaServer, PostgresServer


@pytest.fixture(scope="module")
def url(server: PostgresServer | MariaServer) -> str:
    return server.fresh()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    yield from emptied(url)
