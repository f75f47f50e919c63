"""`clinic-service db`: upgrades, checks, backs up and copies the database, and repairs the projections of lists."""

from __future__ import annotations

from itertools import chain

import click

from clinic_service.cli.backup import backup, copy, restore
from clinic_service.cli.common import load_config
from clinic_service.cli.opening import opened_database
from clinic_service.db import distribution, schema
from clinic_service.models import Base
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.resources.users.reconcile import compare as compare_clinics_of_users


@click.group()
def db() -> None:
    """Upgrade and check the schema; back up, restore and copy; repair the projections that lists are read from."""


for _command in (backup, restore, copy):
    db.add_command(_command)


_url = click.option("--database-url", help="URL of the database. Default: CLINIC_DATABASE_URL.")


@db.command()
@_url
def upgrade(database_url: str | None) -> None:
    """Upgrade the schema to the newest revision.

    Prints that revision.
    """
    config = load_config(database_url=database_url)
    schema.upgrade(config.database_url)
    click.echo(schema.current(config.database_url))


@db.command()
@_url
def check(database_url: str | None) -> None:
    """Check that the schema is at the newest revision, or at a later one that this program can work with.

    In a Citus cluster it also checks that each table is where it should be.

    The exit status is 0 if it is, else 1.
    """
    config = load_config(database_url=database_url)
    is_usable, found = schema.is_usable(config.database_url), schema.current(config.database_url)
    if not is_usable:
        raise click.ClickException(
            f"The schema is at {found or 'no revision'}; this program needs {schema.head()}. "
            "Run `clinic-service db upgrade`."
        )
    misplaced = distribution.list_misplaced(config.database_url, Base.metadata)
    if misplaced:
        lines = [*map(str, misplaced), "Run `clinic-service db distribute`."]
        raise click.ClickException("\n".join(lines))
    click.echo(f"The schema is up to date, at revision {found}.")


@db.command()
@_url
@click.option(
    "--shards",
    type=click.IntRange(1, 1024),
    default=distribution.DEFAULT_SHARDS,
    show_default=True,
    help="Number of parts that tables are divided into: two to four for each machine. It cannot be changed later.",
)
@click.option("--dry-run", is_flag=True, help="Print the steps, and take none.")
def distribute(database_url: str | None, shards: int, dry_run: bool) -> None:
    """Distribute the tables over the machines of a Citus cluster.

    The URL is that of the coordinator. Prints each step. Tables that are in their places already are left there, so the
    command can be run again, after an interruption or for new tables.
    """
    config = load_config(database_url=database_url)
    if not schema.is_usable(config.database_url):
        raise click.ClickException("The schema is not up to date. Run `clinic-service db upgrade` first.")
    choose = distribution.dry_run if dry_run else distribution.distribute
    steps = 0
    for step in choose(config.database_url, Base.metadata, shards):
        click.echo(f"{step.sql};")
        steps += 1
    if not steps:
        click.echo("Every table is where it should be.")


@db.command()
@_url
def current(database_url: str | None) -> None:
    """Print the revision of the schema.

    Prints an empty line for an empty database.
    """
    click.echo(schema.current(load_config(database_url=database_url).database_url) or "")


@db.command()
@_url
def verify(database_url: str | None) -> None:
    """Compare the projections of lists with their sources.

    Lists are read from projections; their sources are the patients and summaries. The clinics of a user are read from
    projections of patients and clinicians. Prints one line for each difference:
    the clinic, the patient and what differs. The exit status is 0 if there is none, else 1. The service can run at the
    same time.
    """
    found = 0
    with opened_database(load_config(database_url=database_url)) as database:
        for difference in chain(compare(database), compare_clinics_of_users(database)):
            click.echo(" ".join(filter(None, difference)))
            found += 1
    if found:
        raise click.ClickException(f"Differences: {found}. Run `clinic-service db rebuild` to repair them.")
    click.echo("No differences.")


@db.command()
@_url
def rebuild(database_url: str | None) -> None:
    """Repair every difference that `db verify` would print.

    The work is done in many small transactions, so the service can run at the same time, and the command can be stopped
    and run again.
    """
    with opened_database(load_config(database_url=database_url)) as database:
        repaired = chain(compare(database, repair=True), compare_clinics_of_users(database, repair=True))
        made = sum(1 for _ in repaired)
    click.echo(f"{made} repaired")
