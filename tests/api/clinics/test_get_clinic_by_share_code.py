"""GetClinicByShareCode: GET /v1/clinics/share_code/{shareCode}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, ShareCode
from tests.support.cast import ALICE, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import make_staffed_clinic, share_code, storing
from tests.support.statements import counting


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_staffed_clinic(unit)


@pytest.mark.parametrize("caller", [ALICE, MALLORY, SERVICE])
def test_answers_the_clinic_to_anybody_signed_in(api: Client, clinic: Clinic, caller: Somebody) -> None:
    reply = api.get(f"/v1/clinics/share_code/{share_code(clinic.id)}", as_=caller)
    assert reply.status == 200
    assert reply.json == api.get(f"/v1/clinics/{clinic.id}", as_=caller).json
    assert reply.json["id"] == clinic.id


def test_a_code_taken_over_leads_to_the_clinic_under_its_own_code(
    api: Client, database: Database, clinic: Clinic
) -> None:
    with storing(database) as unit:
        unit.session.add(ShareCode(code="AAAA-BBBB-CCCC", clinic_id=clinic.id, canonical=False))
    reply = api.get("/v1/clinics/share_code/AAAA-BBBB-CCCC", as_=MALLORY)
    assert (reply.status, reply.json["shareCode"]) == (200, share_code(clinic.id))


@pytest.mark.parametrize("code", ["AAAA-BBBB-CCCC", "no code at all", "x" * 200])
@pytest.mark.usefixtures("clinic")
def test_unknown_codes_are_not_found(api: Client, code: str) -> None:
    assert api.get(f"/v1/clinics/share_code/{code}", as_=ALICE).status == 404


def test_letter_case_matters(api: Client, clinic: Clinic) -> None:
    assert api.get(f"/v1/clinics/share_code/{share_code(clinic.id).lower()}", as_=ALICE).status == 404


@pytest.mark.one_engine
def test_characters_that_no_store_holds_are_refused(api: Client) -> None:
    assert api.get("/v1/clinics/share_code/AAAA%00", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic: Clinic) -> None:
    assert api.get(f"/v1/clinics/share_code/{share_code(clinic.id)}").status == 401


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic: Clinic) -> None:
    with counting(database) as statements:
        assert api.get(f"/v1/clinics/share_code/{share_code(clinic.id)}", as_=ALICE).status == 200
    assert len(statements) <= 4
