"""``qcore retry``: push failed jobs anew."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from qcore.commands.ids import failed_id
from qcore.commands.listing import say
from qcore.commands.locks import held_by
from qcore.commands.project import Project, pass_project
from qcore.commands.terminal import escaped
from qcore.errors import ConfigError
from qcore.events import UniqueJobSkipped
from qcore.options import checked_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qcore.app import App
    from qcore.failed_jobs import FailedJobs


class Range(click.ParamType):  # type: ignore[type-arg] # click 8.1 knows none
    """Numbers of failed jobs: ``3`` or ``1-5``."""

    name = "1-5"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read it."""
        found = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", str(value), re.ASCII)
        if found is None:
            self.fail(f"{value!r} is no range of numbers: write 1-5", param, ctx)
        first, last = found.groups()
        return int(first), int(last or first)


@click.command("retry", short_help="Push failed jobs anew.")
@click.argument("ids", nargs=-1, metavar="[IDS... | all]")
@click.option("--queue", metavar="NAME", help="All of this queue.")
@click.option("--range", "ranges", type=Range(), multiple=True, help="Those with these numbers, both included.")
@pass_project
def command(project: Project, ids: tuple[str, ...], queue: str | None, ranges: tuple[tuple[int, int], ...]) -> None:
    """Push failed jobs anew: each keeps its id, starts at attempt 1, and takes the options of today's class.

    The beginning of an id will do. Ends with 1 when an id is missing or means several, another job holds the lock of
    a unique one, or there is nothing to retry, with 2 when one cannot be pushed.
    """
    if bool(ids) + bool(queue) + bool(ranges) != 1 and not (ids and ranges and not queue):
        raise click.UsageError("say which: ids, all, --queue or --range")
    app = project.app_with_jobs()
    failed, skipped = app.failed, dict[str, UniqueJobSkipped]()
    app.listen(UniqueJobSkipped, lambda event: skipped.setdefault(event.job_id, event))
    whole, code = (ids, 0) if ids == ("all",) else _whole(app, ids)
    chosen = _chosen(failed, whole, queue, ranges)
    if not chosen and not code:
        click.echo("error: there is nothing to retry; see what there is with `qcore failed`", err=True)
    sys.exit(max(code, max((_retry(failed, job_id, skipped) for job_id in chosen), default=1)))


def _whole(app: App, ids: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
    """Give the ids that are meant by beginnings of ids, and the exit code: 1 when one of them means several."""
    whole = list[str]()
    for given in ids:
        try:
            whole.append(failed_id(app, given))
        except click.ClickException as error:
            click.echo(f"error: {error.message}", err=True)
    return tuple(whole), int(len(whole) < len(ids))


def _chosen(
    failed: FailedJobs, ids: tuple[str, ...], queue: str | None, ranges: tuple[tuple[int, int], ...]
) -> list[str]:
    """Give the ids, each once; of many the oldest failure first."""
    if queue or ids == ("all",):
        name = checked_name(queue, "queue") if queue else None
        return [record.id for record in reversed(failed.list(queue=name))]
    numbered = [job_id for first, last in ranges for job_id in failed.numbered(first, last)]
    return list(dict.fromkeys((*ids, *numbered)))


def _retry(failed: FailedJobs, job_id: str, skipped: Mapping[str, UniqueJobSkipped]) -> int:
    """Retry one by one, so that one that cannot be pushed holds up no other; give the exit code."""
    try:
        retried = failed.retry([job_id])
    except ConfigError as error:
        click.echo(f"error: {escaped(job_id)} stays failed: {escaped(str(error))}", err=True)
        return 2
    if retried.skipped:
        click.echo(f"error: {escaped(job_id)} stays failed: {escaped(held_by(skipped[job_id]))}", err=True)
        return 1
    if retried.missing:
        hint = "; a number goes with --range" if job_id.isdigit() else ""
        click.echo(f"error: there is no failed job with the id {escaped(job_id)}{hint}", err=True)
        return 1
    say(f"{job_id} waits again")
    return 0
