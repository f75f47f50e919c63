"""What changes a clinic's clinicians.

A clinic keeps at least one administrator. Whether taking one away is allowed is decided while the clinic's row is
locked, so that of two administrators who remove each other at the same moment exactly one succeeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from clinic_service.auth.caller import Caller
from clinic_service.models import Clinic, Clinician, InviteType, Role
from clinic_service.outbox.events import UNNAMED_ADMINISTRATOR, ClinicianPermissionsUpdated
from clinic_service.resources.clinicians.errors import (
    ClinicianNotFound,
    DuplicateClinician,
    LastAdmin,
    ServiceAccountAsAdmin,
)
from clinic_service.unit_of_work import UnitOfWork


class Changes(NamedTuple):
    """The roles that a clinician is to have, and the new name; None keeps the name."""

    roles: frozenset[str]
    name: str | None


def create_clinician(
    uow: UnitOfWork, clinic_id: str, given: Mapping[str, Any], roles: Iterable[str], creator_id: str
) -> Clinician:
    """Add a member when `given` has a user id, a pending clinician otherwise.

    Whoever gives an `invite_id` keeps the invitation; without one the invitation is made here, by `creator_id`. Raises
    ClinicNotFound, ClinicNotMigrated and DuplicateClinician.
    """
    uow.clinics.hold_migrated(clinic_id)
    clinician = uow.clinicians.add(clinic_id, roles=roles, **given)
    uow.clinicians.note_admins([clinician])
    if clinician.is_pending and not given.get("invite_id"):
        email = clinician.email or ""
        uow.invites.add(clinic_id, InviteType.CLINICIAN, key=clinician.invite_id, email=email, creator_id=creator_id)
    return clinician


def add_service_account(uow: UnitOfWork, clinic_id: str, user_id: str, name: str) -> Clinician:
    """Make a member of the account `user_id` of a partner's client. It has no address, and is never an administrator.

    Raises ClinicNotFound, ClinicNotMigrated and DuplicateClinician.
    """
    uow.clinics.hold_migrated(clinic_id)
    try:
        return uow.clinicians.add(clinic_id, roles=[Role.MEMBER], user_id=user_id, name=name, is_service_account=True)
    except DuplicateClinician:
        # The account is known by the credentials alone.
        raise DuplicateClinician.at("/body/client_id") from None


def update_clinician(uow: UnitOfWork, clinic_id: str, user_id: str, changes: Changes, caller: Caller) -> Clinician:
    """Apply the changes; new roles are noted in the history and told to the member.

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
    """Raise LastAdmin if `leaving` is the clinic's only administrator.

    `cause` points to what in the request makes them leave.
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
