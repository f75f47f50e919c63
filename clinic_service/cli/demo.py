"""`clinic-service demo`: fills the database with made-up data."""

from __future__ import annotations

import sys
from random import Random

import click

from clinic_service.cli.common import counted, load_config, text
from clinic_service.cli.opening import opened_database
from clinic_service.db.upkeep import after_loading
from clinic_service.demo.guard import MIX_FLAG
from clinic_service.demo.load import load_clinic

_MOST_PATIENTS = 1_000_000


@click.group()
def demo() -> None:
    """Fill the database with made-up data."""


@demo.command()
@click.option("--patients", type=click.IntRange(1, _MOST_PATIENTS), required=True, help="Number of patients to add.")
@click.option(
    "--clinic",
    "name",
    default="Made-up Clinic",
    show_default=True,
    metavar="NAME",
    callback=text,
    help="Name of the clinic.",
)
@click.option("--seed", type=int, help="Seed of the data: equal seeds give equal data, except for ids and times.")
@click.option("--database-url", help="URL of the database. Default: CLINIC_DATABASE_URL.")
@click.option(MIX_FLAG, "mix", is_flag=True, help="Write even if the database holds clinics that no demo command made.")
def load(patients: int, name: str, seed: int | None, database_url: str | None, *, mix: bool) -> None:
    """Add a clinic with made-up patients and their summaries, to find out how many a machine can serve.

    A database that holds clinics which no demo command made is refused.
    """
    config = load_config(database_url=database_url)
    # Standard output carries the result and nothing else.
    bar = click.progressbar(length=patients, label="Patients", file=sys.stderr)
    with opened_database(config, make=True) as database, bar:
        loaded = load_clinic(database, name=name, patients=patients, random=Random(seed), progress=bar.update, mix=mix)
    after_loading(config.database_url)
    click.echo(
        f"{name}: {counted(patients, 'patient')}, {len(loaded.tag_ids)} tags, {len(loaded.site_ids)} sites\n"
        f"Clinic  {loaded.clinic_id}\n"
        f"Admin   {loaded.admin.id}\n"
        f"Member  {loaded.member.id}\n"
        f"A token of the admin:  clinic-service token user {loaded.admin.id}"
    )
