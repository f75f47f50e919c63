"""How an existing user becomes a patient of a clinic."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from clinic_service.db.repository import Unit
from clinic_service.gateways.accounts import Account, Profile
from clinic_service.models import Clinic, DiagnosisType, Patient, Permission


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A user who becomes a patient: the account, its profile, and what the caller says, which wins over the profile.

    `permissions` are None when none were ever given, which is shown differently from an empty set.
    """

    account: Account
    profile: Profile
    permissions: Collection[str] | None = None
    is_migrated: bool = False
    legacy_clinician_id: str | None = None
    full_name: str | None = None
    birth_date: str | None = None
    mrn: str | None = None
    tag_ids: tuple[str, ...] = ()
    site_ids: tuple[str, ...] = ()
    glycemic_ranges: dict[str, Any] | None = None
    diagnosis_type: str | None = None

    @property
    def is_custodial(self) -> bool:
        """Whether the clinic is to manage the account."""
        return Permission.CUSTODIAN in (self.permissions or ())

    def to_patient(self, unit: Unit, clinic: Clinic) -> Patient:
        """The new record, made by `unit`. Name, birth date and MRN come from the profile where the caller gave none.

        Devices are always the profile's, and the address is always the one the user signs in with.
        """
        devices = self.profile.target_devices
        patient = Patient(
            clinic_id=clinic.id,
            id=unit.new_id(),
            user_id=self.account.user_id,
            full_name=_first(self.full_name, self.profile.patient_full_name, self.profile.full_name),
            birth_date=_first(self.birth_date, self.profile.birthday),
            email=self.account.username.lower() or None,
            mrn=_first(self.mrn, self.profile.mrn),
            target_devices=None if devices is None else list(devices),
            is_migrated=self.is_migrated,
            legacy_clinician_ids=[self.legacy_clinician_id] if self.legacy_clinician_id else None,
            glycemic_ranges=self.glycemic_ranges,
            # The empty text stands for none.
            diagnosis_type=DiagnosisType(self.diagnosis_type) if self.diagnosis_type else None,
            created_time=unit.creation_time,
            updated_time=unit.now,
        )
        patient.permissions = self.permissions
        return patient


def _first(*texts: str | None) -> str | None:
    """The first text that is not blank."""
    return next((text for text in texts if text and not text.isspace()), None)
