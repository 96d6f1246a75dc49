"""The port of the key store: small state that several processes share.

Locks, counters and signals live here. Time to live runs on the store's clock.
"""

from __future__ import annotations

from typing import Protocol


class Store(Protocol):
    """Short strings under short keys, each with a time to live in seconds (None: for ever)."""

    shared: bool
    """True when another process sees what is written here."""

    @property
    def home(self) -> object:
        """The backend it lives in; see ``Driver.home``."""

    def get(self, key: str) -> str | None:
        """Read a value; None when there is none or its time is over."""

    def put(self, key: str, value: str, *, ttl: float | None = None) -> None:
        """Write a value, whatever was there."""

    def add(self, key: str, value: str, *, ttl: float | None = None) -> bool:
        """Write a value only when the key is free, in one atomic step; False when it is taken."""

    def increment(self, key: str, *, by: int = 1, ttl: float | None = None) -> int:
        """Add to a counter and return it, in one atomic step. A new counter starts at 0 and gets ``ttl``."""

    def forget(self, key: str, *, value: str | None = None) -> bool:
        """Remove a key; with ``value`` only when it holds just that. False when nothing was removed."""
