"""``qcore dispatch``: push a job from the shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from qcore import handlers, registry
from qcore.commands.arguments import make_job
from qcore.commands.locks import held_by
from qcore.commands.project import Project, pass_project
from qcore.commands.terminal import escaped
from qcore.commands.values import SECONDS
from qcore.errors import ConfigError, QcoreError, UnknownJobError
from qcore.events import UniqueJobSkipped
from qcore.options import job_options

if TYPE_CHECKING:
    from qcore.app import App
    from qcore.jobs import Job
    from qcore.options import JobOptions


@click.command("dispatch", short_help="Push a job from the shell.")
@click.argument("name")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE | KEY:=JSON]...")
@click.option("--queue", metavar="NAME", help="The queue to push to.")
@click.option("--connection", metavar="NAME", help="The connection to push to.")
@click.option("--delay", type=SECONDS, metavar="N", help="Let the job wait for N seconds first.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")
@pass_project
def command(  # noqa: PLR0913 - one parameter for each option
    project: Project,
    name: str,
    arguments: tuple[str, ...],
    *,
    queue: str | None,
    connection: str | None,
    delay: float | None,
    as_json: bool,
) -> None:
    """Push the job NAME, and print its id; of a unique job that is there already, which one keeps it away.

    NAME is a whole name (jobs.import_csv:ImportCsv), or its last part when only one job has it (ImportCsv).
    Values get the types that the job's constructor or function asks for; write a list by saying the key again.
    """
    app = project.app_with_jobs()
    job = make_job(_found(name), arguments, app.provider)
    options = job_options(queue=queue, connection=connection, delay=delay)
    skipped: list[UniqueJobSkipped] = []
    app.listen(UniqueJobSkipped, lambda event: skipped.append(event) if event.job is job else None)
    job_id = _pushed(app, job, options)
    if as_json:
        click.echo(json.dumps({"id": job_id, "job": type(job).__job__.name, **_reason(skipped)}))
    elif job_id is None:
        reason = held_by(skipped[0]) if skipped else "the job itself or a hook dropped it"
        # Not to stdout: a script that takes the id from there takes nothing.
        click.echo(escaped(f"Nothing was pushed: {reason}."), err=True)
    else:
        click.echo(job_id)


def _found(name: str) -> type[Job]:
    try:
        return registry.find(name)
    except UnknownJobError:
        try:
            handlers.resolve(name)
        except UnknownJobError:
            pass
        else:
            message = f"{name} is a handler, and no job: push to it from Python, with qcore.push({name!r}, data)"
            raise ConfigError(message) from None
        raise


def _reason(skipped: list[UniqueJobSkipped]) -> dict[str, object]:
    if not skipped:
        return {}
    told = skipped[0]
    return {"skipped": {"key": told.key, "owner": told.owner, "left": told.left}}


def _pushed(app: App, job: Job, options: JobOptions) -> str | None:
    def refuse_memory(_job: Job, connection: str, _queue: str) -> None:
        if app.config.connections[connection]["driver"] == "memory":
            raise ConfigError(f"the connection {connection!r} ends with this command: no worker would see the job")

    app.before_push(refuse_memory)
    try:
        return app.push(job, options)
    except QcoreError:
        raise
    except Exception as error:
        # A sync connection runs the job here.
        reason = app.redactor.text(f"{type(error).__name__}: {error}")
        raise click.ClickException(f"{job.display_name()} raised {reason}") from error
