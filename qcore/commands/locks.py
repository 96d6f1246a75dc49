"""``qcore show --locks``: which jobs keep others away, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcore.commands.listing import as_json as write_json
from qcore.commands.listing import as_table, job_name, say
from qcore.commands.tables import Layout
from qcore.commands.terminal import local, span_text
from qcore.driver import Findable
from qcore.errors import ConfigError, QcoreError
from qcore.holdings import is_there
from qcore.store import Listing
from qcore.unique_locks import is_pending, owner_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.app import App
    from qcore.driver import Listed
    from qcore.events import UniqueJobSkipped
    from qcore.store import Held

KINDS = ("unique", "debounce", "overlap")
"""How the keys of locks begin."""

MOST = 1000
"""Locks of one kind that are shown to people."""
_ALL = 1_000_000


class Seen(NamedTuple):
    """A lock, and the job that holds it."""

    kind: str
    key: str
    owner: str
    """The id of the job."""
    state: str
    """``ready``, ``delayed``, ``reserved``, ``pending`` or ``gone``."""
    connection: str | None
    job: Listed | None
    """None when it is not to be found."""
    expires_at: float | None


def show_locks(app: App, *, as_json: bool) -> None:
    """Show the locks of unique and debounced jobs and of ``WithoutOverlapping``.

    :raises ConfigError: when only the process that wrote them can see them.
    """
    now = app.clock.now()
    if as_json:
        write_json(_as_json(app, each, now) for kind in KINDS for each in _seen(app, kind, _ALL))
        return
    found = {kind: list(_seen(app, kind, MOST)) for kind in KINDS}
    rows = [(each.key, each.owner, _state(each), _left(each, now)) for kind in KINDS for each in found[kind]]
    if rows:
        as_table(("LOCK", "OWNER", "STATE", "LEFT"), rows, Layout(right=("LEFT",), free=("LOCK", "STATE"), ids="OWNER"))
    else:
        say("There are no locks.")
    for kind in KINDS:
        if len(found[kind]) == MOST:
            say(f"... and perhaps more that begin with {kind}: --json shows all")


def held_by(event: UniqueJobSkipped) -> str:
    """Say which job holds the lock of another one, and for how long."""
    left = "" if event.left is None else f" for another {span_text(event.left)} at most"
    return f"the job {event.owner} holds its lock {event.key!r}{left}"


def _seen(app: App, kind: str, limit: int) -> Iterator[Seen]:
    store = app.connections.store
    if not store.shared or not isinstance(store, Listing):
        raise ConfigError(
            "the locks live where only the processes that took them can see them: let `store` in the configuration "
            "name a connection that processes share, such as one with the driver database"
        )
    return (_with_owner(app, kind, held) for held in store.held_below(f"{kind}:", limit=limit))


def _with_owner(app: App, kind: str, held: Held) -> Seen:
    # WithoutOverlapping writes a token behind the id.
    owner = held.value.rpartition(":")[0] if kind == "overlap" else owner_id(held.value)
    for name in app.config.connections:
        if (job := _found(app, name, owner)) is not None:
            return Seen(kind, held.key, owner, job.state, name, job, held.expires_at)
    state = "pending" if is_pending(held.value) else "gone"
    return Seen(kind, held.key, owner, state, None, None, held.expires_at)


def _found(app: App, connection: str, job_id: str) -> Listed | None:
    try:
        driver = app.connections.driver(connection)
        if not isinstance(driver, Findable) or not is_there(driver.home):
            return None  # looking into a database would make it
        return driver.find(job_id)
    except QcoreError:  # one that cannot be reached hides no locks
        return None


def _state(seen: Seen) -> str:
    return seen.state if seen.job is None else f"{seen.state} on {seen.connection}@{seen.job.queue}"


def _left(seen: Seen, now: float) -> str:
    return "for ever" if seen.expires_at is None else span_text(max(seen.expires_at - now, 0))


def _as_json(app: App, seen: Seen, now: float) -> dict[str, object]:
    job, end = seen.job, seen.expires_at
    return {
        "kind": seen.kind,
        "key": seen.key,
        "owner": seen.owner,
        "state": seen.state,
        "connection": seen.connection,
        "queue": None if job is None else job.queue,
        "job": None if job is None else job_name(app, job.payload),
        "expires_at": None if end is None else local(end).isoformat(timespec="milliseconds"),
        "left": None if end is None else round(max(end - now, 0), 3),
    }
