"""The redis driver and its stores keep every promise on a real cluster of three nodes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest

from qcore.driver import Payload
from qcore.redis.client import Client, client_of
from qcore.redis.home import RedisHome
from qtest.clock import FrozenClock
from tests.contract.redis_home import Batched, Driven, Failed, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest.servers import RedisCluster


@cache
def client_at(url: str) -> Client:
    """Asking a cluster for its nodes takes a while: once is enough."""
    return client_of({"url": url, "cluster": True})()


class OnCluster:
    """A cluster that is empty when a test begins."""

    @pytest.fixture(autouse=True)
    def _home(self, redis_cluster: RedisCluster) -> Iterator[None]:
        url = redis_cluster.fresh()
        self.home = RedisHome(lambda: client_at(url), prefix="shop")
        yield
        self.home.close()


class TestDriver(OnCluster, Driven):
    def test_all_keys_of_a_connection_are_on_one_node(self, redis_cluster: RedisCluster) -> None:
        driver = self.make_driver(FrozenClock())
        for queue in ("a", "b", "{c}"):
            driver.push(queue, Payload(queue, b""))
        sizes = [node.say("DBSIZE") for node in redis_cluster.nodes]

        assert ["0", "0"] == sorted(sizes)[:2]
        assert "1" in [
            node.say("EXISTS {shop}:queues:a")
            for node, size in zip(redis_cluster.nodes, sizes, strict=True)
            if size != "0"
        ]


class TestBatchStore(OnCluster, Batched):
    pass


class TestStore(OnCluster, Stored):
    pass


class TestFailedStore(OnCluster, Failed):
    pass
