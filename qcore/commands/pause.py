"""``qcore pause``: let workers take no jobs from some queues."""

from __future__ import annotations

import click

from qcore.commands.project import Project, pass_project
from qcore.commands.telling import (
    app_that_is_heard,
    as_json_option,
    for_option,
    target_options,
    targets,
    tell,
    until_json,
    until_text,
)


@click.command("pause", short_help="Let workers take no jobs from a queue.")
@target_options
@for_option
@as_json_option
@pass_project
def command(
    project: Project,
    queues: tuple[str, ...] | None,
    connection: str | None,
    seconds: float | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Let workers take no jobs from QUEUE (a, or a,b), else from the default queue of the connection.

    Jobs that run are finished, and what is dispatched waits. The pause of all queues and that of one are two
    things: each is ended by a resume of its own.
    """
    app = app_that_is_heard(project, as_json=as_json)
    for target in targets(app, queues, connection, everything=everything):
        pause = app.signals.pause(*target, for_=seconds)
        tell(
            f"Paused {target} {until_text(pause.until, target.resume)}.",
            as_json=as_json,
            signal="pause",
            connection=target.connection,
            queue=target.queue,
            until=until_json(pause.until),
        )
