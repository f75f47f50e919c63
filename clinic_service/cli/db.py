"""`clinic-service db`: the schema of the database, and the copies of facts that lists are read from."""

from __future__ import annotations

import click

from clinic_service.cli.common import load_config
from clinic_service.cli.opening import opened_database
from clinic_service.db import schema
from clinic_service.resources.summaries.reconcile import compare


@click.group()
def db() -> None:
    """Bring the database schema up, or look at it; check and mend what is stored twice."""


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


@db.command()
@_url
def verify(database_url: str | None) -> None:
    """Compare what lists are read from with the patients and summaries it is copied from.

    Prints each difference: the clinic, the patient, and what differs. Status 0 when there is none, else 1. The service
    may go on meanwhile.
    """
    found = 0
    with opened_database(load_config(database_url=database_url)) as database:
        for difference in compare(database):
            click.echo(" ".join(filter(None, difference)))
            found += 1
    if found:
        raise click.ClickException(f"{found} differ; `clinic-service db rebuild` makes them again.")
    click.echo("Nothing differs.")


@db.command()
@_url
def rebuild(database_url: str | None) -> None:
    """Make what lists are read from again, wherever `db verify` would find a difference.

    In many small transactions, so the service may go on meanwhile, and the command may be stopped and run again.
    """
    with opened_database(load_config(database_url=database_url)) as database:
        made = sum(1 for _ in compare(database, repair=True))
    click.echo(f"{made} made again")
