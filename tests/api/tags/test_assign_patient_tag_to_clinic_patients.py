"""AssignPatientTagToClinicPatients: POST /v1/clinics/{clinicId}/patients/assign_tag/{patientTagId}"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, PatientTag
from clinic_service.resources.tags import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
from tests.support.errors import assert_error
from tests.support.labels.patients_of_tag import ChangesOfCarriers
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_patient,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
    tag_patient,
)
from tests.support.tags_and_sites import carriers, clinic_time, patient_times
from tests.support.units import meanwhile, number_of_statements

pytestmark = pytest.mark.usefixtures("frozen_clock")


class Place(NamedTuple):
    clinic_id: str
    tag_id: str


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic with a tag that Erin carries, and Carol and Dave do not; Mallory is a patient elsewhere."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        tag, other = make_tag(unit, clinic, "Pump"), make_tag(unit, clinic, "Other")
        tag_patient(unit, make_patient(unit, clinic, CAROL), other)
        make_patient(unit, clinic, DAVE)
        tag_patient(unit, make_patient(unit, clinic, ERIN), tag)
        make_patient(unit, make_clinic(unit), MALLORY)
        return Place(clinic.id, tag.id)


def assign(api: Client, place: Place, body: Any = ..., as_: Somebody | None = ALICE) -> Reply:
    return api.post(f"/v1/clinics/{place.clinic_id}/patients/assign_tag/{place.tag_id}", as_=as_, json=body)


class TestRequest(ChangesOfCarriers):
    send = staticmethod(assign)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_gives_the_tag_to_the_listed_patients(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    reply = assign(api, place, [CAROL.id], caller)
    assert (reply.status, reply.json) == (200, None)
    assert carriers(database, place.tag_id) == {CAROL.id, ERIN.id}
    assert stored(database, OutboxEntry) == []


@pytest.mark.parametrize("body", [..., None])
def test_without_a_list_all_patients_of_the_clinic_get_it(
    api: Client, database: Database, place: Place, body: Any
) -> None:
    assert assign(api, place, body).status == 200
    assert carriers(database, place.tag_id) == {CAROL.id, DAVE.id, ERIN.id}
    assert len(stored(database, PatientTag)) == 4


def test_other_tags_stay(api: Client, place: Place) -> None:
    assign(api, place)
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
    assert len(shown["tags"]) == 2


@pytest.mark.parametrize("body", [..., [CAROL.id, DAVE.id, ERIN.id]])
def test_only_patients_who_did_not_carry_it_have_changed(
    api: Client, database: Database, place: Place, body: Any
) -> None:
    assign(api, place, body)
    times = patient_times(database)
    assert times == {CAROL.id: NOW, DAVE.id: NOW, ERIN.id: LONG_AGO, MALLORY.id: LONG_AGO}
    # The clinic itself has not changed.
    assert clinic_time(database, place.clinic_id) == LONG_AGO


@pytest.mark.parametrize("milliseconds", [0, 9, 99, 998, 999])
def test_the_time_of_a_patient_always_grows(api: Client, database: Database, place: Place, milliseconds: int) -> None:
    before = datetime(2028, 2, 28, 23, 59, 59, milliseconds * 1000, tzinfo=UTC)
    with storing(database) as unit:
        for patient in unit.patients.all_of_user(CAROL.id):
            patient.updated_time = before
    assign(api, place, [CAROL.id])
    assert patient_times(database)[CAROL.id] == before + timedelta(milliseconds=1)


def test_ids_of_others_than_patients_of_the_clinic_are_ignored(api: Client, database: Database, place: Place) -> None:
    unknown = ["f" * 10, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]
    assert assign(api, place, [MALLORY.id, *unknown, DAVE.id]).status == 200
    assert carriers(database, place.tag_id) == {DAVE.id, ERIN.id}
    assert assign(api, place, [MALLORY.id]).status == 200


@pytest.mark.parametrize("body", [..., [CAROL.id]])
def test_rule_unknown_tags_are_not_found(api: Client, database: Database, place: Place, body: Any) -> None:
    """Rule: no dead id is ever stored."""
    with storing(database) as unit:
        elsewhere = make_tag(unit, make_clinic(unit), "Elsewhere")
    for wrong in (place._replace(tag_id="0" * 24), place._replace(tag_id=elsewhere.id)):
        assert_error(assign(api, wrong, body), 404)
    assert_error(assign(api, place._replace(clinic_id="0" * 24), body, SERVICE), 404)
    assert len(stored(database, PatientTag)) == 2
    assert set(patient_times(database).values()) == {LONG_AGO}


def test_a_tag_of_another_clinic_is_given_to_nobody(database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_tag(unit, make_clinic(unit), "Elsewhere")
        unit.tags.give(place.clinic_id, elsewhere.id, None)
    assert carriers(database, elsewhere.id) == set()


def test_two_at_once_both_succeed(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.give_tag(unit, place.clinic_id, place.tag_id, [CAROL.id]),
        lambda: assign(api, place),
    )
    assert reply.status == 200
    assert carriers(database, place.tag_id) == {CAROL.id, DAVE.id, ERIN.id}
    # Carol was changed once: the second found her carrying the tag.
    assert patient_times(database)[CAROL.id] == NOW


@pytest.mark.parametrize("some", [True, False])
def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place, some: bool) -> None:
    small = number_of_statements(database, lambda: assign(api, place, [CAROL.id] if some else None))
    people = [f"{number:010x}" for number in range(50)]
    with storing(database) as unit:
        for person in people:
            make_patient(unit, unit.clinics.get(place.clinic_id), DAVE, user_id=person)
    assert number_of_statements(database, lambda: assign(api, place, people if some else None)) == small == 5
    assert carriers(database, place.tag_id) >= set(people)
