"""``qcore failed``: list the failed jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qcore.commands.listing import as_json as write_json
from qcore.commands.listing import as_table, columns_to_fill, job_name, job_text, say, seal_of
from qcore.commands.project import Project, pass_project
from qcore.commands.tables import Layout
from qcore.commands.terminal import escaped, local, moment_text
from qcore.options import checked_name

if TYPE_CHECKING:
    from qcore.app import App
    from qcore.failed import FailedJob

_HEADINGS = ("NUMBER", "ID", "JOB", "FROM", "FAILED AT", "EXCEPTION")
_LONGEST = 80
"""Characters of an exception in the table."""


@click.command("failed", short_help="List the failed jobs.")
@click.option("--queue", metavar="NAME", help="Those of this queue only.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.option("-v", "verbose", count=True, help="Show what the jobs hold and the tracebacks, too.")
@pass_project
def command(project: Project, queue: str | None, *, as_json: bool, verbose: int) -> None:
    """List the failed jobs, the newest failure first."""
    project.talk(verbose)
    shows_all = project.verbosity > 0 and not as_json
    app = project.app_with_jobs_if_any() if shows_all else project.app()
    records = app.failed.list(queue=None if queue is None else checked_name(queue, "queue"))
    if as_json:
        write_json(_as_json(app, record, whole=project.verbosity > 0) for record in records)
    elif not records:
        say("There are no failed jobs.")
    elif shows_all:
        _tell_all(app, records)
    else:
        rows = [(*_head(app, record), escaped(headline(record), _LONGEST)) for record in records]
        as_table(_HEADINGS, rows, Layout(right=("NUMBER",), free=("JOB", "FROM", "EXCEPTION"), ids="ID"))
        say("Push one anew with `qcore retry ID`, all with `qcore retry all`; see why with `qcore failed -v`.")


def _tell_all(app: App, records: list[FailedJob]) -> None:
    limit = max(columns_to_fill() - 7, 0)
    for record in records:
        say("  ".join(str(part) for part in _head(app, record)))
        if text := job_text(app, record.payload):
            say(f"    {escaped(text, limit)}")
        if seal := seal_of(app, record.payload):
            say(f"    [{seal}]")
        for line in record.exception.splitlines():
            say(f"    {line}")


def _head(app: App, record: FailedJob) -> tuple[object, ...]:
    where = f"{record.connection}@{record.queue}"
    return record.number, record.id, job_name(app, record.payload), where, moment_text(record.failed_at)


_BEGINS = (
    "Traceback (most recent call last):",
    # What follows has a traceback only if it was raised itself.
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


def headline(record: FailedJob) -> str:
    """Give the line that names the exception: the first one behind the frames of the last traceback."""
    lines = record.exception.strip().splitlines()
    begins = max((number for number, line in enumerate(lines) if line in _BEGINS), default=None)
    if begins is None:
        return lines[-1] if lines else ""
    return next((line for line in lines[begins + 1 :] if line and not line.startswith("  ")), lines[-1])


def _as_json(app: App, record: FailedJob, *, whole: bool) -> dict[str, object]:
    return {
        "number": record.number,
        "id": record.id,
        "connection": record.connection,
        "queue": record.queue,
        "job": job_name(app, record.payload),
        "failed_at": local(record.failed_at).isoformat(timespec="milliseconds"),
        "exception": record.exception if whole else headline(record),
    }
