"""The beginning of an id stands for the whole, as long as only one begins like that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qcore.commands.tables import SHORT_ID
from qcore.commands.terminal import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.app import App

_SHORTEST = 4
"""Characters from which on a text may be the beginning of an id."""
_MOST = 1_000_000
_SHOWN = 3


def failed_id(app: App, given: str) -> str:
    """Give the id of the failed job that is meant; what means none is given back as it is.

    :raises click.ClickException: when several are meant.
    """
    if app.failed.find(given) is not None or not _may_begin_one(given):
        return given
    return _only(given, (record.id for record in app.failed.list()), "failed jobs")


def batch_id(app: App, given: str, connection: str | None) -> str:
    """Give the id of the batch that is meant, on one connection or on any; what means none is given back as it is.

    :raises click.ClickException: when several are meant.
    """
    if not _may_begin_one(given) or app.find_batch(given, connection=connection) is not None:
        return given
    stores = app.batches.stores(connection)
    return _only(given, (record.id for store in stores for record in store.listed(limit=_MOST)), "batches")


def _may_begin_one(given: str) -> bool:
    """Tell whether a text may be the beginning of an id: one of a few digits is the number of a failed job."""
    return len(given) >= (SHORT_ID if given.isdigit() else _SHORTEST)


def _only(given: str, ids: Iterable[str], what: str) -> str:
    found = sorted({each for each in ids if each.startswith(given)})
    if len(found) > 1:
        raise click.ClickException(f"{len(found)} {what} have an id that begins with {escaped(given)}: {_some(found)}")
    return found[0] if found else given


def _some(found: Sequence[str]) -> str:
    rest = "" if len(found) <= _SHOWN else ", ..."
    return f"{', '.join(found[:_SHOWN])}{rest}; write more of it"
