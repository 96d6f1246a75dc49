"""The backends on which the tests of this folder run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.places import OnCluster, OnMaria, OnPostgres, OnRedis, Place, SqliteFile

if TYPE_CHECKING:
    from collections.abc import Callable

SERVERS: dict[str, tuple[str, Callable[[Any], Place]]] = {
    "redis": ("redis_server", OnRedis),
    "cluster": ("redis_cluster", OnCluster),
    "postgres": ("postgres_server", OnPostgres),
    "mariadb": ("maria_server", OnMaria),
}


@pytest.fixture(params=["sqlite", *SERVERS])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "sqlite":
        return SqliteFile()
    server, kind = SERVERS[request.param]
    return kind(request.getfixturevalue(server))
