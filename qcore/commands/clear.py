"""``qcore clear``: remove all jobs from queues."""

from __future__ import annotations

import sys

import click

from qcore.commands.listing import place_of, say
from qcore.commands.project import Project, pass_project
from qcore.commands.terminal import escaped
from qcore.commands.values import QUEUES


@click.command("clear", short_help="Remove all jobs from queues.")
@click.argument("connection", required=False)
@click.option("--queue", "queues", type=QUEUES, help="The queues; else the default one of the connection.")
@click.option("--force", is_flag=True, help="Do not ask.")
@pass_project
def command(project: Project, connection: str | None, queues: tuple[str, ...] | None, *, force: bool) -> None:
    """Remove every job from queues of CONNECTION: ready, delayed and reserved ones."""
    chosen = project.app().connection(connection)
    queues = queues or (chosen.default_queue,)
    where = f"[{', '.join(queues)}] of {place_of(chosen)}"
    if not force:
        _ask(where)
    count = sum(chosen.clear(queue) for queue in queues)
    say(f"Removed {count} job{'' if count == 1 else 's'} from {where}.")


def _ask(where: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("nobody can be asked whether to remove all jobs: say --force")
    click.confirm(escaped(f"Remove all jobs from {where}?"), abort=True)
