"""ConvertPatientTagToSite: POST /v1/clinics/{clinicId}/patient_tags/{patientTagId}/site"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, PatientTag, Site, Tag
from clinic_service.resources.sites import service as sites
from clinic_service.resources.tags import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    stored,
    storing,
    tag_patient,
)
from tests.support.tags_and_sites import carriers, clinic_time, make_labels, names, patient_times, sites_of
from tests.support.units import meanwhile, number_of_statements

pytestmark = pytest.mark.usefixtures("frozen_clock")


class Place(NamedTuple):
    clinic_id: str
    tag_id: str
    site_id: str


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic with a site that Carol belongs to, and a tag that Carol and Dave carry; Erin carries another one."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        tag, other = make_tag(unit, clinic, "Pump"), make_tag(unit, clinic, "Other")
        site = make_site(unit, clinic, "Centre")
        carol = make_patient(unit, clinic, CAROL)
        tag_patient(unit, carol, tag, other)
        place_patient(unit, carol, site)
        tag_patient(unit, make_patient(unit, clinic, DAVE), tag)
        tag_patient(unit, make_patient(unit, clinic, ERIN), other)
        return Place(clinic.id, tag.id, site.id)


def convert(api: Client, place: Place, as_: Somebody | None = SERVICE) -> Reply:
    return api.post(f"/v1/clinics/{place.clinic_id}/patient_tags/{place.tag_id}/site", as_=as_)


def add_site(database: Database, place: Place, *site_names: str) -> None:
    with storing(database) as unit:
        for name in site_names:
            make_site(unit, unit.clinics.get(place.clinic_id), name)


def rename_tag(database: Database, place: Place, name: str) -> None:
    with storing(database) as unit:
        unit.tags.rename(unit.tags.get(place.clinic_id, place.tag_id), name)


def test_makes_a_site_of_the_tag(api: Client, database: Database, place: Place) -> None:
    reply = convert(api, place)
    assert reply.status == 200
    assert reply.json == {"id": reply.json["id"], "name": "Pump", "numPatients": 2}
    assert names(database, Site, place.clinic_id) == ["Centre", "Pump"]
    assert names(database, Tag, place.clinic_id) == ["Other"]
    assert clinic_time(database, place.clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_patients_change_the_tag_for_the_site(api: Client, database: Database, place: Place) -> None:
    site_id = convert(api, place).json["id"]
    # A new site comes after those that a patient has already.
    assert sites_of(database, CAROL) == [place.site_id, site_id]
    assert sites_of(database, DAVE) == [site_id]
    assert sites_of(database, ERIN) == []
    assert carriers(database, place.tag_id) == set()
    assert len(stored(database, PatientTag)) == 2
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{DAVE.id}", as_=BOB).json
    assert (shown["tags"], shown["sites"]) == ([], [{"id": site_id, "name": "Pump"}])


def test_only_patients_who_carried_it_have_changed(api: Client, database: Database, place: Place) -> None:
    convert(api, place)
    assert patient_times(database) == {CAROL.id: NOW, DAVE.id: NOW, ERIN.id: LONG_AGO}


def test_a_tag_that_nobody_carries_makes_an_empty_site(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        unused = make_tag(unit, unit.clinics.get(place.clinic_id), "Unused")
    assert convert(api, place._replace(tag_id=unused.id)).json["numPatients"] == 0


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (["pump"], "Pump (2)"),
        (["PUMP", "Pump (2)"], "Pump (3)"),
        (["Pump", "pump (2)", "Pump (3)", "Pump (5)"], "Pump (4)"),
        (["Pump (2)"], "Pump"),
        (["Pump Room"], "Pump"),
    ],
)
def test_a_taken_name_gets_the_next_free_number(
    api: Client, database: Database, place: Place, taken: list[str], name: str
) -> None:
    add_site(database, place, *taken)
    assert convert(api, place).json["name"] == name


@pytest.mark.parametrize(
    ("name", "taken", "expected"),
    [
        ("Ward (2)", {"ward (2)"}, "Ward (3)"),
        ("Ward (9)", {"ward (9)", "ward (10)"}, "Ward (11)"),
        ("Ward(2)", {"ward(2)"}, "Ward(2) (2)"),
        ("x" * 200, {"x" * 200}, "x" * 196 + " (2)"),
        ("x" * 196 + " (9)", {"x" * 196 + " (9)"}, "x" * 195 + " (10)"),
        ("Straße", {"strasse"}, "Straße (2)"),
    ],
)
def test_names_with_numbers_stay_within_200_characters(name: str, taken: set[str], expected: str) -> None:
    assert Site.free_name(name, taken) == expected
    assert len(expected) <= 200


def test_sites_of_other_clinics_take_no_name(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        make_site(unit, make_clinic(unit), "Pump")
    assert convert(api, place).json["name"] == "Pump"


@pytest.mark.parametrize(("name", "expected"), [("A\tB", "A B"), ("A\f\r\nB", "A   B"), ("A_><+-", "A_><+-")])
def test_white_space_that_sites_cannot_have_becomes_plain(
    api: Client, database: Database, place: Place, name: str, expected: str
) -> None:
    rename_tag(database, place, name)
    assert convert(api, place).json["name"] == expected


def test_a_clinic_with_50_sites_has_no_room(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        make_labels(unit, unit.clinics.get(place.clinic_id), Site, range(48))
    second = Place(place.clinic_id, "", place.site_id)
    with storing(database) as unit:
        second = second._replace(tag_id=make_tag(unit, unit.clinics.get(place.clinic_id), "Second").id)
    assert convert(api, second).status == 200
    assert_error(convert(api, place), 409)
    assert len(names(database, Site, place.clinic_id)) == 50
    assert carriers(database, place.tag_id) == {CAROL.id, DAVE.id}


def test_of_two_who_make_the_last_site_at_once_one_succeeds(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        make_labels(unit, unit.clinics.get(place.clinic_id), Site, range(48))
    reply = meanwhile(
        database,
        lambda unit: sites.create_site(unit, place.clinic_id, "Mine"),
        lambda: convert(api, place),
    )
    assert_error(reply, 409)
    assert len(names(database, Site, place.clinic_id)) == 50


def test_a_name_that_is_taken_meanwhile_gets_a_number(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: sites.create_site(unit, place.clinic_id, "Pump"),
        lambda: convert(api, place),
    )
    assert (reply.status, reply.json["name"]) == (200, "Pump (2)")


def test_a_repeat_finds_no_tag(api: Client, database: Database, place: Place) -> None:
    convert(api, place)
    assert_error(convert(api, place), 404)
    assert names(database, Site, place.clinic_id) == ["Centre", "Pump"]


def test_of_two_at_once_one_succeeds(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.convert_to_site(unit, place.clinic_id, place.tag_id),
        lambda: convert(api, place),
    )
    assert_error(reply, 404)
    assert names(database, Site, place.clinic_id) == ["Centre", "Pump"]


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, place: Place) -> None:
    assert_violations(convert(api, place._replace(tag_id="A" * 24)), ("/path/patientTagId", "pattern"))
    assert_violations(convert(api, place._replace(clinic_id="A" * 24)), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, place: Place) -> None:
    assert_error(convert(api, place, as_=None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, CAROL])
def test_is_for_services(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    assert_error(convert(api, place, caller), 403)
    assert names(database, Site, place.clinic_id) == ["Centre"]


def test_unknown_clinics_and_tags_are_not_found(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_tag(unit, make_clinic(unit), "Elsewhere")
    for wrong in (place._replace(clinic_id="0" * 24), place._replace(tag_id=elsewhere.id)):
        assert_error(convert(api, wrong), 404)
    assert names(database, Tag, elsewhere.clinic_id) == ["Elsewhere"]
    assert names(database, Site, place.clinic_id) == ["Centre"]


def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(place.clinic_id)
        large = make_tag(unit, clinic, "Large")
        make_labels(unit, clinic, Site, range(10))
        for number in range(20):
            tag_patient(unit, make_patient(unit, clinic, ERIN, user_id=f"{number:010x}"), large)
    small = number_of_statements(database, lambda: convert(api, place))
    assert number_of_statements(database, lambda: convert(api, place._replace(tag_id=large.id))) == small == 9
