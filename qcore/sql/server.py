"""What PostgreSQL and MySQL have in common: a URL, an extra that brings the module, and statements compiled once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from qcore.errors import ConfigError, MissingExtraError
from qcore.hiding import HOW_TO_WRITE, without_password

if TYPE_CHECKING:
    from sqlalchemy import URL

LOCK_TIMEOUT = 5
"""Seconds that a statement waits for the transaction of somebody else; it is tried some times."""

_CONNECT_TIMEOUT = 10
"""Seconds, unless the URL says something else."""

# A network that has died in silence is noticed within twelve seconds: by who has something to send, and by who waits
# for an answer. A server that works at a statement for long answers probes all the while.
SILENCE = 12
"""Seconds that what is sent may stay unconfirmed."""
PROBE_AFTER, PROBE_EVERY, PROBES = 6, 2, 3
"""Seconds without a word, seconds between two probes, and how many of them stay without an answer."""


class Address:
    """Where a server is, as its URL says, read when it is first used."""

    def __init__(self, url: str, module: str, dialect_name: str) -> None:
        """Take the URL, the name of the Python module, and how SQLAlchemy names both."""
        self._url = url
        self._module = module
        self._dialect_name = dialect_name
        self._check_module()

    def _check_module(self) -> None:
        scheme = self._url.partition(":")[0]
        name, _, module = scheme.partition("+")
        if module not in {"", self._module}:
            raise ConfigError(f"qcore speaks to {name} by {self._module}: write {name}+{self._module}://")

    @cached_property
    def url(self) -> URL:
        """The parsed URL.

        :raises ConfigError: when it is none; what it says is not repeated, since it may hold a password.
        """
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(self._url).set(drivername=self._dialect_name)
        except (ArgumentError, ValueError):
            name = self._name
            message = f"the URL of the {name} database cannot be read: write {name}://USER:PASSWORD@HOST:PORT/DATABASE"
            raise ConfigError(message) from None  # it may quote a password that stands where the port should
        where = f"{url.host}{url.database if url.password else ''}"
        if "@" in (where if url.database else self._url.rpartition(f"@{url.host}")[2] + where):
            raise ConfigError(f"the URL of the {self._name} database has an @ in its password: {HOW_TO_WRITE}")
        if not url.database:
            raise ConfigError(f"{without_password(self._url)} names no database: add /DATABASE")
        return url

    @property
    def _name(self) -> str:
        return self._url.partition("+")[0].partition(":")[0]

    @property
    def place(self) -> str:
        """The URL for people: without password and settings."""
        url = self.url
        where = url.host or url.query.get("host") or url.query.get("unix_socket") or ""
        port = f":{url.port}" if url.port else ""
        return f"{url.get_backend_name()} database {url.database!r}" + (f" at {where}{port}" if where else "")

    def settings(self, extra: str) -> dict[str, Any]:
        """Give what the module's ``connect`` takes.

        :raises MissingExtraError: when it is not installed.
        :raises ConfigError: when the URL has a setting that cannot be read.
        """
        kind: Any = self.url.get_dialect()
        try:
            module = kind.import_dbapi()
        except ImportError as error:
            message = (
                f"a {self.url.get_backend_name()} database needs {self._module}: pip install 'qcore-queue[{extra}]'"
            )
            raise MissingExtraError(message) from error
        try:
            _, settings = kind(dbapi=module).create_connect_args(self.url)
        except ValueError as error:
            message = f"the URL of the {self.place} has a setting that is wrong ({', '.join(self.url.query)}): {error}"
            raise ConfigError(message) from error
        return {"connect_timeout": _CONNECT_TIMEOUT, **settings}


def on_one_line(error: BaseException) -> str:
    """Give what a server says as one line, without the number that some put before it."""
    said = error.args[1] if len(error.args) > 1 else error
    return " ".join(str(said).split())
