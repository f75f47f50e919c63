"""GetInvitedClinician: GET /v1/clinics/{clinicId}/invites/clinicians/{inviteId}/clinician"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import UNKNOWN_KEY, make_pending, statements_of
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN, "PRESCRIBER", "CLINIC_MEMBER")


def get(api: Client, clinic_id: str, key: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.get(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}/clinician", as_=as_)


def test_answers_the_pending_clinician(api: Client, clinic_id: str, key: str) -> None:
    reply = get(api, clinic_id, key)
    assert reply.status == 200
    assert reply.json == {
        "inviteId": key,
        "email": ERIN.email,
        "roles": ["CLINIC_MEMBER", "PRESCRIBER"],
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
    }


def test_an_invitation_is_found_by_an_id_of_another_system(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, user_id=None, invite_id="kept elsewhere")
    assert get(api, clinic_id, "kept%20elsewhere").json["inviteId"] == "kept elsewhere"


def test_another_clinics_unknown_ones_and_members_are_not_found(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
    for key in (elsewhere, UNKNOWN_KEY, BOB.id, "x"):
        assert get(api, clinic_id, key).status == 404
    assert get(api, "0" * 24, elsewhere).status == 404


@pytest.mark.one_engine
def test_malformed_clinic_ids_are_refused(api: Client, key: str) -> None:
    assert get(api, "nowhere", key).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert get(api, clinic_id, key, None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, ERIN, MALLORY])
def test_is_for_services(api: Client, clinic_id: str, key: str, caller: Somebody) -> None:
    assert get(api, clinic_id, key, caller).status == 403


def test_sends_one_statement(api: Client, database: Database, clinic_id: str, key: str) -> None:
    assert statements_of(database, lambda: get(api, clinic_id, key)) == 1
