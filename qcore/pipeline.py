"""What stands between the runner and a job's handler: middleware, the outermost first, then the handler itself."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import callbacks, layers
from qcore.errors import JobDefinitionError, PayloadError
from qcore.events import JobLetThrough
from qcore.injection import may_ask
from qcore.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qcore.codec import Codec
    from qcore.delivery import Delivery
    from qcore.injection import Provider
    from qcore.layers import Layer, Next
    from qcore.payload import Body
    from qcore.unique_locks import UniqueLocks
    from qcore.user_code import UserCode

_SHORTEST = 0.001
"""Seconds left to a handler whose middleware used up the time: 0 would mean without limit."""


class Pipeline:
    """The way of every job of an App to its handler.

    From outside to inside: the middleware of the App, what the job's ``middleware()`` gives, what the dispatch was
    given, the handler.
    """

    def __init__(
        self,
        of_app: Sequence[Layer],
        provider: Provider,
        codec: Codec,
        locks: UniqueLocks,
        called_with: Callable[[Delivery], dict[str, object]] = lambda _: {},
    ) -> None:
        """Take the middleware of the App, which may grow later, and what gives handlers what they ask for.

        ``called_with`` gives what a callback of a chain or a batch is called with.
        """
        self.locks = locks
        """The locks of unique jobs."""
        self._of_app = of_app
        self._provider = provider
        self._codec = codec
        self._called_with = called_with

    def around(self, delivery: Delivery, body: Body, user: UserCode) -> Callable[[], object]:
        """Give what is to be called to run the delivery's job: its handler, when nothing stands before it."""
        job: Any = delivery.job
        plan = _plans.get(type(job)) or _plan_of(type(job))
        if (
            plan.is_plain
            and not (plan.may_ask and self._provider.asks(job))
            and not (self._of_app or self._provider.handlers)
            and not (body.has_more and ("middleware" in body.raw or "callback" in body.raw))
        ):
            delivery.has_begun = True
            handler: Callable[[], object] = job.handle
            return handler
        return partial(self._run, delivery, job, user, delivery.timeout)

    def _run(self, delivery: Delivery, job: Job, user: UserCode, timeout: float) -> object:
        clock = delivery.tools.clock
        started = clock.monotonic()
        delivery.in_middleware = True
        all_layers, plan = self._layers(delivery, job), _plan_of(type(job))
        reached: list[Layer] = []

        def call(index: int, given: Any = None) -> object:  # noqa: ANN401 - what users pass on
            if not isinstance(given, Job):
                message = f"{delivery.name}: call_next(job) takes the job to run, got {given!r:.100}"
                raise JobDefinitionError(message)
            if index < len(all_layers):
                reached.append(all_layers[index])
                return _through(all_layers[index], given, partial(call, index + 1))
            if plan.frees_lock:
                self.locks.free(delivery)
            delivery.has_begun, delivery.in_middleware = True, False
            if reached and delivery.tools.events.wants(JobLetThrough):
                delivery.tools.events.emit(JobLetThrough(delivery))
            left = max(timeout - (clock.monotonic() - started), _SHORTEST) if timeout else timeout
            return self._handled(delivery, given, user, left)

        result = call(0, job)
        if not (delivery.has_begun or delivery.blocked_by) and reached:
            # It did not call on: whoever sees that the job was skipped wants to know by whom.
            delivery.blocked_by = getattr(reached[-1], "__name__", type(reached[-1]).__name__)
        return result

    def _handled(self, delivery: Delivery, job: Job, user: UserCode, timeout: float) -> object:
        if delivery.body is not None and "callback" in delivery.body.raw:
            job = callbacks.completed(job, partial(self._called_with, delivery), self._provider)
        restored, delivery.job = delivery.job, job  # a layer may pass on another job than it was given
        try:
            target = self._provider.target(job) or job.handle
            # To its end, so that a middleware has seen the job through when call_next returns.
            return user.finished(target(), timeout)
        finally:
            delivery.job = restored

    def _layers(self, delivery: Delivery, job: Job) -> tuple[Layer, ...]:
        of_app = layers.listed(self._of_app, "the middleware of the App")
        of_job = layers.listed(job.middleware(), f"{type(job).__qualname__}.middleware()")
        if delivery.body is None or "middleware" not in delivery.body.raw:
            return of_app + of_job
        return of_app + of_job + _restored(delivery.body.raw["middleware"], self._codec, delivery.name)


def _restored(field: Any, codec: Codec, of: str) -> tuple[Layer, ...]:  # noqa: ANN401 - whatever the payload holds
    """Read the middleware of a payload. What is no ``Middleware`` is refused before anything is called."""
    from qcore import middleware  # few payloads have any

    middleware.load()
    given = codec.decode(field, path=f"{of}.middleware")
    if isinstance(given, list) and all(isinstance(layer, layers.Middleware) for layer in given):
        return tuple(given)
    message = (
        f"the middleware of {of} is a list of objects derived from qcore.middleware.Middleware, got {given!r:.100}"
    )
    raise PayloadError(message)


def _through(layer: Layer, job: Job, call_next: Next) -> object:
    """Call a layer. What is wrong with it is looked for when it went wrong: looking costs more than calling."""
    try:
        result = layer(job, call_next)
    except TypeError as error:
        if fault := layers.fault_of(layer):
            raise layers.refused(layer, fault, type(job).__qualname__) from error
        raise
    if result is not None and layers.closed(result):
        fault = layers.fault_of(layer) or "returned something to await or to iterate, which nobody would do"
        raise layers.refused(layer, fault, type(job).__qualname__)
    return result


class _Plan(NamedTuple):
    """What is the same for all jobs of a class."""

    is_plain: bool
    """Nothing of the class's own stands before its handler."""
    may_ask: bool
    """Its handler has parameters beside the job."""
    frees_lock: bool
    """Its lock is freed when its handler begins."""


_plans: dict[type[Job], _Plan] = {}


def _plan_of(job_class: type[Job]) -> _Plan:
    plan = _plans.get(job_class)
    if plan is None:
        plan = _plans[job_class] = _make_plan(job_class)
    return plan


def _make_plan(job_class: type[Job]) -> _Plan:
    unique = job_class.__job__.unique
    frees_lock = unique is not None and unique.until_processing
    return _Plan(job_class.middleware is Job.middleware and not frees_lock, may_ask(job_class), frees_lock)
