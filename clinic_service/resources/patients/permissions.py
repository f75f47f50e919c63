"""What patients let clinics do, and how they leave.

A patient who lets a clinic do nothing is none of its patients. Custody is given when the record is made and never again.

Whoever changes permissions holds the clinic's lock, because the change may end in a removal, which changes what the
clinic counts and what others are about to attach to the record.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, select

from clinic_service.models import Patient, Permission
from clinic_service.outbox.events import PatientChanged
from clinic_service.resources.patients.errors import PatientNotFound, PermissionNotGranted
from clinic_service.unit_of_work import UnitOfWork


def remove_patient(uow: UnitOfWork, clinic_id: str, user_id: str, deleted_by: str | None) -> None:
    """Delete the clinic's record of the user; `deleted_by` is None unless a person acts.

    Raises ClinicNotFound and PatientNotFound.
    """
    uow.patients.remove([_lock(uow, clinic_id, user_id)], deleted_by)


def replace_permissions(uow: UnitOfWork, clinic_id: str, user_id: str, given: Collection[str]) -> Patient | None:
    """Let the names in `given` be all that is granted; custody and unknown names are dropped.

    Gives the patient, None when nothing was left to grant, so that the patient has left the clinic. Raises ClinicNotFound
    and PatientNotFound.
    """
    patient = _lock(uow, clinic_id, user_id)
    return _grant(uow, patient, {name for name in Permission if name in given and name is not Permission.CUSTODIAN})


_FLAGS = select(
    Patient.permission_custodian, Patient.permission_view, Patient.permission_upload, Patient.permission_note
).where(Patient.clinic_id == bindparam("clinic_id"), Patient.user_id == bindparam("user_id"))


def is_granted(uow: UnitOfWork, clinic_id: str, user_id: str, permission: str) -> bool:
    """Whether the user is a patient of the clinic and grants it the permission."""
    flags = uow.first(_FLAGS, {"clinic_id": clinic_id, "user_id": user_id})
    return flags is not None and bool(getattr(flags, f"permission_{permission}"))


def withdraw_permission(uow: UnitOfWork, clinic_id: str, user_id: str, permission: str, *, was_granted: bool) -> None:
    """Take one permission away; with the last one the patient leaves the clinic.

    `was_granted` is what `is_granted` told before: if it was and the record is gone by now, somebody else was faster and
    did all that was asked for. Otherwise raises ClinicNotFound, PatientNotFound and PermissionNotGranted.
    """
    try:
        patient = _lock(uow, clinic_id, user_id)
    except PatientNotFound:
        if was_granted:
            return
        raise
    granted = _granted(patient)
    if permission not in granted:
        raise PermissionNotGranted
    _grant(uow, patient, granted - {Permission(permission)})


def _lock(uow: UnitOfWork, clinic_id: str, user_id: str) -> Patient:
    uow.clinics.lock(clinic_id)
    return uow.patients.lock(clinic_id, user_id)


def _granted(patient: Patient) -> set[Permission]:
    return set(patient.permissions or ())


def _grant(uow: UnitOfWork, patient: Patient, names: set[Permission]) -> Patient | None:
    """Let `names` be all that is granted, and tell it if that is a change."""
    if not names:
        # The patient left by not granting anything, also when a service took the last permission. It took custody, then,
        # because the account has been claimed; and who grants or withdraws has an account of their own.
        uow.patients.remove([patient], deleted_by=patient.user_id, ends_custody=True)
        return None
    if names != _granted(patient):
        patient.permissions = names
        uow.patients.touch(patient)
        uow.outbox.add(PatientChanged(patient.clinic_id, patient.user_id, ("permissions",), patient.is_custodial))
    return patient
