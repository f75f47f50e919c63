"""GetClinicianInvite: GET /v1/clinics/{clinicId}/invites/clinicians/{inviteId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import UNKNOWN_KEY, make_key, make_offer, make_pending, statements_of
from tests.support.rows import make_account, make_clinic, make_clinician, make_staffed_clinic, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        # Alice is a patient as well, which is nobody's business here.
        make_account(unit, ALICE, profile={"birthday": "1970-01-01", "mrn": "A-1"})
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN)


def get(api: Client, clinic_id: str, key: str, as_: Somebody | None = ALICE) -> Reply:
    return api.get(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_answers_the_invitation_with_its_creator(api: Client, clinic_id: str, key: str, caller: Somebody) -> None:
    reply = get(api, clinic_id, key, caller)
    assert reply.status == 200
    assert reply.json == {
        "key": key,
        "type": "clinician_invitation",
        "status": "pending",
        "email": ERIN.email,
        "creatorId": ALICE.id,
        "created": "2026-01-05T08:30:00.000Z",
        "modified": "2026-01-05T08:30:00.000Z",
        "creator": {
            "userid": ALICE.id,
            "profile": {"fullName": "Alice Archer", "patient": {}},
            "clinicId": clinic_id,
            "clinicName": "Harbour Diabetes Centre",
        },
    }


def test_context_and_restrictions_are_left_out_and_never_null(api: Client, clinic_id: str, key: str) -> None:
    assert {"context", "restrictions", "expiresAt"}.isdisjoint(get(api, clinic_id, key).json)


def test_an_invitation_made_by_a_service_has_no_creator_id(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, creator_id=SERVICE.id)
    reply = get(api, clinic_id, key)
    assert "creatorId" not in reply.json
    assert "userid" not in reply.json["creator"]
    assert reply.json["creator"]["profile"] == {"fullName": "", "patient": {}}


def test_an_address_that_is_too_short_for_the_spec_is_left_out(api: Client, database: Database, clinic_id: str) -> None:
    """The published document has none below six characters here; other operations store one of three."""
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN._replace(email="a@b"))
    reply = get(api, clinic_id, key)
    assert reply.status == 200
    assert "email" not in reply.json


def test_a_creator_without_an_account_has_an_empty_name(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, creator_id=MALLORY.id)
    reply = get(api, clinic_id, key)
    assert reply.json["creatorId"] == MALLORY.id
    assert reply.json["creator"]["profile"]["fullName"] == ""


@pytest.mark.parametrize("status", ["completed", "canceled", "declined"])
def test_only_pending_ones_are_found(api: Client, database: Database, clinic_id: str, status: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, status=status)
    assert get(api, clinic_id, key).status == 404


def test_another_clinics_and_unknown_ones_and_offers_are_not_found(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
        offer = make_offer(unit, unit.clinics.get(clinic_id), CAROL)
    for key in (elsewhere, offer, UNKNOWN_KEY, "x", "%20", "é"):
        assert get(api, clinic_id, key).status == 404
    assert get(api, "0" * 24, elsewhere, SERVICE).status == 404


def test_a_clinician_without_an_invitation_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    key = make_key()
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, user_id=None, invite_id=key)
    assert get(api, clinic_id, key).status == 404


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert get(api, clinic_id, key, None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(api: Client, clinic_id: str, key: str, caller: Somebody) -> None:
    assert get(api, clinic_id, key, caller).status == 403


@pytest.mark.one_engine
def test_malformed_clinic_ids_are_refused(api: Client, key: str) -> None:
    assert get(api, "nowhere", key, SERVICE).status == 400


def test_sends_five_statements(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        for number in range(10):
            make_pending(unit, unit.clinics.get(clinic_id), ERIN, email=f"{number}@mail.example")
    # Access, the invitation, the directory; access and the invitation again.
    assert statements_of(database, lambda: get(api, clinic_id, key)) == 5
