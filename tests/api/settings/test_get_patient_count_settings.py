"""GetPatientCountSettings: GET /v1/clinics/{clinicId}/settings/patient_count"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.units import number_of_statements

LIMITS: dict[str, Any] = {
    "hardLimit": {"plan": 250, "startDate": "2026-01-01T00:00:00.000Z", "endDate": "2027-01-01T00:00:00.000Z"},
    "softLimit": {"plan": 225},
}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit, patient_count_settings=LIMITS).id


def get(api: Client, clinic_id: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.get(f"/v1/clinics/{clinic_id}/settings/patient_count", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_shows_the_limits(api: Client, clinic_id: str, caller: Somebody) -> None:
    reply = get(api, clinic_id, caller)
    assert (reply.status, reply.json) == (200, LIMITS)


def test_limits_that_are_not_set_are_left_out(api: Client, database: Database) -> None:
    with storing(database) as unit:
        one = make_clinic(unit, patient_count_settings={"softLimit": {"plan": 0}}).id
        none = make_clinic(unit).id
    assert get(api, one).json == {"softLimit": {"plan": 0}}
    assert get(api, none).json == {}


@pytest.mark.parametrize(
    ("country", "tier", "applies"),
    [
        (None, None, True),
        ("", "tier0100", True),
        ("US", "tier0100", True),
        ("US", "tier0200", False),
        (None, "tier0400", False),
        ("USA", None, False),
        ("us", None, False),
        ("CA", "tier0100", False),
    ],
)
def test_limits_are_for_free_clinics_of_the_us_or_nowhere(
    api: Client, database: Database, country: str | None, tier: str | None, applies: bool
) -> None:
    with storing(database) as unit:
        clinic_id = make_clinic(unit, patient_count_settings=LIMITS, country=country, tier=tier).id
    assert get(api, clinic_id).json == (LIMITS if applies else {})


def test_stored_limits_return_with_tier_and_country(api: Client, clinic_id: str) -> None:
    for tier, shown in (("tier0300", {}), ("tier0100", LIMITS)):
        api.post(f"/v1/clinics/{clinic_id}/tier", as_=SERVICE, json={"tier": tier})
        assert get(api, clinic_id).json == shown


def test_a_clinic_made_new_has_a_hard_limit_of_250(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = unit.clinics.add({"name": "New"}, is_migrated=True).id
    assert get(api, clinic_id).json == {"hardLimit": {"plan": 250}}


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(get(api, "A" * 24), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(get(api, clinic_id, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
def test_is_for_members_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    assert_error(get(api, clinic_id, caller), 403)


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(get(api, "0" * 24), 404)


def test_the_number_of_statements(api: Client, database: Database, clinic_id: str) -> None:
    # Access, limits.
    assert number_of_statements(database, lambda: get(api, clinic_id, BOB)) == 2
