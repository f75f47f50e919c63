"""The permissions that patients grant to clinics, and the removal of patients.

A patient who grants no permission leaves the clinic. The permission `custodian` can only be granted when the record is
created.

Every change of permissions locks the clinic's row, because it may remove the patient. A removal changes the clinic's
numbers of patients, and other transactions may be about to add rows to the record.
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
    """Replace the permissions by those named in `given`; `custodian` and unknown names are ignored.

    Returns the patient; None when no permission is left and the patient has left the clinic. Raises ClinicNotFound and
    PatientNotFound.
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
    """Withdraw one permission. Without any permission left, the patient leaves the clinic.

    `was_granted` is the earlier result of `is_granted`. When it is true and the record is gone now, a concurrent request
    has already done this. Otherwise raises ClinicNotFound, PatientNotFound and PermissionNotGranted.
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
    """Replace the permissions by `names`, and add an event when they change. Without names, remove the patient."""
    if patient.is_custodial and Permission.CUSTODIAN not in names:
        uow.patients.account_changes.claim(patient.user_id)
    if not names:
        # The removal is recorded as done by the patient, even when a service withdrew the last permission. A service may
        # only withdraw `custodian`, when the patient claims the account. So the account is kept: it is the patient's own.
        uow.patients.remove([patient], deleted_by=patient.user_id, keep_accounts=True)
        return None
    if names != _granted(patient):
        patient.permissions = names
        uow.patients.touch(patient)
        uow.outbox.add(PatientChanged(patient.clinic_id, patient.user_id, ("permissions",), patient.is_custodial))
    return patient
