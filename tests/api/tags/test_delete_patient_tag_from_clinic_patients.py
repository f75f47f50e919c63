"""DeletePatientTagFromClinicPatients: POST /v1/clinics/{clinicId}/patients/delete_tag/{patientTagId}"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, PatientTag, Tag
from clinic_service.resources.tags import service
from tests.support.cast import ALICE, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
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
from tests.support.tags_and_sites import carriers, clinic_time, names, patient_times
from tests.support.units import meanwhile, number_of_statements

pytestmark = pytest.mark.usefixtures("frozen_clock")


class Place(NamedTuple):
    clinic_id: str
    tag_id: str
    other_tag_id: str


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic where Carol and Dave carry both tags, and Erin the other one."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        tag, other = make_tag(unit, clinic, "Pump"), make_tag(unit, clinic, "Other")
        for person in (CAROL, DAVE):
            tag_patient(unit, make_patient(unit, clinic, person), tag, other)
        tag_patient(unit, make_patient(unit, clinic, ERIN), other)
        return Place(clinic.id, tag.id, other.id)


def take(api: Client, place: Place, body: Any = ..., as_: Somebody | None = ALICE) -> Reply:
    return api.post(f"/v1/clinics/{place.clinic_id}/patients/delete_tag/{place.tag_id}", as_=as_, json=body)


class TestRequest(ChangesOfCarriers):
    send = staticmethod(take)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_takes_the_tag_from_the_listed_patients(
    api: Client, database: Database, place: Place, caller: Somebody
) -> None:
    reply = take(api, place, [CAROL.id], caller)
    assert (reply.status, reply.json) == (200, None)
    assert carriers(database, place.tag_id) == {DAVE.id}
    assert stored(database, OutboxEntry) == []


@pytest.mark.parametrize("body", [..., None])
def test_without_a_list_all_patients_lose_it(api: Client, database: Database, place: Place, body: Any) -> None:
    assert take(api, place, body).status == 200
    assert carriers(database, place.tag_id) == set()


def test_the_tag_itself_and_other_tags_stay(api: Client, database: Database, place: Place) -> None:
    take(api, place)
    assert names(database, Tag, place.clinic_id) == ["Pump", "Other"]
    assert carriers(database, place.other_tag_id) == {CAROL.id, DAVE.id, ERIN.id}
    assert clinic_time(database, place.clinic_id) == LONG_AGO


@pytest.mark.parametrize("body", [..., [CAROL.id, DAVE.id, ERIN.id]])
def test_only_patients_who_carried_it_have_changed(api: Client, database: Database, place: Place, body: Any) -> None:
    take(api, place, body)
    assert patient_times(database) == {CAROL.id: NOW, DAVE.id: NOW, ERIN.id: LONG_AGO}


def test_the_time_of_a_patient_always_grows(api: Client, database: Database, place: Place) -> None:
    before = datetime(2027, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    with storing(database) as unit:
        for patient in unit.patients.all_of_user(CAROL.id):
            patient.updated_time = before
    take(api, place)
    assert patient_times(database) == {CAROL.id: before + timedelta(milliseconds=1), DAVE.id: NOW, ERIN.id: LONG_AGO}


def test_ids_of_others_than_patients_of_the_clinic_are_ignored(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        tag = make_tag(unit, elsewhere, "Pump")
        tag_patient(unit, make_patient(unit, elsewhere, MALLORY), tag)
    assert take(api, place, [MALLORY.id, "f" * 10, DAVE.id]).status == 200
    assert carriers(database, place.tag_id) == {CAROL.id}
    # A tag of another clinic is not taken either.
    assert take(api, place._replace(tag_id=tag.id), as_=SERVICE).status == 200
    assert carriers(database, tag.id) == {MALLORY.id}


@pytest.mark.parametrize("body", [..., [CAROL.id]])
def test_rule_a_tag_that_is_not_there_is_no_error(api: Client, database: Database, place: Place, body: Any) -> None:
    """Rule: a worker calls this after the tag has gone, and perhaps the clinic as well."""
    assert take(api, place._replace(tag_id="0" * 24), body).status == 200
    assert take(api, place._replace(clinic_id="0" * 24), body, SERVICE).status == 200
    assert len(stored(database, PatientTag)) == 5


def test_a_request_that_takes_the_tag_waits_for_one_that_gives_it(
    api: Client, database: Database, place: Place
) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.give_tag(unit, place.clinic_id, place.tag_id, [ERIN.id]),
        lambda: take(api, place),
    )
    assert reply.status == 200
    assert carriers(database, place.tag_id) == set()
    # Erin was changed twice within the same millisecond.
    assert patient_times(database)[ERIN.id] == NOW + timedelta(milliseconds=1)


@pytest.mark.parametrize("some", [True, False])
def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place, some: bool) -> None:
    small = number_of_statements(database, lambda: take(api, place, [CAROL.id] if some else None))
    people = [f"{number:010x}" for number in range(50)]
    with storing(database) as unit:
        tag = unit.tags.get(place.clinic_id, place.tag_id)
        for person in people:
            tag_patient(unit, make_patient(unit, unit.clinics.get(place.clinic_id), DAVE, user_id=person), tag)
    assert number_of_statements(database, lambda: take(api, place, people if some else None)) == small == 5
