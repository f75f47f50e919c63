"""The clinics of a user, and of an invitation: asked, and written together with the rows that they are copied from.

Whoever stores or removes a patient, a clinician or a pending clinician tells it here, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Delete, Insert, bindparam, delete, select, union

from clinic_service.db.dialects import insert_or_skip
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import Membership, PatientRecord, PendingClinician

# A user and a clinic.
Pair = tuple[str, str]


def _of_user(model: type[PatientRecord | Membership]) -> Delete:
    return delete(model).where(model.user_id == bindparam("of_user"), model.clinic_id == bindparam("of_clinic"))


_OF_PATIENT = select(PatientRecord.clinic_id).where(PatientRecord.user_id == bindparam("user_id"))
_OF_CLINICIAN = select(Membership.clinic_id).where(Membership.user_id == bindparam("user_id"))


class ClinicsOfUsers(Repository):
    """The ids of the clinics of a user."""

    def of_patient(self, user_id: str) -> list[str]:
        """The ids of the clinics that have a record of the user."""
        return [clinic_id for (clinic_id,) in self._uow.rows(_OF_PATIENT, {"user_id": user_id})]

    def of_clinician(self, user_id: str) -> list[str]:
        """The ids of the clinics in which the user is a clinician. A pending clinician has no user yet."""
        return [clinic_id for (clinic_id,) in self._uow.rows(_OF_CLINICIAN, {"user_id": user_id})]

    _OF_BOTH = union(_OF_PATIENT, _OF_CLINICIAN)

    def of_both(self, user_id: str) -> list[str]:
        """The ids of the clinics of which the user is a patient or a clinician."""
        return [clinic_id for (clinic_id,) in self._uow.rows(self._OF_BOTH, {"user_id": user_id})]

    _ADD_PATIENT = insert_or_skip(PatientRecord)

    def add_patients(self, pairs: Iterable[Pair]) -> None:
        """Note that the users are patients of the clinics."""
        self._add(self._ADD_PATIENT, pairs)

    _REMOVE_PATIENT = _of_user(PatientRecord)

    def remove_patients(self, pairs: Iterable[Pair]) -> None:
        """Note that the users are no longer patients of the clinics."""
        self._remove(self._REMOVE_PATIENT, pairs)

    _ADD_CLINICIAN = insert_or_skip(Membership)

    def add_clinicians(self, pairs: Iterable[Pair]) -> None:
        """Note that the users are clinicians of the clinics."""
        self._add(self._ADD_CLINICIAN, pairs)

    _REMOVE_CLINICIAN = _of_user(Membership)

    def remove_clinicians(self, pairs: Iterable[Pair]) -> None:
        """Note that the users are no longer clinicians of the clinics."""
        self._remove(self._REMOVE_CLINICIAN, pairs)

    _ADD_PENDING = insert_into(PendingClinician, "invite_id", "clinic_id")

    def add_pending(self, invite_id: str, clinic_id: str) -> None:
        """Note that the clinic has a pending clinician with this invitation. Raises IntegrityError when there is one."""
        self._uow.insert(self._ADD_PENDING, {"invite_id": invite_id, "clinic_id": clinic_id})

    _REMOVE_PENDING = delete(PendingClinician).where(PendingClinician.invite_id == bindparam("of_invite"))

    def remove_pending(self, invite_ids: Iterable[str]) -> None:
        """Note that there are no pending clinicians with these invitations any more."""
        self._uow.change(self._REMOVE_PENDING, *({"of_invite": one} for one in invite_ids))

    # All transactions write several rows in the same order, so that no two of them wait for each other.

    def _add(self, statement: Insert, pairs: Iterable[Pair]) -> None:
        self._uow.insert(statement, *({"user_id": user, "clinic_id": clinic} for user, clinic in sorted(pairs)))

    def _remove(self, statement: Delete, pairs: Iterable[Pair]) -> None:
        self._uow.change(statement, *({"of_user": user, "of_clinic": clinic} for user, clinic in sorted(pairs)))
