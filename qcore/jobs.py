"""What users write: job classes and job functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from qcore import current, registry
from qcore import delivery as deliveries
from qcore.codec import Codec, canonical
from qcore.errors import JobDefinitionError, NotRunningError, PayloadError
from qcore.job_state import state_of
from qcore.options import (
    OF_A_CLASS,
    UNSET,
    Backoff,
    Delay,
    JobOptions,
    Name,
    checked_name,
    job_options,
    refuse_unknown,
    said,
)
from qcore.sealing import Seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from qcore.layers import Layer
    from qcore.unique import Unique



class Definition(NamedTuple):
    """What qcore knows of a job class."""

    name: str
    """The name in payloads: ``module:QualName``, or what ``name=`` said."""
    aliases: tuple[str, ...]
    options: JobOptions
    given: JobOptions
    """The options said on this very class, without those of its bases."""
    unique: Unique | None = None
    """How jobs of the class keep each other away, None when they do not."""
    seal: Seal | None = None
    """How their state is sealed in a payload, None when it is plain."""

    @property
    def short_name(self) -> str:
        """The name without its module."""
        return self.name.rpartition(":")[2] or self.name


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
        encrypted: bool | None = None,
        **unknown: object,
    ) -> None:
        """Take the options from the class keywords and make the class known by its name.

        :raises JobDefinitionError: for an unknown option or a value that cannot mean anything.
        """
        known = ("name", "aliases", *OF_A_CLASS, "encrypted")
        if "middleware" in unknown:
            raise _middleware_is_a_method(cls)
        refuse_unknown(unknown, of=f"{cls.__qualname__}: ", known=known)
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
        )
        _define(cls, given, name, (aliases,) if isinstance(aliases, str) else tuple(aliases), encrypted=encrypted)

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
        """What tells unique jobs of the class apart: those that say the same keep each other away."""
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

    def dispatch(
        self,
        *,
        delay: Delay | None = None,
        queue: Name | None = None,
        connection: Name | None = None,
        middleware: Sequence[Layer] | None = None,
    ) -> str | None:
        """Push the job and give its id; None when it was not pushed on purpose.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        options = UNSET
        if delay is not None or queue is not None or connection is not None or middleware is not None:
            options = job_options(delay=delay, queue=queue, connection=connection, middleware=middleware)
        return current.app().push(self, options)

    def dispatch_if(self, condition: object, **options: Any) -> str | None:
        """Push the job when the condition holds; a callable condition is asked with the job."""
        return self.dispatch(**options) if holds(condition, self) else None

    def dispatch_unless(self, condition: object, **options: Any) -> str | None:
        """Push the job when the condition does not hold."""
        return None if holds(condition, self) else self.dispatch(**options)

    def dispatch_sync(self) -> str | None:
        """Run the job here and now, payload round trip included; its exception is raised here."""
        return current.app().dispatch_sync(self)

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


def _refuse_attributes(cls: type[Job]) -> None:
    """Refuse options written as Laravel writes them: they would be silently without effect."""
    declared = vars(cls).get("__annotations__", {})
    if isinstance(vars(cls).get("middleware"), list | tuple):
        raise _middleware_is_a_method(cls)
    for option in (*OF_A_CLASS, "encrypted"):
        value = vars(cls).get(option)
        if isinstance(value, str | int | float | list | tuple) and option not in declared:
            message = f"{cls.__qualname__}: options are class keywords: class {cls.__name__}(Job, {option}={value!r})"
            raise JobDefinitionError(message)


def _middleware_is_a_method(cls: type[Job]) -> JobDefinitionError:
    return JobDefinitionError(
        f"{cls.__qualname__}: middleware is a method of a job class: write def middleware(self): return [...]; "
        "for one dispatch alone, and for functions, say with_options(middleware=[...])"
    )


def _define(
    cls: type[Job], given: JobOptions, name: str | None, aliases: tuple[str, ...], *, encrypted: bool | None
) -> None:
    _refuse_attributes(cls)
    remade = cls.__dict__.get("__job__")
    if remade is not None and given == UNSET and name is None and encrypted is None:
        # @dataclass(slots=True) and attrs make the class a second time, without its keywords.
        definition: Definition = remade
    else:
        base = cls.__job__.options
        name = f"{cls.__module__}:{cls.__qualname__}" if name is None else checked_name(name, "job")
        aliases = tuple(checked_name(alias, "job") for alias in aliases)
        definition = Definition(name, aliases, given.over(base) if base is not UNSET else given, given)
        definition = definition._replace(seal=_seal_of(cls, encrypted))
    cls.__job__ = definition
    registry.register(cls, (definition.name, *definition.aliases))


def _seal_of(cls: type[Job], encrypted: object) -> Seal | None:
    if encrypted is None:
        return cls.__job__.seal
    if not isinstance(encrypted, bool):
        message = f"{cls.__qualname__}: encrypted is True or False, got {encrypted!r}"
        raise JobDefinitionError(message)
    return Seal.ENCRYPTED if encrypted else None


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
