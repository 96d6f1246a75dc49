"""What a job class asks of its payloads, found out once for each class, and what its jobs answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from qcore.codec_loss import foreign_base
from qcore.errors import JobDefinitionError, PayloadError
from qcore.jobs import Job
from qcore.options import timestamp
from qcore.payload import FAR


class JobPlan(NamedTuple):
    """What is the same for all jobs of a class, found out once."""

    handles: bool
    """It has a ``handle()``; without one it needs a handler of its own: see ``App.map``."""
    name: str
    display_name: str
    displays: bool
    prepares: bool
    expires: bool
    tagged: bool
    unique: bool
    misled: bool
    """It says what makes it unique, and is not unique: an option was forgotten."""
    in_main: bool


_plans: dict[type[Job], JobPlan] = {}


def plan_of(job: Job) -> JobPlan:
    """Give the plan of a job's class.

    :raises JobDefinitionError: when the class cannot be a job.
    """
    plan = _plans.get(type(job))
    if plan is None:
        plan = _plans[type(job)] = _make_plan(job)
    return plan


_CALLED = (
    "handle",
    "failed",
    "backoff_for",
    "retry_until",
    "tags",
    "display_name",
    "prepare_for_dispatch",
    "middleware",
    "unique_id",
)


def _make_plan(job: Job) -> JobPlan:
    job_class = type(job)
    for hidden in _CALLED:
        if not callable(getattr(job, hidden, job_class)):
            message = f"the field {hidden!r} of {job_class.__qualname__} hides the method {hidden}(): rename the field"
            raise JobDefinitionError(message)
    if foreign := foreign_base(job_class):
        what = foreign.__qualname__
        message = (
            f"{job_class.__qualname__} is also a {what}, which no payload can hold: keep the {what} in an attribute"
        )
        raise JobDefinitionError(message)
    return JobPlan(
        handles=callable(getattr(job_class, "handle", None)),
        name=job_class.__job__.name,
        display_name=job_class.__job__.short_name,
        displays=job_class.display_name is not Job.display_name,
        prepares=job_class.prepare_for_dispatch is not Job.prepare_for_dispatch,
        expires=job_class.retry_until is not Job.retry_until,
        tagged=job_class.tags is not Job.tags,
        unique=job_class.__job__.unique is not None,
        misled="unique_id" in vars(job_class) and job_class.__job__.unique is None,
        in_main=job_class.__module__ == "__main__",
    )


def display_name_of(job: Job) -> str:
    """Ask the job what it is called."""
    name: object = job.display_name()
    if isinstance(name, str) and name:
        return name
    raise _wrong(job, "display_name", "is a text", name)


def tags_of(job: Job) -> list[str]:
    """Ask the job for its tags."""
    tags: object = job.tags()
    if not isinstance(tags, str) and isinstance(tags, Iterable):
        listed = list(tags)
        if all(isinstance(tag, str) for tag in listed):
            return listed
    raise _wrong(job, "tags", "is a list of words", tags)


def retry_until_of(job: Job) -> float | None:
    """Ask the job until when it may be tried, in seconds since 1970."""
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
