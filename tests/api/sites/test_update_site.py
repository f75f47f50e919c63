"""UpdateSite: PUT /v1/clinics/{clinicId}/sites/{siteId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Site
from clinic_service.resources.sites import service
from clinic_service.resources.sites.errors import DuplicateSiteName
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_staffed_clinic,
    place_patient,
    stored,
    storing,
)
from tests.support.tags_and_sites import clinic_time, make_sites, names, patient_times
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Place(NamedTuple):
    clinic_id: str
    site_id: str


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic with a site that Carol belongs to, and Dave does not."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        site = make_site(unit, clinic, "City Clinic")
        place_patient(unit, make_patient(unit, clinic, CAROL), site)
        make_patient(unit, clinic, DAVE)
        return Place(clinic.id, site.id)


def put(api: Client, place: Place, body: Any, as_: Somebody | None = ALICE) -> Reply:
    return api.put(f"/v1/clinics/{place.clinic_id}/sites/{place.site_id}", as_=as_, json=body)


def rename(api: Client, place: Place, name: str, as_: Somebody | None = ALICE) -> Reply:
    return put(api, place, {"id": place.site_id, "name": name}, as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_changes_the_name(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    reply = rename(api, place, "North Wing ", caller)
    assert (reply.status, reply.json) == (200, {"id": place.site_id, "name": "North Wing", "numPatients": 1})
    (site,) = stored(database, Site)
    assert (site.name, site.name_key) == ("North Wing", "north wing")
    assert clinic_time(database, place.clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_its_patients_show_the_new_name_at_once(api: Client, database: Database, place: Place) -> None:
    rename(api, place, "North Wing")
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
    assert shown["sites"] == [{"id": place.site_id, "name": "North Wing"}]
    # What is shown of them has changed, and of nobody else.
    assert patient_times(database) == {CAROL.id: NOW, DAVE.id: LONG_AGO}


@pytest.mark.parametrize("body", [{"name": "New"}, {"id": "a" * 24, "name": "New"}, {"name": "New", "numPatients": 9}])
def test_rule_the_path_decides_which_site_it_is(api: Client, database: Database, place: Place, body: Any) -> None:
    """Rule: the id may be left out of the body; a different one is ignored."""
    reply = put(api, place, body)
    assert (reply.status, reply.json["id"], reply.json["numPatients"]) == (200, place.site_id, 1)
    assert names(database, Site, place.clinic_id) == ["New"]


def test_what_get_clinic_shows_is_accepted(api: Client, place: Place) -> None:
    (site,) = api.get(f"/v1/clinics/{place.clinic_id}", as_=BOB).json["sites"]
    reply = put(api, place, site)
    assert (reply.status, reply.json) == (200, site)


def test_the_case_of_the_own_name_can_be_changed(api: Client, place: Place) -> None:
    assert rename(api, place, "CITY clinic").json["name"] == "CITY clinic"


@pytest.mark.parametrize("name", ["City Clinic", "City Clinic  "])
def test_the_own_name_changes_nothing(api: Client, database: Database, place: Place, name: str) -> None:
    assert rename(api, place, name).status == 200
    assert clinic_time(database, place.clinic_id) == LONG_AGO
    assert set(patient_times(database).values()) == {LONG_AGO}


@pytest.mark.parametrize("name", ["Harbour", "HARBOUR", "harbour "])
def test_the_name_of_another_site_is_refused(api: Client, database: Database, place: Place, name: str) -> None:
    with storing(database) as unit:
        make_site(unit, unit.clinics.get(place.clinic_id), "Harbour")
    assert_error(rename(api, place, name), 409)
    assert names(database, Site, place.clinic_id) == ["City Clinic", "Harbour"]
    assert patient_times(database)[CAROL.id] == LONG_AGO


def test_the_constraint_knows_the_rule_as_well(database: Database, place: Place) -> None:
    def take_the_name() -> None:
        with storing(database) as unit:
            unit.sites.rename(unit.sites.add(place.clinic_id, "Harbour"), "CITY CLINIC")

    with pytest.raises(DuplicateSiteName):
        take_the_name()
    assert names(database, Site, place.clinic_id) == ["City Clinic"]


def test_works_at_the_limit(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        make_sites(unit, unit.clinics.get(place.clinic_id), range(49))
    assert rename(api, place, "Last").status == 200


def test_of_two_who_take_a_name_at_once_one_succeeds(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.create_site(unit, place.clinic_id, "Harbour"),
        lambda: rename(api, place, "harbour"),
    )
    assert_error(reply, 409)
    assert names(database, Site, place.clinic_id) == ["City Clinic", "Harbour"]


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 201}, {"name": " a"}, {"name": 1}, [], "Pump", None])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, place: Place, body: Any) -> None:
    assert_error(put(api, place, body), 400)
    assert names(database, Site, place.clinic_id) == ["City Clinic"]


def test_absent_bodies_and_malformed_ids_are_refused(api: Client, place: Place) -> None:
    assert_violations(put(api, place, ...), ("/body", "required"))
    assert_error(rename(api, place._replace(site_id="A" * 24), "Harbour"), 400)


def test_needs_a_token(api: Client, place: Place) -> None:
    assert_error(rename(api, place, "Harbour", None), 401)


@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY, CAROL])
def test_is_for_admins_and_services(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(rename(api, place, "Harbour", caller), 403)


def test_unknown_clinics_and_sites_are_not_found(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_site(unit, make_clinic(unit), "Elsewhere")
    assert_error(rename(api, place._replace(clinic_id="0" * 24), "Harbour", SERVICE), 404)
    assert_error(rename(api, place._replace(site_id="0" * 24), "Harbour"), 404)
    # A site of another clinic, even under a name that is taken here.
    assert_error(rename(api, place._replace(site_id=elsewhere.id), "City Clinic"), 404)
    assert names(database, Site, elsewhere.clinic_id) == ["Elsewhere"]


def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place) -> None:
    first = number_of_statements(database, lambda: rename(api, place, "First"))
    with storing(database) as unit:
        clinic = unit.clinics.get(place.clinic_id)
        site = unit.sites.get(place.clinic_id, place.site_id)
        make_sites(unit, clinic, range(20))
        for number in range(20):
            place_patient(unit, make_patient(unit, clinic, ERIN, user_id=f"{number:010x}"), site)
    assert number_of_statements(database, lambda: rename(api, place, "Second")) == first == 8
