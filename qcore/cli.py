"""The command line: the options that all commands share, and one row for each command."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from typing import NoReturn

import click

import qcore
from qcore.commands.endings import exit_code
from qcore.commands.project import Project
from qcore.commands.streams import prepare

COMMANDS = {
    "work": "Run jobs.",
    "dispatch": "Push a job from the shell.",
    "show": "Show what is on the queues.",
    "monitor": "Watch how much is on the queues, and how long it waits.",
    "clear": "Remove all jobs from queues.",
    "restart": "Let all workers finish their job and leave.",
    "pause": "Let workers take no jobs from a queue.",
    "resume": "End the pause of a queue.",
    "down": "Begin maintenance: workers take no jobs.",
    "up": "End maintenance.",
    "failed": "List the failed jobs.",
    "retry": "Push failed jobs anew.",
    "forget": "Drop a failed job.",
    "flush": "Drop all failed jobs, or the old ones.",
    "prune-failed": "Drop the failed jobs of some time ago.",
    "batches": "List the batches.",
    "batch": "Show one batch.",
    "retry-batch": "Push the failed members of batches anew.",
    "cancel-batch": "Cancel batches.",
    "prune-batches": "Drop the batches of some time ago.",
    "make-job": "Write the file of a new job.",
    "make-key": "Make a key for encrypted jobs and closures.",
    "db": "Make the tables of a database.",
}
"""What each command is for. ``name`` lives in ``commands/name.py`` as ``command``, loaded when it is called."""


class Qcore(click.Group):
    """A group that loads no command but the one that is called, and ends with one line for an error."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """All commands, as ``--help`` shows them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Load a command.

        :raises click.UsageError: lists the commands that exist.
        """
        if cmd_name not in COMMANDS:
            raise click.UsageError(
                f"there is no command {cmd_name!r}{_nearest(cmd_name)}; there are {', '.join(COMMANDS)}", ctx
            )
        module = importlib.import_module(f"qcore.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without loading them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: object, **extra: object) -> NoReturn:
        """Run the command line and end the process."""
        prepare()
        project = Project()
        options = {**extra, "prog_name": "qcore", "standalone_mode": False, "obj": project}
        sys.exit(exit_code(partial(super().main, *args, **options), project))


def _nearest(name: str) -> str:
    import difflib  # only a failing look-up needs it

    close = difflib.get_close_matches(name, COMMANDS, n=2)
    return f" (did you mean {' or '.join(close)}?)" if close else ""


@click.command(
    "qcore", cls=Qcore, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--app", envvar="QCORE_APP", metavar="MODULE:ATTR", help="Use the App found there.")
@click.option("--config", envvar="QCORE_CONFIG", metavar="FILE", help="Read the configuration from this file.")
@click.option("-v", "verbose", count=True, help="Say more; -vv shows the traceback of an error.")
@click.version_option(qcore.__version__, prog_name="qcore")
@click.pass_context
def main(ctx: click.Context, app: str | None, config: str | None, verbose: int) -> None:
    """Run and look after the jobs of a project."""
    project = ctx.ensure_object(Project)
    project.app_spec, project.config_file = app, config
    project.talk(verbose)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
