"""The push side of all connections: which one a job goes to, and with which options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.closures import Dispatchable, as_job
from qcore.errors import JobDefinitionError
from qcore.handlers import HandlerCall, call_of, options_of
from qcore.jobs import Job, Prepared
from qcore.options import UNSET, JobOptions, Name, job_options, said
from qcore.queue import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.driver import Push
    from qcore.queue import Queue


class Dispatcher:
    """What an App can be asked to push."""

    def __init__(self) -> None:
        """Begin without routes and hooks."""
        self.hooks = Hooks()
        self._routes: dict[type[Job], JobOptions] = {}

    def connection(self, name: str | None = None) -> Queue:
        """Give the push side of a connection, the default one if none is named."""
        raise NotImplementedError

    def sync_queue(self) -> Queue:
        """Give a connection that runs in the caller what it is given."""
        raise NotImplementedError

    def push(self, job: Job, options: JobOptions = UNSET) -> str | None:
        """Push a job; what ``job.dispatch()`` comes down to.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        if not isinstance(job, Job):
            job, options = _said(job, options)
        options = self.complete(job, options)
        return self.connection(options.connection).push(job, options)

    def dispatch(self, job: Dispatchable, **options: Any) -> str | None:
        """Push a job, or a plain function, and give its id; None when it was not pushed on purpose.

        :raises PayloadError: when its state cannot be written; nothing is pushed then.
        """
        return self.push(*_said(job, said(options)))

    def push_data(self, handler: str, data: object = None, **options: Any) -> str | None:
        """Push raw data for a handler class, by its name: ``"app.jobs.Import"`` or ``"app.jobs.Import@method"``.

        :raises JobDefinitionError: when there is no such handler.
        :raises PayloadError: when the data is more than plain JSON; nothing is pushed then.
        """
        return self.push(call_of(handler, data), said(options))

    def bulk(self, jobs: Iterable[Dispatchable], **options: Any) -> list[str]:
        """Push many jobs, each connection's in one step where its driver can; give their ids.

        :raises PayloadError: when the state of any cannot be written; none is pushed then.
        """
        call, ids = said(options), []
        groups: dict[str, list[tuple[Push, Job]]] = {}
        for each in jobs:
            job, given = _said(each, call)
            complete = self.complete(job, given)
            queue = self.connection(complete.connection)
            push = queue.prepare(job, complete)
            if push is not None:
                ids.append(push.payload.id)
                groups.setdefault(queue.name, []).append((push, job))
        sent = {job_id for name, group in groups.items() for job_id in self.connection(name).send(group)}
        return [job_id for job_id in ids if job_id in sent]

    def dispatch_sync(self, job: Dispatchable) -> str | None:
        """Run a job here and now, payload round trip included; its exception is raised here."""
        bare, given = _said(job, UNSET)
        return self.sync_queue().push(bare, self.complete(bare, given))

    def route(self, job_class: object, *, queue: Name | None = None, connection: Name | None = None) -> None:
        """Send jobs of a class, and of its subclasses, to a queue or connection.

        What the class itself or the call says beats the route.
        """
        target = getattr(job_class, "job_class", job_class)
        if not (isinstance(target, type) and issubclass(target, Job)):
            message = f"route() takes a job class or a job function, got {job_class!r}"
            raise JobDefinitionError(message)
        self._routes[target] = job_options(queue=queue, connection=connection).over(self._routes.get(target, UNSET))

    def before_push(self, hook: Callable[[Job, str, str], object]) -> None:
        """Call ``hook(job, connection, queue)`` before each push; when it returns False nothing is pushed."""
        self.hooks.before_push.append(hook)

    def payload_using(self, hook: Callable[[str, str, dict[str, Any]], dict[str, Any] | None]) -> None:
        """Add what ``hook(connection, queue, body)`` returns to the body of each payload."""
        self.hooks.payload.append(hook)

    def complete(self, job: Job, call: JobOptions) -> JobOptions:
        """Give the options of a push: the call's over the class's over the route's."""
        options = call.over(type(job).__job__.options)
        if isinstance(job, HandlerCall):
            options = options.over(options_of(job))
        if self._routes:
            for base in type(job).__mro__:
                options = options.over(self._routes.get(base, UNSET))
        return options


def _said(job: Dispatchable, call: JobOptions) -> tuple[Job, JobOptions]:
    given = as_job(job)
    if isinstance(given, Prepared):
        return given.job, call.over(given.options)
    return given, call
