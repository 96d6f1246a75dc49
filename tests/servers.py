"""Real servers for tests: one of each kind a test process, started by the first test that asks for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import pytest

from qtest.servers import MariaServer, MissingServerError, PostgresServer, RedisCluster, RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator

AnyServer = TypeVar("AnyServer", RedisServer, RedisCluster, PostgresServer, MariaServer)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    yield from _started(RedisServer())


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    yield from _started(RedisCluster())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    yield from _started(PostgresServer())


@pytest.fixture(scope="session")
def maria_server() -> Iterator[MariaServer]:
    yield from _started(MariaServer())


def _started(server: AnyServer) -> Iterator[AnyServer]:
    try:
        server.start()
    except MissingServerError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    yield server
    server.stop()
