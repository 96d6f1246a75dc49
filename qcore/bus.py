"""Dispatching as plain functions, through the App in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.jobs import Prepared, holds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.jobs import Job
    from qcore.options import Name


def dispatch(job: Job | Prepared, **options: Any) -> str | None:
    """Push a job and give its id; None when it was not pushed on purpose.

    :raises PayloadError: when its state cannot be written; nothing is pushed then.
    """
    return current.app().dispatch(job, **options)


def dispatch_if(condition: object, job: Job | Prepared, **options: Any) -> str | None:
    """Push a job when the condition holds; a callable condition is asked with the job."""
    return dispatch(job, **options) if _holds(condition, job) else None


def dispatch_unless(condition: object, job: Job | Prepared, **options: Any) -> str | None:
    """Push a job when the condition does not hold."""
    return None if _holds(condition, job) else dispatch(job, **options)


def dispatch_sync(job: Job | Prepared) -> str | None:
    """Run a job here and now, payload round trip included; its exception is raised here."""
    return current.app().dispatch_sync(job)


def bulk(jobs: Iterable[Job | Prepared], **options: Any) -> list[str]:
    """Push many jobs, each connection's in one step where its driver can; give their ids.

    :raises PayloadError: when the state of any cannot be written; none is pushed then.
    """
    return current.app().bulk(jobs, **options)


def route(job_class: object, *, queue: Name | None = None, connection: Name | None = None) -> None:
    """Send jobs of a class, and of its subclasses, to a queue or connection, unless they say otherwise."""
    current.app().route(job_class, queue=queue, connection=connection)


def _holds(condition: object, job: Job | Prepared) -> bool:
    return holds(condition, job.job if isinstance(job, Prepared) else job)
