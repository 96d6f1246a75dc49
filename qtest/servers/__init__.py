"""Throwaway servers: from the installed programs, on free ports, with their data in temporary folders.

::

    with RedisServer() as server:
        app = App(Config(default="redis", connections={"redis": {"driver": "redis", "url": server.url}}))

A test may kill one, start it again with the data it had, or let it hang:
``kill()``, ``restart()``, ``pause()``, ``resume()``.
"""

from __future__ import annotations

from qtest.servers.maria import MariaServer
from qtest.servers.postgres import PostgresServer
from qtest.servers.redis import RedisServer
from qtest.servers.redis_cluster import RedisCluster
from qtest.servers.server import MissingServerError, Server

__all__ = ["MariaServer", "MissingServerError", "PostgresServer", "RedisCluster", "RedisServer", "Server"]
