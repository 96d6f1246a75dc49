"""``qcore resume``: end a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qcore.commands.project import Project, pass_project
from qcore.commands.telling import app_that_is_heard, as_json_option, target_options, targets, tell

if TYPE_CHECKING:
    from qcore.app import App


@click.command("resume", short_help="End the pause of a queue.")
@target_options
@as_json_option
@pass_project
def command(
    project: Project, queues: tuple[str, ...] | None, connection: str | None, *, everything: bool, as_json: bool
) -> None:
    """End the pause of QUEUE (a, or a,b), else of the default queue of the connection."""
    app = app_that_is_heard(project, as_json=as_json)
    for target in targets(app, queues, connection, everything=everything):
        was_paused = app.signals.resume(*target)
        said = f"Resumed {target}" if was_paused else f"There was no pause of {target}"
        tell(
            f"{said}{_what_holds(app, everything=everything)}.",
            as_json=as_json,
            signal="resume",
            connection=target.connection,
            queue=target.queue,
            was_paused=was_paused,
        )


def _what_holds(app: App, *, everything: bool) -> str:
    pauses = app.signals.paused()
    if everything:
        return f"; {len(pauses)} paused by name still (qcore show)" if pauses else ""
    return "; all queues are paused (qcore resume --all)" if pauses and pauses[0].queue is None else ""
