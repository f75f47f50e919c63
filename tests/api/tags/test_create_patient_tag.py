"""CreatePatientTag: POST /v1/clinics/{clinicId}/patient_tags"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Tag
from clinic_service.resources.tags import service
from clinic_service.resources.tags.errors import DuplicateTagName
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic, make_tag, stored, storing
from tests.support.tags_and_sites import clinic_time, make_tags, names
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
WHITE_SPACE = "\t\n\f\r "
# What Unicode, or one or the other language's `\\s`, takes for white space as well.
NO_WHITE_SPACE = [
    *(chr(code) for code in range(0x3100) if chr(code).isspace() and chr(code) not in WHITE_SPACE),
    "\u180e",
    "\u200b",
    "\ufeff",
]


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def create(api: Client, clinic_id: str, name: str, as_: Somebody = BOB) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patient_tags", as_=as_, json={"name": name})


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_adds_a_tag(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    reply = create(api, clinic_id, "Pump", caller)
    (tag,) = stored(database, Tag)
    assert (reply.status, reply.json) == (200, {"id": tag.id, "name": "Pump", "numPatients": 0})
    assert (tag.clinic_id, tag.name, tag.name_key) == (clinic_id, "Pump", "pump")


def test_the_clinic_shows_it_and_has_changed(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    tag = create(api, clinic_id, "Pump").json
    shown = api.get(f"/v1/clinics/{clinic_id}", as_=BOB).json
    assert shown["patientTags"] == [tag]
    assert shown["updatedTime"] == "2026-03-02T09:30:00.000Z"
    assert clinic_time(database, other) == LONG_AGO
    assert stored(database, OutboxEntry) == []


def test_the_clinics_time_never_goes_back(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(LONG_AGO.replace(year=2020)):
        create(api, clinic_id, "Pump")
    assert clinic_time(database, clinic_id) == LONG_AGO


@pytest.mark.parametrize("name", ["P", "T1D > 9_<+-", "Ärztin 東京", "x" * 20, "-"])
def test_names_are_kept_as_given(api: Client, clinic_id: str, name: str) -> None:
    assert create(api, clinic_id, name).json["name"] == name


@pytest.mark.parametrize("space", WHITE_SPACE)
def test_white_space_may_stand_within(api: Client, clinic_id: str, space: str) -> None:
    assert create(api, clinic_id, f"Closed{space}loop").json["name"] == f"Closed{space}loop"


@pytest.mark.parametrize("character", NO_WHITE_SPACE, ids=ascii)
def test_other_white_space_is_refused(api: Client, database: Database, clinic_id: str, character: str) -> None:
    for name in (f"Closed{character}loop", f"Closed{character}", character):
        assert_violations(create(api, clinic_id, name), ("/body/name", "pattern"))
    assert stored(database, Tag) == []


@pytest.mark.parametrize("name", ["Pump ", "Pump   ", "Pump\t", "Pump \n"])
def test_white_space_at_the_end_is_removed(api: Client, database: Database, clinic_id: str, name: str) -> None:
    assert create(api, clinic_id, name).json["name"] == "Pump"
    assert names(database, Tag, clinic_id) == ["Pump"]


def test_ids_and_counts_in_the_body_are_ignored(api: Client, database: Database, clinic_id: str) -> None:
    body = {"id": "a" * 24, "name": "Pump", "numPatients": 7, "colour": "red"}
    reply = api.post(f"/v1/clinics/{clinic_id}/patient_tags", as_=BOB, json=body)
    assert (reply.status, reply.json["numPatients"]) == (200, 0)
    assert stored(database, Tag)[0].id == reply.json["id"] != "a" * 24


@pytest.mark.parametrize("name", ["North Side", "northside", "NORTH SIDE", "N o r t h s i d e", "North Side  "])
def test_neither_case_nor_spaces_make_another_name(api: Client, database: Database, clinic_id: str, name: str) -> None:
    assert create(api, clinic_id, "North Side").status == 200
    assert_error(create(api, clinic_id, name), 409)
    assert names(database, Tag, clinic_id) == ["North Side"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("ΟΔΟΣ", "οδος"), ("Straße", "STRASSE"), ("Ångström", "\u212bngström"), ("한글", normalize("NFD", "한글"))],
)
def test_names_are_compared_in_their_folded_form(
    api: Client, database: Database, clinic_id: str, first: str, second: str
) -> None:
    assert create(api, clinic_id, first).status == 200
    assert_error(create(api, clinic_id, second), 409)
    assert names(database, Tag, clinic_id) == [first]


def test_names_are_unique_within_the_clinic_only(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_tag(unit, make_clinic(unit), "Pump")
    assert create(api, clinic_id, "Pump").status == 200


def test_the_constraint_knows_the_rule_as_well(database: Database, clinic_id: str) -> None:
    def add_both() -> None:
        with storing(database) as unit:
            unit.tags.add(clinic_id, "North Side")
            unit.tags.add(clinic_id, "northside")

    with pytest.raises(DuplicateTagName):
        add_both()
    assert stored(database, Tag) == []


def test_a_clinic_has_at_most_50_tags_and_the_limit_is_tested_before_the_name(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_tags(unit, unit.clinics.get(clinic_id), range(49))
        make_tags(unit, make_clinic(unit), range(3))
    assert create(api, clinic_id, "Tag 49").status == 200
    assert_error(create(api, clinic_id, "Tag 50"), 422)
    assert_error(create(api, clinic_id, "tag0"), 422)
    assert len(names(database, Tag, clinic_id)) == 50


def test_of_two_who_add_the_last_tag_at_once_one_succeeds(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_tags(unit, unit.clinics.get(clinic_id), range(49))
    reply = meanwhile(
        database,
        lambda unit: service.create_tag(unit, clinic_id, "Mine"),
        lambda: create(api, clinic_id, "Yours"),
    )
    assert_error(reply, 422)
    assert names(database, Tag, clinic_id)[49:] == ["Mine"]


def test_of_two_equal_names_at_once_one_is_stored(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.create_tag(unit, clinic_id, "North Side"),
        lambda: create(api, clinic_id, "northside"),
    )
    assert_error(reply, 409)
    assert names(database, Tag, clinic_id) == ["North Side"]


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": " Pump"}, {"name": "x" * 21}, {"name": "T#"}, {"name": 5}, {"name": None}, []]
)
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert_error(api.post(f"/v1/clinics/{clinic_id}/patient_tags", as_=BOB, json=body), 400)
    assert stored(database, Tag) == []


def test_absent_bodies_and_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert_violations(api.post(f"/v1/clinics/{clinic_id}/patient_tags", as_=BOB), ("/body", "required"))
    assert_violations(create(api, "A" * 24, "Pump", SERVICE), ("/path/clinicId", "pattern"))


def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.post(f"/v1/clinics/{clinic_id}/patient_tags", json={"name": "Pump"}), 401)


@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
def test_is_for_members_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    assert_error(create(api, clinic_id, "Pump", caller), 403)
    assert stored(database, Tag) == []


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(create(api, "0" * 24, "Pump", SERVICE), 404)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    def sent(name: str) -> int:
        return number_of_statements(database, lambda: create(api, clinic_id, name))

    first = sent("First")
    with storing(database) as unit:
        make_tags(unit, unit.clinics.get(clinic_id), range(30))
    # Access, lock, names, insert, the clinic's time, and what is shown.
    assert sent("Second") == first == 6
