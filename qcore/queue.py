"""The push side of one connection: a job becomes a payload, and the payload goes to the driver."""

from __future__ import annotations

import logging
import os
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

from qcore import links
from qcore.driver import Bulk, LockRule, Outbox, Payload, Push
from qcore.errors import JobDefinitionError, PayloadError, UnsupportedError
from qcore.events import JobDiscarded, JobHeld, JobQueued, JobQueueing
from qcore.handlers import HandlerCall
from qcore.holdings import Holdings
from qcore.job_plan import JobPlan, display_name_of, plan_of, retry_until_of, tags_of
from qcore.layers import encoded
from qcore.options import JobOptions, checked_name, seconds_until
from qcore.payload import CALL
from qcore.payload import read as read_body
from qcore.unique import field_of, put_off_by

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from qcore.clock import Clock
    from qcore.driver import Driver
    from qcore.events import Events
    from qcore.job_codec import JobCodec
    from qcore.jobs import Job
    from qcore.links import Link
    from qcore.unique_locks import UniqueLocks


logger = logging.getLogger("qcore")

_FIXED = ("uuid", "id", "job", "data")


class Hooks:
    """Functions of the App that look at what is pushed."""

    def __init__(self) -> None:
        """Begin with none."""
        self.before_push: list[Callable[[Job, str, str], object]] = []
        self.payload: list[Callable[[str, str, dict[str, Any]], dict[str, Any] | None]] = []
        self.has_handler: Callable[[type[Job]], object] = lambda _: None
        """Tells whether jobs of a class have a handler of its own."""
        self.guard: Callable[[Driver], None] = lambda _: None
        """Refuses what must not be pushed through a driver now."""


class Queue(Holdings):
    """One configured connection, as code that pushes sees it."""

    def __init__(  # noqa: PLR0913 - joined by the App
        self,
        name: str,
        driver: Driver,
        *,
        default_queue: str,
        codec: JobCodec,
        clock: Clock,
        events: Events,
        hooks: Hooks,
        locks: UniqueLocks,
    ) -> None:
        """Take the parts."""
        super().__init__(name, driver, default_queue)
        self._codec = codec
        self._clock = clock
        self._events = events
        self._hooks = hooks
        self.locks = locks
        self.after_push: Callable[[], None] | None = None
        """How the sync connection runs what was pushed."""
        self.after_commit = False
        """True when pushes wait for the commit of an open transaction, unless they say otherwise."""

    def joined(self, transaction: object) -> Queue:
        """Give the push side as it is inside a transaction of the caller: what it pushes is gone with a rollback.

        :raises UnsupportedError: when the driver cannot write there.
        :raises ConfigError: when the transaction is on another database, or none is open.
        """
        if not isinstance(self.driver, Outbox):
            message = (
                f"the connection {self.name!r} cannot write jobs in your transaction, only a database can: "
                "say after_commit= instead of within="
            )
            raise UnsupportedError(message)
        inside = copy(self)
        inside.driver, inside.locks = self.driver.joined(transaction), self.locks.written_by(transaction)
        return inside

    def before_commit(self, transaction: object) -> Queue:
        """Give the push side whose locks are taken inside a transaction of the caller, if that is on their database."""
        locks = self.locks.joined(transaction)
        if locks is None:
            return self
        inside = copy(self)
        inside.locks = locks
        return inside

    def push(self, job: Job, options: JobOptions) -> str | None:
        """Push one job and give its id; None when a hook or the job itself dropped it.

        ``options`` are complete: the call's over the class's.

        :raises PayloadError: when the job's state cannot be written; nothing is pushed then.
        """
        prepared = self.prepare(job, options)
        if prepared is None:
            return None
        if prepared.lock is None:
            self._send_free([(prepared, job)])
            self._pushed(quietly=False)
            return prepared.payload.id
        return prepared.payload.id if self.send([(prepared, job)]) else None

    def send(self, prepared: Sequence[tuple[Push, Job | None]], *, quietly: bool = False) -> list[str]:
        """Push what was prepared, in one step where the driver can; give the ids of what was not refused by a lock.

        ``quietly`` says that the caller is not the one to hear of errors of jobs that are run here and now.
        """
        locked = [each for each in prepared if each[0].lock is not None]
        free = [each for each in prepared if each[0].lock is None] if locked else prepared
        self._send_free(free)
        sent = [push.payload.id for push, _ in free]
        sent += [push.payload.id for push, job in locked if self._send_locked(push, job)]
        self._pushed(quietly=quietly)
        return sent

    def _send_free(self, free: Sequence[tuple[Push, Job | None]]) -> None:
        """Push what wants no lock."""
        self._tell(JobQueueing, free)
        if len(free) > 1 and isinstance(self.driver, Bulk):
            self.driver.bulk([push for push, _ in free])
        else:
            for push, _ in free:
                self.driver.push(push.queue, push.payload, delay=push.delay)
        self._tell(JobQueued, free)

    def _pushed(self, *, quietly: bool) -> None:
        if self.after_push is None:
            return
        if quietly:
            self.run_quietly()
        else:
            self.after_push()

    def run_quietly(self) -> None:
        """Let the sync connection run what was pushed. What fails there is settled by then, and only logged."""
        if self.after_push is not None:
            try:
                self.after_push()
            except Exception:
                logger.exception("what was pushed to the connection %s failed there", self.name)

    def _send_locked(self, push: Push, job: Job | None) -> bool:
        """Push a unique job and take its lock; False when somebody else holds it."""
        self._tell(JobQueueing, [(push, job)])
        holder = self.locks.push(push)
        if holder is not None:
            self.locks.tell_skipped(push, job, holder)
            return False
        self._tell(JobQueued, [(push, job)])
        return True

    def tell_held(self, prepared: Sequence[tuple[Push, Job | None]], *, over: bool = False) -> None:
        """Tell that what was prepared waits for something, or that it waited in vain."""
        self._tell(JobDiscarded if over else JobHeld, prepared)

    def send_as(self, prepared: Sequence[tuple[Push, Job | None]], push_all: Callable[[list[Push]], bool]) -> bool:
        """Push what was prepared by a step that does more than that; False when the step did nothing.

        What takes a lock was prepared to be pushed whoever holds it.
        """
        self._tell(JobQueueing, prepared)
        locked = [push for push, _ in prepared if push.lock is not None]
        pushes = [push if push.lock is None else self.locks.before(push) for push, _ in prepared]
        done = False
        try:
            done = push_all(pushes)
        finally:
            for push in locked:
                self.locks.after(push, pushed=done)
        if done:
            self._tell(JobQueued, prepared)
        return done

    def link(
        self, job: Job, options: JobOptions, job_id: str | None = None, *, fields: Mapping[str, Any] | None = None
    ) -> Link | None:
        """Write a job as a link of a chain, or as a callback; None when a hook or the job itself dropped it.

        ``fields`` are added to its body.

        :raises PayloadError: when its state cannot be written.
        """
        drafted = self._drafted(job, options, job_id)
        if drafted is None:
            return None
        queue, delay, body = drafted
        if fields is not None:
            body |= fields
        # Read back as bytes of its own, so that a limit is met here and not when the link is due.
        self._codec.codec.dumps(body, what=body["displayName"])
        due = options.delay.timestamp() if isinstance(options.delay, datetime) else None
        return links.written(self.name, queue, delay, body, due=due)

    def push_raw(self, payload: Payload, queue: str | None = None, *, delay: float = 0) -> str:
        """Push a payload as it is, byte for byte."""
        self._hooks.guard(self.driver)
        self.send([(Push(checked_name(queue or self.default_queue, "queue"), payload, delay), None)])
        return payload.id

    def push_again(self, push: Push) -> bool:
        """Push a payload that was pushed before; False when another job holds its lock."""
        self._hooks.guard(self.driver)
        return bool(self.send([(push, None)]))

    def data_of(self, job: Job) -> bytes:
        """Write the state of a job, and nothing that differs from one push to the next.

        :raises PayloadError: when it cannot be written.
        """
        return self._codec.codec.dumps(self._codec.data_of(job), what=type(job).__qualname__)

    def body_of(self, job: Job, options: JobOptions, job_id: str) -> bytes:
        """Write the payload of a job that was pushed before: what hooks add is added only once.

        :raises PayloadError: when its state cannot be written.
        """
        plan = plan_of(job)
        return self._codec.codec.dumps(self._body(job, plan, options, job_id), what=plan.name)

    def prepare(
        self,
        job: Job,
        options: JobOptions,
        *,
        fields: Mapping[str, Any] | None = None,
        rule: LockRule = LockRule.REFUSE,
        job_id: str | None = None,
    ) -> Push | None:
        """Make a job ready to be sent; None when a hook or the job itself dropped it.

        ``fields`` are added to its body; ``rule`` says what a lock in other hands means.

        :raises PayloadError: when its state cannot be written.
        """
        drafted = self._drafted(job, options, job_id)
        if drafted is None:
            return None
        queue, delay, body = drafted
        if fields is not None:
            body |= fields
        is_unique = "unique" in body
        if is_unique:
            links.with_rule(body, rule)
        payload, lock = Payload(body["id"], self._codec.codec.dumps(body, what=body["displayName"])), None
        if is_unique:
            delay = self.locks.put_off(body, delay) if options.delay is None else delay
            lock = links.lock_of(body, delay, rule)
        return Push(queue, payload, delay, lock)

    def _drafted(self, job: Job, options: JobOptions, job_id: str | None) -> tuple[str, float, dict[str, Any]] | None:
        """Write a job down: its queue, its delay and its body. None when a hook or the job itself dropped it."""
        self._hooks.guard(self.driver)
        plan = plan_of(job)
        queue = options.queue or self.default_queue
        if not plan.handles and not self._hooks.has_handler(type(job)):
            message = f"{type(job).__qualname__} has no handle(): write what the job does, or App.map() it to a handler"
            raise JobDefinitionError(message)
        if plan.misled:
            name = type(job).__name__
            message = (
                f"{name} has a unique_id(), and is not unique: "
                f"write class {name}(Job, unique=True), or debounce_for=..., or leave unique_id() away"
            )
            raise JobDefinitionError(message)
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
        body = self._body(job, plan, options, job_id or new_id())
        if self._hooks.payload:
            body = self._hooked(body, queue)
        if options.delay is not None:
            delay = seconds_until(options.delay, self._clock.now())
        else:
            delay = put_off_by(type(job).__job__) if plan.unique else 0
        return queue, delay, body

    def _body(self, job: Job, plan: JobPlan, options: JobOptions, job_id: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "uuid": job_id,
            "displayName": display_name_of(job) if plan.displays else plan.display_name,
            "job": CALL,
            "maxTries": options.tries,
            "maxExceptions": options.max_exceptions,
            "failOnTimeout": options.fail_on_timeout or False,
            "backoff": options.backoff,
            "timeout": options.timeout,
            "retryUntil": retry_until_of(job) if plan.expires else None,
            "data": self._codec.data_of(job),
            "id": job_id,
            "createdAt": self._clock.now(),
        }
        if isinstance(job, HandlerCall):
            body["job"] = job.handler
        if plan.tagged:
            body["tags"] = tags_of(job)
        if plan.unique and (field := field_of(job, at_once=self.after_push is not None)) is not None:
            body["unique"] = field
        if options.middleware:
            body["middleware"] = encoded(options.middleware, self._codec.codec, body["displayName"])
        return body

    def _hooked(self, body: dict[str, Any], queue: str) -> dict[str, Any]:
        fixed = {name: body[name] for name in _FIXED}
        for hook in self._hooks.payload:
            body |= hook(self.name, queue, dict(body)) or {}
        body |= fixed
        read_body(body)  # what a hook says shall not stop a worker later
        return body

    def _tell(
        self, event: type[JobQueueing | JobQueued | JobHeld | JobDiscarded], pushes: Sequence[tuple[Push, Job | None]]
    ) -> None:
        if self._events.wants(event):
            for push, job in pushes:
                self._events.emit(event(self.name, push.queue, job, push.payload, push.delay))


def new_id() -> str:
    """Make a random UUID of version 4. The module ``uuid`` takes two times as long, and asks for the platform first."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
