"""The push side of one connection: a job becomes a payload, and the payload goes to the driver."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from qcore.driver import Bulk, Clearable, Inspectable, Payload, Push, Sizable
from qcore.errors import JobDefinitionError, PayloadError, UnsupportedError
from qcore.events import JobQueued, JobQueueing
from qcore.jobs import Job, state_of
from qcore.options import JobOptions, checked_name, seconds_until, timestamp
from qcore.payload import CALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.clock import Clock
    from qcore.codec import Codec
    from qcore.driver import Driver, Listed, QueueCounts
    from qcore.events import Events


Ability = TypeVar("Ability", Sizable, Clearable, Inspectable)

_FIXED = ("uuid", "id", "job", "data")


class Hooks:
    """Functions of the App that look at what is pushed."""

    def __init__(self) -> None:
        """Begin with none."""
        self.before_push: list[Callable[[Job, str, str], object]] = []
        self.payload: list[Callable[[str, str, dict[str, Any]], dict[str, Any] | None]] = []
        self.guard: Callable[[Driver], None] = lambda _: None
        """Refuses what must not be pushed through a driver now."""


class Queue:
    """One configured connection, as code that pushes sees it."""

    def __init__(  # noqa: PLR0913 - joined by the App
        self,
        name: str,
        driver: Driver,
        *,
        default_queue: str,
        codec: Codec,
        clock: Clock,
        events: Events,
        hooks: Hooks,
    ) -> None:
        """Take the parts."""
        self.name = name
        self.driver = driver
        self.default_queue = default_queue
        self._codec = codec
        self._clock = clock
        self._events = events
        self._hooks = hooks
        self.after_push: Callable[[], None] | None = None
        """How the sync connection runs what was pushed."""

    def push(self, job: Job, options: JobOptions) -> str | None:
        """Push one job and give its id; None when a hook or the job itself dropped it.

        ``options`` are complete: the call's over the class's.

        :raises PayloadError: when the job's state cannot be written; nothing is pushed then.
        """
        prepared = self._prepare(job, options)
        if prepared is None:
            return None
        if self._events.wants(JobQueueing):
            self._events.emit(JobQueueing(self.name, prepared.queue, job, prepared.payload, prepared.delay))
        self.driver.push(prepared.queue, prepared.payload, delay=prepared.delay)
        self._pushed(prepared, job)
        return prepared.payload.id

    def bulk(self, jobs: Iterable[tuple[Job, JobOptions]]) -> list[str]:
        """Push many jobs at once and give their ids.

        :raises PayloadError: when the state of any cannot be written; none is pushed then.
        """
        prepared = [(ready, job) for job, options in jobs if (ready := self._prepare(job, options)) is not None]
        for ready, job in prepared:
            self._events.emit(JobQueueing(self.name, ready.queue, job, ready.payload, ready.delay))
        if isinstance(self.driver, Bulk):
            self.driver.bulk([ready for ready, _ in prepared])
        else:
            for ready, _ in prepared:
                self.driver.push(ready.queue, ready.payload, delay=ready.delay)
        for ready, job in prepared:
            self._pushed(ready, job)
        return [ready.payload.id for ready, _ in prepared]

    def push_raw(self, payload: Payload, queue: str | None = None, *, delay: float = 0) -> str:
        """Push a payload as it is, byte for byte."""
        self._hooks.guard(self.driver)
        push = Push(checked_name(queue or self.default_queue, "queue"), payload, delay)
        self._events.emit(JobQueueing(self.name, push.queue, None, payload, delay))
        self.driver.push(push.queue, payload, delay=delay)
        self._pushed(push, None)
        return payload.id

    def size(self, queue: str | None = None) -> int:
        """Count what is on a queue: ready, delayed and reserved.

        :raises UnsupportedError: when the driver cannot know.
        """
        return _able(self, Sizable, "count its jobs").size(queue or self.default_queue)

    def clear(self, queue: str | None = None) -> int:
        """Remove everything from a queue and say how much it was.

        :raises UnsupportedError: when the driver cannot do that.
        """
        return _able(self, Clearable, "clear a queue").clear(queue or self.default_queue)

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something.

        :raises UnsupportedError: when the driver cannot know.
        """
        return _able(self, Inspectable, "show what it holds").counts()

    def listed(self, queue: str | None = None, *, limit: int = 100) -> list[Listed]:
        """Show what is on a queue, what becomes available first on top.

        :raises UnsupportedError: when the driver cannot know.
        """
        return _able(self, Inspectable, "show what it holds").listed(queue or self.default_queue, limit=limit)

    def body_of(self, job: Job, options: JobOptions, job_id: str) -> bytes:
        """Write the payload of a job.

        :raises PayloadError: when its state cannot be written.
        """
        plan = _plan_of(type(job))
        queue = options.queue or self.default_queue
        return self._codec.dumps(self._body(job, plan, options, job_id, queue), what=plan.name)

    def _prepare(self, job: Job, options: JobOptions) -> Push | None:
        self._hooks.guard(self.driver)
        plan = _plan_of(type(job))
        queue = options.queue or self.default_queue
        if plan.in_main and self.driver.shared:
            message = (
                f"{plan.name} is defined in the script that is being run, where no worker can import it: "
                "move it to a module"
            )
            raise PayloadError(message)
        if plan.prepares and job.prepare_for_dispatch() is False:
            return None
        if self._hooks.before_push and any(hook(job, self.name, queue) is False for hook in self._hooks.before_push):
            return None
        job_id = str(uuid.uuid4())
        body = self._body(job, plan, options, job_id, queue)
        delay = 0 if options.delay is None else seconds_until(options.delay, self._clock.now())
        return Push(queue, Payload(job_id, self._codec.dumps(body, what=plan.name)), delay)

    def _body(self, job: Job, plan: _Plan, options: JobOptions, job_id: str, queue: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "uuid": job_id,
            "displayName": job.display_name() if plan.displays else plan.display_name,
            "job": CALL,
            "maxTries": options.tries,
            "maxExceptions": options.max_exceptions,
            "failOnTimeout": options.fail_on_timeout or False,
            "backoff": options.backoff,
            "timeout": options.timeout,
            "retryUntil": _retry_until(job) if plan.expires else None,
            "data": {"commandName": plan.name, "command": self._codec.encode(state_of(job), path=plan.display_name)},
            "id": job_id,
            "createdAt": self._clock.now(),
        }
        if plan.tagged:
            body["tags"] = list(job.tags())
        return self._hooked(body, queue) if self._hooks.payload else body

    def _hooked(self, body: dict[str, Any], queue: str) -> dict[str, Any]:
        fixed = {name: body[name] for name in _FIXED}
        for hook in self._hooks.payload:
            body |= hook(self.name, queue, dict(body)) or {}
        return body | fixed

    def _pushed(self, push: Push, job: Job | None) -> None:
        if self._events.wants(JobQueued):
            self._events.emit(JobQueued(self.name, push.queue, job, push.payload, push.delay))
        if self.after_push is not None:
            self.after_push()


def _able(queue: Queue, ability: type[Ability], what: str) -> Ability:
    if isinstance(queue.driver, ability):
        return queue.driver
    message = f"the driver of the connection {queue.name!r} cannot {what}"
    raise UnsupportedError(message)


class _Plan(NamedTuple):
    """What is the same for all jobs of a class, found out once."""

    name: str
    display_name: str
    displays: bool
    prepares: bool
    expires: bool
    tagged: bool
    in_main: bool


_plans: dict[type[Job], _Plan] = {}


def _plan_of(job_class: type[Job]) -> _Plan:
    plan = _plans.get(job_class)
    if plan is None:
        plan = _plans[job_class] = _make_plan(job_class)
    return plan


def _make_plan(job_class: type[Job]) -> _Plan:
    if not callable(getattr(job_class, "handle", None)):
        message = f"{job_class.__qualname__} has no handle(): write what the job does"
        raise JobDefinitionError(message)
    name = job_class.__job__.name
    return _Plan(
        name=name,
        display_name=name.rpartition(":")[2],
        displays=job_class.display_name is not Job.display_name,
        prepares=job_class.prepare_for_dispatch is not Job.prepare_for_dispatch,
        expires=job_class.retry_until is not Job.retry_until,
        tagged=job_class.tags is not Job.tags,
        in_main=job_class.__module__ == "__main__",
    )


def _retry_until(job: Job) -> float | None:
    moment = job.retry_until()
    return None if moment is None else timestamp(moment)
