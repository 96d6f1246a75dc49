"""``qcore db``: make the tables of a database."""

from __future__ import annotations

import click

from qcore.commands.listing import place_of, say
from qcore.commands.project import Project, pass_project
from qcore.errors import ConfigError
from qcore.sql import Database, ddl


@click.group(name="db", short_help="Make the tables of a database.", no_args_is_help=False)
def command() -> None:
    """Make the tables of a database."""


@command.command()
@click.argument("connection", required=False)
@pass_project
def create(project: Project, connection: str | None) -> None:
    """Make the tables that are missing in the database of CONNECTION."""
    _database(project, connection, "name one whose driver is 'database'").create_all()
    say(f"The tables are there: {place_of(project.app().connection(connection))}")


@command.command()
@click.option(
    "--dialect",
    type=click.Choice(["sqlite", "postgresql", "mysql", "mariadb"]),
    help="The kind of database; without it that of the default connection, whose server is then asked what it is.",
)
@pass_project
def sql(project: Project, dialect: str | None) -> None:
    """Print the SQL that makes the tables, for your own migrations."""
    click.echo(ddl(dialect) if dialect else _database(project, None, "say --dialect").ddl(), nl=False)


def _database(project: Project, connection: str | None, instead: str) -> Database:
    chosen = project.app().connection(connection)
    if not isinstance(chosen.driver.home, Database):
        raise ConfigError(f"the connection {chosen.name!r} has no database: {instead}")
    return chosen.driver.home
