"""Creating, changing and deleting clinics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service.gateways.accounts import Accounts, UserRecord, find_user, get_user
from clinic_service.models import Clinic, Patient, Permission, Role, Tier
from clinic_service.outbox.events import ClinicCreated, ClinicDeleted, PatientAdded
from clinic_service.resources.clinics.errors import ClinicNotEmpty, DemoPatientUnknown
from clinic_service.unit_of_work import UnitOfWork

# Clients send the whole profile. They clear these members by leaving them out; other missing members are kept.
_CLEARED_WHEN_ABSENT: Mapping[str, Any] = {"phone_numbers": None, "timezone": None}


@dataclass(frozen=True, slots=True)
class Founders:
    """The users of a new clinic: its first admin and, if one is configured, the demo patient."""

    admin: UserRecord
    demo: UserRecord | None


def find_founders(accounts: Accounts, admin_id: str, demo_user_id: str | None) -> Founders:
    """Look up both in the directory. Raises AccountNotFound for the admin, and DemoPatientUnknown."""
    admin = get_user(accounts, admin_id)
    if not demo_user_id:
        return Founders(admin, None)
    demo = find_user(accounts, demo_user_id)
    if demo is None:
        raise DemoPatientUnknown
    return Founders(admin, demo)


def create_clinic(uow: UnitOfWork, profile: Mapping[str, Any], founders: Founders) -> Clinic:
    """Create a clinic of the free tier with its first admin and the demo patient."""
    clinic = uow.clinics.add(profile, is_migrated=True)
    admin = founders.admin
    user_id = admin.account.user_id
    uow.clinicians.add(clinic.id, user_id=user_id, email=admin.email, name=admin.profile.full_name, roles=[Role.ADMIN])
    # A mail about a clinic without a name would not be useful.
    if clinic.name:
        uow.outbox.add(ClinicCreated(clinic_id=clinic.id, user_id=user_id, clinic_name=clinic.name))
    if founders.demo:
        _add_demo_patient(uow, clinic, founders.demo)
    return clinic


def update_profile(uow: UnitOfWork, clinic_id: str, profile: Mapping[str, Any]) -> None:
    """Store the members of the profile. Absent telephone numbers and an absent time zone are cleared."""
    clinic = uow.clinics.lock(clinic_id)
    for name, value in {**_CLEARED_WHEN_ABSENT, **profile}.items():
        setattr(clinic, name, value)
    uow.clinics.touch(clinic)


def set_tier(uow: UnitOfWork, clinic_id: str, tier: str) -> None:
    """Set the tier, which decides whether the stored patient limits apply."""
    clinic = uow.clinics.lock(clinic_id)
    clinic.tier = Tier(tier)
    uow.clinics.touch(clinic)


def suppress_notifications(uow: UnitOfWork, clinic_id: str, suppressed: dict[str, bool]) -> None:
    """Replace all suppressed notifications. Notifications that `suppressed` does not name are sent again."""
    clinic = uow.clinics.lock(clinic_id)
    clinic.suppressed_notifications = suppressed
    uow.clinics.touch(clinic)


def delete_clinic(uow: UnitOfWork, clinic_id: str, demo_user_id: str | None, deleted_by: str | None) -> None:
    """Delete a clinic without patients, together with all its rows, and keep a record of what was deleted.

    `deleted_by` is None unless a person acts. Raises ClinicNotFound and ClinicNotEmpty.
    """
    clinic = uow.clinics.lock(clinic_id)
    counts = uow.patients.count(clinic_id, demo_user_id)
    if counts.total > counts.demo:
        raise ClinicNotEmpty
    demo = uow.patients.find(clinic_id, demo_user_id) if demo_user_id else None
    uow.patients.remove([demo] if demo else [], deleted_by)
    uow.clinicians.remove(uow.clinicians.all_of_clinic(clinic_id), deleted_by)
    uow.migrations.remove_all_of_clinic(clinic_id)
    uow.clinics.remove(clinic, deleted_by)
    uow.outbox.add(ClinicDeleted(clinic_id=clinic_id))


def _add_demo_patient(uow: UnitOfWork, clinic: Clinic, demo: UserRecord) -> None:
    """Add the demo patient, who shares data with every clinic, so that a new clinic has a patient to show."""
    profile = demo.profile
    patient = Patient(
        clinic_id=clinic.id,
        id=uow.new_id(),
        user_id=demo.account.user_id,
        full_name=profile.patient_full_name or profile.full_name,
        birth_date=profile.birthday,
        email=demo.email,
        mrn=profile.mrn,
        target_devices=None if profile.target_devices is None else list(profile.target_devices),
        # Patients of a migration know the clinic already, so they get no mail.
        is_migrated=True,
        created_time=uow.creation_time,
        updated_time=uow.now,
    )
    patient.permissions = [Permission.VIEW]
    uow.patients.add(patient)
    uow.outbox.add(PatientAdded(clinic_id=clinic.id, user_id=patient.user_id, is_migrated=True))
