"""ListMembershipRestrictions: GET /v1/clinics/{clinicId}/membership_restrictions"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_clinician, make_restriction, make_staffed_clinic, storing
from tests.support.units import number_of_statements


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def listed(api: Client, clinic_id: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.get(f"/v1/clinics/{clinic_id}/membership_restrictions", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_shows_them_in_their_order(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_restriction(unit, clinic, "lakeside.example")
        make_restriction(unit, clinic, "harbour.example", "harbour-sso")
        make_restriction(unit, make_clinic(unit), "elsewhere.example")
    reply = listed(api, clinic_id, caller)
    assert reply.status == 200
    assert reply.json == {
        "restrictions": [
            {"emailDomain": "lakeside.example"},
            {"emailDomain": "harbour.example", "requiredIdp": "harbour-sso"},
        ]
    }


def test_rule_the_list_is_there_even_when_it_is_empty(api: Client, clinic_id: str) -> None:
    """Rule: `restrictions` is always present."""
    assert listed(api, clinic_id).json == {"restrictions": []}


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(listed(api, "A" * 24), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(listed(api, clinic_id, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(listed(api, clinic_id, caller), 403)


@pytest.mark.one_engine
def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(listed(api, "0" * 24), 404)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    none = number_of_statements(database, lambda: listed(api, clinic_id, ALICE))
    with storing(database) as unit:
        for number in range(20):
            make_restriction(unit, unit.clinics.get(clinic_id), f"{number}.example")
    # Access, clinic, restrictions.
    assert number_of_statements(database, lambda: listed(api, clinic_id, ALICE)) == none == 3
