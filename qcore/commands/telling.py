"""What the commands that tell workers something have in common: who hears it, and one line of what was said."""

from __future__ import annotations

import json
import shlex
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from qcore.commands.listing import say
from qcore.commands.terminal import local, moment_text
from qcore.commands.values import QUEUES, SECONDS
from qcore.holdings import Placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.app import App
    from qcore.commands.project import Project

as_json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
for_option = click.option(
    "--for", "seconds", type=SECONDS, metavar="SECONDS", help="Let it be over by itself after so many seconds."
)


def target_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add QUEUE, ``--connection`` and ``--all`` to a command."""
    function = click.option("--all", "everything", is_flag=True, help="All queues of all connections.")(function)
    function = click.option("--connection", metavar="NAME", help="The connection of the queue.")(function)
    return click.argument("queues", metavar="[QUEUE]", type=QUEUES, required=False)(function)


class Target(NamedTuple):
    """One queue of a connection, or, with None for both, all queues of all connections."""

    queue: str | None
    connection: str | None

    @property
    def resume(self) -> str:
        """The command that ends its pause."""
        if self.queue is None or self.connection is None:
            return "qcore resume --all"
        return f"qcore resume {shlex.quote(self.queue)} --connection {shlex.quote(self.connection)}"

    def __str__(self) -> str:
        """Name it in front of people."""
        return "all queues of all connections" if self.queue is None else f"the queue {self.queue} of {self.connection}"


EVERYTHING = Target(None, None)


def targets(app: App, queues: tuple[str, ...] | None, connection: str | None, *, everything: bool) -> Iterator[Target]:
    """Give what is meant: the queues that are named, else the default one of the connection.

    :raises click.UsageError: when all queues are meant, and one is named too.
    """
    if everything:
        if queues or connection:
            raise click.UsageError("--all means all queues of all connections: name no QUEUE and no --connection")
        yield EVERYTHING
        return
    chosen = app.connection(connection)
    yield from (Target(queue, chosen.name) for queue in queues or (chosen.default_queue,))


def app_that_is_heard(project: Project, *, as_json: bool) -> App:
    """Build the App; say on a terminal which store it writes to, so that the wrong folder is seen.

    :raises ConfigError: when no other process would hear what it says.
    """
    app = project.app()
    app.signals.require_shared()
    home = app.connections.store.home
    if not as_json and sys.stdout.isatty() and isinstance(home, Placed):
        say(f"Store {home.place}")
    return app


def until_text(until: float | None, word: str) -> str:
    """Say when something ends: at an instant, or when somebody says a command."""
    return f"until `{word}`" if until is None else f"until {moment_text(until)}"


def until_json(until: float | None) -> str | None:
    """Say it for machines."""
    return None if until is None else local(until).isoformat(timespec="milliseconds")


def tell(line: str, *, as_json: bool, **fields: object) -> None:
    """Write what was done, for people or for machines."""
    if as_json:
        click.echo(json.dumps(fields))
    else:
        say(line)
