"""What a database complains about, in one line that says what to do."""

from __future__ import annotations

import sqlite3

from qcore.errors import DriverError

_CREATE = "run `qcore db create`"

# By the beginning of SQLite's own name of the error: SQLITE_IOERR_WRITE is an SQLITE_IOERR.
_SQLITE = {
    "SQLITE_CANTOPEN": "cannot open {place}: the folder is missing or may not be written",
    "SQLITE_READONLY": "cannot write {place}: the file or its folder is read-only",
    "SQLITE_NOTADB": "{place} is not a SQLite database: name another file, or move this one away",
    "SQLITE_FULL": "the disk is full, {place} cannot grow: free some space; nothing was changed",
    "SQLITE_BUSY": (
        "{place} stayed locked by another transaction for longer than the busy timeout: end that one; "
        "and a job that is dispatched inside of it takes within= or after_commit="
    ),
    "SQLITE_LOCKED": "{place} is locked by this process: end the open transaction",
    "SQLITE_CORRUPT": "{place} is damaged: restore a copy, or recover what is left with `sqlite3 FILE .recover`",
    "SQLITE_IOERR": "reading or writing {place} failed: look at the disk ({error})",
    "SQLITE_TOOBIG": "the payload is larger than SQLite takes in one row ({error})",
}


def explained(error: Exception, place: str) -> DriverError:
    """Make the error of a database one that a user can act on; raise it ``from`` the original."""
    if isinstance(error, sqlite3.Error):
        if str(error).startswith(("no such table: qcore_", "no such column: qcore_")):
            return missing_tables(place)
        name = getattr(error, "sqlite_errorname", "")
        for start, line in _SQLITE.items():
            if name.startswith(start):
                return DriverError(line.format(place=place, error=error))
    return DriverError(f"{place}: {type(error).__name__}: {error}")


def missing_tables(place: str) -> DriverError:
    """Say that a database has no tables of qcore."""
    return DriverError(f"{place} has no tables of qcore, or old ones: {_CREATE}")


def is_busy(error: DriverError) -> bool:
    """Say whether another process held a lock."""
    return getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_BUSY")
