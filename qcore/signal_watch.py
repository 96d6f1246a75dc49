"""What one worker has been told: through the store, and by the signals of its process."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from qcore.errors import DriverError
from qcore.events import WorkerPausing, WorkerQueuePaused, WorkerQueueResumed, WorkerResuming
from qcore.signals import DOWN, PAUSE, RESTART, pause_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.events import Events
    from qcore.signals import WorkerSignals
    from qcore.store import Store

logger = logging.getLogger("qcore")


class SignalWatch:
    """What one worker has been told: through the store, and by the signals of its process."""

    def __init__(
        self,
        signals: WorkerSignals,
        events: Events,
        *,
        worker: str,
        connection: str,
        queues: tuple[str, ...],
        force: bool,
    ) -> None:
        """Watch for a worker of that name; with ``force`` maintenance is none of its business."""
        self.restart = False
        """True when somebody asked for a restart since the start."""
        self.maintenance = False
        self.by_signal = False
        """True when a signal of the process paused the worker."""
        self.queues = queues
        """The queues that are not paused, in their order."""
        self._signals = signals
        self._events = events
        self._who = (worker, connection, queues)
        self._force = force
        self._since: str | None = None
        self._is_known = False
        self._misses = 0
        """Looks in a row that the store did not answer."""
        self._has_told = False

    @property
    def held(self) -> bool:
        """True when the store says that nothing may be reserved: maintenance, or every queue is paused."""
        return self.maintenance or not self.queues

    def start(self) -> None:
        """Begin: only a restart that is asked for from now on counts.

        :raises DriverError: when the store cannot be asked.
        """
        self._since, self.restart = self._signals.start(), False

    def look(self, *, told: bool = False) -> None:
        """Read the store; while it is away what was read last stays.

        ``told``: the worker has said that its own server is away. That is mostly the same one, and once is enough; so
        the first look in vain says nothing either, but leaves that to the worker.

        :raises DriverError: when it was never read.
        """
        try:
            self._look()
        except DriverError as error:
            if not self._is_known:
                raise
            self._misses += 1
            if self._misses > 1 and not (told or self._has_told):
                logger.warning("%s; restart, pause and maintenance are not heard of until it is back", error)
                self._has_told = True
            return
        if self._has_told:
            logger.warning("the store of restart, pause and maintenance is back")
        self._is_known, self._misses, self._has_told = True, 0, False

    def heed(self, *, paused: bool) -> None:
        """Take what the signals of the process say now."""
        self._switch("signal", was=self.by_signal, now=paused)
        self.by_signal = paused

    def reasons(self) -> str:
        """Say in front of people why jobs may wait that the store keeps the worker from; empty when it does not."""
        closed = [queue for queue in self._who[2] if queue not in self.queues]
        reasons = ["there is maintenance (qcore up ends it)"] if self.maintenance else []
        if closed:
            names = ", ".join(closed)
            one = len(closed) == 1
            reasons.append(f"the queue{'' if one else 's'} {names} {'is' if one else 'are'} paused (see qcore show)")
        return " and ".join(reasons)

    def _look(self) -> None:
        store = self._signals.store()
        # A mark that vanished is no news: somebody emptied the store.
        restart = store.get(RESTART)
        down = not self._force and store.get(DOWN) is not None
        queues = tuple(self._open(store))
        # Told and believed only after everything was read.
        self.restart = self.restart or restart not in {None, self._since}
        self._switch("maintenance", was=self.maintenance, now=down)
        self._compare(queues)
        self.maintenance, self.queues = down, queues

    def _open(self, store: Store) -> Iterator[str]:
        _, connection, queues = self._who
        if store.get(PAUSE) is None:
            yield from (queue for queue in queues if store.get(pause_key(connection, queue)) is None)

    def _compare(self, now: tuple[str, ...]) -> None:
        for queue in self._who[2]:
            if (queue in self.queues) is not (queue in now):
                event = WorkerQueueResumed if queue in now else WorkerQueuePaused
                if self._events.wants(event):
                    self._events.emit(event(*self._who, queue=queue))

    def _switch(self, reason: str, *, was: bool, now: bool) -> None:
        event = WorkerPausing if now else WorkerResuming
        if was is not now and self._events.wants(event):
            self._events.emit(event(*self._who, reason=reason))
