"""The redis driver and its stores keep every promise on a real cluster of three nodes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from redis import RedisCluster as ClusterClient
from redis.crc import key_slot
from redis.exceptions import RedisClusterException

from qcore.clock import SystemClock
from qcore.driver import Payload
from qcore.drivers.redis import RedisDriver
from qcore.errors import DriverError
from qcore.redis.client import Client, client_of
from qcore.redis.home import RedisHome
from qcore.redis.trouble import explained
from qtest.clock import FrozenClock
from tests.contract.redis_home import Batched, Driven, Failed, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest.servers import RedisCluster, RedisServer


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

    def test_a_slot_that_moved_to_another_node_is_found_there(self, redis_cluster: RedisCluster) -> None:
        raw = ClusterClient.from_url(redis_cluster.fresh(), protocol=2)
        home = RedisHome(client_of({"client": raw}), prefix="shop")
        slots: Any = raw.nodes_manager.slots_cache
        mine = key_slot(home.token_key)
        slots[mine] = next(nodes for nodes in slots.values() if nodes[0] != slots[mine][0])

        assert 0 == RedisDriver(home, SystemClock()).size("default")
        home.close()
        raw.close()

    def test_a_node_whose_connection_knows_of_no_cluster_is_told(self, redis_cluster: RedisCluster) -> None:
        redis_cluster.fresh()
        homes = [RedisHome(client_of({"url": node.url}), prefix="shop") for node in redis_cluster.nodes]
        said = []
        for home in homes:
            try:
                RedisDriver(home, SystemClock()).size("default")
            except DriverError as error:
                said.append(str(error).replace(home.place, "it"))
            home.close()

        assert ["it is a node of a cluster: set cluster = true"] * 3 == said


def test_a_server_that_is_no_cluster_is_told_by_its_address(redis_server: RedisServer) -> None:
    url = redis_server.fresh()

    with pytest.raises(DriverError, match=r"^redis://127\.0\.0\.1:\d+/0 is no cluster: leave the setting cluster out"):
        client_of({"url": f"{url.rpartition('/')[0]}/0", "cluster": True})()


def test_a_cluster_of_which_a_part_is_away_is_told() -> None:
    said = RedisClusterException("All slots are not covered after query all startup_nodes. 5461 of 16384 are covered")

    assert str(explained(said, "redis://here")).startswith("redis://here is a cluster that is down (All slots")


def test_a_cluster_that_is_away_is_told_by_its_address() -> None:
    with pytest.raises(DriverError, match=r"^redis://127\.0\.0\.1:1/0 cannot be reached \("):
        client_of({"url": "redis://:secret@127.0.0.1:1/0", "cluster": True})()


class TestBatchStore(OnCluster, Batched):
    pass


class TestStore(OnCluster, Stored):
    pass


class TestFailedStore(OnCluster, Failed):
    pass
