"""What is left in a backend when all is over: nothing should be."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from qcore.sql import Database

COUNTERS = frozenset({"qcore:tokens", "qcore:failures"})
"""Keys of a redis server that only count up."""

_ROWS = {
    "job {}": "SELECT uuid FROM qcore_jobs",
    "key {}": "SELECT qcore_keys.key FROM qcore_keys",  # the bare name is a word of MySQL's
    "failed job {}": "SELECT uuid FROM qcore_failed_jobs",
    "batch {}": "SELECT id FROM qcore_batches",
    "member {}": "SELECT member FROM qcore_batch_members",
}


def left_in(connection: dict[str, Any]) -> list[str]:
    """Name everything that is in the backend of a connection."""
    return _keys(connection["url"]) if connection["driver"] == "redis" else _rows(connection["url"])


def _keys(url: str) -> list[str]:
    import redis

    with closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        return sorted(f"key {key}" for key in map(str, client.scan_iter()) if key not in COUNTERS)


def _rows(url: str) -> list[str]:
    database = Database(url)
    try:
        return [text.format(row[0]) for text, sql in _ROWS.items() for row in database.connection().say(sql)]
    finally:
        database.close()
