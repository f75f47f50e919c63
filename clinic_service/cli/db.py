"""`clinic-service db`: the schema of the database."""

from __future__ import annotations

import click

from clinic_service.cli.common import load_config
from clinic_service.db import schema


@click.group()
def db() -> None:
    """Bring the database schema up, or look at it."""


_url = click.option("--database-url", help="Instead of CLINIC_DATABASE_URL.")


@db.command()
@_url
def upgrade(database_url: str | None) -> None:
    """Bring the schema to the newest revision."""
    config = load_config(database_url=database_url)
    schema.upgrade(config.database_url)
    click.echo(schema.current(config.database_url))


@db.command()
@_url
def check(database_url: str | None) -> None:
    """Status 0 when the schema is at the newest revision, else 1."""
    config = load_config(database_url=database_url)
    found = schema.current(config.database_url)
    if not schema.suffices(found):
        raise click.ClickException(f"The schema is at {found or 'no revision'}; this program needs {schema.head()}.")
    click.echo(f"The schema is at {found}, as it should be.")


@db.command()
@_url
def current(database_url: str | None) -> None:
    """Print the revision of the schema, nothing for an empty database."""
    click.echo(schema.current(load_config(database_url=database_url).database_url) or "")
