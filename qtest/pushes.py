"""What a recorder keeps of each dispatch."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import payload as payloads
from qcore.errors import PayloadError
from qcore.events import JobFailed
from qcore.handlers import HandlerCall
from qtest import origin

if TYPE_CHECKING:
    from qcore.driver import Payload
    from qcore.events import Event, JobEnded
    from qcore.job_codec import JobCodec
    from qcore.jobs import Job
    from qtest.origin import Origin


UNREADABLE = "(unreadable payload)"
"""What a payload is called whose name cannot be read."""


class Fate(enum.Enum):
    """What became of a dispatch."""

    PUSHED = "pushed"
    HELD = "held"
    """It waits for a commit, or for a response to have gone."""
    UNIQUE = "unique"
    """It was not pushed: another job held its lock."""
    ROLLBACK = "rollback"
    """It was not pushed: its transaction was rolled back."""


class Content:
    """What stands in the payload of a dispatch: its bytes, read when somebody looks.

    They never change, whatever becomes of the job that was dispatched. What else reading depends on could: so a class
    is the one that the job had then, and a payload that holds more than plain JSON is read at once.
    """

    __slots__ = ("_codec", "_job_class", "_payload", "_read")

    def __init__(self, payload: Payload, codec: JobCodec, job: Job | None) -> None:
        """Take the payload of ``job``; None when nobody knows what is in it."""
        self._payload = payload
        self._codec = codec
        self._read: tuple[Job | None, str, dict[str, Any]] | None = None
        self._job_class: type[Job] | None = None
        if job is None or type(job).__job__.seal is not None or b'{"$' in payload.body or isinstance(job, HandlerCall):
            self._read = self._looked_into()
        else:
            self._job_class = type(job)

    def look(self) -> tuple[Job | None, str, dict[str, Any]]:
        """Give the job as it comes out of the payload, its name, and the payload's JSON object."""
        read = self._read
        if read is None:
            read = self._read = self._looked_into()
        return read

    def _looked_into(self) -> tuple[Job | None, str, dict[str, Any]]:
        try:
            body = payloads.decode(self._payload.body, self._codec.codec)
        except PayloadError:
            return None, UNREADABLE, {}
        try:
            job_class = self._job_class
            job = self._codec.restored(body) if job_class is None else self._codec.restored_as(job_class, body)
        except PayloadError:
            return None, body.display_name, body.raw
        return job, body.display_name, body.raw


class Refused:
    """What there is of a job that was not pushed at all: the job itself, its name, and nothing of a payload."""

    __slots__ = ("_seen",)

    def __init__(self, job: Job | None) -> None:
        """Take the job."""
        self._seen = (job, job.display_name() if job is not None else UNREADABLE, dict[str, Any]())

    def look(self) -> tuple[Job | None, str, dict[str, Any]]:
        """Give what ``Content`` gives."""
        return self._seen


@dataclass(slots=True, eq=False)
class Pushed:
    """One dispatch: the job as it comes out of its payload, and where it went."""

    number: int
    """Counts the dispatches of the test, from 1."""
    content: Content | Refused
    id: str
    connection: str
    queue: str
    delay: float
    """Seconds."""
    at: float
    """When it was pushed, in seconds since 1970."""
    dispatched_from: Origin | None
    """Where in the code under test; None for what the queue pushed by itself."""
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
    noted: int = 0
    """Where it stands among the dispatches: greater than that of those before it."""
    turn: int = 0
    """The same among the pushes: what was held is pushed later than what was dispatched after it."""
    is_elsewhere: bool = False
    """True when another process took it, so that nothing is known of what became of it."""
    is_by_itself: bool = False
    """True when no code dispatched it: the next link of a chain, a callback, a member of a batch that is a link."""
    is_told: bool = True
    """False when it was found, and who pushed it has not told of it yet, or never will."""

    def take_over(self, told: Pushed) -> None:
        """Know what is told of this push after it was found."""
        self.content, self.delay, self.way = told.content, told.delay, told.way
        self.dispatched_from, self.is_by_itself = told.dispatched_from, told.is_by_itself
        self.was_routed, self.is_told = told.was_routed, True

    @property
    def job(self) -> Job | None:
        """The job; None when the payload cannot be read, or holds what is not known here."""
        return self.content.look()[0]

    @property
    def name(self) -> str:
        """What to call it in front of people."""
        return self.content.look()[1]

    @property
    def body(self) -> dict[str, Any]:
        """The payload's JSON object."""
        return self.content.look()[2]

    @property
    def origin(self) -> str:
        """Where in the code under test: ``app/signup.py:41``; empty for what the queue pushed by itself."""
        return origin.written(self.dispatched_from)

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
