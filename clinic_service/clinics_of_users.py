"""The clinics of a user: those that have a record of the user as a patient, and those in which the user is a clinician."""

from __future__ import annotations

from sqlalchemy import bindparam, select

from clinic_service.db.repository import Repository
from clinic_service.models import Clinician, Patient

_OF_PATIENT = select(Patient.clinic_id).where(Patient.user_id == bindparam("user_id"))
_OF_CLINICIAN = select(Clinician.clinic_id).where(Clinician.user_id == bindparam("user_id"))


class ClinicsOfUsers(Repository):
    """Asks for the ids of clinics by user."""

    def of_patient(self, user_id: str) -> list[str]:
        """The ids of the clinics that have a record of the user."""
        return [clinic_id for (clinic_id,) in self._uow.rows(_OF_PATIENT, {"user_id": user_id})]

    def of_clinician(self, user_id: str) -> list[str]:
        """The ids of the clinics in which the user is a clinician. A pending clinician has no user yet."""
        return [clinic_id for (clinic_id,) in self._uow.rows(_OF_CLINICIAN, {"user_id": user_id})]
