"""``qcore prune-failed``: drop the failed jobs of some time ago."""

from __future__ import annotations

import click

from qcore.commands.listing import say
from qcore.commands.project import Project, pass_project
from qcore.commands.values import SECONDS as HOURS


@click.command("prune-failed", short_help="Drop the failed jobs of some time ago.")
@click.option("--hours", type=HOURS, default=24, show_default=True, metavar="N", help="How long ago.")
@pass_project
def command(project: Project, hours: float) -> None:
    """Drop the jobs that failed some hours ago or earlier: for a daily timer."""
    count = project.app().failed.prune(hours=hours)
    say(f"{count} failed job{'' if count == 1 else 's'} deleted")
