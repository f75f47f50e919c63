"""UpdateTier: POST /v1/clinics/{clinicId}/tier"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry, Tier
from tests.support.cast import ALICE, BOB, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_staffed_clinic, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LIMIT = {"hardLimit": {"plan": 250}}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit, patient_count_settings=LIMIT).id


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.mark.parametrize("tier", ["tier0100", "tier0200", "tier0300", "tier0400"])
def test_sets_the_tier(api: Client, clinic_id: str, tier: str) -> None:
    reply = api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE, json={"tier": tier})
    assert (reply.status, reply.json) == (200, None)
    shown = api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE).json
    assert (shown["tier"], shown["updatedTime"]) == (tier, "2026-03-02T09:30:00.000Z")


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE, json={"tier": "tier0300"})
    rows = {clinic.id: clinic for clinic in stored(database, Clinic)}
    assert rows[clinic_id].patient_count_settings == LIMIT
    assert (rows[clinic_id].name, rows[clinic_id].created_time) == ("Harbour Diabetes Centre", LONG_AGO)
    assert (rows[other].tier, rows[other].updated_time) == (None, LONG_AGO)
    assert stored(database, OutboxEntry) == []


def test_rule_the_tier_decides_whether_the_patient_limit_applies(database: Database) -> None:
    """Rule: limits are for clinics in the US, or nowhere in particular, that are free or have no tier."""
    with storing(database) as unit:
        clinic = make_clinic(unit, patient_count_settings=LIMIT)
        for country in (None, "", "US"):
            for tier, limit in ((None, 250), (Tier.FREE, 250), (Tier.STANDARD, None)):
                clinic.country, clinic.tier = country, tier
                assert unit.clinics.patient_limit(clinic) == limit
        clinic.country, clinic.tier = "USA", None
        assert unit.clinics.patient_limit(clinic) is None


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (None, None),
        ({}, None),
        ({"softLimit": {"plan": 5}}, None),
        ({"hardLimit": {"plan": 0}}, 0),
        ({"hardLimit": {"plan": 5, "startDate": "2026-03-02T09:30:00.000Z"}}, 5),
        ({"hardLimit": {"plan": 5, "startDate": "2026-03-02T09:30:00.001Z"}}, None),
        ({"hardLimit": {"plan": 5, "endDate": "2026-03-02T09:30:00.000Z"}}, 5),
        ({"hardLimit": {"plan": 5, "endDate": "2026-03-02T09:29:59.999Z"}}, None),
    ],
)
def test_a_limit_holds_only_within_its_dates(
    database: Database, limit: dict[str, Any] | None, expected: int | None
) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, patient_count_settings=limit)
        assert unit.clinics.patient_limit(clinic) == expected


def test_a_repeat_moves_the_time_only(api: Client, database: Database, clinic_id: str) -> None:
    for seconds in (0, 1):
        with clock.frozen(NOW + timedelta(seconds=seconds)):
            assert api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE, json={"tier": "tier0200"}).status == 200
    (clinic,) = stored(database, Clinic)
    assert (clinic.tier, clinic.updated_time) == ("tier0200", NOW + timedelta(seconds=1))


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"tier": "tier0500"}, {"tier": ""}, {"tier": None}, {"tier": 100}, [], None])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE, json=body).status == 400
    assert stored(database, Clinic)[0].tier is None


@pytest.mark.one_engine
def test_malformed_ids_and_absent_bodies_are_refused(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE).status == 400
    assert api.post("/v1/clinics/harbour/tier", as_=SERVICE, json={"tier": "tier0100"}).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/tier", json={"tier": "tier0100"}).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, clinic_id: str, caller: Somebody) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/tier", as_=caller, json={"tier": "tier0400"}).status == 403
    assert api.post(f"/v1/clinics/{clinic_id}/tier", as_=caller, json={}).status == 403


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert api.post(f"/v1/clinics/{'0' * 24}/tier", as_=SERVICE, json={"tier": "tier0100"}).status == 404


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    with counting(database) as statements:
        api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE, json={"tier": "tier0300"})
    # Lock and update; SQLite's BEGIN does not count.
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) <= 2
