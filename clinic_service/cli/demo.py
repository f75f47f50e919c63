"""`clinic-service demo`: made-up data."""

from __future__ import annotations

import sys
from random import Random

import click

from clinic_service.cli.common import load_config
from clinic_service.cli.opening import opened_database
from clinic_service.db.upkeep import after_loading
from clinic_service.demo.guard import MIX_FLAG
from clinic_service.demo.load import load_clinic

_MOST_PATIENTS = 1_000_000


@click.group()
def demo() -> None:
    """Fill the database with made-up data."""


@demo.command()
@click.option("--patients", type=click.IntRange(1, _MOST_PATIENTS), required=True, help="How many there are to be.")
@click.option("--clinic", "name", default="Made-up Clinic", show_default=True, metavar="NAME", help="Its name.")
@click.option("--seed", type=int, help="The same number makes the same data, but for ids and times.")
@click.option("--database-url", help="Instead of CLINIC_DATABASE_URL.")
@click.option(MIX_FLAG, "mix", is_flag=True, help="Write also where clinics are that no demo command made.")
def load(patients: int, name: str, seed: int | None, database_url: str | None, *, mix: bool) -> None:
    """Add a clinic with so many made-up patients and their summaries, to size a machine by.

    A database with clinics that the demo commands did not make is refused.
    """
    config = load_config(database_url=database_url)
    # Nothing but the result goes to standard output.
    bar = click.progressbar(length=patients, label="Patients", file=sys.stderr)
    with opened_database(config, make=True) as database, bar:
        loaded = load_clinic(database, name=name, patients=patients, random=Random(seed), progress=bar.update, mix=mix)
    after_loading(config.database_url)
    click.echo(
        f"{name}: {patients} patients, {len(loaded.tag_ids)} tags, {len(loaded.site_ids)} sites\n"
        f"Clinic  {loaded.clinic_id}\n"
        f"Admin   {loaded.admin.id}\n"
        f"Member  {loaded.member.id}\n"
        f"A token of the admin:  clinic-service token user {loaded.admin.id}"
    )
