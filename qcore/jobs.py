"""What users write: job classes and job functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Never

from qcore import current
from qcore import delivery as deliveries
from qcore.codec import Codec, canonical
from qcore.definition import SAID_OF_A_CLASS, Definition, define, middleware_is_a_method
from qcore.errors import NotRunningError, PayloadError
from qcore.job_state import state_of
from qcore.options import UNSET, Backoff, Delay, JobOptions, Name, job_options, refuse_unknown, said
from qcore.unique import Words
from qcore.wrong_dispatch import of_instances, refuse_at_dispatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from qcore.dispatched_batch import Batch
    from qcore.layers import Layer
    from qcore.unique import Debounce

_NOTHING = (None,) * 6


class Job:
    """Base of all jobs: subclass it, keep arguments as attributes, write ``handle``.

    Options are class keywords and are inherited::

        class ImportCsv(Job, queue="imports", tries=3, backoff=(1, 5, 10), timeout=60):
            def __init__(self, path: str) -> None:
                self.path = path

            def handle(self) -> None: ...

    The state of a job is ``vars(self)`` without ``_private`` names. It is restored without calling
    ``__init__``. Plain classes, dataclasses (also frozen), attrs classes and pydantic models work.
    """

    __job__: ClassVar[Definition] = Definition("qcore:Job", (), UNSET, UNSET)

    def __init_subclass__(  # noqa: PLR0913 - one keyword for each option
        cls,
        *,
        name: str | None = None,
        aliases: Iterable[str] = (),
        queue: Name | None = None,
        connection: Name | None = None,
        delay: Delay | None = None,
        tries: int | None = None,
        max_exceptions: int | None = None,
        backoff: Backoff | None = None,
        timeout: float | None = None,
        fail_on_timeout: bool | None = None,
        after_commit: bool | None = None,
        encrypted: bool | None = None,
        unique: bool | None = None,
        unique_for: float | None = None,
        unique_until_processing: bool | None = None,
        debounce_for: Debounce | None = None,
        **unknown: object,
    ) -> None:
        """Take the options from the class keywords and make the class known by its name.

        :raises JobDefinitionError: for an unknown option or a value that cannot mean anything.
        """
        if "middleware" in unknown:
            raise middleware_is_a_method(cls)
        refuse_unknown(unknown, of=f"{cls.__qualname__}: ", known=("name", "aliases", *SAID_OF_A_CLASS))
        super().__init_subclass__()
        given = job_options(
            queue=queue,
            connection=connection,
            delay=delay,
            tries=tries,
            max_exceptions=max_exceptions,
            backoff=backoff,
            timeout=timeout,
            fail_on_timeout=fail_on_timeout,
            after_commit=after_commit,
        )
        words = Words(unique, unique_for, unique_until_processing, debounce_for)
        aliases = (aliases,) if isinstance(aliases, str) else tuple(aliases)
        define(cls, given, name, aliases, encrypted=encrypted, words=words)

    # What a job may define: only ``handle`` is needed.

    if TYPE_CHECKING:
        # Declared for callers only: a subclass may take what arguments it likes, and be async.
        handle: Callable[..., Any]

    def failed(self, error: BaseException) -> None:
        """Clean up: called once when the job fails for good."""

    def backoff_for(self, attempt: int) -> float | None:  # noqa: ARG002
        """Seconds to wait after that attempt failed; None: what the ``backoff`` option says."""
        return None

    def retry_until(self) -> float | datetime | None:
        """Until when the job may be tried, however often; asked at dispatch. None: ``tries`` decides."""
        return None

    def unique_id(self) -> object:
        """What tells unique or debounced jobs of the class apart: a text, a number, a UUID or a tuple of those."""
        return ""

    def middleware(self) -> Iterable[Callable[[Any, Callable[[Any], object]], object]]:
        """What stands around ``handle``, the outermost first: ``layer(job, call_next)``; asked in every attempt."""
        return ()

    def tags(self) -> Sequence[str]:
        """Words by which to find the job in events and listings."""
        return ()

    def display_name(self) -> str:
        """What to call the job in front of people."""
        return type(self).__job__.short_name

    def prepare_for_dispatch(self) -> bool | None:
        """Look at the job before it is pushed; return False to drop it silently."""

    # Pushing it.

    @of_instances
    def dispatch(
        self,
        *,
        delay: Delay | None = None,
        queue: Name | None = None,
        connection: Name | None = None,
        middleware: Sequence[Layer] | None = None,
        after_commit: object | None = None,
        within: object | None = None,
        **unknown: Never,
    ) -> str | None:
        """Push the job and give its id; None when it was not pushed on purpose.

        ``after_commit`` a session (or True: the one in force) it is pushed when that has committed. ``within`` a
        session or connection, it is written by that very transaction.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        if unknown:
            refuse_at_dispatch(unknown)
        options = UNSET
        if (delay, queue, connection, middleware, after_commit, within) != _NOTHING:
            options = job_options(
                delay=delay,
                queue=queue,
                connection=connection,
                middleware=middleware,
                after_commit=after_commit,
                within=within,
            )
        return current.app().push(self, options)

    @of_instances
    def dispatch_if(self, condition: object, **options: Any) -> str | None:
        """Push the job when the condition holds; a callable condition is asked with the job."""
        return self.dispatch(**options) if holds(condition, self) else None

    @of_instances
    def dispatch_unless(self, condition: object, **options: Any) -> str | None:
        """Push the job when the condition does not hold."""
        return None if holds(condition, self) else self.dispatch(**options)

    @of_instances
    def dispatch_sync(self) -> str | None:
        """Run the job here and now, payload round trip included; its exception is raised here."""
        return current.app().dispatch_sync(self)

    @of_instances
    def dispatch_after_response(self) -> str | None:
        """Run the job in this process when the response has gone, and give its id; see ``qcore.after_response``.

        Without a response to wait for it runs at once, like ``dispatch_sync``.

        :raises PayloadError: when its state cannot be written.
        """
        return current.app().dispatch_after_response(self)

    @of_instances
    def with_options(self, **options: Any) -> Prepared:
        """Say options for this one job, beside ``dispatch``'s: ``tries``, ``timeout``, ``backoff``, ...

        :raises JobDefinitionError: for an unknown option or a value that cannot mean anything.
        """
        return Prepared(self, said(options))

    # While it runs.

    def attempts(self) -> int:
        """How often this job was tried, this time included; 1 when no worker runs it."""
        delivery = deliveries.of(self)
        return delivery.attempts() if delivery else 1

    def release(self, delay: Delay = 0) -> None:
        """Give the job back to its queue, due after ``delay``. The attempt counts.

        :raises NotRunningError: when no worker is running this job.
        """
        self._delivery("release").release(delay)

    def fail(self, error: BaseException | str | None = None) -> None:
        """Fail the job for good; the code after this call still runs.

        :raises NotRunningError: when no worker is running this job.
        """
        self._delivery("fail").fail(error)

    def delete(self) -> None:
        """End the job after this attempt, even if it raises.

        :raises NotRunningError: when no worker is running this job.
        """
        self._delivery("delete").delete()

    def batch(self) -> Batch | None:
        """Give the batch that this job is a member of, as it is now; None without one, and when nobody runs it."""
        delivery = deliveries.of(self)
        return delivery.batch() if delivery else None

    def batching(self) -> bool:
        """Tell whether this job is a member of a batch that is neither finished nor cancelled."""
        batch = self.batch()
        return batch is not None and not batch.finished and not batch.cancelled

    def prepend_to_chain(self, *jobs: object) -> None:
        """Let jobs run right after this one, before what follows it already; they keep their order.

        They are pushed when this job succeeds. A job that is released or fails leaves its chain as it was.

        :raises JobDefinitionError: for what cannot be a link.
        :raises PayloadError: when one cannot be written, or the chain is too long then.
        :raises NotRunningError: when no worker is running this job.
        """
        self._delivery("prepend_to_chain").prepend_to_chain(*jobs)

    def append_to_chain(self, *jobs: object) -> None:
        """Let jobs run after all that follows this one; see ``prepend_to_chain``."""
        self._delivery("append_to_chain").append_to_chain(*jobs)

    def _delivery(self, verb: str) -> deliveries.Delivery:
        delivery = deliveries.of(self)
        if delivery is None:
            message = f"{type(self).__qualname__}.{verb}() was called, but no worker is running this job"
            raise NotRunningError(message)
        return delivery

    # Jobs are values: equal when their encoded state is.

    def __eq__(self, other: object) -> bool:
        """Compare class and encoded state."""
        if self is other:
            return True
        if type(self) is not type(other):
            return NotImplemented
        return _identity(self) == _identity(other)

    def __hash__(self) -> int:
        """Agree with ``==``."""
        return hash((type(self), _identity(self)))

    def __repr__(self) -> str:
        """Show the class and the state; nothing of the state when it is encrypted."""
        if type(self).__job__.seal is not None:
            return f"{type(self).__qualname__}(encrypted)"
        state = ", ".join(f"{name}={value!r}" for name, value in state_of(self).items())
        return f"{type(self).__qualname__}({state})"


class Prepared:
    """A job together with options said for this one push."""

    __slots__ = ("job", "options")

    def __init__(self, job: Job, options: JobOptions) -> None:
        """Keep both."""
        self.job = job
        self.options = options

    def dispatch(self, **options: Any) -> str | None:
        """Push the job; options given here beat those given before.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        return current.app().push(self.job, said(options).over(self.options))

    def __repr__(self) -> str:
        """Show the job and what was said for it."""
        return f"{self.job!r} with {self.options}"


def holds(condition: object, job: Job) -> bool:
    """Ask a condition, with the job if it is callable."""
    return bool(condition(job) if callable(condition) else condition)


# Wide limits: what two jobs are compared by is never stored.
_codec = Codec(max_bytes=1 << 40, max_depth=200)


def _identity(job: Job) -> object:
    try:
        return canonical(_codec.encode(state_of(job)))
    except PayloadError:
        return id(job)  # what cannot be written is equal to nothing but itself
