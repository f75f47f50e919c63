"""ResendInvite: PATCH /v1/clinics/{clinicId}/invites/clinicians/{inviteId}"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, Invite, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import NOW, UNKNOWN_KEY, invite_of, mails, make_key, make_offer, make_pending, statements_of
from tests.support.rows import LONG_AGO, make_account, make_clinic, make_clinician, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, ALICE)
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN)


def resend(api: Client, clinic_id: str, key: str, as_: Somebody | None = ALICE) -> Reply:
    return api.patch(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}", as_=as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_queues_the_mail_again_and_moves_the_time(
    api: Client, database: Database, clinic_id: str, key: str, caller: Somebody
) -> None:
    with clock.frozen(NOW):
        reply = resend(api, clinic_id, key, caller)
    assert reply.status == 200
    assert reply.json == {
        "key": key,
        "type": "clinician_invitation",
        "status": "pending",
        "email": ERIN.email,
        "creatorId": ALICE.id,
        "created": "2026-01-05T08:30:00.000Z",
        "modified": "2026-03-02T09:30:00.000Z",
        "creator": {
            "userid": ALICE.id,
            "profile": {"fullName": "Alice Archer", "patient": {}},
            "clinicId": clinic_id,
            "clinicName": "Harbour Diabetes Centre",
        },
    }
    [mail] = stored(database, OutboxEntry)
    assert mail.kind == "clinician_invitation"
    assert mail.payload == {
        "clinicId": clinic_id,
        "ClinicName": "Harbour Diabetes Centre",
        "CreatorName": "Alice Archer",
        "Email": ERIN.email,
        "WebPath": "signup/clinician",
    }


def test_key_creation_and_creator_stay(api: Client, database: Database, clinic_id: str, key: str) -> None:
    resend(api, clinic_id, key, SERVICE)
    [row] = stored(database, Invite)
    assert (row.key, row.created, row.creator_id, row.user_id) == (key, LONG_AGO, ALICE.id, None)
    assert [clinician.invite_id for clinician in stored(database, Clinician)].count(key) == 1


def test_an_account_that_has_come_to_be_is_linked(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
    resend(api, clinic_id, key)
    assert invite_of(database, key).user_id == ERIN.id
    assert mails(database)[0].payload["WebPath"] == "login"


def test_each_call_sends_one_mail(api: Client, database: Database, clinic_id: str, key: str) -> None:
    assert [resend(api, clinic_id, key).status for _ in range(3)] == [200, 200, 200]
    assert len(mails(database)) == 3


def test_wc_11_a_missing_invitation_is_made_anew_with_the_same_key(
    api: Client, database: Database, clinic_id: str
) -> None:
    key = make_key()
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, user_id=None, invite_id=key)
    with clock.frozen(NOW):
        reply = resend(api, clinic_id, key)
    assert (reply.status, reply.json["key"], reply.json["creatorId"]) == (200, key, ALICE.id)
    row = invite_of(database, key)
    assert (row.clinic_id, row.type, row.status) == (clinic_id, "clinician_invitation", "pending")
    assert (row.email, row.creator_id, row.created, row.modified) == (ERIN.email, ALICE.id, NOW, NOW)
    assert len(mails(database)) == 1


def test_an_invitation_that_create_clinician_recorded_can_be_sent(
    api: Client, database: Database, clinic_id: str
) -> None:
    body = {"email": MALLORY.email, "roles": ["CLINIC_MEMBER"]}
    made = api.post(f"/v1/clinics/{clinic_id}/clinicians", json=body, as_=SERVICE)
    reply = resend(api, clinic_id, made.json["inviteId"], SERVICE)
    assert (reply.status, reply.json["email"]) == (200, MALLORY.email)
    assert "creatorId" not in reply.json
    assert mails(database)[0].payload["CreatorName"] == "Harbour Diabetes Centre"


def test_an_id_that_is_no_key_of_ours_cannot_be_sent(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, user_id=None, invite_id="kept-elsewhere")
    assert resend(api, clinic_id, "kept-elsewhere").status == 404
    assert (stored(database, Invite), mails(database)) == ([], [])


@pytest.mark.parametrize("status", ["completed", "canceled", "declined"])
def test_an_invitation_that_has_ended_is_not_sent(api: Client, database: Database, clinic_id: str, status: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, status=status)
    assert resend(api, clinic_id, key).status == 404
    assert (invite_of(database, key).status, mails(database)) == (status, [])


def test_members_offers_and_what_is_another_clinics_are_not_found(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
        offer = make_offer(unit, unit.clinics.get(clinic_id), CAROL)
    for key in (elsewhere, offer, UNKNOWN_KEY, BOB.id, "x"):
        assert resend(api, clinic_id, key).status == 404
    assert mails(database) == []


@pytest.mark.one_engine
def test_unknown_and_malformed_clinics(api: Client, key: str) -> None:
    assert resend(api, "0" * 24, key, SERVICE).status == 404
    assert resend(api, "nowhere", key, SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert resend(api, clinic_id, key, None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(api: Client, database: Database, clinic_id: str, key: str, caller: Any) -> None:
    assert resend(api, clinic_id, key, caller).status == 403
    assert mails(database) == []


def test_the_statements_do_not_depend_on_the_clinic(api: Client, database: Database, clinic_id: str, key: str) -> None:
    few = statements_of(database, lambda: resend(api, clinic_id, key))
    with storing(database) as unit:
        for number in range(10):
            make_pending(unit, unit.clinics.get(clinic_id), ERIN, email=f"{number}@mail.example")
    # Access, clinic, clinician, terms, two of the directory; access, lock, clinician, invitation, update, three for the
    # limit of mails, insert.
    assert (few, statements_of(database, lambda: resend(api, clinic_id, key))) == (15, 15)
