"""A server as a home of queues, failed jobs, keys and batches."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the client's name for it
    NoScriptError,
    ResponseError,
    TimeoutError,  # noqa: A004 - the same
    TryAgainError,
)

from qcore.clock import SystemClock
from qcore.errors import DriverError
from qcore.redis import keys
from qcore.redis.client import client_of
from qcore.redis.link import Link
from qcore.redis.script import packed
from qcore.redis.trouble import TROUBLE, explained, said_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qcore.clock import Clock
    from qcore.redis.client import Client
    from qcore.redis.script import Argument, Script

BLOCK_FOR = 5.0
"""Seconds that one blocking read lasts at most; then it is sent anew."""

_OLDEST = (6, 2)

_ELSEWHERE = (AskError, ClusterDownError, TryAgainError)
"""What a node of a cluster says when another one may have the keys; a MovedError is an AskError."""

_TOKENS = b"qcore:tokens"


class RedisHome:
    """The keys below one prefix of one server, for any number of threads, and of processes that fork.

    Drivers and stores that share it act in one atomic step. Nothing is opened before the first use. Each thread
    has a connection of its own. A call whose connection was lost is sent once more on a new one: every script
    changes nothing when it runs again.
    """

    def __init__(self, client: Callable[[], Client], *, prefix: str = "", block_for: float = BLOCK_FOR) -> None:
        """``client`` is called at the first use."""
        self.block_for = block_for
        self._make_client = client
        self._prefix = prefix
        self._client: Client | None = None
        self._local = threading.local()
        self._token_key: bytes | None = None
        self._generation = 0
        self._checked = False

    @classmethod
    def at(cls, settings: Mapping[str, Any], source: str) -> RedisHome:
        """Make the home that the settings of a connection describe; ``source`` is where they come from, for messages.

        :raises ConfigError: when the address is none.
        """
        extra = {name: settings[name] for name in ("prefix", "block_for") if name in settings}
        return cls(client_of(settings, source), **extra)

    @property
    def place(self) -> str:
        """The address of the server, without the password."""
        return self.client.where

    def exists(self) -> bool:
        """Tell that there may be something to look into: nobody knows before the server is asked."""
        return True

    @property
    def client(self) -> Client:
        """Where the server is; found out at the first use.

        :raises DriverError: when that is a cluster, and none of its nodes answers.
        """
        if self._client is None:
            self._client = self._make_client()
        return self._client

    @property
    def root(self) -> bytes:
        """What all keys begin with."""
        return self.token_key[: -len(_TOKENS)]

    @property
    def token_key(self) -> bytes:
        """The counter of tokens: the one key that every script is given."""
        if self._token_key is None:
            self._token_key = keys.rooted(self._prefix, cluster=self.client.is_cluster).encode() + _TOKENS
        return self._token_key

    def run(self, script: Script, *arguments: Argument, now: bytes = b"") -> Any:  # noqa: ANN401 - what a script gives
        """Run a script at ``now``, see ``stamp``, and give its answer.

        :raises DriverError: when the server cannot be asked, or refuses.
        """
        try:
            return self._run(script, (now, b"0", *arguments))
        except TROUBLE as error:
            if not self._is_worth_another_try(error):
                raise self.explained(error) from error
        try:
            self._drop()
            self.client.look_again()
            return self._run(script, (now, b"1", *arguments))
        except TROUBLE as error:
            raise self.explained(error) from error

    def _is_worth_another_try(self, error: Exception) -> bool:
        """Tell whether the next connection may do better: this one was lost, or led to what is a replica now."""
        if isinstance(error, BusyLoadingError):
            return False
        if isinstance(error, ConnectionError | TimeoutError) or said_by(error).startswith("READONLY"):
            return True
        return self.client.is_cluster and isinstance(error, _ELSEWHERE)

    def _run(self, script: Script, arguments: Sequence[Argument]) -> Any:  # noqa: ANN401 - what a script gives
        link, key = self.link(), self.token_key
        try:
            return link.ask(script.by_digest(key, arguments))
        except NoScriptError:  # a server that was started anew, or whose scripts were flushed
            return link.ask(script.by_text(key, arguments))

    def link(self) -> Link:
        """Give the calling thread its connection; opened at the first call, and anew after a fork or a failure.

        :raises DriverError: when it cannot be opened.
        """
        held: Link | None = getattr(self._local, "held", None)
        if held is None or not held.usable or self._local.generation != self._generation:
            self._drop()
            held = self.open()
            self._check(held)
            self._local.generation = self._generation
            self._local.held = held
        return held

    def open(self) -> Link:
        """Open a connection of its own, for who waits on it.

        :raises DriverError: when it cannot be opened.
        """
        client = self.client
        try:
            try:
                return Link(lambda: client.connection(self.token_key))
            except TROUBLE:
                if not client.is_cluster:
                    raise
                client.look_again()  # another node may have taken over
                return Link(lambda: client.connection(self.token_key))
        except TROUBLE as error:
            raise self.explained(error) from error

    def _drop(self) -> None:
        held: Link | None = getattr(self._local, "held", None)
        self._local.held = None
        if held is not None:
            held.close()

    def _check(self, link: Link) -> None:
        """Refuse a server that is too old, once."""
        if self._checked:
            return
        version = _field(self._info(link, b"server"), "redis_version")
        if version and tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
            raise DriverError(f"{self.client.where} is redis {version}: qcore needs 6.2 or newer")
        self._checked = True

    def _info(self, link: Link, section: bytes) -> str:
        try:
            answer = link.ask(packed((b"INFO", section)))
        except ResponseError:  # a fake server, or a user who may not ask
            return ""
        except TROUBLE as error:
            raise self.explained(error) from error
        return answer.decode(errors="replace") if isinstance(answer, bytes) else ""

    def warnings(self) -> list[str]:
        """Say what is wrong with the settings of the server, a sentence each.

        :raises DriverError: when it cannot be asked.
        """
        policy = _field(self._info(self.link(), b"memory"), "maxmemory_policy")
        if policy in {"", "noeviction"}:
            return []
        return [f"{self.client.where} throws jobs away when its memory is full: set its maxmemory-policy to noeviction"]

    def explained(self, error: Exception) -> DriverError:
        """Make the error of the server one that a user can act on; raise it ``from`` the original."""
        return explained(error, self.client.where)

    def close(self) -> None:
        """Close the connection of the calling thread; others close when they are used next, or their thread ends."""
        self._generation += 1
        self._drop()


def stamp(clock: Clock) -> bytes:
    """Write the time as scripts take it: empty, for the time of the server, unless the clock is one of a test."""
    return b"" if isinstance(clock, SystemClock) else b"%d" % round(clock.now() * 1_000_000)


def _field(info: str, name: str) -> str:
    lines = (line.partition(":") for line in info.splitlines())
    return next((value.strip() for key, _, value in lines if key == name), "")
