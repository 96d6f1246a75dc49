"""``qcore forget``: drop a failed job."""

from __future__ import annotations

import click

from qcore.commands.ids import failed_id
from qcore.commands.listing import say
from qcore.commands.project import Project, pass_project


@click.command("forget", short_help="Drop a failed job.")
@click.argument("job_id", metavar="ID")
@pass_project
def command(project: Project, job_id: str) -> None:
    """Drop the failed job with that ID, or the beginning of it; it cannot be retried any more.

    Ends with 1 when there is none, or several are meant.
    """
    app = project.app()
    job_id = failed_id(app, job_id)
    if not app.failed.forget(job_id):
        raise click.ClickException(f"there is no failed job with the id {job_id}")
    say(f"{job_id} is forgotten")
