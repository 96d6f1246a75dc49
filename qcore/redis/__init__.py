"""A redis server as a home: where it is, how it is asked, and the scripts that it runs."""

from __future__ import annotations

from qcore.redis.home import RedisHome

__all__ = ["RedisHome"]
