"""What a clinic demands of medical record numbers (MRNs): that there is one, and that no two patients have the same.

The callers hold the lock of the clinic's row. Two patients of a clinic that demands unique numbers cannot be stored with
the same number either: see `ix_patients_unique_mrn`.
"""

from __future__ import annotations

from clinic_service.models import Clinic, Patient
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.patients.errors import DuplicateMrn, MrnRequired
from clinic_service.unit_of_work import UnitOfWork


def check_mrn(uow: UnitOfWork, clinic: Clinic, mrn: str | None, patient_id: str = "") -> None:
    """Compare a number with the settings of the clinic and with the other patients; `patient_id` is the record's own id.

    Raises MrnRequired, and DuplicateMrn when another patient has the number.
    """
    key = mrn_key(mrn)
    if clinic.mrn_required and key is None:
        raise MrnRequired
    if clinic.mrn_unique and key is not None and uow.patients.is_mrn_taken(clinic.id, key, patient_id):
        raise DuplicateMrn


def hold_mrn(clinic: Clinic, patient: Patient) -> None:
    """Compare later numbers with this patient's, which was checked before."""
    patient.mrn_key = mrn_key(patient.mrn)
    patient.require_unique_mrn = bool(clinic.mrn_unique)


def settle_mrn(uow: UnitOfWork, clinic: Clinic, patient: Patient) -> None:
    """Check the number of a new record and hold it. Raises MrnRequired and DuplicateMrn."""
    check_mrn(uow, clinic, patient.mrn, patient.id)
    hold_mrn(clinic, patient)
