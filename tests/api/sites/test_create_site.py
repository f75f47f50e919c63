"""CreateSite: POST /v1/clinics/{clinicId}/sites"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Site
from clinic_service.resources.sites import service
from clinic_service.resources.sites.errors import DuplicateSiteName
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_site, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time, make_sites, names
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def create(api: Client, clinic_id: str, name: str, as_: Somebody | None = ALICE) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/sites", as_=as_, json={"name": name})


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_adds_a_site(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    reply = create(api, clinic_id, "City Clinic", caller)
    (site,) = stored(database, Site)
    assert (reply.status, reply.json) == (200, {"id": site.id, "name": "City Clinic", "numPatients": 0})
    assert (site.clinic_id, site.name, site.name_key) == (clinic_id, "City Clinic", "city clinic")


def test_the_clinic_shows_it_and_has_changed(api: Client, database: Database, clinic_id: str) -> None:
    site = create(api, clinic_id, "City Clinic").json
    shown = api.get(f"/v1/clinics/{clinic_id}", as_=BOB).json
    assert shown["sites"] == [site]
    assert shown["updatedTime"] == "2026-03-02T09:30:00.000Z"
    assert stored(database, OutboxEntry) == []


@pytest.mark.parametrize("name", ["A", "x" * 200, "Ärztehaus 東京", "(Ward #2) a/b", "!~"])
def test_names_are_kept_as_given(api: Client, clinic_id: str, name: str) -> None:
    assert create(api, clinic_id, name).json["name"] == name


def test_spaces_at_the_end_are_removed(api: Client, database: Database, clinic_id: str) -> None:
    assert create(api, clinic_id, "City Clinic  ").json["name"] == "City Clinic"
    assert_error(create(api, clinic_id, "City Clinic "), 409)
    assert names(database, Site, clinic_id) == ["City Clinic"]


@pytest.mark.parametrize("name", ["City Clinic", "CITY CLINIC", "city clinic "])
def test_case_makes_no_other_name(api: Client, database: Database, clinic_id: str, name: str) -> None:
    assert create(api, clinic_id, "City Clinic").status == 200
    assert_error(create(api, clinic_id, name), 409)
    assert len(stored(database, Site)) == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("ΟΔΟΣ", "οδος"), ("Straße", "STRASSE"), ("Ångström", "\u212bngström"), ("한글", normalize("NFD", "한글"))],
)
def test_names_are_compared_in_their_folded_form(api: Client, clinic_id: str, first: str, second: str) -> None:
    assert create(api, clinic_id, first).status == 200
    assert_error(create(api, clinic_id, second), 409)


def test_inner_spaces_do(api: Client, clinic_id: str) -> None:
    for name in ("City Clinic", "CityClinic", "City  Clinic"):
        assert create(api, clinic_id, name).status == 200


def test_names_are_unique_within_the_clinic_only(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit)
        make_site(unit, other, "City Clinic")
    assert create(api, clinic_id, "City Clinic").status == 200
    assert clinic_time(database, other.id) == LONG_AGO


def test_the_constraint_knows_the_rule_as_well(database: Database, clinic_id: str) -> None:
    def add_both() -> None:
        with storing(database) as unit:
            unit.sites.add(clinic_id, "Straße")
            unit.sites.add(clinic_id, "STRASSE")

    with pytest.raises(DuplicateSiteName):
        add_both()
    assert stored(database, Site) == []


def test_a_clinic_has_at_most_50_sites_and_the_name_is_tested_before_the_limit(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_sites(unit, unit.clinics.get(clinic_id), range(49))
        make_sites(unit, make_clinic(unit), range(3))
    assert create(api, clinic_id, "Site 49").status == 200
    assert_error(create(api, clinic_id, "Site 50"), 422)
    assert_error(create(api, clinic_id, "site 0"), 409)
    assert len(names(database, Site, clinic_id)) == 50


def test_of_two_who_add_the_last_site_at_once_one_succeeds(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_sites(unit, unit.clinics.get(clinic_id), range(49))
    reply = meanwhile(
        database,
        lambda unit: service.create_site(unit, clinic_id, "Mine"),
        lambda: create(api, clinic_id, "Yours"),
    )
    assert_error(reply, 422)
    assert names(database, Site, clinic_id)[49:] == ["Mine"]


def test_of_two_equal_names_at_once_one_is_stored(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.create_site(unit, clinic_id, "City Clinic"),
        lambda: create(api, clinic_id, "city clinic"),
    )
    assert_error(reply, 409)
    assert names(database, Site, clinic_id) == ["City Clinic"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": " A"},
        {"name": "x" * 201},
        {"name": "A\tB"},
        {"name": "A\u2013B"},
        {"name": 5},
        [],
        None,
    ],
)
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert_error(api.post(f"/v1/clinics/{clinic_id}/sites", as_=ALICE, json=body), 400)
    assert stored(database, Site) == []


def test_absent_bodies_and_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert_violations(api.post(f"/v1/clinics/{clinic_id}/sites", as_=ALICE), ("/body", "required"))
    assert_violations(create(api, "A" * 24, "City Clinic", SERVICE), ("/path/clinicId", "pattern"))


def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(create(api, clinic_id, "City Clinic", None), 401)


@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(create(api, clinic_id, "City Clinic", caller), 403)
    assert stored(database, Site) == []


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(create(api, "0" * 24, "City Clinic", SERVICE), 404)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    first = number_of_statements(database, lambda: create(api, clinic_id, "First"))
    with storing(database) as unit:
        make_sites(unit, unit.clinics.get(clinic_id), range(30))
    # Access, lock, names, insert, the clinic's time, and what is shown.
    assert number_of_statements(database, lambda: create(api, clinic_id, "Second")) == first == 6
