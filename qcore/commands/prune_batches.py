"""``qcore prune-batches``: drop the batches of some time ago."""

from __future__ import annotations

import click

from qcore.commands.batches import as_json_option
from qcore.commands.project import Project, pass_project
from qcore.commands.telling import tell
from qcore.commands.values import SECONDS as HOURS


@click.command("prune-batches", short_help="Drop the batches of some time ago.")
@click.option("--hours", type=HOURS, default=24, show_default=True, metavar="N", help="Finished so long ago.")
@click.option("--unfinished", type=HOURS, metavar="N", help="Dispatched so long ago, and not finished.")
@click.option("--cancelled", type=HOURS, metavar="N", help="Dispatched so long ago, and cancelled.")
@click.option("--connection", metavar="NAME", help="The connection of the batches.")
@as_json_option
@pass_project
def command(
    project: Project,
    hours: float,
    unfinished: float | None,
    cancelled: float | None,
    connection: str | None,
    *,
    as_json: bool,
) -> None:
    """Drop the batches that were finished some hours ago or earlier: for a daily timer.

    Members of a batch that is dropped run all the same, and no callback of it is called any more.
    """
    batches = project.app().batches
    count = batches.prune(hours=hours, unfinished=unfinished, cancelled=cancelled, connection=connection)
    tell(f"{count} batch{'' if count == 1 else 'es'} deleted", as_json=as_json, deleted=count)
