"""GetMRNSettings: GET /v1/clinics/{clinicId}/settings/mrn"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.units import number_of_statements


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit, mrn_required=True, mrn_unique=False).id


def get(api: Client, clinic_id: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.get(f"/v1/clinics/{clinic_id}/settings/mrn", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_shows_the_settings(api: Client, clinic_id: str, caller: Somebody) -> None:
    reply = get(api, clinic_id, caller)
    assert (reply.status, reply.json) == (200, {"required": True, "unique": False})


def test_both_can_be_false(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = make_clinic(unit, mrn_required=False, mrn_unique=False).id
    assert get(api, clinic_id).json == {"required": False, "unique": False}


def test_settings_that_were_never_stored_are_not_found(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = make_clinic(unit).id
    assert_error(get(api, clinic_id), 404)


@pytest.mark.one_engine
def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(get(api, "0" * 24), 404)


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


def test_the_number_of_statements(api: Client, database: Database, clinic_id: str) -> None:
    # Access, clinic, settings.
    assert number_of_statements(database, lambda: get(api, clinic_id, BOB)) == 3
