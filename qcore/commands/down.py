"""``qcore down``: begin maintenance."""

from __future__ import annotations

import click

from qcore.commands.project import Project, pass_project
from qcore.commands.telling import app_that_is_heard, as_json_option, for_option, tell, until_json, until_text


@click.command("down", short_help="Begin maintenance: workers take no jobs.")
@for_option
@as_json_option
@pass_project
def command(project: Project, seconds: float | None, *, as_json: bool) -> None:
    """Begin maintenance: workers finish their job and take no other, but those that were started with --force."""
    until = app_that_is_heard(project, as_json=as_json).signals.down(for_=seconds).until
    tell(
        f"Maintenance {until_text(until, 'qcore up')}: workers take no jobs.",
        as_json=as_json,
        signal="down",
        until=until_json(until),
    )
