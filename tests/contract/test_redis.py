"""The redis driver and its stores keep every promise on a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.redis.client import client_of
from qcore.redis.home import RedisHome
from tests.contract.redis_home import Batched, Driven, Failed, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest.servers import RedisServer


class OnServer:
    """A server that is empty when a test begins."""

    @pytest.fixture(autouse=True)
    def _home(self, redis_server: RedisServer) -> Iterator[None]:
        self.home = RedisHome(client_of({"url": redis_server.fresh()}))
        yield
        self.home.close()


class TestDriver(OnServer, Driven):
    pass


class TestBatchStore(OnServer, Batched):
    pass


class TestStore(OnServer, Stored):
    pass


class TestFailedStore(OnServer, Failed):
    pass
