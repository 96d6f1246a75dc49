"""What happened under a fake: every push and every delivery, in order, as the real app told it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from qcore import links
from qcore.driver import Inspectable
from qcore.events import (
    BatchDispatched,
    BatchFinished,
    Event,
    JobDiscarded,
    JobEnded,
    JobFailed,
    JobHeld,
    JobPopping,
    JobProcessing,
    JobQueued,
    JobTimedOut,
    Looping,
    UniqueJobSkipped,
    WorkerIdle,
)
from qtest.origin import origin_here
from qtest.pushes import Batched, Content, Fate, Happened, Pushed, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.delivery import Delivery
    from qcore.driver import Listed, Payload
    from qcore.jobs import Job
    from qtest.contexts import Block
    from qtest.fake_app import FakeApp

_ALL = 1_000_000

_TURNS = ("progress", "failure", "catch", "then", "finally")
"""The callbacks of one step of a batch, in their order."""


class Recorder:
    """Listens to an app."""

    def __init__(self, app: FakeApp) -> None:
        """Begin to listen; ``stop`` ends it."""
        self.dispatches: list[Pushed] = []
        """Everything, also what was not pushed, or run in place."""
        self.batches: list[Batched] = []
        self.timeline: list[Happened] = []
        self.blocks: list[Block[Any]] = []
        """The contexts that the test has made; it is to enter them."""
        self.started = app.clock.now()
        self.places: dict[tuple[str, str], None] = {}
        """Connections and queues to which something was pushed, in the order of the first push to each."""
        self._app = app
        self._by_id: dict[str, Pushed] = {}
        self._tells_progress: set[str] = set()
        self._drivers: dict[str, Inspectable | None] = {}
        self._lock = threading.Lock()
        self.stop: Callable[[], None] = app.listen(Event, self._hear)

    @property
    def pushes(self) -> list[Pushed]:
        """What went to a queue."""
        return [each for each in self.dispatches if each.fate is Fate.PUSHED and not each.way]

    def find(self, job_id: str) -> Pushed | None:
        """Give the last dispatch of an id."""
        return self._by_id.get(job_id)

    def failures(self) -> list[Pushed]:
        """Give those that failed for good."""
        return [each for each in self.dispatches if each.has_failed]

    def look_around(self) -> None:
        """Note what a home pushed by itself, such as the callbacks of a batch: nobody told of it."""
        for connection in dict.fromkeys((self._app.config.default, *(name for name, _ in self.places))):
            driver = self.inspectable(connection)
            if driver is None:
                continue
            found = []
            for count in driver.counts():
                self.places.setdefault((connection, count.queue))
                found += [each for each in driver.listed(count.queue, limit=_ALL) if each.payload.id not in self._by_id]
            # Queue by queue they are found, and were pushed in the order of what they are called for.
            for each in sorted(found, key=self._turn_of) if len(found) > 1 else found:
                delay = max(each.available_at - self._app.clock.now(), 0) if each.state == "delayed" else 0
                self._add(connection, each.queue, each.payload, delay)

    def inspectable(self, connection: str) -> Inspectable | None:
        """Give the driver of a connection if it can be looked into; asked once, because asking takes its time."""
        if connection not in self._drivers:
            driver = self._app.connection(connection).driver
            self._drivers[connection] = driver if isinstance(driver, Inspectable) else None
        return self._drivers[connection]

    def _turn_of(self, listed: Listed) -> int:
        callback = Content(listed.payload, self._app.job_codec, None).look()[2].get("callback") or {}
        event = callback.get("event", "")
        return _TURNS.index(event) if event in _TURNS else len(_TURNS)

    def _hear(self, event: Event) -> None:
        kind = type(event)
        heard = _HEARD.get(kind)
        if heard is None:
            heard = _HEARD[kind] = _how_to_hear(kind)
        if heard is not _silently:
            self.timeline.append(Happened(self._app.clock.now(), event))
            heard(self, event)

    def _hear_of_batch(self, event: BatchDispatched | BatchFinished) -> None:
        if isinstance(event, BatchDispatched):
            record = event.record
            members = [each for each in self.dispatches if each.body.get("batchId") == record.id]
            self.batches.append(Batched(record.id, record.name, record.connection, record.queue or None, members))
            if links.batch_options(record.options)["progress"]:
                self._tells_progress.add(record.id)
        self.look_around()

    def _hear_of_begin(self, event: JobProcessing) -> None:
        self._pushed_for(event.delivery)

    def _hear_of_time_out(self, event: JobTimedOut) -> None:
        self._pushed_for(event.delivery).timed_out = True

    def _hear_of_end(self, event: JobEnded) -> None:
        pushed = self._pushed_for(event.delivery)
        pushed.outcomes.append(event)
        pushed.is_seen = False
        batch_id = event.delivery.batch_id
        if batch_id is not None and (isinstance(event, JobFailed) or batch_id in self._tells_progress):
            self.look_around()

    def _pushed_for(self, delivery: Delivery) -> Pushed:
        payload = delivery.reservation.payload
        known = self._by_id.get(payload.id)
        return self._add(delivery.connection, delivery.queue, payload, 0) if known is None else known

    def _hear_of_push(self, event: JobQueued | JobHeld | JobDiscarded) -> None:
        known = self._by_id.get(event.payload.id)
        if known is None or known.fate is not Fate.HELD:
            way = self._app.way_of(event.job)
            known = self._add(event.connection, event.queue, event.payload, event.delay, job=event.job, way=way)
        if isinstance(event, JobHeld):
            known.fate, known.was_held = Fate.HELD, True
        elif isinstance(event, JobDiscarded):
            known.fate = Fate.ROLLBACK
        elif known.fate is Fate.HELD:
            known.fate, known.at, known.delay = Fate.PUSHED, self._app.clock.now(), event.delay

    def _hear_of_refusal(self, event: UniqueJobSkipped) -> None:
        if event.delivery is not None:
            return
        holder = self._by_id.get(event.owner)
        self._note(
            Pushed(
                0, Refused(event.job), event.job_id, event.connection, event.queue, 0, self._app.clock.now(),
                origin_here(), self._app.way_of(event.job), Fate.UNIQUE, owner=None if holder is None else holder.number,
            )
        )  # fmt: skip

    def _add(
        self, connection: str, queue: str, payload: Payload, delay: float, *, job: Job | None = None, way: str = ""
    ) -> Pushed:
        app = self._app
        content = Content(payload, app.job_codec, job)
        job = content.look()[0] if job is None else job
        way = way or ("perform" if app.is_beside(payload.id) else "")
        pushed = Pushed(0, content, payload.id, connection, queue, delay, app.clock.now(), origin_here(), way)
        pushed.was_routed = job is not None and app.routed(job).queue == queue
        self._note(pushed)
        if not way:
            self.places.setdefault((connection, queue))
        return pushed

    def _note(self, pushed: Pushed) -> None:
        with self._lock:
            pushed.number = len(self.dispatches) + 1
            self.dispatches.append(pushed)
        self._by_id[pushed.id] = pushed


def _silently(recorder: Recorder, event: Event) -> None:
    """Keep nothing of an event."""


def _only_noted(recorder: Recorder, event: Event) -> None:
    """Keep nothing of an event but that it happened."""


_WAYS: tuple[tuple[tuple[type[Event], ...], Callable[[Recorder, Any], None]], ...] = (
    # Events of an idle worker: nothing happened.
    ((JobPopping, Looping, WorkerIdle), _silently),
    ((JobQueued, JobHeld, JobDiscarded), Recorder._hear_of_push),  # noqa: SLF001 - its own
    ((UniqueJobSkipped,), Recorder._hear_of_refusal),  # noqa: SLF001
    ((JobProcessing,), Recorder._hear_of_begin),  # noqa: SLF001
    ((JobTimedOut,), Recorder._hear_of_time_out),  # noqa: SLF001
    ((JobEnded,), Recorder._hear_of_end),  # noqa: SLF001
    ((BatchDispatched, BatchFinished), Recorder._hear_of_batch),  # noqa: SLF001
)

_HEARD: dict[type[Event], Callable[[Recorder, Any], None]] = {}
"""The same, looked up once for each class."""


def _how_to_hear(kind: type[Event]) -> Callable[[Recorder, Any], None]:
    return next((heard for kinds, heard in _WAYS if issubclass(kind, kinds)), _only_noted)
