"""What happened under a fake: every push and every delivery, in order, as the real app told it."""

from __future__ import annotations

import threading
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from qcore.driver import Findable, Inspectable
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
    JobQueueing,
    JobReleased,
    JobTimedOut,
    Looping,
    UniqueJobSkipped,
    WorkerIdle,
)
from qtest.origin import origin_here
from qtest.pushes import Batched, Content, Fate, Happened, Pushed, Refused
from qtest.untold import Callbacks, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.delivery import Delivery
    from qcore.driver import Payload
    from qcore.jobs import Job
    from qtest.contexts import Block
    from qtest.fake_app import FakeApp

_in_turn = attrgetter("turn")


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
        self._coming: dict[str, int] = {}
        """The turns of those that are about to be pushed: a listener may dispatch before they are told of."""
        self._turns = count(1)
        self._is_mixed = False
        self._members: dict[str, list[Pushed]] = {}
        self._callbacks = Callbacks()
        self._drivers: dict[str, Inspectable | None] = {}
        self._lock = threading.Lock()
        self.stop: Callable[[], None] = app.listen(Event, self._hear)

    @property
    def pushes(self) -> list[Pushed]:
        """What went to a queue, in the order in which it did."""
        return [each for each in self.in_turn() if each.fate is Fate.PUSHED and not each.way]

    def in_turn(self) -> list[Pushed]:
        """Give all dispatches in the order of their pushes; what was not pushed stands where it was dispatched."""
        return sorted(self.dispatches, key=_in_turn) if self._is_mixed else list(self.dispatches)

    def find(self, job_id: str) -> Pushed | None:
        """Give the last dispatch of an id."""
        return self._by_id.get(job_id)

    def failures(self) -> list[Pushed]:
        """Give those that failed for good."""
        return [each for each in self.dispatches if each.has_failed]

    def look_around(self) -> None:
        """Note what a home pushed by itself, such as the callbacks of a batch: nobody told of it."""
        # A copy: other threads push meanwhile.
        for connection in dict.fromkeys((self._app.config.default, *(name for name, _ in [*self.places]))):
            driver = self.inspectable(connection)
            for each in [] if driver is None else unknown(driver, self._by_id, self._app.job_codec):
                delay = max(each.available_at - self._app.clock.now(), 0) if each.state == "delayed" else 0
                self._add(connection, each.queue, each.payload, delay, is_told=False)

    def look_elsewhere(self) -> None:
        """Note what another process pushed, and what it took; how that ended is not known here."""
        self.look_around()
        for each in self.pushes:
            last = each.outcomes[-1] if each.outcomes else None
            if last is None or isinstance(last, JobReleased):
                driver = self._app.connection(each.connection).driver
                there = driver.find(each.id) if isinstance(driver, Findable) else None
                before = 0 if last is None else last.delivery.attempts()
                each.is_elsewhere |= there is None or there.attempts > before

    def inspectable(self, connection: str) -> Inspectable | None:
        """Give the driver of a connection if it can be looked into; asked once, because asking takes its time."""
        if connection not in self._drivers:
            driver = self._app.connection(connection).driver
            self._drivers[connection] = driver if isinstance(driver, Inspectable) else None
        return self._drivers[connection]

    def _hear(self, event: Event) -> None:
        kind = type(event)
        heard = _HEARD.get(kind)
        if heard is None:
            heard = _HEARD[kind] = _how_to_hear(kind)
        if heard is not _silently:
            self.timeline.append(Happened(self._app.clock.now(), event))
            heard(self, event)

    def _hear_of_batch(self, event: BatchDispatched | BatchFinished) -> None:
        record = event.record
        if isinstance(event, BatchDispatched):
            members = sorted(self._members.get(record.id, ()), key=_in_turn)
            self.batches.append(Batched(record.id, record.name, record.connection, record.queue or None, members))
        if self._callbacks.note(record):
            self.look_around()

    def _hear_of_begin(self, event: JobProcessing) -> None:
        self._pushed_for(event.delivery)

    def _hear_of_time_out(self, event: JobTimedOut) -> None:
        self._pushed_for(event.delivery).timed_out = True

    def _hear_of_end(self, event: JobEnded) -> None:
        pushed = self._pushed_for(event.delivery)
        pushed.outcomes.append(event)
        pushed.is_elsewhere = False
        # The error of a job that is run in place is raised to who dispatched it.
        pushed.is_seen = pushed.way == "sync"
        batch_id = event.delivery.batch_id
        if batch_id is not None and self._callbacks.may_follow(batch_id, failure=isinstance(event, JobFailed)):
            self.look_around()

    def _pushed_for(self, delivery: Delivery) -> Pushed:
        payload = delivery.reservation.payload
        known = self._by_id.get(payload.id)
        if known is not None:
            return known
        return self._add(delivery.connection, delivery.queue, payload, 0, is_told=False)

    def _hear_of_push_to_come(self, event: JobQueueing) -> None:
        known = self._by_id.get(event.payload.id)
        if known is not None:
            known.is_told = True  # it was there before, so this is another push of the same payload
        self._coming[event.payload.id] = next(self._turns)

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
            known.turn, self._is_mixed = self._coming.pop(known.id, 0) or next(self._turns), True

    def _hear_of_refusal(self, event: UniqueJobSkipped) -> None:
        if event.delivery is not None:
            return
        holder, way = self._by_id.get(event.owner), self._app.way_of(event.job)
        self._note(
            Pushed(
                0, Refused(event.job), event.job_id, event.connection, event.queue, 0, self._app.clock.now(),
                origin_here(), way, Fate.UNIQUE, owner=None if holder is None else holder.number,
            )
        )  # fmt: skip

    def _add(  # noqa: PLR0913 - what a push is
        self,
        connection: str,
        queue: str,
        payload: Payload,
        delay: float,
        *,
        job: Job | None = None,
        way: str = "",
        is_told: bool = True,
    ) -> Pushed:
        app = self._app
        content = Content(payload, app.job_codec, job)
        way = way or ("perform" if app.is_beside(payload.id) else "")
        origin = origin_here() if is_told or way else None
        pushed = Pushed(0, content, payload.id, connection, queue, delay, app.clock.now(), origin, way)
        # Who pushes a payload as it is, or retries a job, stands in the stack.
        pushed.is_told, pushed.is_by_itself = is_told, job is None and origin is None
        job = content.look()[0] if job is None else job
        pushed.was_routed = job is not None and app.routed(job).queue == queue
        kept = self._note(pushed)
        if not way:
            self.places.setdefault((connection, queue))
        if kept is pushed and b'"batchId"' in payload.body:
            self._members.setdefault(pushed.body.get("batchId", ""), []).append(pushed)
        return kept

    def _note(self, pushed: Pushed) -> Pushed:
        """Keep a dispatch, and give it; or the one that was found before it was told of, or by somebody else."""
        with self._lock:
            known = self._by_id.get(pushed.id)
            if known is not None and not (known.is_told and pushed.is_told):
                if pushed.is_told:
                    self._coming.pop(pushed.id, 0)
                    known.take_over(pushed)
                return known
            turn = self._coming.pop(pushed.id, 0) if pushed.is_told else self._coming.get(pushed.id, 0)
            pushed.noted = pushed.turn = turn or next(self._turns)
            at, dispatches = len(self.dispatches), self.dispatches
            while at and dispatches[at - 1].noted > pushed.noted:
                at -= 1
            dispatches.insert(at, pushed)
            for number, each in enumerate(dispatches[at:], at + 1):
                each.number = number
            self._by_id[pushed.id] = pushed
        return pushed


def _silently(recorder: Recorder, event: Event) -> None:
    """Keep nothing of an event."""


def _only_noted(recorder: Recorder, event: Event) -> None:
    """Keep nothing of an event but that it happened."""


_WAYS: tuple[tuple[tuple[type[Event], ...], Callable[[Recorder, Any], None]], ...] = (
    # Events of an idle worker: nothing happened.
    ((JobPopping, Looping, WorkerIdle), _silently),
    ((JobQueueing,), Recorder._hear_of_push_to_come),  # noqa: SLF001 - its own
    ((JobQueued, JobHeld, JobDiscarded), Recorder._hear_of_push),  # noqa: SLF001
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
