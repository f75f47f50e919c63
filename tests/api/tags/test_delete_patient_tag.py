"""DeletePatientTag: DELETE /v1/clinics/{clinicId}/patient_tags/{patientTagId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Patient, PatientTag, Tag
from clinic_service.resources.tags import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_patient,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
    tag_patient,
)
from tests.support.tags_and_sites import carriers, clinic_time, names, patient_times
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Place(NamedTuple):
    clinic_id: str
    tag_id: str
    other_tag_id: str


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic where Carol carries both tags, and Dave the other one."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        tag, other = make_tag(unit, clinic, "Pump"), make_tag(unit, clinic, "Other")
        tag_patient(unit, make_patient(unit, clinic, CAROL), tag, other)
        tag_patient(unit, make_patient(unit, clinic, DAVE), other)
        return Place(clinic.id, tag.id, other.id)


def delete(api: Client, place: Place, as_: Somebody = ALICE) -> Reply:
    return api.delete(f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_removes_the_tag(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    reply = delete(api, place, caller)
    assert (reply.status, reply.json) == (204, None)
    assert names(database, Tag, place.clinic_id) == ["Other"]
    assert clinic_time(database, place.clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_patients_lose_it_at_once(api: Client, database: Database, place: Place) -> None:
    delete(api, place)
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
    assert shown["tags"] == [place.other_tag_id]
    assert carriers(database, place.other_tag_id) == {CAROL.id, DAVE.id}


def test_only_patients_who_carried_it_have_changed(api: Client, database: Database, place: Place) -> None:
    delete(api, place)
    assert patient_times(database) == {CAROL.id: NOW, DAVE.id: LONG_AGO}


@pytest.mark.parametrize("milliseconds", [0, 5, 998, 999])
def test_the_time_of_a_patient_always_grows(api: Client, database: Database, place: Place, milliseconds: int) -> None:
    """Also on New Year's Eve, and when the clock has been set back."""
    before = datetime(2027, 12, 31, 23, 59, 59, milliseconds * 1000, tzinfo=UTC)
    with storing(database) as unit:
        for patient in unit.patients.all_of_user(CAROL.id):
            patient.updated_time = before
    delete(api, place)
    assert patient_times(database)[CAROL.id] == before + timedelta(milliseconds=1)


def test_a_tag_that_nobody_carries_can_be_removed(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        unused = make_tag(unit, unit.clinics.get(place.clinic_id), "Unused")
    assert delete(api, place._replace(tag_id=unused.id)).status == 204
    assert set(patient_times(database).values()) == {LONG_AGO}


def test_a_repeat_is_no_error_and_changes_nothing(api: Client, database: Database, place: Place) -> None:
    delete(api, place)
    with clock.frozen(NOW + timedelta(seconds=1)):
        assert delete(api, place).status == 204
    assert clinic_time(database, place.clinic_id) == NOW


def test_tags_of_other_clinics_stay(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        tag = make_tag(unit, elsewhere, "Pump")
        tag_patient(unit, make_patient(unit, elsewhere, ERIN), tag)
    assert delete(api, place._replace(tag_id=tag.id)).status == 204
    assert carriers(database, tag.id) == {ERIN.id}
    assert patient_times(database)[ERIN.id] == LONG_AGO
    assert clinic_time(database, place.clinic_id) == LONG_AGO


def test_makes_room_for_another(api: Client, place: Place) -> None:
    delete(api, place)
    path = f"/v1/clinics/{place.clinic_id}/patient_tags"
    assert api.post(path, as_=ALICE, json={"name": "pump"}).status == 200


def test_who_gives_the_tag_meanwhile_finds_it_gone(api: Client, database: Database, place: Place) -> None:
    path = f"/v1/clinics/{place.clinic_id}/patients/assign_tag/{place.tag_id}"
    reply = meanwhile(
        database,
        lambda unit: service.delete_tag(unit, place.clinic_id, place.tag_id),
        lambda: api.post(path, as_=SERVICE),
    )
    assert_error(reply, 404)
    assert {link.tag_id for link in stored(database, PatientTag)} == {place.other_tag_id}


def test_malformed_ids_are_refused(api: Client, place: Place) -> None:
    assert_violations(delete(api, place._replace(tag_id="A" * 24)), ("/path/patientTagId", "pattern"))
    assert_violations(delete(api, place._replace(clinic_id="A" * 24), SERVICE), ("/path/clinicId", "pattern"))


def test_needs_a_token(api: Client, place: Place) -> None:
    assert_error(api.delete(f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}"), 401)


@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY, CAROL])
def test_is_for_admins_and_services(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(delete(api, place, caller), 403)
    assert carriers(database, place.tag_id) == {CAROL.id}


def test_unknown_clinics_are_not_found(api: Client, place: Place) -> None:
    assert_error(delete(api, place._replace(clinic_id="0" * 24), SERVICE), 404)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place) -> None:
    def sent(tag_id: str) -> int:
        return number_of_statements(database, lambda: delete(api, place._replace(tag_id=tag_id)))

    one = sent(place.tag_id)
    with storing(database) as unit:
        clinic = unit.clinics.get(place.clinic_id)
        tag = unit.tags.get(place.clinic_id, place.other_tag_id)
        for number in range(20):
            tag_patient(unit, make_patient(unit, clinic, ERIN, user_id=f"{number:010x}"), tag)
    assert sent(place.other_tag_id) == one == 5
    assert len(stored(database, Patient)) == 22
