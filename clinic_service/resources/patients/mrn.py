"""A clinic's rules for medical record numbers (MRNs): that every patient has one, and that they are unique.

The callers hold the lock of the clinic's row. The unique index `ix_patients_unique_mrn` also enforces the second rule.
"""

from __future__ import annotations

from clinic_service.models import Clinic, Patient
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.patients.errors import DuplicateMrn, MrnRequired
from clinic_service.unit_of_work import UnitOfWork


def check_mrn(uow: UnitOfWork, clinic: Clinic, mrn: str | None, patient_id: str = "") -> None:
    """Check a number against the clinic's settings and the other patients. `patient_id` is the id of the patient's record.

    Raises MrnRequired, and DuplicateMrn when another patient has the number.
    """
    key = mrn_key(mrn)
    if clinic.mrn_required and key is None:
        raise MrnRequired
    if clinic.mrn_unique and key is not None and uow.patients.is_mrn_taken(clinic.id, key, patient_id):
        raise DuplicateMrn


def index_mrn(clinic: Clinic, patient: Patient) -> None:
    """Set the columns of the unique index from the patient's number, which must have been checked, and the settings."""
    patient.mrn_key = mrn_key(patient.mrn)
    patient.require_unique_mrn = bool(clinic.mrn_unique)


def register_mrn(uow: UnitOfWork, clinic: Clinic, patient: Patient) -> None:
    """Check the number of a new record, then apply `index_mrn`. Raises MrnRequired and DuplicateMrn."""
    check_mrn(uow, clinic, patient.mrn, patient.id)
    index_mrn(clinic, patient)
