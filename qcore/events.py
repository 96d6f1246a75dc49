"""What happens to jobs and workers, as plain records given to plain callables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

# Given on: who wants an event wants to listen to it, and finds both here.
from qcore.listeners import Event as Event  # noqa: PLC0414
from qcore.listeners import Events as Events  # noqa: PLC0414
from qcore.listeners import EventType as EventType  # noqa: PLC0414
from qcore.listeners import Listener as Listener  # noqa: PLC0414

if TYPE_CHECKING:
    from qcore.batches import BatchRecord
    from qcore.delivery import Delivery
    from qcore.driver import Payload, Reservation
    from qcore.failed import FailedJob
    from qcore.jobs import Job


@dataclass(slots=True, eq=False, repr=False)
class _OfPush(Event):
    connection: str
    queue: str
    job: Job | None
    """None for a payload that was pushed as it is."""
    payload: Payload
    delay: float


@dataclass(slots=True, eq=False, repr=False)
class JobQueueing(_OfPush):
    """A job is about to be pushed."""


@dataclass(slots=True, eq=False, repr=False)
class JobQueued(_OfPush):
    """A job was pushed."""


@dataclass(slots=True, eq=False, repr=False)
class JobHeld(_OfPush):
    """A job was dispatched, and is pushed when a transaction has committed or a response has gone."""


@dataclass(slots=True, eq=False, repr=False)
class JobDiscarded(_OfPush):
    """A job that was held is not pushed: its transaction was rolled back."""


@dataclass(slots=True, eq=False, repr=False)
class UniqueJobSkipped(Event):
    """A unique job was not pushed, or not run when it was delivered: another job holds its lock."""

    connection: str
    queue: str
    job: Job | None
    """None for a payload that was pushed as it is, or that cannot be restored."""
    job_id: str
    key: str
    """The lock, as ``qcore show --locks`` lists it."""
    owner: str
    """The id of the job that holds it."""
    left: float | None
    """Seconds for which the lock lasts at most; None when its store cannot tell."""
    delivery: Delivery | None
    """None when it was not pushed."""


@dataclass(slots=True, eq=False, repr=False)
class JobPopping(Event):
    """A worker is about to reserve a job."""

    connection: str
    queues: tuple[str, ...]


@dataclass(slots=True, eq=False, repr=False)
class _OfDelivery(Event):
    delivery: Delivery


@dataclass(slots=True, eq=False, repr=False)
class JobPopped(Event):
    """A worker reserved a job."""

    connection: str
    reservation: Reservation


@dataclass(slots=True, eq=False, repr=False)
class JobProcessing(_OfDelivery):
    """A delivery begins. A listener may still ``delivery.delete()`` it, then its handler is not run."""


@dataclass(slots=True, eq=False, repr=False)
class JobExceptionOccurred(_OfDelivery):
    """An exception ended the attempt. What follows from it is said by the ending event."""

    error: BaseException


@dataclass(slots=True, eq=False, repr=False)
class JobBlocked(_OfDelivery):
    """A middleware kept the job from running now."""

    by: str
    """The name of the middleware's class, or what it calls itself."""
    delay: float | None
    """Seconds for which it is released; None when the job ended here as if it had succeeded."""


@dataclass(slots=True, eq=False, repr=False)
class JobLetThrough(_OfDelivery):
    """All middleware of a job called on, and its handler is called next. A job without middleware has none."""


@dataclass(slots=True, eq=False, repr=False)
class JobDebounced(_OfDelivery):
    """A debounced job was delivered after another one had taken its place; it is not run."""

    key: str
    """Says, in the store, which one was dispatched last."""
    owner: str
    """The id of that one."""


@dataclass(slots=True, eq=False, repr=False)
class JobTimedOut(_OfDelivery):
    """The attempt was ended by its time limit, in seconds."""

    timeout: float


@dataclass(slots=True, eq=False, repr=False)
class JobFailing(_OfDelivery):
    """The job is about to fail for good. A listener that returns False keeps it: it is released."""

    error: BaseException


@dataclass(slots=True, eq=False, repr=False)
class JobEnded(_OfDelivery):
    """Base of the ending events: each delivery has exactly one."""

    duration: float
    """Seconds since the delivery began."""


@dataclass(slots=True, eq=False, repr=False)
class JobProcessed(JobEnded):
    """Ending: the job ran and is gone."""

    late: bool = False
    """True when the lease had passed to another worker: the job may run a second time."""


@dataclass(slots=True, eq=False, repr=False)
class JobSkipped(JobEnded):
    """Ending: a middleware or listener ended the delivery without running the job; it is gone."""


@dataclass(slots=True, eq=False, repr=False)
class JobReleased(JobEnded):
    """Ending: the job waits again, ``delay`` seconds from now."""

    delay: float
    error: BaseException | None = None
    vetoed: bool = False
    """True when a listener of ``JobFailing`` kept the job."""


@dataclass(slots=True, eq=False, repr=False)
class JobFailed(JobEnded):
    """Ending: the job will not be tried again."""

    error: BaseException


@dataclass(slots=True, eq=False, repr=False)
class JobLost(JobEnded):
    """Ending: the lease was lost, so failing or releasing was refused: the job is in other hands."""

    error: BaseException | None = None
    told: bool = True
    """False: the backend was away, and the job runs again when its lease is over, however it has ended."""


@dataclass(slots=True, eq=False, repr=False)
class JobRetryRequested(Event):
    """A failed job is about to be pushed anew."""

    record: FailedJob


@dataclass(slots=True, eq=False, repr=False)
class _OfWorker(Event):
    worker: str
    connection: str
    queues: tuple[str, ...]


@dataclass(slots=True, eq=False, repr=False)
class Looping(_OfWorker):
    """A turn of the worker begins. A listener that returns False makes it reserve nothing this turn.

    A worker that may take no jobs anyway, because of a pause or of maintenance, does not ask.
    """


@dataclass(slots=True, eq=False, repr=False)
class WorkerStarting(_OfWorker):
    """A worker begins."""


@dataclass(slots=True, eq=False, repr=False)
class WorkerIdle(_OfWorker):
    """A worker found nothing to do and waits."""


@dataclass(slots=True, eq=False, repr=False)
class WorkerInterrupted(_OfWorker):
    """A signal asked the worker to stop after the current job."""

    signal: int


@dataclass(slots=True, eq=False, repr=False)
class WorkerStopping(_OfWorker):
    """A worker ends."""

    reason: str
    jobs_processed: int


@dataclass(slots=True, eq=False, repr=False)
class WorkerPausing(_OfWorker):
    """A worker takes no jobs from now on; ``reason`` is ``signal`` (SIGUSR2) or ``maintenance``."""

    reason: str


@dataclass(slots=True, eq=False, repr=False)
class WorkerResuming(_OfWorker):
    """That reason is gone: the other one may still hold."""

    reason: str


@dataclass(slots=True, eq=False, repr=False)
class WorkerQueuePaused(_OfWorker):
    """A worker noticed that one of its queues is paused, alone or with all others."""

    queue: str


@dataclass(slots=True, eq=False, repr=False)
class WorkerQueueResumed(_OfWorker):
    """A worker noticed that one of its queues is not paused any more."""

    queue: str


@dataclass(slots=True, eq=False, repr=False)
class QueuePaused(Event):
    """Somebody paused one queue, for some seconds or until somebody resumes."""

    connection: str
    queue: str
    seconds: float | None


@dataclass(slots=True, eq=False, repr=False)
class QueueResumed(Event):
    """Somebody ended the pause of one queue. A pause that ends by itself is told by workers only."""

    connection: str
    queue: str


@dataclass(slots=True, eq=False, repr=False)
class QueuesPaused(Event):
    """Somebody paused all queues of all connections, for some seconds or until somebody resumes."""

    seconds: float | None


@dataclass(slots=True, eq=False, repr=False)
class QueuesResumed(Event):
    """Somebody ended the pause of all queues."""


@dataclass(slots=True, eq=False, repr=False)
class QueueBusy(Event):
    """``qcore monitor`` found that a queue holds too much, or lets its jobs wait too long."""

    connection: str
    queue: str
    size: int
    """Jobs on the queue: ready, delayed and reserved."""
    waited: float | None
    """Seconds for which the oldest ready job waits; None when none is ready, or its driver cannot tell."""
    over: tuple[str, ...]
    """Which limits are reached: ``size``, ``wait``."""


@dataclass(slots=True, eq=False, repr=False)
class MaintenanceStarted(Event):
    """Somebody said ``down``, for some seconds or until somebody says ``up``."""

    seconds: float | None


@dataclass(slots=True, eq=False, repr=False)
class MaintenanceEnded(Event):
    """Somebody said ``up``."""


@dataclass(slots=True, eq=False, repr=False)
class _OfBatch(Event):
    record: BatchRecord
    """The batch at that moment; ``find_batch(record.id)`` gives what can be done about it."""


@dataclass(slots=True, eq=False, repr=False)
class BatchDispatched(_OfBatch):
    """All members of a batch were pushed."""


@dataclass(slots=True, eq=False, repr=False)
class BatchFinished(_OfBatch):
    """No member of a batch can run any more; once more when members were added or retried since."""


@dataclass(slots=True, eq=False, repr=False)
class BatchCancelled(_OfBatch):
    """A batch was cancelled, by a member that failed or by somebody: see ``record.cancelled_by``."""
