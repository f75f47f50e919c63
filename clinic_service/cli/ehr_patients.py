"""`clinic-service ehr patients`: the patients of a connected clinic."""

from __future__ import annotations

from collections import Counter

import click

from clinic_service.cli.common import counted, limit_option, load_config, offset_option
from clinic_service.cli.opening import opened_database
from clinic_service.cli.tables import table
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.xealth import chosen_xealth
from clinic_service.models import EhrProvider
from clinic_service.preparation import Services
from clinic_service.resources.ehr.matching import EhrClinic
from clinic_service.resources.ehr.overview import Chosen, EhrOverview, ListedPatient
from clinic_service.resources.ehr.redox.email_backfill import Backfill, backfill
from clinic_service.resources.ehr.xealth.enrolment import ORIGINS, enrol, program_of
from clinic_service.unit_of_work import UnitOfWork, run

_user_id = click.option("--user-id", help="Only this patient.")


@click.group
def patients() -> None:
    """Patients of a clinic."""


@patients.command(name="list")
@click.argument("clinic_id", metavar="CLINIC")
@limit_option
@offset_option
@_user_id
@click.option("--with-subscription/--without-subscription", "has_subscription", default=None, help="Active or not.")
@click.option("--with-mrn/--without-mrn", "has_mrn", default=None, help="Medical record number.")
def list_patients(
    clinic_id: str, limit: int, offset: int, user_id: str | None, has_subscription: bool | None, has_mrn: bool | None
) -> None:
    """List patients by medical record number, with their subscriptions, and print the total number of patients."""
    chosen = Chosen(user_id, has_subscription, has_mrn)

    def look(unit: UnitOfWork) -> tuple[list[ListedPatient], int]:
        overview = EhrOverview(unit)
        overview.get_clinic(clinic_id)
        found = overview.list_patients(clinic_id, chosen, limit=limit, offset=offset)
        return found, overview.count_patients(clinic_id, chosen)

    with opened_database(load_config()) as database:
        found, number = run(database, look, writes=False)
    click.echo(table(("MRN", "NAME", "USER ID", "SUBSCRIPTIONS"), map(_cells, found)))
    click.echo(counted(number, "patient"))


def _cells(patient: ListedPatient) -> tuple[str, ...]:
    states = (f"{provider} ({'active' if active else 'inactive'})" for provider, active in patient.subscriptions)
    return patient.mrn or "", patient.full_name or "", patient.user_id, ", ".join(states)


@patients.command(name="enroll")
@click.argument("clinic_id", metavar="CLINIC")
@limit_option
@_user_id
@click.option(
    "--mrn-origin",
    type=click.Choice(ORIGINS),
    default="cerner",
    show_default=True,
    help="The origin of medical record numbers.",
)
@click.option("--dry-run", is_flag=True, help="Print the patients whose orders would be placed; place no orders.")
def enrol_patients(clinic_id: str, limit: int, user_id: str | None, mrn_origin: str, dry_run: bool) -> None:
    """Place a Xealth order for each patient with a medical record number and without a subscription."""
    config = load_config()
    chosen = Chosen(user_id, has_subscription=False, has_mrn=True)

    def look(unit: UnitOfWork) -> tuple[EhrClinic, list[ListedPatient]]:
        overview = EhrOverview(unit)
        clinic = overview.get_clinic(clinic_id, EhrProvider.XEALTH)
        program_of(clinic)
        return clinic, overview.list_patients(clinic_id, chosen, limit=limit, offset=0)

    with opened_database(config) as database:
        clinic, found = run(database, look, writes=False)
    if dry_run:
        for patient in found:
            click.echo(f"{patient.user_id}: an order would be placed")
        return
    failed = 0
    for patient, failure in enrol(chosen_xealth(config), clinic, found, mrn_origin):
        click.echo(f"{patient.user_id}: {failure or 'an order was placed'}")
        failed += failure is not None
    if failed:
        raise click.ClickException(f"{failed} of {len(found)} orders were not placed.")


@patients.command(name="backfill-emails")
@click.argument("clinic_id", metavar="CLINIC")
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="The number of patients to read at a time.",
)
@click.option("--dry-run", is_flag=True, help="Print the patients who would get an address; change nothing.")
def backfill_emails(clinic_id: str, batch_size: int, dry_run: bool) -> None:
    """Give custodial accounts without an address the address in the patient's last order through Redox."""
    config = load_config()
    outcomes: Counter[str] = Counter()
    with opened_database(config) as database:
        run(database, lambda unit: EhrOverview(unit).get_clinic(clinic_id, EhrProvider.REDOX), writes=False)
        services = Services(config, chosen_accounts(config, database))
        for user_id, outcome in backfill(database, services, clinic_id, batch_size=batch_size, dry_run=dry_run):
            click.echo(f"{user_id}: {outcome}")
            outcomes[outcome] += 1
    click.echo(", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())) or "nobody")
    failed = sum(number for outcome, number in outcomes.items() if outcome not in set(Backfill))
    if failed:
        raise click.ClickException(f"Not given because of a failure: {failed}.")
