"""``qcore restart``: let all workers leave after their job."""

from __future__ import annotations

import click

from qcore.commands.project import Project, pass_project
from qcore.commands.telling import app_that_is_heard, as_json_option, tell


@click.command("restart", short_help="Let all workers finish their job and leave.")
@as_json_option
@pass_project
def command(project: Project, *, as_json: bool) -> None:
    """Let every worker that runs now finish its job and leave with 0.

    What starts new ones is your process manager. To be said after a deploy: workers keep the code that they imported.
    """
    app_that_is_heard(project, as_json=as_json).signals.restart()
    tell("All workers that run now leave after their job.", as_json=as_json, signal="restart")
