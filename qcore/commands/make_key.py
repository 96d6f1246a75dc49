"""``qcore make-key``: make a key for encrypted jobs and closures."""

from __future__ import annotations

import secrets

import click

_BYTES = 32

_ADVICE = """\
Put it into the environment of every process that dispatches or works: QCORE_KEYS=...
Or, in a file that is not in version control, above the first [table] of qcore.toml: keys = ["..."]
To replace a key, put the new one before it: the first key writes, all of them read."""


@click.command("make-key", short_help="Make a key for encrypted jobs and closures.")
def command() -> None:
    """Print a new random key, and where to put it.

    Only the key goes to the standard output, so that a script can take it: QCORE_KEYS=$(qcore make-key).
    """
    click.echo(secrets.token_urlsafe(_BYTES))
    click.echo(_ADVICE, err=True)
