"""Real PostgreSQL and MariaDB for tests: a server of each a process, a database for each name of a connection."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from qcore.sql import Database
from qtest.servers import MariaServer, MissingServerError, PostgresServer

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULES = {PostgresServer: ("psycopg", "postgres"), MariaServer: ("pymysql", "mysql")}
"""What speaks to it, and the extra that brings that."""


def opened(kind: type[PostgresServer | MariaServer]) -> Callable[[str], dict[str, Any]]:
    """Give what makes the settings of a connection; its tables are there, and nothing is in them."""
    return lambda name: {"driver": "database", "url": _emptied(kind, name)}


def missing(kind: type[PostgresServer | MariaServer]) -> str:
    """Say what has to be installed first; empty when nothing."""
    module, extra = _MODULES[kind]
    if not find_spec(module):
        return f"pip install 'qcore-queue[{extra}]'"
    try:
        kind.path()
    except MissingServerError as error:
        return str(error)
    return ""


def _emptied(kind: type[PostgresServer | MariaServer], name: str) -> str:
    database = _database(kind, name)
    database.empty()
    database.close()
    return database.url


@cache
def _database(kind: type[PostgresServer | MariaServer], name: str) -> Database:  # noqa: ARG001 - each has its own
    database = Database(_server(kind).fresh())
    database.create_all()
    return database


@cache
def _server(kind: type[PostgresServer | MariaServer]) -> PostgresServer | MariaServer:
    return kind().start()  # ended with the process
