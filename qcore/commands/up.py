"""``qcore up``: end maintenance."""

from __future__ import annotations

import click

from qcore.commands.project import Project, pass_project
from qcore.commands.telling import app_that_is_heard, as_json_option, tell


@click.command("up", short_help="End maintenance.")
@as_json_option
@pass_project
def command(project: Project, *, as_json: bool) -> None:
    """End maintenance: workers take jobs again."""
    was_down = app_that_is_heard(project, as_json=as_json).signals.up()
    line = "Maintenance is over." if was_down else "There was no maintenance."
    tell(line, as_json=as_json, signal="up", was_down=was_down)
