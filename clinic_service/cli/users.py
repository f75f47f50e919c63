"""`clinic-service users`: manages the accounts of the embedded directory."""

from __future__ import annotations

import json
from typing import Any

import click

from clinic_service.cli.common import load_config, text, user_id
from clinic_service.cli.opening import opened_directory
from clinic_service.cli.tables import table
from clinic_service.gateways.accounts import Account, AccountNotFound, Profile, documents
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.gateways.user_ids import new_user_id
from clinic_service.resources.users.service import remove_from_clinics
from clinic_service.texts import MAX_EMAIL_LENGTH


@click.group
def users() -> None:
    """Manage the accounts of the embedded directory, for servers without an accounts service."""


def _user_id(context: click.Context, parameter: click.Parameter, value: str | None) -> str:
    return user_id(context, parameter, value) or new_user_id()


def _emails(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if not all(documents.address(value) == value.lower() for value in values):
        raise click.BadParameter(f"write an e-mail address of at most {MAX_EMAIL_LENGTH} characters.")
    return values


def _birthday(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and documents.day(value) != value:
        raise click.BadParameter("write a date as YYYY-MM-DD.")
    return value


def _texts(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    if len(values) > documents.MAX_ITEMS:
        raise click.BadParameter(f"give it at most {documents.MAX_ITEMS} times.")
    for value in values:
        text(context, parameter, value)
    return values


@users.command(name="add")
@click.option("--name", callback=text, help="Full name of the account's owner.")
@click.option(
    "--email", "emails", multiple=True, callback=_emails, help="E-mail address; the first one is the user name."
)
@click.option(
    "--role", "roles", multiple=True, callback=_texts, help="Role, such as `clinic` for a legacy clinic account."
)
@click.option("--id", "user_id", callback=_user_id, help="User id. Default: a new one.")
@click.option("--patient-name", callback=text, help="Full name of the patient, if the owner acts for somebody else.")
@click.option("--birthday", callback=_birthday, help="The patient's date of birth, YYYY-MM-DD.")
@click.option("--mrn", callback=text, help="The patient's medical record number.")
@click.option("--device", "devices", multiple=True, callback=_texts, help="A device the patient uses.")
def add(
    name: str | None,
    emails: tuple[str, ...],
    roles: tuple[str, ...],
    user_id: str,
    patient_name: str | None,
    birthday: str | None,
    mrn: str | None,
    devices: tuple[str, ...],
) -> None:
    """Add an account and print its id.

    --email, --role and --device may be repeated.
    """
    profile = Profile(name, patient_name, birthday, mrn, devices or None)
    with opened_directory(load_config(), make=True) as directory:
        click.echo(directory.add(NewAccount(user_id, emails, roles, profile)).user_id)


@users.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def list_users(as_json: bool) -> None:
    """List all accounts, oldest first."""
    with opened_directory(load_config()) as directory:
        found = directory.list_accounts()
    if as_json:
        click.echo(json.dumps([_document(account, profile) for account, profile in found], indent=2))
        return
    rows = [(a.user_id, p.full_name or "", ", ".join(a.emails), ", ".join(a.roles)) for a, p in found]
    click.echo(table(("ID", "NAME", "E-MAIL", "ROLES"), rows))


@users.command(name="show")
@click.argument("id_or_email")
def show(id_or_email: str) -> None:
    """Print one account as JSON. Name it by its id or one of its e-mail addresses."""
    with opened_directory(load_config()) as directory:
        account = _get(directory, id_or_email)
        click.echo(json.dumps(_document(account, directory.find_profile(account.user_id)), indent=2))


@users.command(name="remove")
@click.argument("user_id")
def remove(user_id: str) -> None:
    """Remove an account, its memberships and patient records in all clinics, and its grants.

    Every server process refuses the tokens of the user from then on, until an account with that id is added again.
    """
    with opened_directory(load_config()) as directory:
        directory.delete(_get(directory, user_id).user_id, remove_from_clinics)


def _get(directory: EmbeddedAccounts, id_or_email: str) -> Account:
    find = directory.find_by_email if "@" in id_or_email else directory.find_account
    account = find(id_or_email)
    if account is None:
        raise AccountNotFound
    return account


def _document(account: Account, profile: Profile) -> dict[str, Any]:
    return {
        "id": account.user_id,
        "name": profile.full_name,
        "emails": list(account.emails),
        "roles": list(account.roles),
        "patient": {
            "name": profile.patient_full_name,
            "birthday": profile.birthday,
            "mrn": profile.mrn,
            "devices": list(profile.target_devices or ()),
        },
    }
