"""``qcore cancel-batch``: cancel batches."""

from __future__ import annotations

import sys

import click

from qcore.commands.batches import as_json_option, connection_option, found_batches
from qcore.commands.project import Project, pass_project
from qcore.commands.telling import tell


@click.command("cancel-batch", short_help="Cancel batches.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@connection_option
@as_json_option
@pass_project
def command(project: Project, ids: tuple[str, ...], connection: str | None, *, as_json: bool) -> None:
    """Cancel batches: their `then` is not called, and members that ask for it do not run any more.

    Ends with 1 when a batch is missing, finished or cancelled already.
    """
    code = 0
    for batch in found_batches(project.app(), ids, connection):
        cancelled = batch is not None and batch.cancel()
        code = code if cancelled else 1
        if batch is not None:
            said = "is cancelled" if cancelled else f"cannot be cancelled: it is {batch.state} already"
            tell(f"The batch {batch.id} {said}.", as_json=as_json, id=batch.id, cancelled=cancelled, state=batch.state)
    sys.exit(code)
