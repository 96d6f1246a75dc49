"""Transactions of others, recognised without importing what they come from: who hands one over has imported it.

A session of SQLAlchemy (plain, async or scoped) or a connection of its, a connection of Django, one of a module.
"""

from __future__ import annotations

import sys
from typing import Any

KINDS = "a SQLAlchemy session, or a Django connection"
WITHIN_KINDS = "a SQLAlchemy session or connection, a connection of sqlite3, psycopg or pymysql, or a Django connection"


def unwrapped(given: Any) -> Any:  # noqa: ANN401 - whatever the user handed over
    """Give what stands behind a wrapper; anything else stays what it is."""
    if _is_scoped(given):
        given = given()
    if is_of(given, "sqlalchemy.ext.asyncio", "AsyncSession"):
        return given.sync_session
    if is_of(given, "sqlalchemy.ext.asyncio", "AsyncConnection"):
        return given.sync_connection
    if is_of(given, "django.utils.connection", "ConnectionProxy"):
        return given._connections[given._alias]  # noqa: SLF001 - it is compared and hashed like nothing else
    return given


def asked(source: Any) -> Any:  # noqa: ANN401 - whatever the user has
    """Ask a source for the session in force. One that has none yet, but would make one, is in no transaction."""
    return None if _is_scoped(source) and not source.registry.has() else source()


def is_session(given: object) -> bool:
    """Tell whether it is a session of SQLAlchemy."""
    return is_of(given, "sqlalchemy.orm", "Session")


def is_connection(given: object) -> bool:
    """Tell whether it is a connection of SQLAlchemy."""
    return is_of(given, "sqlalchemy.engine", "Connection")


def is_django(given: object) -> bool:
    """Tell whether it is a connection of Django."""
    return is_of(given, "django.db.backends.base.base", "BaseDatabaseWrapper")


def makes_sessions(given: object) -> bool:
    """Tell whether it makes a new session whenever it is called, which is in no transaction."""
    return (
        is_of(given, "sqlalchemy.orm", "sessionmaker")
        or is_of(given, "sqlalchemy.ext.asyncio", "async_sessionmaker")
        or (isinstance(given, type) and hasattr(given, "in_transaction"))
    )


def _is_scoped(given: object) -> bool:
    return is_of(given, "sqlalchemy.orm", "scoped_session") or is_of(
        given, "sqlalchemy.ext.asyncio", "async_scoped_session"
    )


def is_of(given: object, module: str, name: str) -> bool:
    """Tell whether it is of a class; without the module nothing can be."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(given, kind)
