"""The rules of migrations: how the patients of legacy accounts are moved into clinics."""

from __future__ import annotations

from datetime import datetime

from clinic_service.gateways.accounts.protocol import Account, AccountNotFound
from clinic_service.models import Migration, MigrationStatus, Role
from clinic_service.outbox.events import MigrationRequested
from clinic_service.resources.migrations.errors import (
    AlreadyMigrated,
    DuplicateMigration,
    NotLegacyAccount,
    NotMember,
    NotOneAdmin,
    ProfileIncomplete,
)
from clinic_service.unit_of_work import UnitOfWork

# The role of accounts from the time before clinics had members.
_LEGACY_ROLE = "clinic"


def require_legacy(account: Account | None, *, named_by: str = "/path/userId") -> Account:
    """The account, which must exist and be a legacy clinic account. Raises AccountNotFound, then NotLegacyAccount.

    `named_by` points to the part of the request that names the account.
    """
    if account is None:
        raise AccountNotFound
    if _LEGACY_ROLE not in account.roles:
        raise NotLegacyAccount.at(named_by)
    return account


def enable_clinic(uow: UnitOfWork, account: Account, name: str | None) -> str:
    """The id of the account's clinic that is not migrated yet. Creates an empty clinic when there is none."""
    # Two calls for one account must create only one clinic: the second waits for the first, then finds its clinic.
    uow.migrations.hold(account.user_id)
    found = uow.migrations.find_clinic_to_migrate(account.user_id)
    if found is not None:
        return found
    clinic = uow.clinics.add({}, is_migrated=False)
    email = next(iter(account.emails), None)
    uow.clinicians.add(clinic.id, user_id=account.user_id, email=email, name=name, roles=[Role.ADMIN])
    return clinic.id


def require_ready(uow: UnitOfWork, clinic_id: str) -> str:
    """The user id of the only admin of a clinic whose initial migration can be started.

    Raises ClinicNotFound, AlreadyMigrated, ProfileIncomplete and NotOneAdmin, in this order.
    """
    clinic = uow.clinics.describe_one(clinic_id)
    if clinic.is_migrated:
        raise AlreadyMigrated
    if not clinic.can_migrate:
        raise ProfileIncomplete
    admin_ids = uow.migrations.admin_ids(clinic_id)
    if len(admin_ids) != 1:
        raise NotOneAdmin
    return admin_ids[0]


def start_initial_migration(uow: UnitOfWork, clinic_id: str, legacy_user_id: str, *, attested: bool) -> Migration:
    """Mark the clinic as migrated and request the migration of `legacy_user_id`, which is known to be a legacy account.

    Raises what `require_ready` does, and DuplicateMigration.
    """
    clinic = uow.clinics.lock(clinic_id)
    if require_ready(uow, clinic_id) != legacy_user_id:
        # Another user became the only admin after the account was looked up.
        raise NotOneAdmin
    migration = _request(uow, clinic_id, legacy_user_id, uow.now if attested else None)
    clinic.is_migrated = True
    uow.clinics.touch(clinic)
    return migration


def migrate_patients(uow: UnitOfWork, clinic_id: str, user_id: str) -> Migration:
    """Request the migration of another legacy account, a member of a clinic that is already migrated.

    Raises ClinicNotFound, NotMember, ClinicNotMigrated and DuplicateMigration.
    """
    uow.clinics.lock(clinic_id)
    if not uow.clinicians.is_member(clinic_id, user_id):
        raise NotMember
    uow.clinics.require_migrated(clinic_id)
    try:
        return _request(uow, clinic_id, user_id, None)
    except DuplicateMigration:
        raise DuplicateMigration.at("/body/userId") from None


def record_progress(uow: UnitOfWork, clinic_id: str, user_id: str, status: str) -> Migration:
    """Set the status. Every change of status is valid, because the worker repeats its calls. Raises MigrationNotFound."""
    migration = uow.migrations.lock(clinic_id, user_id)
    migration.status = MigrationStatus(status)
    migration.updated_time = max(migration.updated_time, uow.now)
    return migration


def _request(uow: UnitOfWork, clinic_id: str, user_id: str, attestation_time: datetime | None) -> Migration:
    migration = uow.migrations.add(clinic_id, user_id, attestation_time)
    uow.outbox.add(MigrationRequested(clinic_id=clinic_id, user_id=user_id))
    return migration
