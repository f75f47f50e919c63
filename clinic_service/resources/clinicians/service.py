"""Changes of a clinic's clinicians.

A clinic keeps at least one admin. This rule is checked while the clinic's row is locked, so when two admins remove
each other at the same moment, exactly one succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clinic_service.auth.caller import Caller
from clinic_service.models import Clinic, Clinician, InviteType, Role
from clinic_service.outbox.events import UNNAMED_ADMINISTRATOR, ClinicianPermissionsUpdated
from clinic_service.resources.clinicians.errors import (
    ClinicianNotFound,
    DuplicateClinician,
    LastAdmin,
    ServiceAccountAsAdmin,
)
from clinic_service.resources.clinicians.listing import ClinicianRow
from clinic_service.unit_of_work import UnitOfWork


class Changes(NamedTuple):
    """The new roles and the new name of a clinician; None keeps the name."""

    roles: frozenset[str]
    name: str | None


class Given(NamedTuple):
    """A new clinician as a request describes it."""

    user_id: str | None
    invite_id: str | None
    email: str
    name: str | None
    roles: Sequence[str]


def create_clinician(uow: UnitOfWork, clinic_id: str, given: Given, creator_id: str) -> ClinicianRow:
    """Add a member when `given` has a user id, a pending clinician otherwise.

    With an `invite_id` the caller manages the invitation; without one this function creates the invitation, in the name of
    `creator_id`. Raises ClinicNotFound, ClinicNotMigrated and DuplicateClinician.
    """
    uow.clinics.hold_migrated(clinic_id)
    clinician = uow.clinicians.add(clinic_id, **given._asdict())
    if clinician.is_admin and clinician.user_id:
        uow.clinicians.note_change_of_admins([clinic_id])
    if clinician.user_id is None and not given.invite_id:
        email = clinician.email or ""
        uow.invites.add(clinic_id, InviteType.CLINICIAN, key=clinician.invite_id, email=email, creator_id=creator_id)
    return clinician


def add_service_account(uow: UnitOfWork, clinic_id: str, user_id: str, name: str) -> ClinicianRow:
    """Make the service account `user_id` of a partner a member. It has no address, and is never an admin.

    Raises ClinicNotFound, ClinicNotMigrated and DuplicateClinician.
    """
    uow.clinics.hold_migrated(clinic_id)
    try:
        return uow.clinicians.add(clinic_id, roles=[Role.MEMBER], user_id=user_id, name=name, is_service_account=True)
    except DuplicateClinician:
        # The request names the account only by its credentials.
        raise DuplicateClinician.at("/body/client_id") from None


def update_clinician(uow: UnitOfWork, clinic_id: str, user_id: str, changes: Changes, caller: Caller) -> Clinician:
    """Apply the changes. New roles are recorded in the history, and the member gets a mail about them.

    Raises ClinicNotFound, ClinicNotMigrated, ClinicianNotFound, LastAdmin and ServiceAccountAsAdmin.
    """
    clinic = uow.clinics.lock_migrated(clinic_id)
    clinician = _get(uow, clinic_id, user_id)
    if Role.ADMIN not in changes.roles:
        _keep_an_admin(uow, clinician, "/body/roles")
    elif clinician.is_service_account and not clinician.is_admin and caller.person_id:
        raise ServiceAccountAsAdmin
    if changes.name is not None and changes.name != clinician.name:
        clinician.name = changes.name
        clinician.updated_time = uow.now
    if changes.roles != frozenset(clinician.roles):
        _change_roles(uow, clinic, clinician, changes.roles, caller)
    return clinician


def delete_clinician(uow: UnitOfWork, clinic_id: str, user_id: str, deleted_by: str | None) -> None:
    """Remove a member; `deleted_by` is None unless a person acts.

    Raises ClinicNotFound, ClinicNotMigrated, ClinicianNotFound and LastAdmin.
    """
    uow.clinics.hold_migrated(clinic_id)
    clinician = _get(uow, clinic_id, user_id)
    _keep_an_admin(uow, clinician, "/path/clinicianId")
    uow.clinicians.remove([clinician], deleted_by)


def _get(uow: UnitOfWork, clinic_id: str, user_id: str) -> Clinician:
    clinician = uow.clinicians.find(clinic_id, user_id)
    if clinician is None:
        raise ClinicianNotFound
    return clinician


def _keep_an_admin(uow: UnitOfWork, leaving: Clinician, cause: str) -> None:
    """Raise LastAdmin if `leaving` is the clinic's only admin.

    `cause` points to the part of the request that would remove the admin.
    """
    if leaving.counts_as_admin and uow.clinicians.count_admins(leaving.clinic_id) == 1:
        raise LastAdmin.at(cause)


def _change_roles(uow: UnitOfWork, clinic: Clinic, clinician: Clinician, roles: frozenset[str], caller: Caller) -> None:
    author = uow.clinicians.find_row(clinic.id, caller.id) if caller.person_id else None
    uow.clinicians.change_roles(clinician, roles, updated_by=caller.id)
    uow.outbox.add(
        ClinicianPermissionsUpdated(
            clinic_id=clinic.id,
            user_id=str(clinician.user_id),
            clinic_name=clinic.name or "",
            clinician_name=(author.name if author else None) or UNNAMED_ADMINISTRATOR,
        )
    )
