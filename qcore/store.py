"""The port of the key store: small state that several processes share.

Locks, counters and signals live here. Time to live runs on the store's clock.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable


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


class Held(NamedTuple):
    """A key as an inspector sees it."""

    key: str
    value: str
    expires_at: float | None
    """When its time is over, in seconds since 1970; None: never."""


@runtime_checkable
class Listing(Protocol):
    """The store can show what it holds, and for how long."""

    def held(self, key: str) -> Held | None:
        """Show one key; None when there is none or its time is over."""

    def held_below(self, prefix: str, *, limit: int = 1000) -> list[Held]:
        """Show the keys that begin with ``prefix``, in the order of their characters."""


@runtime_checkable
class Joining(Protocol):
    """The store can write in a transaction that the caller began, and will end, on the store's own database."""

    def joined(self, transaction: object) -> Store | None:
        """Give the store as it is inside of that transaction; None when it is on another database.

        Its ``home`` is the one of a driver that joined the same transaction.

        :raises UnsupportedError: when it is on this database, but has to be awaited.
        """
