"""``qcore flush``: drop all failed jobs, or the old ones."""

from __future__ import annotations

import click

from qcore.commands.listing import say
from qcore.commands.project import Project, pass_project
from qcore.commands.values import SECONDS as HOURS


@click.command("flush", short_help="Drop all failed jobs, or the old ones.")
@click.option("--hours", type=HOURS, metavar="N", help="Only those that failed N hours ago or earlier.")
@pass_project
def command(project: Project, hours: float | None) -> None:
    """Drop all failed jobs, or those of some time ago; they cannot be retried any more."""
    count = project.app().failed.flush(hours=hours)
    say(f"{count} failed job{'' if count == 1 else 's'} deleted")
