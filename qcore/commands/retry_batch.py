"""``qcore retry-batch``: push the failed members of batches anew."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from qcore.commands.batches import as_json_option, connection_option, found_batches
from qcore.commands.project import Project, pass_project
from qcore.commands.telling import tell
from qcore.commands.terminal import escaped
from qcore.errors import ConfigError

if TYPE_CHECKING:
    from qcore.dispatched_batch import Batch
    from qcore.failed_jobs import FailedJobs


@click.command("retry-batch", short_help="Push the failed members of batches anew.")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@connection_option
@as_json_option
@pass_project
def command(project: Project, ids: tuple[str, ...], connection: str | None, *, as_json: bool) -> None:
    """Push the failed members of batches anew; a batch that a failure cancelled goes on.

    Ends with 1 when a batch or a failed job is missing, or a batch has no failed members, with 2 when one cannot be
    pushed.
    """
    app = project.app_with_jobs()
    found = list(found_batches(app, ids, connection))
    codes = [1 if batch is None else _retry(app.failed, batch, as_json=as_json) for batch in found]
    sys.exit(max(codes))


def _retry(failed: FailedJobs, batch: Batch, *, as_json: bool) -> int:
    members = batch.causes()
    if not members:
        click.echo(f"error: the batch {batch.id} has no failed members", err=True)
        if not as_json:
            return 1
    codes = {job_id: _retry_one(failed, job_id) for job_id in members}
    retried = [job_id for job_id, code in codes.items() if code == 0]
    said = f"{len(retried)} of {len(members)} failed members of the batch {batch.id} wait again"
    tell(said, as_json=as_json, id=batch.id, failed_ids=members, retried=retried)
    return max(codes.values(), default=1)


def _retry_one(failed: FailedJobs, job_id: str) -> int:
    """Retry one by one, so that one that cannot be pushed holds up no other; give the exit code."""
    try:
        retried = failed.retry([job_id])
    except ConfigError as error:
        click.echo(f"error: {escaped(job_id)} stays failed: {escaped(str(error))}", err=True)
        return 2
    if retried.ids:
        return 0
    reason = "it is not among the failed jobs any more" if retried.missing else "another job holds its lock"
    click.echo(f"error: {escaped(job_id)} is not retried: {reason}", err=True)
    return 1
