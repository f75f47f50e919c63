"""MergeSite: POST /v1/clinics/{clinicId}/sites/{siteId}/merge"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Site
from clinic_service.resources.sites import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.clocks import NOW
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_patient,
    make_site,
    make_staffed_clinic,
    place_patient,
    stored,
    storing,
)
from tests.support.tags_and_sites import clinic_time, names, patient_times, sites_of
from tests.support.units import meanwhile, number_of_statements

pytestmark = pytest.mark.usefixtures("frozen_clock")


class Place(NamedTuple):
    clinic_id: str
    target_id: str
    source_id: str
    third_id: str


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic with three sites: Carol is at the target, Dave at the source and the third, Erin at all, Pete nowhere."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        target, source, third = (make_site(unit, clinic, name) for name in ("Target", "Source", "Third"))
        place_patient(unit, make_patient(unit, clinic, CAROL), target)
        place_patient(unit, make_patient(unit, clinic, DAVE), source, third)
        place_patient(unit, make_patient(unit, clinic, ERIN), source, third, target)
        make_patient(unit, clinic, PETE)
        return Place(clinic.id, target.id, source.id, third.id)


def merge(api: Client, place: Place, body: Any = None, as_: Somebody | None = SERVICE) -> Reply:
    body = {"id": place.source_id} if body is None else body
    return api.post(f"/v1/clinics/{place.clinic_id}/sites/{place.target_id}/merge", as_=as_, json=body)


def test_the_target_has_the_patients_of_both(api: Client, database: Database, place: Place) -> None:
    reply = merge(api, place)
    # The union: Erin was at both and counts once.
    assert (reply.status, reply.json) == (200, {"id": place.target_id, "name": "Target", "numPatients": 3})
    assert names(database, Site, place.clinic_id) == ["Target", "Third"]
    assert clinic_time(database, place.clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_the_target_gets_the_position_of_the_source(api: Client, database: Database, place: Place) -> None:
    merge(api, place)
    assert sites_of(database, CAROL) == [place.target_id]
    assert sites_of(database, DAVE) == [place.target_id, place.third_id]
    assert sites_of(database, ERIN) == [place.third_id, place.target_id]
    assert sites_of(database, PETE) == []


def test_patients_show_it_at_once(api: Client, place: Place) -> None:
    merge(api, place)
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{DAVE.id}", as_=BOB).json
    assert [site["name"] for site in shown["sites"]] == ["Target", "Third"]


def test_only_patients_of_the_source_have_changed(api: Client, database: Database, place: Place) -> None:
    merge(api, place)
    assert patient_times(database) == {CAROL.id: LONG_AGO, DAVE.id: NOW, ERIN.id: NOW, PETE.id: LONG_AGO}


def test_the_time_of_a_patient_always_grows(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        for patient in unit.patients.all_of_user(DAVE.id):
            patient.updated_time = NOW + timedelta(days=1)
    merge(api, place)
    assert patient_times(database)[DAVE.id] == NOW + timedelta(days=1, milliseconds=1)


def test_a_source_without_patients_is_deleted(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        empty = make_site(unit, unit.clinics.get(place.clinic_id), "Empty")
    assert merge(api, place, {"id": empty.id}).json["numPatients"] == 2
    assert set(patient_times(database).values()) == {LONG_AGO}


def test_a_repeat_is_not_found(api: Client, database: Database, place: Place) -> None:
    merge(api, place)
    with clock.frozen(NOW + timedelta(seconds=1)):
        assert_error(merge(api, place), 404)
    assert clinic_time(database, place.clinic_id) == NOW


@pytest.mark.one_engine
def test_a_site_cannot_be_merged_into_itself_and_that_is_told_first(
    api: Client, database: Database, place: Place
) -> None:
    assert_error(merge(api, place, {"id": place.target_id}), 400)
    unknown = place._replace(clinic_id="0" * 24, target_id="0" * 24)
    assert_error(merge(api, unknown, {"id": "0" * 24}), 400)
    assert len(names(database, Site, place.clinic_id)) == 3


@pytest.mark.one_engine
def test_the_id_must_be_given(api: Client, database: Database, place: Place) -> None:
    """The published schema marks it as read-only, so the spec alone does not demand it."""
    assert_violations(merge(api, place, {}), ("/body/id", "required"))
    assert len(names(database, Site, place.clinic_id)) == 3


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{"id": "A" * 24}, {"id": ""}, {"id": None}, {"id": 7}, [], "x"])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, place: Place, body: Any) -> None:
    assert_error(merge(api, place, body), 400)
    assert len(names(database, Site, place.clinic_id)) == 3


@pytest.mark.one_engine
def test_absent_bodies_and_malformed_ids_are_refused(api: Client, place: Place) -> None:
    assert_violations(merge(api, place, ...), ("/body", "required"))
    assert_error(merge(api, place._replace(target_id="A" * 24)), 400)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, place: Place) -> None:
    assert_error(merge(api, place, as_=None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, CAROL])
def test_is_for_services(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    assert_error(merge(api, place, as_=caller), 403)
    assert len(names(database, Site, place.clinic_id)) == 3


def test_unknown_clinics_and_sites_are_not_found(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        elsewhere = make_site(unit, make_clinic(unit), "Elsewhere")
    assert_error(merge(api, place._replace(clinic_id="0" * 24)), 404)
    for site_id in ("0" * 24, elsewhere.id):
        assert_error(merge(api, place._replace(target_id=site_id)), 404)
        assert_error(merge(api, place, {"id": site_id}), 404)
    assert len(stored(database, Site)) == 4
    assert set(patient_times(database).values()) == {LONG_AGO}


def test_of_two_merges_in_opposite_directions_one_succeeds(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.merge_sites(unit, place.clinic_id, source_id=place.target_id, target_id=place.source_id),
        lambda: merge(api, place),
    )
    assert_error(reply, 404)
    assert names(database, Site, place.clinic_id) == ["Source", "Third"]
    assert sites_of(database, CAROL) == [place.source_id]


def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place) -> None:
    small = number_of_statements(database, lambda: merge(api, place))
    with storing(database) as unit:
        large = unit.sites.get(place.clinic_id, place.third_id)
        for number in range(20):
            person = make_patient(unit, unit.clinics.get(place.clinic_id), ERIN, user_id=f"{number:010x}")
            place_patient(unit, person, large)
    assert number_of_statements(database, lambda: merge(api, place, {"id": place.third_id})) == small == 8
