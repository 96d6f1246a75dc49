"""Dispatching as plain functions, through the App in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.closures import as_job
from qcore.jobs import Prepared, holds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.closures import Dispatchable
    from qcore.jobs import Job
    from qcore.options import Name


def dispatch(job: Dispatchable, **options: Any) -> str | None:
    """Push a job and give its id; None when it was not pushed on purpose.

    :raises PayloadError: when its state cannot be written; nothing is pushed then.
    """
    return current.app().dispatch(job, **options)


def dispatch_if(condition: object, job: Dispatchable, **options: Any) -> str | None:
    """Push a job when the condition holds; a callable condition is asked with the job."""
    given = as_job(job)
    return dispatch(given, **options) if _holds(condition, given) else None


def dispatch_unless(condition: object, job: Dispatchable, **options: Any) -> str | None:
    """Push a job when the condition does not hold."""
    given = as_job(job)
    return None if _holds(condition, given) else dispatch(given, **options)


def dispatch_sync(job: Dispatchable) -> str | None:
    """Run a job here and now, payload round trip included; its exception is raised here."""
    return current.app().dispatch_sync(job)


def dispatch_after_response(job: Dispatchable) -> str | None:
    """Run a job in this process when the response has gone, and give its id; see ``after_response``.

    Without a response to wait for it runs at once, like ``dispatch_sync``.

    :raises PayloadError: when its state cannot be written.
    """
    return current.app().dispatch_after_response(job)


def bulk(jobs: Iterable[Dispatchable], **options: Any) -> list[str]:
    """Push many jobs, each connection's in one step where its driver can; give their ids.

    :raises PayloadError: when the state of any cannot be written; none is pushed then.
    """
    return current.app().bulk(jobs, **options)


def push(handler: str, data: object = None, **options: Any) -> str | None:
    """Push raw data for a handler class, by its name: ``"app.jobs.Import"`` or ``"app.jobs.Import@method"``.

    :raises JobDefinitionError: when there is no such handler.
    :raises PayloadError: when the data is more than plain JSON; nothing is pushed then.
    """
    return current.app().push_data(handler, data, **options)


def route(job_class: object, *, queue: Name | None = None, connection: Name | None = None) -> None:
    """Send jobs of a class, and of its subclasses, to a queue or connection, unless they say otherwise."""
    current.app().route(job_class, queue=queue, connection=connection)


def _holds(condition: object, job: Job | Prepared) -> bool:
    return holds(condition, job.job if isinstance(job, Prepared) else job)
