"""``qcore batch``: show one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qcore.commands.batches import as_json_option, batch_as_json, connection_option, no_batch
from qcore.commands.failed import headline
from qcore.commands.ids import batch_id as whole_id
from qcore.commands.listing import as_json as write_json
from qcore.commands.listing import as_table, job_name, job_text, say
from qcore.commands.project import Project, pass_project
from qcore.commands.tables import Layout
from qcore.commands.terminal import escaped, moment_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.app import App
    from qcore.dispatched_batch import Batch

_LONGEST = 80
"""Characters of a job, and of an exception, in the table; a narrow terminal shows less."""


@click.command("batch", short_help="Show one batch.")
@click.argument("batch_id", metavar="ID")
@connection_option
@as_json_option
@pass_project
def command(project: Project, batch_id: str, connection: str | None, *, as_json: bool) -> None:
    """Show the batch with that ID, or the beginning of it, and its failed members. Ends with 1 when there is none."""
    app = project.app() if as_json else project.app_with_jobs_if_any()
    batch = app.find_batch(whole_id(app, batch_id, connection), connection=connection)
    if batch is None:
        raise click.ClickException(no_batch(batch_id))
    if as_json:
        write_json([batch_as_json(batch) | {"failed_ids": batch.failed_ids()}])
        return
    for name, value in _facts(batch):
        say(f"{name:<10} {value}")
    failed = batch.failed_ids()
    if failed:
        say("")
        rows = [_failed(app, job_id) for job_id in failed]
        as_table(("ID", "JOB", "EXCEPTION"), rows, Layout(free=("JOB", "EXCEPTION"), ids="ID"))
        say(f"Push them anew with `qcore retry-batch {batch.id}`.")


def _facts(batch: Batch) -> Iterator[tuple[str, str]]:
    yield "id", batch.id
    if batch.name:
        yield "name", batch.name
    yield "state", batch.state
    yield "jobs go to", f"{batch.connection}@{batch.queue}" if batch.queue else batch.connection
    dropped = f", {batch.dropped} dropped" if batch.dropped else ""
    yield "members", f"{batch.total}: {batch.pending} pending, {batch.done} done, {batch.failed} failed{dropped}"
    yield "progress", f"{batch.progress}%"
    yield "created", moment_text(batch.created_at)
    if batch.cancelled_at is not None:
        yield "cancelled", moment_text(batch.cancelled_at)
    if batch.finished_at is not None:
        yield "finished", moment_text(batch.finished_at)


def _failed(app: App, job_id: str) -> tuple[str, str, str]:
    record = app.failed.find(job_id)
    if record is None:
        return job_id, "", "(it is not among the failed jobs any more)"
    name = job_name(app, record.payload)
    text = job_text(app, record.payload)
    shown = name if not text else text if text.startswith(f"{name}(") else f"{name}: {text}"
    return job_id, escaped(shown, _LONGEST), escaped(headline(record), _LONGEST)
