"""GetClinician: GET /v1/clinics/{clinicId}/clinicians/{clinicianId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_violations
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.statements import counting


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_answers_the_member(api: Client, clinic_id: str, caller: Somebody) -> None:
    reply = api.get(f"/v1/clinics/{clinic_id}/clinicians/{ALICE.id}", as_=caller)
    assert reply.status == 200
    assert reply.json == {
        "id": ALICE.id,
        "email": ALICE.email,
        "name": ALICE.name,
        "roles": ["CLINIC_ADMIN"],
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
    }


@pytest.mark.usefixtures("clinic_id")
def test_roles_stand_in_a_fixed_order(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, PETE, "PRESCRIBER", "CLINIC_ADMIN", "CLINIC_MEMBER")
    reply = api.get(f"/v1/clinics/{clinic.id}/clinicians/{PETE.id}", as_=PETE)
    assert reply.json["roles"] == ["CLINIC_ADMIN", "CLINIC_MEMBER", "PRESCRIBER"]


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    reply = api.get(f"/v1/clinics/{clinic_id}/clinicians/Alice", as_=ALICE)
    assert_violations(reply, ("/path/clinicianId", "pattern"))
    assert api.get(f"/v1/clinics/{clinic_id.upper()}/clinicians/{ALICE.id}", as_=SERVICE).status == 400
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ALICE.id}%0A", as_=ALICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ALICE.id}").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [MALLORY, PETE, ERIN])
def test_is_for_members_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        make_clinician(unit, elsewhere, ERIN, "CLINIC_ADMIN")
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ALICE.id}", as_=caller).status == 403
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/not-an-id", as_=caller).status == 403


def test_unknown_members_are_not_found(api: Client, clinic_id: str) -> None:
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{MALLORY.id}", as_=ALICE).status == 404
    assert api.get(f"/v1/clinics/{'0' * 24}/clinicians/{ALICE.id}", as_=SERVICE).status == 404


def test_invitations_cannot_be_reached_and_service_accounts_can(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, MALLORY, user_id=None, invite_id=MALLORY.id)
        make_clinician(unit, clinic, PETE, email=None, name="Robot", is_service_account=True)
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{MALLORY.id}", as_=ALICE).status == 404
    reply = api.get(f"/v1/clinics/{clinic_id}/clinicians/{PETE.id}", as_=PETE)
    assert (reply.json["name"], reply.json["email"]) == ("Robot", "")


def test_members_of_other_clinics_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN)
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ERIN.id}", as_=ALICE).status == 404


def test_sends_one_statement_besides_the_check_of_access(api: Client, database: Database, clinic_id: str) -> None:
    for caller, expected in ((SERVICE, 1), (ALICE, 2)):
        with counting(database) as statements:
            api.get(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", as_=caller)
        assert len(statements) == expected
