"""A throwaway redis-server."""

from __future__ import annotations

import os
import shutil
import socket
from typing import ClassVar

from qcore.errors import DriverError
from qtest.servers.server import MissingServerError, Server

_PATIENCE = 10.0

_OTHER = "QTEST_REDIS_SERVER"
"""The variable that names another program: a redis-server of another version, or a valkey-server."""


class RedisServer(Server):
    """Keeps its data over a ``restart()``: what it has confirmed is in its append-only file.

    ``settings`` are those of redis.conf, with ``_`` for ``-``: ``RedisServer(maxmemory="4mb", appendfsync="always")``.
    """

    program: ClassVar[str] = "redis-server"
    package: ClassVar[str] = "redis-server"

    def __init__(self, **settings: str) -> None:
        super().__init__()
        self._settings = {
            "appendonly": "yes",
            "appendfsync": "everysec",  # each write has reached the system before it is confirmed
            "save": "",
            "bind": "127.0.0.1",
            "maxmemory-policy": "noeviction",
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }

    @classmethod
    def path(cls, program: str | None = None) -> str:
        """Find the program: the one that QTEST_REDIS_SERVER names, if it is set, else the one that is installed.

        :raises MissingServerError: when it is not there.
        """
        given = os.environ.get(_OTHER) if program is None else None
        if not given:
            return super().path(program)
        found = shutil.which(given)
        if found is None:
            raise MissingServerError(f"{_OTHER} is {given!r}, and that is no program here")
        return found

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def fresh(self) -> str:
        """Empty it, scripts included, and give its address."""
        self.say("FLUSHALL")
        self.say("SCRIPT FLUSH")
        return self.url

    def say(self, command: str) -> str:
        """Send one command on a connection of its own, and give the answer: a status, a number or a text, "" for nil.

        :raises DriverError: when the server refuses it.
        """
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=_PATIENCE) as link,
            link.makefile("rb") as answer,
        ):
            if password := self._settings.get("requirepass"):
                link.sendall(f"AUTH {password}\r\n".encode())
                answer.readline()
            link.sendall(command.encode() + b"\r\n")
            kind, first = answer.read(1), answer.readline().decode().rstrip()
            if kind == b"-":
                raise DriverError(f"redis-server refused {command:.40}: {first}")
            if kind == b"$":
                return answer.read(max(int(first), 0)).decode()
            return first

    def _command(self) -> list[str]:
        settings = {"port": str(self.port), "dir": str(self.folder), **self._settings}
        return [self.path(), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def _answers(self) -> bool:
        try:
            return self.say("PING") == "PONG"
        except (OSError, DriverError):  # it is loading its data
            return False
