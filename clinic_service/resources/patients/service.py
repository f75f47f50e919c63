"""What changes patients, and the rules it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.gateways.accounts import Accounts, UserRecord, get_user
from clinic_service.models import Clinic, Patient
from clinic_service.preparation import PreparationOutdated
from clinic_service.resources.patients.enrolment import Enrolment
from clinic_service.resources.patients.errors import DuplicatePatient
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """Who is to become a patient: the members of an `Enrolment` that are given, and what the directory knows.

    The directory is not asked about a user who was found to be a patient already.
    """

    given: Mapping[str, Any]
    user: UserRecord | None = None

    @property
    def legacy_clinician_id(self) -> str | None:
        """The legacy clinician through whom the user comes, if any."""
        return self.given.get("legacy_clinician_id")


def look_up_user(
    uow: UnitOfWork, accounts: Accounts, clinic_id: str, user_id: str, given: Mapping[str, Any]
) -> EnrolmentRequest:
    """The user, asking nobody else about one who is a patient already, so that repeats are cheap.

    Raises ClinicNotFound and AccountNotFound.
    """
    uow.clinics.require(clinic_id)
    if uow.patients.is_patient(clinic_id, user_id):
        return EnrolmentRequest(given)
    return EnrolmentRequest(given, get_user(accounts, user_id))


def create_from_user(
    uow: UnitOfWork, clinic_id: str, user_id: str, request: EnrolmentRequest, demo_user_id: str | None
) -> None:
    """Make an existing user a patient. With a legacy clinician's id, one who is a patient already only gets that id.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached, DuplicatePatient and PreparationOutdated.
    """
    clinic = uow.clinics.lock(clinic_id)
    patient = uow.patients.find(clinic_id, user_id)
    if patient is not None:
        _add_legacy_clinician(uow, patient, request.legacy_clinician_id)
    elif request.user is None:
        # The record has gone since the look-up found it.
        raise PreparationOutdated
    else:
        enrolment = uow.patients.enrolment(request.user.account, request.user.profile, **request.given)
        limit_reached = user_id != demo_user_id and _is_limit_reached(uow, clinic, enrolment, demo_user_id)
        uow.patients.enrol(clinic, enrolment, limit_reached=limit_reached)


def _is_limit_reached(uow: UnitOfWork, clinic: Clinic, enrolment: Enrolment, demo_user_id: str | None) -> bool:
    # Patients who manage their accounts themselves are never refused, so nobody is counted for them.
    limit = uow.clinics.patient_limit(clinic) if enrolment.is_custodial else None
    return uow.patients.is_plan_full(clinic.id, limit, demo_user_id)


def _add_legacy_clinician(uow: UnitOfWork, patient: Patient, legacy_clinician_id: str | None) -> None:
    if legacy_clinician_id is None:
        raise DuplicatePatient
    known = patient.legacy_clinician_ids or []
    if legacy_clinician_id not in known:
        patient.legacy_clinician_ids = [*known, legacy_clinician_id]
        uow.patients.touch(patient)
