"""What all databases have in common when they complain."""

from __future__ import annotations

from qcore.errors import DriverError

_CREATE = "run `qcore db create`"


class BusyError(DriverError):
    """Another transaction was in the way, and this one was undone: it may be begun again."""


class LostError(DriverError):
    """The connection is lost. What was not committed is undone."""


def busy(error: Exception, place: str) -> BusyError:
    """Say that another transaction was in the way, which matters to a user when it stays there."""
    reason = " ".join(str(error).split())
    message = (
        f"the {place} is kept busy by another transaction: end that one; "
        f"and a job that is dispatched inside of it takes within= or after_commit= ({reason})"
    )
    return BusyError(message)


def missing_tables(place: str) -> DriverError:
    """Say that a database has no tables of qcore."""
    return DriverError(f"{place} has no tables of qcore, or old ones: {_CREATE}")


def unexpected(error: Exception, place: str) -> DriverError:
    """Report an error that nobody foresaw."""
    return DriverError(f"{place}: {type(error).__name__}: {' '.join(str(error).split())}")
