"""What all workers are told through the store: restart, pause, maintenance."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from qcore.errors import ConfigError
from qcore.events import (
    MaintenanceEnded,
    MaintenanceStarted,
    QueuePaused,
    QueueResumed,
    QueuesPaused,
    QueuesResumed,
)
from qcore.options import checked_name
from qcore.payload import FAR

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.clock import Clock
    from qcore.events import Event, Events
    from qcore.store import Store

RESTART = "signals:restart"
DOWN = "signals:down"
PAUSE = "signals:pause"
_ONE = "signals:pause:{},{}"  # a queue's name has no comma
_LISTED = "signals:paused"
_LOCK = "signals:paused:lock"
_LOCKED_FOR = 5.0
_LOCK_PAUSE = 0.02


class Pause(NamedTuple):
    """A pause that is in force."""

    connection: str | None
    queue: str | None
    """None, as ``connection``, when all queues of all connections are paused."""
    until: float | None
    """When it ends, in seconds since 1970; None: when somebody resumes."""


class Maintenance(NamedTuple):
    """A maintenance that is in force."""

    until: float | None
    """When it ends, in seconds since 1970; None: when somebody says ``up``."""


class WorkerSignals:
    """Tells all workers that share the store to restart, to pause, or that there is maintenance.

    Workers notice within a second. A job that runs is never touched: it ends first. Dispatching goes on,
    and so does the sync connection. Every method raises ``DriverError`` when the store cannot be asked.
    """

    def __init__(
        self,
        *,
        store: Callable[[], Store],
        connection: Callable[[str | None], str],
        clock: Clock,
        events: Events,
    ) -> None:
        """``connection`` gives the name of a connection, of the default one for None; unknown ones it refuses."""
        self.store = store
        self._connection = connection
        self._clock = clock
        self._events = events
        self._noted: list[str | None] = []

    def require_shared(self) -> None:
        """Refuse to talk to nobody.

        :raises ConfigError: when other processes do not see what is written to the store.
        """
        if not self.store().shared:
            raise ConfigError(
                "no worker would hear of it: the store lives in the memory of this process; let `store` in the "
                "configuration name a connection that processes share, such as one with the driver database"
            )

    # Restart.

    def restart(self) -> None:
        """Let every worker that runs now finish its job and leave; a process manager starts new ones."""
        # Never the same twice, also when the store was emptied in between or the clock stands.
        self.store().put(RESTART, f"{self._clock.now():.3f} {os.urandom(8).hex()}")

    def note_start(self) -> None:
        """Let the next worker of this process count as started now: what it imports may be old a moment later."""
        self._noted = [self.store().get(RESTART)]

    def start(self) -> str | None:
        """Give what a worker compares with ``last_restart`` later, to see whether it is to leave."""
        return self._noted.pop() if self._noted else self.last_restart()

    def last_restart(self) -> str | None:
        """Give the mark of the last restart, which never comes twice; None when there was none."""
        return self.store().get(RESTART)

    # Pause.

    def pause(self, queue: str | None = None, connection: str | None = None, *, for_: float | None = None) -> Pause:
        """Let workers take no jobs from one queue of a connection (the default one if none is named).

        Without a queue: from all queues of all connections. The two are independent: who resumes a queue does not
        lift the pause of all, nor the other way round. ``for_``: seconds after which it is over by itself.

        :raises ConfigError: when no queue can be meant, or no time.
        """
        until = self._end(for_)
        if queue is None:
            _refuse_lonely(connection)
            self.store().put(PAUSE, _written(until), ttl=for_)
            self._tell(QueuesPaused(for_))
            return Pause(None, None, until)
        connection, queue = self._connection(connection), checked_name(queue, "queue")
        self._list(
            connection, queue, then=lambda: self.store().put(pause_key(connection, queue), _written(until), ttl=for_)
        )
        self._tell(QueuePaused(connection, queue, for_))
        return Pause(connection, queue, until)

    def resume(self, queue: str | None = None, connection: str | None = None) -> bool:
        """End the pause of one queue or, without a queue, the pause of all; False when there was none.

        :raises ConfigError: when no queue can be meant.
        """
        if queue is None:
            _refuse_lonely(connection)
            return self._end_of(PAUSE, QueuesResumed())
        connection, queue = self._connection(connection), checked_name(queue, "queue")
        return self._end_of(pause_key(connection, queue), QueueResumed(connection, queue))

    def paused(self) -> list[Pause]:
        """List the pauses in force: that of all queues first, then by connection and queue."""
        everything = self.store().get(PAUSE)
        found = [] if everything is None else [Pause(None, None, _read(everything))]
        for connection, queue in self._listed():
            value = self.store().get(pause_key(connection, queue))
            if value is not None:
                found.append(Pause(connection, queue, _read(value)))
        return found

    # Maintenance.

    def down(self, *, for_: float | None = None) -> Maintenance:
        """Let workers take no jobs at all, but those that were started with ``force``.

        ``for_``: seconds after which it is over by itself.

        :raises ConfigError: when ``for_`` is no such time.
        """
        until = self._end(for_)
        self.store().put(DOWN, _written(until), ttl=for_)
        self._tell(MaintenanceStarted(for_))
        return Maintenance(until)

    def up(self) -> bool:
        """End the maintenance; False when there was none."""
        return self._end_of(DOWN, MaintenanceEnded())

    def maintenance(self) -> Maintenance | None:
        """Give the maintenance in force, if there is one."""
        value = self.store().get(DOWN)
        return None if value is None else Maintenance(_read(value))

    # What they share.

    def _end(self, seconds: float | None) -> float | None:
        if seconds is None:
            return None
        if not _is_a_time(seconds):
            raise ConfigError(f"how long it lasts is a number of seconds above 0, got {seconds!r}")
        return self._clock.now() + seconds

    def _end_of(self, key: str, event: Event) -> bool:
        if not self.store().forget(key):
            return False
        self._tell(event)
        return True

    def _tell(self, event: Event) -> None:
        if self._events.wants(type(event)):
            self._events.emit(event)

    def _listed(self) -> list[tuple[str, str]]:
        return [(connection, queue) for connection, queue in json.loads(self.store().get(_LISTED) or "[]")]

    def _list(self, connection: str, queue: str, then: Callable[[], object]) -> None:
        """Put a queue on the list of those that may be paused, and drop those that are not any more.

        ``then`` pauses it, before anybody else can find it on the list, not paused, and drop it.
        """
        store, owner = self.store(), os.urandom(8).hex()
        while not store.add(_LOCK, owner, ttl=_LOCKED_FOR):
            self._clock.sleep(_LOCK_PAUSE)
        try:
            kept = {each for each in self._listed() if store.get(pause_key(*each)) is not None}
            # Listed first: a name too many does no harm, a pause that nobody can find does.
            store.put(_LISTED, json.dumps(sorted(kept | {(connection, queue)})))
            then()
        finally:
            store.forget(_LOCK, value=owner)


_LONGEST_KEY = 255


def pause_key(connection: str, queue: str) -> str:
    """Give the key whose presence says that a queue is paused."""
    key = _ONE.format(connection, queue)
    if len(key) <= _LONGEST_KEY:
        return key
    from hashlib import sha256  # no queue of most projects has so long a name

    return _ONE.format("", sha256(key.encode()).hexdigest())


def _is_a_time(seconds: object) -> bool:
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < FAR


def _written(until: float | None) -> str:
    return "" if until is None else repr(until)


def _read(value: str) -> float | None:
    return float(value) if value else None


def _refuse_lonely(connection: str | None) -> None:
    if connection is not None:
        raise ConfigError(
            f"a queue of {connection!r} must be named: without one, all queues of all connections are meant"
        )
