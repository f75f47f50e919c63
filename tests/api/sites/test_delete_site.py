"""DeleteSite: DELETE /v1/clinics/{clinicId}/sites/{siteId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Patient, PatientSite, Site
from clinic_service.resources.sites import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
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
from tests.support.tags_and_sites import clinic_time, names, patient_times, sites_of
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Place(NamedTuple):
    clinic_id: str
    site_id: str
    other_site_id: str


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def place(database: Database) -> Place:
    """A clinic where Carol belongs to both sites, and Dave to the other one."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        site, other = make_site(unit, clinic, "City Clinic"), make_site(unit, clinic, "Other")
        place_patient(unit, make_patient(unit, clinic, CAROL), site, other)
        place_patient(unit, make_patient(unit, clinic, DAVE), other)
        return Place(clinic.id, site.id, other.id)


def delete(api: Client, place: Place, as_: Somebody | None = ALICE) -> Reply:
    return api.delete(f"/v1/clinics/{place.clinic_id}/sites/{place.site_id}", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_removes_the_site(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    reply = delete(api, place, caller)
    assert (reply.status, reply.json) == (204, None)
    assert names(database, Site, place.clinic_id) == ["Other"]
    assert clinic_time(database, place.clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_its_patients_leave_it_and_stay_patients(api: Client, database: Database, place: Place) -> None:
    delete(api, place)
    assert sites_of(database, CAROL) == [place.other_site_id]
    assert sites_of(database, DAVE) == [place.other_site_id]
    assert len(stored(database, Patient)) == 2
    shown = api.get(f"/v1/clinics/{place.clinic_id}/patients/{CAROL.id}", as_=BOB).json
    assert [site["name"] for site in shown["sites"]] == ["Other"]


def test_only_its_patients_have_changed(api: Client, database: Database, place: Place) -> None:
    delete(api, place)
    assert patient_times(database) == {CAROL.id: NOW, DAVE.id: LONG_AGO}


def test_the_time_of_a_patient_always_grows(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        for patient in unit.patients.all_of_user(CAROL.id):
            patient.updated_time = NOW
    delete(api, place)
    assert patient_times(database)[CAROL.id] == NOW + timedelta(milliseconds=1)


def test_a_repeat_is_not_found(api: Client, database: Database, place: Place) -> None:
    delete(api, place)
    with clock.frozen(NOW + timedelta(seconds=1)):
        assert_error(delete(api, place), 404)
    assert clinic_time(database, place.clinic_id) == NOW


def test_of_two_at_once_one_succeeds(api: Client, database: Database, place: Place) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.delete_site(unit, place.clinic_id, place.site_id),
        lambda: delete(api, place),
    )
    assert_error(reply, 404)


def test_malformed_ids_are_refused(api: Client, place: Place) -> None:
    assert_error(delete(api, place._replace(site_id="A" * 24)), 400)
    assert_error(delete(api, place._replace(clinic_id="A" * 24), SERVICE), 400)


def test_needs_a_token(api: Client, place: Place) -> None:
    assert_error(delete(api, place, None), 401)


@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY, CAROL])
def test_is_for_admins_and_services(api: Client, database: Database, place: Place, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(delete(api, place, caller), 403)
    assert len(names(database, Site, place.clinic_id)) == 2


def test_unknown_clinics_and_sites_are_not_found(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        elsewhere = make_site(unit, clinic, "Elsewhere")
        place_patient(unit, make_patient(unit, clinic, ERIN), elsewhere)
    assert_error(delete(api, place._replace(clinic_id="0" * 24), SERVICE), 404)
    assert_error(delete(api, place._replace(site_id="0" * 24)), 404)
    assert_error(delete(api, place._replace(site_id=elsewhere.id)), 404)
    assert sites_of(database, ERIN) == [elsewhere.id]
    assert set(patient_times(database).values()) == {LONG_AGO}


def test_the_number_of_statements_is_fixed(api: Client, database: Database, place: Place) -> None:
    with storing(database) as unit:
        large = unit.sites.get(place.clinic_id, place.other_site_id)
        for number in range(20):
            person = make_patient(unit, unit.clinics.get(place.clinic_id), ERIN, user_id=f"{number:010x}")
            place_patient(unit, person, large)
    small = number_of_statements(database, lambda: delete(api, place))
    assert number_of_statements(database, lambda: delete(api, place._replace(site_id=large.id))) == small == 5
    assert stored(database, PatientSite) == []
