"""What happened under a fake: every push and every delivery, in order, as the real app told it."""

from __future__ import annotations

import enum
import os
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import links
from qcore import payload as payloads
from qcore.driver import Inspectable
from qcore.errors import PayloadError
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from qcore.driver import Listed, Payload
    from qcore.jobs import Job
    from qtest.contexts import Block
    from qtest.fake_app import FakeApp

_SILENT = (JobPopping, Looping, WorkerIdle)
"""Events of an idle worker: nothing happened."""

_ALL = 1_000_000

_TURNS = ("progress", "failure", "catch", "then", "finally")
"""The callbacks of one step of a batch, in their order."""


class Fate(enum.Enum):
    """What became of a dispatch."""

    PUSHED = "pushed"
    HELD = "held"
    """It waits for a commit, or for a response to have gone."""
    UNIQUE = "unique"
    """It was not pushed: another job held its lock."""
    ROLLBACK = "rollback"
    """It was not pushed: its transaction was rolled back."""


@dataclass(slots=True, eq=False)
class Pushed:
    """One dispatch: the job as it comes out of its payload, and where it went."""

    number: int
    """Counts the dispatches of the test, from 1."""
    job: Job | None
    """None when the payload cannot be read, or holds what is not known here."""
    name: str
    """What to call it in front of people."""
    id: str
    connection: str
    queue: str
    delay: float
    """Seconds."""
    at: float
    """When it was pushed, in seconds since 1970."""
    body: dict[str, Any]
    """The payload's JSON object."""
    origin: str
    """Where in the code under test: ``app/signup.py:41``; empty for what the queue pushed by itself."""
    way: str = ""
    """``sync`` or ``after_response`` when it was no push to a queue, ``perform`` when the test ran it in place."""
    fate: Fate = Fate.PUSHED
    was_held: bool = False
    """True when it waited for a commit or a response, however that ended."""
    was_routed: bool = False
    """True when a route of the App chose its queue."""
    owner: int | None = None
    """The number of the one that holds the lock, when that kept this one from being pushed."""
    outcomes: list[JobEnded] = field(default_factory=list)
    """How its deliveries ended, the first one first."""
    timed_out: bool = False
    is_seen: bool = False
    """True once the test has looked at how it ended."""

    @property
    def went_wrong(self) -> bool:
        """Whether it failed, or would be tried again if it were on a queue."""
        error = getattr(self.outcomes[-1], "error", None) if self.outcomes else None
        return error is not None and (self.has_failed or self.way == "perform")

    @property
    def has_failed(self) -> bool:
        """Whether it failed for good."""
        return bool(self.outcomes) and isinstance(self.outcomes[-1], JobFailed)


class Batched(NamedTuple):
    """One batch that was dispatched."""

    id: str
    name: str
    connection: str
    queue: str | None
    """The queue of all members; None when each goes to its own."""
    members: list[Pushed]
    """What was pushed for it when it was dispatched: a job, or the first one of a chain."""

    @property
    def jobs(self) -> list[Job | None]:
        """Its members as they come out of their payloads."""
        return [each.job for each in self.members]


class Happened(NamedTuple):
    """One event, and when."""

    at: float
    event: Event


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
            driver = self._app.connection(connection).driver
            if not isinstance(driver, Inspectable):
                continue
            found = []
            for count in driver.counts():
                self.places.setdefault((connection, count.queue))
                found += [each for each in driver.listed(count.queue, limit=_ALL) if each.payload.id not in self._by_id]
            # Queue by queue they are found, and were pushed in the order of what they are called for.
            for each in sorted(found, key=self._turn_of) if len(found) > 1 else found:
                delay = max(each.available_at - self._app.clock.now(), 0) if each.state == "delayed" else 0
                self._add(connection, each.queue, each.payload, delay)

    def _turn_of(self, listed: Listed) -> int:
        callback = self._read(listed.payload)[2].get("callback") or {}
        event = callback.get("event", "")
        return _TURNS.index(event) if event in _TURNS else len(_TURNS)

    def _hear(self, event: Event) -> None:
        if isinstance(event, _SILENT):
            return
        self.timeline.append(Happened(self._app.clock.now(), event))
        if isinstance(event, JobQueued | JobHeld | JobDiscarded):
            self._hear_of_push(event)
        elif isinstance(event, UniqueJobSkipped):
            if event.delivery is None:
                self._hear_of_refusal(event)
        elif isinstance(event, JobProcessing | JobTimedOut | JobEnded):
            self._hear_of_delivery(event)
        elif isinstance(event, BatchDispatched | BatchFinished):
            self._hear_of_batch(event)

    def _hear_of_batch(self, event: BatchDispatched | BatchFinished) -> None:
        if isinstance(event, BatchDispatched):
            record = event.record
            members = [each for each in self.dispatches if each.body.get("batchId") == record.id]
            self.batches.append(Batched(record.id, record.name, record.connection, record.queue or None, members))
            if links.batch_options(record.options)["progress"]:
                self._tells_progress.add(record.id)
        self.look_around()

    def _hear_of_delivery(self, event: JobProcessing | JobTimedOut | JobEnded) -> None:
        delivery = event.delivery
        pushed = self._by_id.get(delivery.id)
        if pushed is None:
            pushed = self._add(delivery.connection, delivery.queue, delivery.reservation.payload, 0)
        if isinstance(event, JobTimedOut):
            pushed.timed_out = True
        elif isinstance(event, JobEnded):
            pushed.outcomes.append(event)
            pushed.is_seen = False
            batch_id = delivery.batch_id
            if batch_id is not None and (isinstance(event, JobFailed) or batch_id in self._tells_progress):
                self.look_around()

    def _hear_of_push(self, event: JobQueued | JobHeld | JobDiscarded) -> None:
        known = self._by_id.get(event.payload.id)
        if known is None or known.fate is not Fate.HELD:
            way = self._way_of(event.job)
            known = self._add(event.connection, event.queue, event.payload, event.delay, way=way)
        if isinstance(event, JobHeld):
            known.fate, known.was_held = Fate.HELD, True
        elif isinstance(event, JobDiscarded):
            known.fate = Fate.ROLLBACK
        elif known.fate is Fate.HELD:
            known.fate, known.at, known.delay = Fate.PUSHED, self._app.clock.now(), event.delay

    def _hear_of_refusal(self, event: UniqueJobSkipped) -> None:
        job, holder = event.job, self._by_id.get(event.owner)
        owner = None if holder is None else holder.number
        name = job.display_name() if job is not None else "(unreadable payload)"
        self._note(
            Pushed(
                len(self.dispatches) + 1, job, name, event.job_id, event.connection, event.queue, 0,
                self._app.clock.now(), {}, _origin(), self._way_of(job), Fate.UNIQUE, owner=owner,
            )
        )  # fmt: skip

    def _way_of(self, job: Job | None) -> str:
        return next((way for each, way in self._app.ways if each is job), "")

    def _add(self, connection: str, queue: str, payload: Payload, delay: float, *, way: str = "") -> Pushed:
        job, name, raw = self._read(payload)
        pushed = Pushed(
            number=len(self.dispatches) + 1,
            job=job,
            name=name,
            id=payload.id,
            connection=connection,
            queue=queue,
            delay=delay,
            at=self._app.clock.now(),
            body=raw,
            origin=_origin(),
            way=way or ("perform" if any(kind == "perform" for _, kind in self._app.ways) else ""),
            was_routed=job is not None and self._app.routed(job).queue == queue,
        )
        self._note(pushed)
        if not pushed.way:
            self.places.setdefault((connection, queue))
        return pushed

    def _note(self, pushed: Pushed) -> None:
        with self._lock:
            pushed.number = len(self.dispatches) + 1
            self.dispatches.append(pushed)
        self._by_id[pushed.id] = pushed

    def _read(self, payload: Payload) -> tuple[Job | None, str, dict[str, Any]]:
        try:
            body = payloads.decode(payload.body, self._app.codec)
        except PayloadError:
            return None, "(unreadable payload)", {}
        try:
            return self._app.job_codec.restored(body), body.display_name, body.raw
        except PayloadError:
            return None, body.display_name, body.raw


_OURS = {"qcore", "qtest", "contextlib", "threading", "asyncio", "concurrent", "functools"}
_BY_ITSELF = ("qcore.settlement", "qcore.worker")


def _origin() -> str:
    """Name the line outside qcore from which this push came; nothing when a job brought it about by ending."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - inspect.stack() reads source files, and takes a hundred times as long
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] not in _OURS:
            return f"{_short(frame.f_code.co_filename)}:{frame.f_lineno}"
        if name in _BY_ITSELF:
            return ""
        frame = frame.f_back
    return ""


roots: list[str] = []
"""Folders whose files are named from there on; the current one is looked at, too."""


def _short(path: str) -> str:
    for root in (*roots, os.getcwd()):  # noqa: PTH109 - a Path takes ten times as long, at every push
        if path.startswith(root + os.sep):
            return path[len(root) + 1 :]
    return os.path.basename(path)  # noqa: PTH119 - the same
