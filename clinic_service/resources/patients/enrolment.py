"""Enrolment: makes users patients of a clinic, within the limit of the clinic's plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.gateways.accounts import Account, Accounts, Profile, UserRecord, get_user
from clinic_service.models import Clinic, DiagnosisType, Patient, Permission
from clinic_service.outbox.events import PatientAdded
from clinic_service.preparation import PreparationOutdated
from clinic_service.resources.patients.errors import DuplicatePatient, PatientLimitReached
from clinic_service.resources.patients.mrn import register_mrn
from clinic_service.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A user who becomes a patient: the account, its profile, and the caller's values, which override the profile.

    `permissions` is None when none were ever given. The API shows this differently from an empty set. `tag_ids` may be
    None, because a request may have null for no tags.
    """

    account: Account
    profile: Profile
    permissions: Collection[str] | None = None
    is_migrated: bool = False
    legacy_clinician_id: str | None = None
    full_name: str | None = None
    birth_date: str | None = None
    mrn: str | None = None
    tag_ids: tuple[str, ...] | None = None
    site_ids: tuple[str, ...] = ()
    glycemic_ranges: dict[str, Any] | None = None
    diagnosis_type: str | None = None

    @property
    def is_custodial(self) -> bool:
        """Whether the clinic manages the account."""
        return Permission.CUSTODIAN in (self.permissions or ())

    def to_patient(self, uow: UnitOfWork, clinic: Clinic) -> Patient:
        """The new record. Name, birth date and MRN come from the profile when the caller did not give them.

        Devices always come from the profile, and the address is always the one that the user signs in with.
        """
        devices = self.profile.target_devices
        patient = Patient(
            clinic_id=clinic.id,
            id=uow.new_id(),
            user_id=self.account.user_id,
            full_name=_first(self.full_name, self.profile.patient_full_name, self.profile.full_name),
            birth_date=_first(self.birth_date, self.profile.birthday),
            email=self.account.username.lower() or None,
            mrn=_first(self.mrn, self.profile.mrn),
            target_devices=None if devices is None else list(devices),
            is_migrated=self.is_migrated,
            legacy_clinician_ids=[self.legacy_clinician_id] if self.legacy_clinician_id else None,
            glycemic_ranges=self.glycemic_ranges,
            # The empty text means none.
            diagnosis_type=DiagnosisType(self.diagnosis_type) if self.diagnosis_type else None,
            created_time=uow.creation_time,
            updated_time=uow.now,
        )
        patient.permissions = self.permissions
        return patient


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """The caller's members of an `Enrolment`, and the user record.

    `user` is None for a user who is already a patient, because the directory is not asked then.
    """

    given: Mapping[str, Any]
    user: UserRecord | None = None

    @property
    def legacy_clinician_id(self) -> str | None:
        """The legacy clinician from whom the patient is migrated, if any."""
        return self.given.get("legacy_clinician_id")


def look_up_user(
    uow: UnitOfWork, accounts: Accounts, clinic_id: str, user_id: str, given: Mapping[str, Any]
) -> EnrolmentRequest:
    """Look up the user in the directory, unless the user is already a patient, so that repeated requests are cheap.

    Raises ClinicNotFound and AccountNotFound.
    """
    uow.clinics.require(clinic_id)
    if uow.patients.is_patient(clinic_id, user_id):
        return EnrolmentRequest(given)
    return EnrolmentRequest(given, get_user(accounts, user_id))


def create_from_user(
    uow: UnitOfWork, clinic_id: str, user_id: str, request: EnrolmentRequest, demo_user_id: str | None
) -> None:
    """Make an existing user a patient. A user who is already a patient only gets the legacy clinician's id, if given.

    Raises ClinicNotFound, MrnRequired, DuplicateMrn, PatientLimitReached, DuplicatePatient and PreparationOutdated.
    """
    clinic = uow.clinics.lock(clinic_id)
    patient = uow.patients.find(clinic_id, user_id)
    if patient is not None:
        _add_legacy_clinician(uow, patient, request.legacy_clinician_id)
    elif request.user is None:
        # The look-up found a record, which has been deleted since.
        raise PreparationOutdated
    else:
        enrolment = Enrolment(request.user.account, request.user.profile, **request.given)
        # The limit does not apply to patients who manage their accounts themselves, so they need no count.
        is_limited = enrolment.is_custodial and user_id != demo_user_id
        enrol(uow, clinic, enrolment, limit_reached=is_limited and is_plan_full(uow, clinic, demo_user_id))


def enrol(
    uow: UnitOfWork, clinic: Clinic, enrolment: Enrolment, *, limit_reached: bool = False, require_sites: bool = False
) -> Patient:
    """Make an existing user a patient of the clinic. The clinic's row must be locked.

    `limit_reached`: the plan does not allow this patient. `require_sites`: sites that the clinic does not have are
    an error instead of being ignored. Raises MrnRequired, DuplicateMrn, PatientLimitReached, DuplicatePatient and
    UnknownSite, in this order.
    """
    patient = enrolment.to_patient(uow, clinic)
    register_mrn(uow, clinic, patient)
    if limit_reached:
        raise PatientLimitReached
    uow.patients.add(patient, enrolment.tag_ids or (), enrolment.site_ids, require_sites=require_sites)
    announce(uow, patient)
    return patient


def announce(uow: UnitOfWork, patient: Patient) -> None:
    """Add the event about a new patient to the outbox."""
    event = PatientAdded(
        patient.clinic_id, patient.user_id, patient.is_custodial, patient.is_migrated, patient.invited_by
    )
    uow.outbox.add(event)


def is_plan_full(uow: UnitOfWork, clinic: Clinic, demo_user_id: str | None) -> bool:
    """Whether the clinic's plan has no place left for a custodial patient. The clinic's row must be locked.

    Places that are reserved for accounts that are being created count as taken.
    """
    limit = uow.clinics.patient_limit(clinic)
    if limit is None:
        return False
    reserved = uow.patients.account_changes.count_places(clinic.id)
    return uow.patients.count_plan(clinic.id, demo_user_id) + reserved >= limit


def _add_legacy_clinician(uow: UnitOfWork, patient: Patient, legacy_clinician_id: str | None) -> None:
    if legacy_clinician_id is None:
        raise DuplicatePatient
    known = patient.legacy_clinician_ids or []
    if legacy_clinician_id not in known:
        patient.legacy_clinician_ids = [*known, legacy_clinician_id]
        uow.patients.touch(patient)


def _first(*texts: str | None) -> str | None:
    """The first text that is not blank."""
    return next((text for text in texts if text and not text.isspace()), None)
