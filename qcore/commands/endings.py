"""How a command ends: its exit code, and one line for every error that a user can cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from qcore.commands.terminal import escaped
from qcore.errors import QcoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.commands.project import Project

USAGE = 2
INTERRUPTED = 130  # what shells say of a process that Ctrl-C ended


def exit_code(run: Callable[[], object], project: Project) -> int:
    """Run a command and give the exit code of the process."""
    try:
        result = run()
    except click.Abort as error:
        return INTERRUPTED if isinstance(error.__cause__, KeyboardInterrupt) else 1
    except click.ClickException as error:
        _say(error, _with_hint(error), project)
        return error.exit_code
    except QcoreError as error:
        _say(error, str(error), project)
        return USAGE
    except OSError as error:  # a file that cannot be read, an output that cannot be written
        _say(error, str(error), project)
        return USAGE
    finally:
        project.close()
    return result if isinstance(result, int) else 0


def _with_hint(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{text.rstrip('.')}; see {error.ctx.command_path} --help"
    return text


def _say(error: Exception, text: str, project: Project) -> None:
    if project.shows_tracebacks:
        import traceback  # only for who asked for it

        for line in "".join(traceback.format_exception(error)).splitlines():
            click.echo(escaped(line), err=True)
    click.echo(f"error: {escaped(text)}", err=True)
