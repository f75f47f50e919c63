"""The clinic of `serve --demo`: an admin, a member, and forty patients with tags, sites, data sources and summaries."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, select

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.demo.cast import (
    ADMIN,
    BIRTH_DATE,
    CLINIC_ID,
    CLINIC_NAME,
    INVITATION_KEY,
    INVITED,
    MEMBER,
    OFFER_KEY,
    OFFERING,
    OUTSIDER,
    PARENT,
    PATIENT,
    SHARE_CODE,
)
from clinic_service.demo.guard import require_no_real_clinics
from clinic_service.demo.patients import made_up_summaries
from clinic_service.demo.people import Somebody, name
from clinic_service.models import (
    AccountEmail,
    Clinic,
    Clinician,
    DataSource,
    DemoClinic,
    EmbeddedAccount,
    Grant,
    Patient,
    PatientSite,
    PatientTag,
    ShareCode,
    Site,
    Tag,
)
from clinic_service.models.invite import InviteType
from clinic_service.resources.settings.schemas import ehr_settings_schema
from clinic_service.resources.settings.service import set_ehr_settings
from clinic_service.resources.summaries.repository import SummaryChange
from clinic_service.unit_of_work import UnitOfWork, writing

_CLINIC_OF_CODE = select(ShareCode.clinic_id).where(ShareCode.code == bindparam("code"))
_TAGS = ("Pump", "Pregnant", "Newly diagnosed", "Study A", "Needs call")
_SITES = ("North Wing", "City Clinic", "School programme")
# As for a health record system behind Redox that knows the clinic by this source.
_EHR_SETTINGS = {
    "enabled": True,
    "provider": "redox",
    "sourceId": "7ce6f387-c33c-417d-8682-81e83628cbd9",
    "mrnIdType": "MRN",
    "destinationIds": {
        "flowsheet": "4f1c2f5e-08f6-4a0e-8d63-6f5f3fb2a0d1",
        "notes": "8d6a3c7b-90f4-4a6c-a2f0-0c5b9b3a6d42",
        "results": "1b7e9f20-5c3d-4e8a-9f61-7d2c8e4b5a93",
    },
    "procedureCodes": {
        "enableSummaryReports": "TIDEPOOL-ENABLE",
        "disableSummaryReports": "TIDEPOOL-DISABLE",
        "createAccount": "TIDEPOOL-CREATE",
        "createAccountAndEnableReports": "TIDEPOOL-CREATE-ENABLE",
    },
    "scheduledReports": {"cadence": "14d", "onUploadEnabled": True, "onUploadNoteEventType": "New"},
    "tags": {"codes": ["DIABETES-PROGRAM"], "separator": ","},
    "flowsheets": {"icode": False},
    "notes": {"includeGMI": False},
}
_DIAGNOSES = ("type1", "type1", "type2", "type2", "gestational", "lada")
_SOURCES = ((), (("dexcom", "connected"),), (("abbott", "pending"),), (("dexcom", "error"), ("abbott", "connected")))


def fill(database: Database, *, mix: bool = False) -> str:
    """Add the demo clinic to `database` if it is not there; returns its id.

    Raises HoldsRealClinics when the database holds clinics that no demo command made, unless `mix` is set.
    """
    with writing(database) as unit:
        known = unit.first(_CLINIC_OF_CODE, {"code": SHARE_CODE})
        if known:
            return known[0]
        if not mix:
            require_no_real_clinics(unit)
        return _make_clinic(unit)


def _make_clinic(unit: UnitOfWork) -> str:
    clinic = Clinic(
        id=CLINIC_ID,
        name=CLINIC_NAME,
        address="1 Quay Street",
        city="Port Haven",
        postal_code="94016",
        state="CA",
        country="US",
        clinic_type="provider_practice",
        clinic_size="0-249",
        preferred_bg_units="mg/dL",
        timezone="US/Pacific",
        is_migrated=True,
        mrn_required=False,
        mrn_unique=False,
        patient_count_settings={"hardLimit": {"plan": 250}},
        **_times(unit, days_ago=200),
    )
    unit.session.add_all([clinic, ShareCode(code=SHARE_CODE, clinic_id=clinic.id, canonical=True)])
    unit.flush()
    unit.session.add(DemoClinic(clinic_id=clinic.id))
    set_ehr_settings(unit, clinic.id, ehr_settings_schema.load(_EHR_SETTINGS))
    _add_accounts(unit)
    _add_clinician(unit, clinic, ADMIN, "CLINIC_ADMIN")
    _add_clinician(unit, clinic, MEMBER, "CLINIC_MEMBER")
    _add_patients(unit, clinic)
    _add_invites(unit, clinic)
    unit.session.add(Grant(sharer_id=PATIENT.id, grantee_id=PARENT.id, permissions={"view": {}, "follow": {}}))
    return clinic.id


def _times(unit: UnitOfWork, *, days_ago: int) -> dict[str, Any]:
    time = unit.now - timedelta(days=days_ago)
    return {"created_time": time, "updated_time": time}


def _add_accounts(unit: UnitOfWork) -> None:
    for person in (ADMIN, MEMBER, PATIENT, PARENT, OUTSIDER, INVITED, OFFERING):
        unit.session.add(
            EmbeddedAccount(
                user_id=person.id,
                username=person.email,
                full_name=person.name,
                roles=["clinician"] if person in (ADMIN, MEMBER, INVITED) else [],
                **_times(unit, days_ago=210),
            )
        )
        unit.flush()
        unit.session.add(AccountEmail(email=person.email, user_id=person.id, position=0))


def _add_clinician(unit: UnitOfWork, clinic: Clinic, person: Somebody, role: str) -> None:
    clinician = Clinician(
        clinic_id=clinic.id,
        id=new_id(),
        user_id=person.id,
        email=person.email,
        name=person.name,
        **_times(unit, days_ago=190),
    )
    clinician.roles = (role,)
    unit.session.add(clinician)
    ClinicsOfUsers(unit).add_clinicians([(person.id, clinic.id)])


def _add_invites(unit: UnitOfWork, clinic: Clinic) -> None:
    """Add an invitation to a clinician, and the offer of a patient. Neither expires."""
    unit.clinicians.add(clinic.id, email=INVITED.email, roles=["CLINIC_MEMBER"], invite_id=INVITATION_KEY)
    unit.invites.add(
        clinic.id,
        InviteType.CLINICIAN,
        key=INVITATION_KEY,
        email=INVITED.email,
        creator_id=ADMIN.id,
        user_id=INVITED.id,
    )
    unit.invites.add(
        clinic.id,
        InviteType.PATIENT,
        key=OFFER_KEY,
        email=OFFERING.email,
        creator_id=OFFERING.id,
        context={"view": {}, "upload": {}},
    )


def _add_patients(unit: UnitOfWork, clinic: Clinic) -> None:
    tags = [
        Tag(clinic_id=clinic.id, id=f"65f1c0de0a1b2c3d4e5f6a{n:02x}", name=name, name_key=Tag.key_of(name))
        for n, name in enumerate(_TAGS, start=1)
    ]
    sites = [
        Site(clinic_id=clinic.id, id=f"65f1c0de0a1b2c3d4e5f6b{n:02x}", name=name, name_key=Site.key_of(name))
        for n, name in enumerate(_SITES, start=1)
    ]
    unit.session.add_all([*tags, *sites])
    unit.flush()
    # With a fixed seed, every demo has the same forty patients.
    chance = random.Random(40)
    summaries: list[SummaryChange] = []
    for number in range(40):
        person = PATIENT if number == 0 else _invented(number)
        patient = _patient(unit, clinic, person, number, chance)
        unit.patients.add(patient)
        _link(unit, patient, chance.sample(tags, chance.randrange(3)), chance.sample(sites, chance.randrange(1, 3)))
        _add_sources(unit, patient, _SOURCES[(number + 1) % len(_SOURCES)])
        summaries += made_up_summaries(patient, unit.now, chance)
    unit.summaries.apply(summaries)


def _invented(number: int) -> Somebody:
    return Somebody(f"de30{number:06x}", name(number), f"patient.{number}@mail.example")


def _patient(unit: UnitOfWork, clinic: Clinic, person: Somebody, number: int, chance: random.Random) -> Patient:
    custodial = number % 4 == 1
    born = f"{chance.randrange(1945, 2016)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
    patient = Patient(
        clinic_id=clinic.id,
        id=new_id(),
        user_id=person.id,
        full_name=person.name,
        birth_date=BIRTH_DATE if person is PATIENT else born,
        # Some custodial accounts have no e-mail address.
        email=None if custodial and number % 8 == 1 else person.email,
        mrn=f"MRN-{20417 + number}",
        target_devices=chance.choice([["dexcom"], ["libre2", "omnipod"], []]),
        diagnosis_type=chance.choice(_DIAGNOSES),
        invited_by=ADMIN.id if custodial else None,
        **_times(unit, days_ago=180 - 4 * number),
    )
    patient.permissions = ("custodian", "view", "upload", "note") if custodial else ("view", "upload")
    return patient


def _link(unit: UnitOfWork, patient: Patient, tags: list[Tag], sites: list[Site]) -> None:
    where = {"clinic_id": patient.clinic_id, "patient_id": patient.id}
    unit.session.add_all([PatientTag(**where, tag_id=tag.id) for tag in tags])
    unit.session.add_all([PatientSite(**where, site_id=site.id, position=n) for n, site in enumerate(sites)])


def _add_sources(unit: UnitOfWork, patient: Patient, sources: tuple[tuple[str, str], ...]) -> None:
    patient.data_sources_set = bool(sources)
    for position, (provider, state) in enumerate(sources):
        unit.session.add(
            DataSource(
                clinic_id=patient.clinic_id,
                patient_id=patient.id,
                position=position,
                provider_name=provider,
                state=state,
                modified_time=unit.now - timedelta(days=3),
            )
        )
