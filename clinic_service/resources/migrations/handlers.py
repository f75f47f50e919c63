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
    """The owner of a legacy account, as the directory returns them."""

    account: Account
    name: str | None


def _look_up_owner(ctx: Preparation, user_id: str) -> _Owner:
    """Look up the legacy account. Raises what `require_legacy` raises."""
    accounts = ctx.accounts
    # The path can contain any text, and the directory must only be asked for valid ids.
    account = service.require_legacy(accounts.find_account(user_id) if is_user_id(user_id) else None)
    return _Owner(account, accounts.find_profile(user_id).full_name)


@with_preparation(_look_up_owner)
def enable_new_clinic_experience(ctx: Context, owner: _Owner) -> JsonObject:
    """Create an empty clinic for a legacy account, whose owner then completes and migrates it."""
    clinic_id = service.enable_clinic(ctx.uow, owner.account, owner.name)
    return clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id))


def _look_up_legacy_admin(ctx: Preparation, clinic_id: str) -> str:
    """The user id of the only admin, after checking that it has a legacy account."""
    user_id = service.require_ready(ctx.uow, clinic_id)
    return service.require_legacy(ctx.accounts.find_account(user_id), named_by="/path/clinicId").user_id


@with_preparation(_look_up_legacy_admin)
def trigger_initial_migration(ctx: Context, admin_id: str, clinic_id: str, body: Any) -> JsonObject:
    """Mark the clinic as migrated and request the migration of its owner's patients."""
    attested = bool(body and body.get("attestationSubmitted"))
    migration = service.start_initial_migration(ctx.uow, clinic_id, admin_id, attested=attested)
    return migration_schema.dump(migration)


def list_migrations(ctx: Context, clinic_id: str) -> list[JsonObject]:
    """All migrations into the clinic, oldest first."""
    return migration_schema.dump(ctx.uow.migrations.list_rows(clinic_id), many=True)


def migrate_legacy_clinician_patients(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Request the migration of the patients of another legacy account."""
    user_id = migration_schema.load(body)["user_id"]
    return migration_schema.dump(service.migrate_patients(ctx.uow, clinic_id, user_id))


def get_migration(ctx: Context, clinic_id: str, user_id: str) -> JsonObject:
    """The migration of one account into the clinic."""
    return migration_schema.dump(ctx.uow.migrations.get_row(clinic_id, user_id))


def update_migration(ctx: Context, clinic_id: str, user_id: str, body: Any) -> JsonObject:
    """Set the status of a migration."""
    return migration_schema.dump(service.record_progress(ctx.uow, clinic_id, user_id, body["status"]))
