"""The database that all servers share: made by the revisions, filled through the models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple

from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.db.schema import upgrade
from clinic_service.gateways.tokens import mint
from clinic_service.models import Clinic, DataSource, Patient, PatientSite, PatientTag, Review, Site, Tag
from clinic_service.unit_of_work import UnitOfWork, writing
from tests.support.cast import ALICE, MALLORY, SERVICE, Somebody
from tests.support.rows import make_clinic, make_clinician, make_patient, make_site, make_tag

MEMBERS = 200
PATIENTS = 40
SECRET = "a secret of the benchmark, at least 32 bytes long"

_BEGIN = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
_TOKEN_LIFETIME = timedelta(hours=1)


class Scene(NamedTuple):
    """What is in the database, and tokens of a member, of a service and of somebody who may do nothing."""

    clinic_id: str
    clinic_to_fill: str
    patient_ids: list[str]
    member_token: str
    service_token: str
    stranger_token: str


def fill(url: str) -> Scene:
    """A clinic with 200 members and 40 patients, and another one to add members to."""
    upgrade(url)
    database = Database(url)
    with writing(database) as unit:
        clinic = make_clinic(unit)
        _add_members(unit, clinic)
        patient_ids = list(_add_patients(unit, clinic))
        clinic_to_fill = make_clinic(unit).id
        clinic_id = clinic.id
    database.dispose()
    return Scene(clinic_id, clinic_to_fill, patient_ids, _token(ALICE), _token(SERVICE), _token(MALLORY))


def _token(somebody: Somebody) -> str:
    return mint(SECRET, somebody.id, service=somebody.is_service, lifetime=_TOKEN_LIFETIME)


def _add_members(unit: UnitOfWork, clinic: Clinic) -> None:
    make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN", **_times(0))
    for number in range(1, MEMBERS):
        person = Somebody(f"c{number:09x}", f"Colleague {number}", f"colleague.{number}@harbour.example")
        roles = ("CLINIC_MEMBER", "PRESCRIBER") if number % 3 == 0 else ("CLINIC_MEMBER",)
        make_clinician(unit, clinic, person, *roles, **_times(number))


def _times(number: int) -> dict[str, Any]:
    created = _BEGIN + timedelta(minutes=number)
    return {"created_time": created, "updated_time": created + timedelta(milliseconds=7 * number)}


def _add_patients(unit: UnitOfWork, clinic: Clinic) -> Iterator[str]:
    tags = [make_tag(unit, clinic, name) for name in ("Pump", "Pregnant", "Study A")]
    sites = [make_site(unit, clinic, name) for name in ("North Wing", "City Clinic")]
    for number in range(PATIENTS):
        person = Somebody(f"ca{number:08x}", f"Patient {number}", f"patient.{number}@mail.example")
        patient = make_patient(unit, clinic, person, "view", "upload", "note", **_details(number), **_times(number))
        patient.reviews = [Review(ALICE.id, _BEGIN + timedelta(days=2)), Review(ALICE.id, _BEGIN)]
        _link(unit, patient, tags[: 1 + number % 3], sites[: 1 + number % 2])
        yield patient.user_id


def _details(number: int) -> dict[str, Any]:
    asked = {"providerName": "dexcom", "createdTime": "2026-01-19T11:04:02.000Z"}
    return {
        "mrn": f"MRN-{20400 + number}",
        "mrn_key": f"mrn-{20400 + number}",
        "target_devices": ["dexcom", "omnipod"],
        "diagnosis_type": "type1",
        "glycemic_ranges": {"type": "preset", "preset": "adaStandard"},
        "connection_requests": {"dexcom": [asked]},
        "last_upload_reminder_time": _BEGIN + timedelta(days=1),
        "data_sources_set": True,
    }


def _link(unit: UnitOfWork, patient: Patient, tags: list[Tag], sites: list[Site]) -> None:
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id}
    unit.session.add_all([PatientTag(**key, tag_id=tag.id) for tag in tags])
    unit.session.add_all([PatientSite(**key, site_id=site.id, position=n) for n, site in enumerate(sites)])
    for position, (provider, state) in enumerate((("dexcom", "connected"), ("abbott", "pending"))):
        source = DataSource(**key, position=position, provider_name=provider, state=state)
        source.data_source_id = new_id()
        source.modified_time = source.latest_data_time = _BEGIN + timedelta(days=3)
        unit.session.add(source)


def newcomers() -> Iterator[bytes]:
    """Bodies of requests to add a member, each with a user and an address that no other one has, all of one length."""
    for number in count(1):
        yield (
            b'{"id":"%010x","email":"newcomer.%010x@harbour.example","name":"Newcomer %010x",'
            b'"roles":["CLINIC_MEMBER","PRESCRIBER"]}' % (number, number, number)
        )
