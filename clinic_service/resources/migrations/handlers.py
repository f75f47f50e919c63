"""The operations of `spec/clinic/paths/migrations.yaml`."""

from __future__ import annotations

from typing import Any, NamedTuple

from clinic_service.context import Context
from clinic_service.gateways.accounts.protocol import Account
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.clinics.schemas import clinic_schema
from clinic_service.resources.migrations import service
from clinic_service.resources.migrations.schemas import migration_schema
from clinic_service.serialization import JsonObject


class _Owner(NamedTuple):
    """The owner of a legacy account, as the directory knows them."""

    account: Account
    name: str | None


def _look_up_owner(ctx: Preparation, user_id: str) -> _Owner:
    """Look up the legacy account. Raises what `require_legacy` raises."""
    accounts = ctx.accounts
    # Any text may stand in the path, and a directory must not be asked for what is no id.
    account = service.require_legacy(accounts.find_account(user_id) if is_user_id(user_id) else None)
    return _Owner(account, accounts.find_profile(user_id).full_name)


@with_preparation(_look_up_owner)
def enable_new_clinic_experience(ctx: Context, owner: _Owner) -> JsonObject:
    """An empty clinic that a legacy account administers, to be completed and migrated."""
    clinic_id = service.enable_clinic(ctx.uow, owner.account, owner.name)
    return clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id))


def _look_up_legacy_admin(ctx: Preparation, clinic_id: str) -> str:
    """The user id of the only administrator, once it is known that it is a legacy account's."""
    user_id = service.require_ready(ctx.uow, clinic_id)
    return service.require_legacy(ctx.accounts.find_account(user_id), named_by="/path/clinicId").user_id


@with_preparation(_look_up_legacy_admin)
def trigger_initial_migration(ctx: Context, admin_id: str, clinic_id: str, body: Any) -> JsonObject:
    """Mark the clinic as migrated and ask for the patients of its owner's legacy account."""
    attested = bool(body and body.get("attestationSubmitted"))
    migration = service.start_initial_migration(ctx.uow, clinic_id, admin_id, attested=attested)
    return migration_schema.dump(migration)


def list_migrations(ctx: Context, clinic_id: str) -> list[JsonObject]:
    """All migrations into the clinic, oldest first."""
    return migration_schema.dump(ctx.uow.migrations.list_rows(clinic_id), many=True)


def migrate_legacy_clinician_patients(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Ask for the patients of a further legacy account."""
    user_id = migration_schema.load(body)["user_id"]
    return migration_schema.dump(service.migrate_patients(ctx.uow, clinic_id, user_id))


def get_migration(ctx: Context, clinic_id: str, user_id: str) -> JsonObject:
    """The migration of one account into the clinic."""
    return migration_schema.dump(ctx.uow.migrations.get_row(clinic_id, user_id))


def update_migration(ctx: Context, clinic_id: str, user_id: str, body: Any) -> JsonObject:
    """Record how far a migration is."""
    return migration_schema.dump(service.record_progress(ctx.uow, clinic_id, user_id, body["status"]))
