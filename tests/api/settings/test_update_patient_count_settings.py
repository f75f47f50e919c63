"""UpdatePatientCountSettings: PUT /v1/clinics/{clinicId}/settings/patient_count"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_patient, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time
from tests.support.units import number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


START, END = "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"
LIMITS: dict[str, Any] = {
    "hardLimit": {"plan": 250, "startDate": START, "endDate": END},
    "softLimit": {"plan": 225},
}


def put(api: Client, clinic_id: str, body: Any, as_: Somebody | None = SERVICE) -> Reply:
    return api.put(f"/v1/clinics/{clinic_id}/settings/patient_count", as_=as_, json=body)


def kept(database: Database) -> Any:
    return stored(database, Clinic)[0].patient_count_settings


def test_stores_both_limits(api: Client, database: Database, clinic_id: str) -> None:
    reply = put(api, clinic_id, LIMITS)
    assert (reply.status, reply.json) == (200, LIMITS)
    assert api.get(f"/v1/clinics/{clinic_id}/settings/patient_count", as_=BOB).json == LIMITS
    assert kept(database) == LIMITS
    assert clinic_time(database, clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


@pytest.mark.parametrize("body", [{}, {"softLimit": {"plan": 0}}, {"hardLimit": {"plan": 5, "endDate": END}}])
def test_replaces_both_limits(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    put(api, clinic_id, LIMITS)
    assert put(api, clinic_id, body).json == body
    assert kept(database) == body


def test_an_empty_object_means_unlimited(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, LIMITS)
    put(api, clinic_id, {})
    with storing(database) as unit:
        assert unit.clinics.patient_limit(unit.clinics.get(clinic_id)) is None


def test_a_limit_binds_from_then_on_and_removes_nobody(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), CAROL)
    put(api, clinic_id, {"hardLimit": {"plan": 0}})
    with storing(database) as unit:
        assert unit.clinics.patient_limit(unit.clinics.get(clinic_id)) == 0
        assert unit.patients.count(clinic_id, None).total == 1


@pytest.mark.parametrize(
    ("given", "kept_as"),
    [
        ("2026-01-01T02:00:00+02:00", START),
        ("2025-12-31T19:00:00.0009-05:00", START),
        ("2026-01-01t00:00:00z", START),
        ("2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123Z"),
    ],
)
def test_times_are_kept_as_they_are_sent(
    api: Client, database: Database, clinic_id: str, given: str, kept_as: str
) -> None:
    reply = put(api, clinic_id, {"hardLimit": {"plan": 1, "startDate": given}})
    assert reply.json == {"hardLimit": {"plan": 1, "startDate": kept_as}} == kept(database)


def test_what_the_spec_does_not_know_is_not_kept(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, {"hardLimit": {"plan": 1, "colour": "red"}, "other": 1})
    assert kept(database) == {"hardLimit": {"plan": 1}}


@pytest.mark.one_engine
@pytest.mark.parametrize("name", ["hardLimit", "softLimit"])
def test_a_start_after_the_end_is_refused(api: Client, database: Database, clinic_id: str, name: str) -> None:
    reply = put(api, clinic_id, {name: {"plan": 1, "startDate": END, "endDate": START}})
    assert_violations(reply, (f"/body/{name}/endDate", "state"))
    assert (kept(database), clinic_time(database, clinic_id)) == (None, LONG_AGO)


def test_a_start_at_the_end_is_taken_and_compared_as_a_moment(api: Client, clinic_id: str) -> None:
    for end in (START, "2026-01-01T01:00:00+01:00"):
        reply = put(api, clinic_id, {"hardLimit": {"plan": 1, "startDate": START, "endDate": end}})
        assert (reply.status, reply.json["hardLimit"]["endDate"]) == (200, START)
    later = "2026-01-01T00:30:00+01:00"
    assert_error(put(api, clinic_id, {"hardLimit": {"plan": 1, "startDate": START, "endDate": later}}), 400)


@pytest.mark.parametrize("place", [{"country": "CA"}, {"tier": "tier0200"}, {"country": "USA"}])
def test_a_clinic_without_limits_answers_none_and_keeps_them(
    api: Client, database: Database, place: dict[str, str]
) -> None:
    with storing(database) as unit:
        clinic_id = make_clinic(unit, **place).id
    assert put(api, clinic_id, LIMITS).json == {}
    assert kept(database) == LIMITS


def test_other_clinics_keep_theirs(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit, patient_count_settings={"hardLimit": {"plan": 7}}).id
    put(api, clinic_id, LIMITS)
    rows = {clinic.id: clinic for clinic in stored(database, Clinic)}
    assert (rows[other].patient_count_settings, rows[other].updated_time) == ({"hardLimit": {"plan": 7}}, LONG_AGO)


def test_a_repeat_leads_to_the_same(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, LIMITS)
    with clock.frozen(NOW + timedelta(seconds=1)):
        assert put(api, clinic_id, LIMITS).json == LIMITS
    assert clinic_time(database, clinic_id) == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    "limit",
    [
        {},
        {"plan": -1},
        {"plan": 10_000_001},
        {"plan": "5"},
        {"plan": 1.5},
        {"plan": None},
        {"plan": True},
        {"startDate": START},
        {"plan": 1, "startDate": "2026-01-01"},
        {"plan": 1, "startDate": "2026-02-30T00:00:00Z"},
        {"plan": 1, "endDate": "2026-01-01T00:00:00"},
        {"plan": 1, "endDate": "0001-01-01T00:00:00+23:00"},
        {"plan": 1, "endDate": None},
        5,
        None,
    ],
)
def test_limits_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, limit: Any) -> None:
    put(api, clinic_id, LIMITS)
    for name in ("hardLimit", "softLimit"):
        assert_error(put(api, clinic_id, {name: limit}), 400)
    assert kept(database) == LIMITS


@pytest.mark.parametrize("body", [..., None, [], "x"])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    put(api, clinic_id, LIMITS)
    assert_error(put(api, clinic_id, body), 400)
    assert kept(database) == LIMITS


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(put(api, "A" * 24, {}), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(put(api, clinic_id, {}, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    assert_error(put(api, clinic_id, LIMITS, caller), 403)
    assert kept(database) is None


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(put(api, "0" * 24, LIMITS), 404)


def test_the_number_of_statements(api: Client, database: Database, clinic_id: str) -> None:
    # Lock, update, what is shown.
    assert number_of_statements(database, lambda: put(api, clinic_id, LIMITS)) == 3
