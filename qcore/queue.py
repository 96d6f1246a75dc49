"""The push side of one connection: a job becomes a payload, and the payload goes to the driver."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.driver import Bulk, Clearable, Inspectable, Payload, Push, Sizable
from qcore.errors import JobDefinitionError, PayloadError, UnsupportedError
from qcore.events import JobQueued, JobQueueing
from qcore.job_state import complete_state_of
from qcore.jobs import Job
from qcore.options import JobOptions, checked_name, seconds_until, timestamp
from qcore.payload import CALL, FAR
from qcore.payload import read as read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.clock import Clock
    from qcore.codec import Codec
    from qcore.driver import Driver, Listed, QueueCounts
    from qcore.events import Events


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
        prepared = self.prepare(job, options)
        if prepared is None:
            return None
        self.send([(prepared, job)])
        return prepared.payload.id

    def send(self, prepared: Sequence[tuple[Push, Job | None]]) -> None:
        """Push what was prepared, in one step where the driver can."""
        self._tell(JobQueueing, prepared)
        if len(prepared) > 1 and isinstance(self.driver, Bulk):
            self.driver.bulk([push for push, _ in prepared])
        else:
            for push, _ in prepared:
                self.driver.push(push.queue, push.payload, delay=push.delay)
        self._tell(JobQueued, prepared)
        if self.after_push is not None:
            self.after_push()

    def push_raw(self, payload: Payload, queue: str | None = None, *, delay: float = 0) -> str:
        """Push a payload as it is, byte for byte."""
        self._hooks.guard(self.driver)
        self.send([(Push(checked_name(queue or self.default_queue, "queue"), payload, delay), None)])
        return payload.id

    def size(self, queue: str | None = None) -> int:
        """Count what is on a queue: ready, delayed and reserved.

        :raises UnsupportedError: when the driver cannot know.
        """
        if not isinstance(self.driver, Sizable):
            raise self._unable("count its jobs")
        return self.driver.size(queue or self.default_queue)

    def clear(self, queue: str | None = None) -> int:
        """Remove everything from a queue and say how much it was.

        :raises UnsupportedError: when the driver cannot do that.
        """
        if not isinstance(self.driver, Clearable):
            raise self._unable("clear a queue")
        return self.driver.clear(queue or self.default_queue)

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something.

        :raises UnsupportedError: when the driver cannot know.
        """
        if not isinstance(self.driver, Inspectable):
            raise self._unable("show what it holds")
        return self.driver.counts()

    def listed(self, queue: str | None = None, *, limit: int = 100) -> list[Listed]:
        """Show what is on a queue, what becomes available first on top.

        :raises UnsupportedError: when the driver cannot know.
        """
        if not isinstance(self.driver, Inspectable):
            raise self._unable("show what it holds")
        return self.driver.listed(queue or self.default_queue, limit=limit)

    def body_of(self, job: Job, options: JobOptions, job_id: str) -> bytes:
        """Write the payload of a job that was pushed before: what hooks add is added only once.

        :raises PayloadError: when its state cannot be written.
        """
        plan = _plan_of(job)
        return self._codec.dumps(self._body(job, plan, options, job_id), what=plan.name)

    def prepare(self, job: Job, options: JobOptions) -> Push | None:
        """Make a job ready to be sent; None when a hook or the job itself dropped it.

        :raises PayloadError: when its state cannot be written.
        """
        self._hooks.guard(self.driver)
        plan = _plan_of(job)
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
        job_id = _new_id()
        body = self._body(job, plan, options, job_id)
        if self._hooks.payload:
            body = self._hooked(body, queue)
        delay = 0 if options.delay is None else seconds_until(options.delay, self._clock.now())
        return Push(queue, Payload(job_id, self._codec.dumps(body, what=plan.name)), delay)

    def _body(self, job: Job, plan: _Plan, options: JobOptions, job_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "uuid": job_id,
            "displayName": _display_name(job) if plan.displays else plan.display_name,
            "job": CALL,
            "maxTries": options.tries,
            "maxExceptions": options.max_exceptions,
            "failOnTimeout": options.fail_on_timeout or False,
            "backoff": options.backoff,
            "timeout": options.timeout,
            "retryUntil": _retry_until(job) if plan.expires else None,
            "data": {
                "commandName": plan.name,
                "command": self._codec.encode(complete_state_of(job), path=plan.display_name),
            },
            "id": job_id,
            "createdAt": self._clock.now(),
        }
        if plan.tagged:
            body["tags"] = _tags(job)
        return body

    def _hooked(self, body: dict[str, Any], queue: str) -> dict[str, Any]:
        fixed = {name: body[name] for name in _FIXED}
        for hook in self._hooks.payload:
            body |= hook(self.name, queue, dict(body)) or {}
        body |= fixed
        read_body(body)  # what a hook says shall not stop a worker later
        return body

    def _unable(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"the driver of the connection {self.name!r} cannot {what}")

    def _tell(self, event: type[JobQueueing | JobQueued], pushes: Sequence[tuple[Push, Job | None]]) -> None:
        if self._events.wants(event):
            for push, job in pushes:
                self._events.emit(event(self.name, push.queue, job, push.payload, push.delay))


def _new_id() -> str:
    """Make a random UUID of version 4. The module ``uuid`` takes two times as long, and asks for the platform first."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


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


def _plan_of(job: Job) -> _Plan:
    plan = _plans.get(type(job))
    if plan is None:
        plan = _plans[type(job)] = _make_plan(job)
    return plan


_CALLED = ("handle", "failed", "backoff_for", "retry_until", "tags", "display_name", "prepare_for_dispatch")


def _make_plan(job: Job) -> _Plan:
    job_class = type(job)
    if not callable(getattr(job_class, "handle", None)):
        message = f"{job_class.__qualname__} has no handle(): write what the job does"
        raise JobDefinitionError(message)
    for hidden in _CALLED:
        if not callable(getattr(job, hidden)):
            message = f"the field {hidden!r} of {job_class.__qualname__} hides the method {hidden}(): rename the field"
            raise JobDefinitionError(message)
    return _Plan(
        name=job_class.__job__.name,
        display_name=job_class.__job__.short_name,
        displays=job_class.display_name is not Job.display_name,
        prepares=job_class.prepare_for_dispatch is not Job.prepare_for_dispatch,
        expires=job_class.retry_until is not Job.retry_until,
        tagged=job_class.tags is not Job.tags,
        in_main=job_class.__module__ == "__main__",
    )


def _display_name(job: Job) -> str:
    name: object = job.display_name()
    if isinstance(name, str) and name:
        return name
    raise _wrong(job, "display_name", "is a text", name)


def _tags(job: Job) -> list[str]:
    tags: object = job.tags()
    if not isinstance(tags, str) and isinstance(tags, Iterable):
        listed = list(tags)
        if all(isinstance(tag, str) for tag in listed):
            return listed
    raise _wrong(job, "tags", "is a list of words", tags)


def _retry_until(job: Job) -> float | None:
    moment: Any = job.retry_until()
    if moment is None:
        return None
    try:
        moment = timestamp(moment)
    except ValueError as error:
        message = f"{type(job).__qualname__}.retry_until(): {error}"
        raise PayloadError(message) from None
    if type(moment) in (int, float) and 0 <= moment < FAR:
        return moment  # type: ignore[no-any-return]
    raise _wrong(job, "retry_until", "is an aware datetime, or seconds since 1970", moment)


def _wrong(job: Job, method: str, rule: str, value: object) -> PayloadError:
    return PayloadError(f"{type(job).__qualname__}.{method}() {rule}, got {value!r:.60}")
