"""Real PostgreSQL and MariaDB for tests: a server of each a process, a database for each name of a connection."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from qcore.sql import Database
from qtest.servers import MariaServer, MissingServerError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: dict[str, type[PostgresServer | MariaServer]] = {"postgres": PostgresServer, "mysql": MariaServer}
"""By the extra that brings what speaks to it."""

_MODULES = {"postgres": "psycopg", "mysql": "pymysql"}


def opened(kind: str) -> Callable[[str], dict[str, Any]]:
    """Give what makes the settings of a connection; its tables are there, and nothing is in them."""
    return lambda name: {"driver": "database", "url": _emptied(kind, name)}


def missing(kind: str) -> str:
    """Say what has to be installed first; empty when nothing."""
    if not find_spec(_MODULES[kind]):
        return f"pip install 'qcore-queue[{kind}]'"
    try:
        KINDS[kind].path()
    except MissingServerError as error:
        return str(error)
    return ""


def _emptied(kind: str, name: str) -> str:
    database = _database(kind, name)
    database.empty()
    database.close()
    return database.url


@cache
def _database(kind: str, name: str) -> Database:  # noqa: ARG001 - each has its own
    database = Database(_server(kind).fresh())
    database.create_all()
    return database


@cache
def _server(kind: str) -> PostgresServer | MariaServer:
    return KINDS[kind]().start()  # ended with the process
