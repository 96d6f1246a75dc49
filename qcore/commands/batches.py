"""``qcore batches``: list the batches; and what the other commands about batches share with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qcore.commands.ids import batch_id as whole_id
from qcore.commands.listing import as_json as write_json
from qcore.commands.listing import as_table, say
from qcore.commands.project import Project, pass_project
from qcore.commands.tables import Layout
from qcore.commands.terminal import escaped, local, moment_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.app import App
    from qcore.dispatched_batch import Batch

connection_option = click.option("--connection", metavar="NAME", help="The connection of the batch; else all.")
as_json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")

_LONGEST = 60
"""Characters of a name in the table."""


@click.command("batches", short_help="List the batches.")
@click.option("--connection", metavar="NAME", help="The connection to look at.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, metavar="N", help="So many.")
@as_json_option
@pass_project
def command(project: Project, connection: str | None, limit: int, *, as_json: bool) -> None:
    """List the batches of a connection, the newest first."""
    found = project.app().batches.list(connection=connection, limit=limit)
    if as_json:
        write_json(map(batch_as_json, found))
    elif not found:
        say("There are no batches.")
    else:
        headings = ("ID", "NAME", "STATE", "TOTAL", "PENDING", "FAILED", "PROGRESS", "CREATED")
        as_table(headings, map(_row, found), Layout(right=headings[3:7], free=("NAME",), ids="ID"))
        say("See more of one with `qcore batch ID`.")


def _row(batch: Batch) -> tuple[object, ...]:
    counts = (batch.total, batch.pending, batch.failed, f"{batch.progress}%")
    return batch.id, escaped(batch.name, _LONGEST), batch.state, *counts, moment_text(batch.created_at)


def batch_as_json(batch: Batch) -> dict[str, object]:
    """Give a batch for machines."""
    instants = {name: value for name, value in batch.to_dict().items() if name.endswith("_at")}
    written = {name: at and local(at).isoformat(timespec="milliseconds") for name, at in instants.items()}
    return {**batch.to_dict(), **written}


def found_batches(app: App, ids: tuple[str, ...], connection: str | None) -> Iterator[Batch | None]:
    """Look up batches by their ids or the beginnings of them, each once; what is none is named on stderr."""
    seen = set[str]()
    for given in dict.fromkeys(ids):
        batch = None
        try:
            batch = app.find_batch(whole_id(app, given, connection), connection=connection)
        except click.ClickException as error:
            click.echo(f"error: {error.message}", err=True)
        else:
            if batch is None:
                click.echo(f"error: {no_batch(given)}", err=True)
        if batch is None or batch.id not in seen:
            seen |= set() if batch is None else {batch.id}
            yield batch


def no_batch(batch_id: str) -> str:
    """Say that there is no such batch."""
    return f"there is no batch with the id {escaped(batch_id)}; see what there is with `qcore batches`"
