"""UpdatePatientTag: PUT /v1/clinics/{clinicId}/patient_tags/{patientTagId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Tag
from clinic_service.resources.tags import service
from clinic_service.resources.tags.errors import DuplicateTagName
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
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
from tests.support.tags_and_sites import clinic_time, make_tags, names, patient_times
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Place(NamedTuple):
    clinic_id: str
    tag_id: str


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic with a tag that Carol carries, and Dave does not."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        tag = make_tag(unit, clinic, "North Side")
        tag_patient(unit, make_patient(unit, clinic, CAROL), tag)
        make_patient(unit, clinic, DAVE)
        return Place(clinic.id, tag.id)


def rename(api: Client, place: Place, name: str, as_: Somebody = BOB) -> Reply:
    return api.put(f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}", as_=as_, json={"name": name})


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_changes_the_name(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    reply = rename(api, place, "Pregnant ", caller)
    assert (reply.status, reply.json) == (200, {"id": place.tag_id, "name": "Pregnant", "numPatients": 1})
    (tag,) = stored(database, Tag)
    assert (tag.name, tag.name_key) == ("Pregnant", "pregnant")
    assert clinic_time(database, place.clinic_id) == NOW


def test_patients_keep_the_tag_and_are_not_changed(api: Client, database: Database, place: Place) -> None:
    rename(api, place, "Pregnant")
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
    assert shown["tags"] == [place.tag_id]
    assert set(patient_times(database).values()) == {LONG_AGO}
    assert stored(database, OutboxEntry) == []


@pytest.mark.parametrize("name", ["north side", "NorthSide", "N orth Side"])
def test_case_and_spaces_of_the_own_name_can_be_changed(
    api: Client, database: Database, place: Place, name: str
) -> None:
    assert rename(api, place, name).json["name"] == name
    assert names(database, Tag, place.clinic_id) == [name]


def test_the_own_name_changes_nothing(api: Client, database: Database, place: Place) -> None:
    reply = rename(api, place, "North Side")
    assert (reply.status, reply.json["name"]) == (200, "North Side")
    assert clinic_time(database, place.clinic_id) == LONG_AGO


def test_what_get_clinic_shows_is_accepted(api: Client, place: Place) -> None:
    (tag,) = api.get(f"/v1/clinics/{place.clinic_id}", as_=BOB).json["patientTags"]
    reply = api.put(f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}", as_=BOB, json=tag)
    assert (reply.status, reply.json) == (200, tag)


def test_an_id_in_the_body_is_ignored(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        other = make_tag(unit, unit.clinics.get(place.clinic_id), "Other")
    body = {"id": other.id, "name": "New"}
    api.put(f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}", as_=BOB, json=body)
    assert names(database, Tag, place.clinic_id) == ["New", "Other"]


@pytest.mark.parametrize("name", ["Pump", "pump", "P U M P"])
def test_the_name_of_another_tag_is_refused(api: Client, database: Database, place: Place, name: str) -> None:
    with storing(database) as unit:
        make_tag(unit, unit.clinics.get(place.clinic_id), "Pump")
    assert_error(rename(api, place, name), 409)
    assert names(database, Tag, place.clinic_id) == ["North Side", "Pump"]
    assert clinic_time(database, place.clinic_id) == LONG_AGO


def test_the_constraint_knows_the_rule_as_well(database: Database, place: Place) -> None:
    def take_the_name() -> None:
        with storing(database) as unit:
            unit.tags.rename(unit.tags.add(place.clinic_id, "Pump"), "NORTH side")

    with pytest.raises(DuplicateTagName):
        take_the_name()
    assert names(database, Tag, place.clinic_id) == ["North Side"]


def test_works_at_the_limit(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        make_tags(unit, unit.clinics.get(place.clinic_id), range(49))
    assert rename(api, place, "Last").status == 200


def test_of_two_who_take_a_name_at_once_one_succeeds(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.create_tag(unit, place.clinic_id, "Pump"),
        lambda: rename(api, place, "pump"),
    )
    assert_error(reply, 409)
    assert names(database, Tag, place.clinic_id) == ["North Side", "Pump"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 21}, {"name": "a/b"}, {"name": 1}, [], "Pump"])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, place: Place, body: Any) -> None:
    path = f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}"
    assert_error(api.put(path, as_=BOB, json=body), 400)
    assert names(database, Tag, place.clinic_id) == ["North Side"]


def test_absent_bodies_and_malformed_ids_are_refused(api: Client, place: Place) -> None:
    path = f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}"
    assert_violations(api.put(path, as_=BOB), ("/body", "required"))
    assert_violations(rename(api, place._replace(tag_id="A" * 24), "Pump"), ("/path/patientTagId", "pattern"))


def test_needs_a_token(api: Client, place: Place) -> None:
    path = f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}"
    assert_error(api.put(path, json={"name": "Pump"}), 401)


@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY, CAROL])
def test_is_for_members_and_services(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(place.clinic_id), PETE, "PRESCRIBER")
    assert_error(rename(api, place, "Pump", caller), 403)


def test_unknown_clinics_and_tags_are_not_found(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_tag(unit, make_clinic(unit), "Elsewhere")
    assert_error(rename(api, place._replace(clinic_id="0" * 24), "Pump", SERVICE), 404)
    assert_error(rename(api, place._replace(tag_id="0" * 24), "Pump"), 404)
    # A tag of another clinic, even under a name that is taken here.
    assert_error(rename(api, place._replace(tag_id=elsewhere.id), "North Side"), 404)
    assert names(database, Tag, elsewhere.clinic_id) == ["Elsewhere"]


def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place) -> None:
    def sent(name: str) -> int:
        return number_of_statements(database, lambda: rename(api, place, name))

    first = sent("First")
    with storing(database) as unit:
        clinic = unit.clinics.get(place.clinic_id)
        tag = unit.tags.get(place.clinic_id, place.tag_id)
        make_tags(unit, clinic, range(20))
        tag_patient(unit, make_patient(unit, clinic, ERIN), tag)
    # Access, lock, tag, names, update, the clinic's time, and what is shown.
    assert sent("Second") == first == 7
