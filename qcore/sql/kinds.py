"""The kinds of databases that qcore speaks to, by the beginning of their URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.errors import ConfigError, UnsupportedError
from qcore.hiding import driver_for, shown

if TYPE_CHECKING:
    from qcore.sql.dialect import Dialect

_WAYS = "sqlite:///FILE, postgresql://USER@HOST/DATABASE or mysql://USER@HOST/DATABASE"


def dialect_of(url: str, settings: dict[str, Any], *, create: bool) -> Dialect:
    """Give the dialect of a URL; ``settings`` are SQLite's, those that were given.

    :raises ConfigError: when it is no URL, or a setting is not one of that database.
    :raises UnsupportedError: when it is one of another kind of database.
    """
    scheme, parted, _ = url.partition("://")
    if "\0" in url:
        raise ConfigError("the URL of the database has a NUL in it: remove it")
    if driver_for(url) == "redis":
        raise ConfigError(f'{shown(url)} is no database URL but one of redis: write driver = "redis"')
    if not parted:
        raise ConfigError(f"{shown(url)} is no database URL, it has no ://: write {_WAYS}")
    if scheme == "postgres":  # what hosts of databases still call it
        scheme, url = "postgresql", f"postgresql{url.removeprefix('postgres')}"
    name = scheme.partition("+")[0]
    if name == "sqlite":
        from qcore.sql.sqlite import Sqlite

        return Sqlite(url, **settings, create=create)
    if name not in {"postgresql", "mysql", "mariadb"}:
        raise UnsupportedError(f"{scheme!r} databases are not supported: write {_WAYS}")
    if settings:
        raise ConfigError(f"{', '.join(settings)} is a setting of SQLite, and {name} has none of that name: remove it")
    if name == "postgresql":
        from qcore.sql.postgresql import Postgresql

        return Postgresql(url)
    from qcore.sql.mysql import Mysql

    return Mysql(url)
