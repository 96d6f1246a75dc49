"""What happens to jobs and workers, as plain records given to plain callables."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from qcore.delivery import Delivery
    from qcore.driver import Payload, Reservation
    from qcore.failed import FailedJob
    from qcore.jobs import Job

logger = logging.getLogger("qcore")


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events: who listens to it hears everything."""


@dataclass(frozen=True, slots=True)
class JobQueueing(Event):
    """A job is about to be pushed."""

    connection: str
    queue: str
    job: Job | None
    """None for a payload that was pushed as it is."""
    payload: Payload
    delay: float


@dataclass(frozen=True, slots=True)
class JobQueued(JobQueueing):
    """A job was pushed."""


@dataclass(frozen=True, slots=True)
class JobPopping(Event):
    """A worker is about to reserve a job."""

    connection: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _OfDelivery(Event):
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class JobPopped(Event):
    """A worker reserved a job."""

    connection: str
    reservation: Reservation


@dataclass(frozen=True, slots=True)
class JobProcessing(_OfDelivery):
    """A delivery begins. A listener may still ``delivery.delete()`` it, then its handler is not run."""


@dataclass(frozen=True, slots=True)
class JobExceptionOccurred(_OfDelivery):
    """An exception ended the attempt. What follows from it is said by the ending event."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class JobTimedOut(_OfDelivery):
    """The attempt was ended by its time limit, in seconds."""

    timeout: float


@dataclass(frozen=True, slots=True)
class JobFailing(_OfDelivery):
    """The job is about to fail for good. A listener that returns False keeps it: it is released."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class JobEnded(_OfDelivery):
    """Base of the ending events: each delivery has exactly one."""

    duration: float
    """Seconds since the delivery began."""


@dataclass(frozen=True, slots=True)
class JobProcessed(JobEnded):
    """Ending: the job ran and is gone."""

    late: bool = False
    """True when the lease had passed to another worker: the job may run a second time."""


@dataclass(frozen=True, slots=True)
class JobSkipped(JobEnded):
    """Ending: a middleware or listener ended the delivery without running the job; it is gone."""


@dataclass(frozen=True, slots=True)
class JobReleased(JobEnded):
    """Ending: the job waits again, ``delay`` seconds from now."""

    delay: float
    error: BaseException | None = None
    vetoed: bool = False
    """True when a listener of ``JobFailing`` kept the job."""


@dataclass(frozen=True, slots=True)
class JobFailed(JobEnded):
    """Ending: the job will not be tried again."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class JobLost(JobEnded):
    """Ending: the lease was lost, so failing or releasing was refused: the job is in other hands."""

    error: BaseException | None = None


@dataclass(frozen=True, slots=True)
class JobRetryRequested(Event):
    """A failed job is about to be pushed anew."""

    record: FailedJob


@dataclass(frozen=True, slots=True)
class _OfWorker(Event):
    worker: str
    connection: str
    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Looping(_OfWorker):
    """A turn of the worker begins. A listener that returns False makes it reserve nothing this turn."""


@dataclass(frozen=True, slots=True)
class WorkerStarting(_OfWorker):
    """A worker begins."""


@dataclass(frozen=True, slots=True)
class WorkerIdle(_OfWorker):
    """A worker found nothing to do and waits."""


@dataclass(frozen=True, slots=True)
class WorkerInterrupted(_OfWorker):
    """A signal asked the worker to stop after the current job."""

    signal: int


@dataclass(frozen=True, slots=True)
class WorkerStopping(_OfWorker):
    """A worker ends."""

    reason: str
    jobs_processed: int


EventType = TypeVar("EventType", bound=Event)
Listener = Callable[[EventType], object]


class Events:
    """Listeners by event class. Without a listener an event is not even made."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        """Begin without listeners."""
        self._listeners: dict[type[Event], list[Listener[Event]]] = {}

    def listen(self, event: type[EventType], listener: Listener[EventType]) -> Callable[[], None]:
        """Call ``listener`` with every event of that class; gives a function that ends it.

        ``listen(Event, ...)`` and other base classes hear all that derives from them. A listener that
        raises is logged and changes nothing.
        """
        listeners = self._listeners.setdefault(event, [])
        listeners.append(listener)  # type: ignore[arg-type] # called with its own class only
        return lambda: listeners.remove(listener)  # type: ignore[arg-type]

    def wants(self, event: type[Event]) -> bool:
        """Tell whether anybody would hear such an event."""
        return bool(self._listeners) and any(self._listeners.get(base) for base in event.__mro__[:-1])

    def emit(self, event: Event) -> bool:
        """Tell everybody; False when a listener returned just that."""
        go_on = True
        for base in type(event).__mro__[:-1]:
            for listener in tuple(self._listeners.get(base, ())):
                go_on &= _call(listener, event) is not False
        return go_on


def _call(listener: Listener[Event], event: Event) -> object:
    try:
        return listener(event)
    except Exception:
        logger.exception("a listener of %s raised; the job goes on", type(event).__name__)
        return None
