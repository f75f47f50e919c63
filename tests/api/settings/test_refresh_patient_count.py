"""RefreshPatientCount: POST /v1/clinics/{clinicId}/patient_count/refresh"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_patient, make_staffed_clinic, storing
from tests.support.units import everything, number_of_statements


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        return clinic.id


def refresh(api: Client, clinic_id: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patient_count/refresh", as_=as_)


def test_succeeds_and_changes_nothing(api: Client, database: Database, clinic_id: str) -> None:
    """Not even the clinic's time, which tells when its record changed."""
    before = everything(database)
    for _ in range(2):
        reply = refresh(api, clinic_id)
        assert (reply.status, reply.json) == (200, None)
    assert everything(database) == before
    assert api.get(f"/v1/clinics/{clinic_id}/patient_count", as_=BOB).json["total"] == 1


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(refresh(api, "A" * 24), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(refresh(api, clinic_id, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, clinic_id: str, caller: Somebody) -> None:
    assert_error(refresh(api, clinic_id, caller), 403)


@pytest.mark.one_engine
def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(refresh(api, "0" * 24), 404)


def test_the_number_of_statements(api: Client, database: Database, clinic_id: str) -> None:
    assert number_of_statements(database, lambda: refresh(api, clinic_id)) == 1
