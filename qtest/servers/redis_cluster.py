"""A throwaway redis cluster: three nodes, which share the slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.errors import DriverError
from qtest.servers.ports import CLUSTER_BUS
from qtest.servers.redis import RedisServer
from qtest.servers.server import wait_for

if TYPE_CHECKING:
    from typing import Self

_SLOTS = 16_384


class RedisCluster:
    """Three nodes without replicas; ``settings`` are those of a ``RedisServer``."""

    def __init__(self, nodes: int = 3, **settings: str) -> None:
        own = {"cluster_enabled": "yes", "cluster_node_timeout": "5000", **settings}
        self.nodes = [RedisServer(**own) for _ in range(nodes)]

    @property
    def url(self) -> str:
        """The address of its first node, which knows the others."""
        return f"redis://127.0.0.1:{self.nodes[0].port}"

    def start(self) -> Self:
        """Start the nodes, and wait until they agree about their slots.

        :raises MissingServerError: when redis-server is not installed.
        :raises DriverError: when they do not come to an agreement.
        """
        for node in self.nodes:
            node.start()
        share = -(-_SLOTS // len(self.nodes))
        for index, node in enumerate(self.nodes):
            last = min((index + 1) * share, _SLOTS) - 1
            node.say(f"CLUSTER ADDSLOTS {' '.join(map(str, range(index * share, last + 1)))}")
            node.say(f"CLUSTER SET-CONFIG-EPOCH {index + 1}")
        for node in self.nodes[1:]:
            node.say(f"CLUSTER MEET 127.0.0.1 {self.nodes[0].port} {self.nodes[0].port + CLUSTER_BUS}")
        if not wait_for(lambda: all(map(self._is_whole, self.nodes))):
            raise DriverError("the nodes of a redis cluster did not find each other")
        return self

    def fresh(self) -> str:
        """Empty all nodes, scripts included, and give the address."""
        for node in self.nodes:
            node.fresh()
        return self.url

    def stop(self) -> None:
        """End the nodes, and remove their data."""
        for node in self.nodes:
            node.stop()

    def __enter__(self) -> Self:
        """Start the nodes."""
        return self.start()

    def __exit__(self, *error: object) -> None:
        """End the nodes, and remove their data."""
        self.stop()

    def _is_whole(self, node: RedisServer) -> bool:
        said = node.say("CLUSTER INFO")
        return "cluster_state:ok" in said and f"cluster_known_nodes:{len(self.nodes)}" in said
