"""`clinic-service patients`: exports and erases the data about one patient, and lists who has seen it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime

import click
import orjson

from clinic_service.audit.disclosures import disclosures
from clinic_service.cli.audit import HEADINGS, cells, opened_trail, since_and_until
from clinic_service.cli.common import counted, load_config, user_id
from clinic_service.cli.opening import opened_database
from clinic_service.cli.tables import table
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.db.types import json_text
from clinic_service.gateways.accounts.choice import chosen_accounts
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.personal_data.declaration import Person
from clinic_service.personal_data.documents import find_documents
from clinic_service.personal_data.erasure import Erased, count, erase
from clinic_service.personal_data.export import export
from clinic_service.unit_of_work import UnitOfWork, run


@click.group
def patients() -> None:
    """Export or erase the data about a patient, or list who has seen it."""


@patients.command(name="disclosures")
@click.argument("user", callback=user_id)
@since_and_until[0]
@since_and_until[1]
@click.option("--json", "as_json", is_flag=True, help="Print each access as a line of JSON instead of a table.")
def list_disclosures(user: str, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """List who read or changed the data of USER, a user id, when and by which operation.

    The audit trail records a list of patients only with the number of the patients. So this command also prints each list
    of a clinic that has a record of USER, from the day of that record on, because USER may be in it. It leaves out
    accesses by USER.
    """
    with opened_trail() as (uow, folder):
        found = disclosures(uow, folder, user, since, until)
        if as_json:
            for record in found:
                click.echo(orjson.dumps(record.document()))
        else:
            click.echo(table(HEADINGS, map(cells, found)))


_emails = click.option(
    "--email",
    "emails",
    multiple=True,
    help="An address of an account that no longer exists. May be repeated.",
)


@patients.command(name="export")
@click.argument("user", callback=user_id)
@_emails
def export_patient(user: str, emails: tuple[str, ...]) -> None:
    """Print all data about USER, a user id, as one JSON document.

    It leaves out the audit trail, which `clinic-service patients disclosures` prints, and the data at an accounts service.
    """
    config = load_config()
    with opened_database(config) as database:
        person = _person(config, database, user, emails)
        found = run(database, lambda uow: export(uow, person), writes=False)
    click.echo(json_text(found))


@patients.command(name="erase")
@click.argument("user", callback=user_id)
@_emails
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def erase_patient(user: str, emails: tuple[str, ...], *, yes: bool) -> None:
    """Erase all data about USER, a user id, and print how many rows of each table were removed or emptied.

    The command removes the records of all clinics, memberships, invitations, grants, messages of partners, and the account
    in the embedded directory. Records of deletions keep only ids. The audit trail and the notices in the outbox stay; they
    contain only ids. The account at an accounts service stays. The command can run while servers run, and can be repeated.
    """
    config = load_config()
    with opened_database(config) as database:
        person = _person(config, database, user, emails)
        if not yes:
            _confirm(count(database, person))
        done = _erase(config, database, person)
    click.echo(_counts(done))
    if waiting := sum(one.left for one in done if one.table == "outbox"):
        click.echo(f"Waiting for delivery: {counted(waiting, 'event')}. Repeat the command afterwards.", err=True)
    if config.accounts_url:
        click.echo("The account at CLINIC_ACCOUNTS_URL was not changed. Delete it there.", err=True)


def _person(config: Config, database: Database, user_id: str, emails: tuple[str, ...]) -> Person:
    account = chosen_accounts(config, database).find_account(user_id)
    known = (*(account.emails if account else ()), *(email.lower() for email in emails))
    return Person(user_id, tuple(dict.fromkeys(known)), find_documents(database, user_id))


def _confirm(found: Sequence[Erased]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Add --yes to erase without being asked.")
    click.echo(_counts(found), err=True)
    click.confirm("Erase these rows? They cannot be restored.", abort=True, err=True)


def _erase(config: Config, database: Database, person: Person) -> list[Erased]:
    directory = EmbeddedAccounts(database)
    if config.accounts_url or directory.find_account(person.user_id) is None:
        return run(database, lambda uow: erase(uow, person), writes=True)
    done: list[Erased] = []

    def erase_rows(uow: UnitOfWork, _user_id: str, _emails: Sequence[str]) -> None:
        # The transaction may run again after a conflict, so the result of the earlier run is replaced.
        done[:] = erase(uow, person)

    directory.delete(person.user_id, erase_rows)
    return done


def _counts(found: Sequence[Erased]) -> str:
    rows = [(one.table, str(one.number)) for one in sorted(found) if one.number]
    return table(("TABLE", "ROWS"), rows) if rows else "There is nothing to erase."
