"""What is left in a backend when all is over: nothing should be."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from qcore.sql import Database

LASTING = frozenset({"qcore:tokens", "qcore:failures", "qcore:queues"})
"""Keys of a redis server that stay: two that count up, and the names of the queues."""

TAG = "{qcore}:"
"""What keys begin with on a cluster."""

CALLS = 16
"""How many calls to idle workers wait at most, where there are none."""

_ROWS = {
    "job {}": "SELECT uuid FROM qcore_jobs",
    "key {}": "SELECT qcore_keys.key FROM qcore_keys",  # the bare name is a word of MySQL's
    "failed job {}": "SELECT uuid FROM qcore_failed_jobs",
    "batch {}": "SELECT id FROM qcore_batches",
    "member {}": "SELECT member FROM qcore_batch_members",
}


def left_in(connection: dict[str, Any]) -> list[str]:
    """Name everything that is in the backend of a connection."""
    return _keys(connection) if connection["driver"] == "redis" else _rows(connection["url"])


def _keys(connection: dict[str, Any]) -> list[str]:
    import redis

    kind: Any = redis.RedisCluster if "cluster" in connection else redis.Redis
    with closing(kind.from_url(connection["url"], decode_responses=True)) as client:
        keys = [key for key in sorted(client.scan_iter()) if key.removeprefix(TAG) not in LASTING]
        calls = {key for key in keys if key.endswith(":notify") and client.llen(key) <= CALLS and client.pttl(key) > 0}
        # What a failure leaves for a minute, in case that its answer was lost.
        marks = {key for key in keys if key.removeprefix(TAG).startswith("qcore:ended:") and client.pttl(key) > 0}
        return [f"key {key}" for key in keys if key not in calls | marks]


def _rows(url: str) -> list[str]:
    database = Database(url)
    try:
        return [text.format(row[0]) for text, sql in _ROWS.items() for row in database.connection().say(sql)]
    finally:
        database.close()
