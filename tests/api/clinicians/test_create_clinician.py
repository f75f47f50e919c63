"""CreateClinician: POST /v1/clinics/{clinicId}/clinicians"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianRoleUpdate, Invite, OutboxEntry
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.rows import make_account, make_clinic, make_clinician, make_staffed_clinic, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
INVITE_KEY = "Qm9yZWFsIEZvcmVzdCBpbnZpdGUgMDAx"


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def create(api: Client, clinic_id: str, **body: Any) -> Reply:
    body = {"email": "erin@hilltop.example", "roles": ["CLINIC_MEMBER"]} | body
    return api.post(f"/v1/clinics/{clinic_id}/clinicians", json=body, as_=SERVICE)


def test_records_a_member(api: Client, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = create(api, clinic_id, id=ERIN.id, name="Erin Ellis", roles=["PRESCRIBER", "CLINIC_ADMIN"])
    assert reply.status == 200
    assert reply.json == {
        "id": ERIN.id,
        "email": "erin@hilltop.example",
        "name": "Erin Ellis",
        "roles": ["CLINIC_ADMIN", "PRESCRIBER"],
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ERIN.id}", as_=ERIN).json == reply.json


def test_records_a_pending_invitation(api: Client, clinic_id: str) -> None:
    reply = create(api, clinic_id, inviteId=INVITE_KEY)
    assert reply.status == 200
    assert reply.json["inviteId"] == INVITE_KEY
    assert "id" not in reply.json
    assert "name" not in reply.json


def test_a_row_without_user_and_invitation_gets_a_fresh_invite_id(api: Client, clinic_id: str) -> None:
    keys = {
        create(api, clinic_id, email=f"{n}@mail.example", **extra).json["inviteId"]
        for n, extra in enumerate([{}, {"inviteId": ""}])
    }
    assert len(keys) == 2
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", key) for key in keys)


def test_a_row_without_user_and_invitation_is_an_ordinary_invitation(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
    with clock.frozen(NOW):
        key = create(api, clinic_id, email="Erin@HillTop.example", roles=["CLINIC_ADMIN"]).json["inviteId"]
    [invite] = stored(database, Invite)
    assert (invite.key, invite.type, invite.status) == (key, "clinician_invitation", "pending")
    assert (invite.email, invite.creator_id, invite.expires_at) == (ERIN.email, SERVICE.id, None)
    assert (invite.created, invite.modified) == (NOW, NOW)
    [shown] = api.get(f"/v1/clinicians/{ERIN.id}/invites", as_=ERIN).json
    assert (shown["key"], shown["restrictions"]) == (key, {"canAccept": True})
    assert api.get(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}", as_=ALICE).json["key"] == key
    assert stored(database, OutboxEntry) == []
    accepted = api.put(f"/v1/clinicians/{ERIN.id}/invites/{key}", as_=ERIN)
    assert (accepted.status, accepted.json["roles"]) == (200, ["CLINIC_ADMIN"])
    assert [invite.status for invite in stored(database, Invite)] == ["completed"]


@pytest.mark.one_engine
@pytest.mark.parametrize("invite_id", ["team/42", "/", "a/", "/a", ".", ".."])
def test_an_invitation_that_no_path_can_carry_is_refused(
    api: Client, database: Database, clinic_id: str, invite_id: str
) -> None:
    assert_violations(create(api, clinic_id, inviteId=invite_id), ("/body/inviteId", "pattern"))
    assert_violations(create(api, clinic_id, id=ERIN.id, inviteId=invite_id), ("/body/inviteId", "pattern"))
    assert len(stored(database, Clinician)) == 2


@pytest.mark.parametrize("invite_id", ["a", "...", ".a", "..a", "a.", "team 42", "é?#%2F", "a\nb", "\\"])
def test_an_invitation_of_any_other_form_can_be_asked_for(api: Client, clinic_id: str, invite_id: str) -> None:
    assert create(api, clinic_id, inviteId=invite_id).json["inviteId"] == invite_id
    path = f"/v1/clinics/{clinic_id}/invites/clinicians/{quote(invite_id, safe='')}/clinician"
    assert api.get(path, as_=SERVICE).json["inviteId"] == invite_id


def test_with_a_user_the_invitation_is_dropped(api: Client, clinic_id: str) -> None:
    reply = create(api, clinic_id, id=ERIN.id, inviteId=INVITE_KEY)
    assert reply.json["id"] == ERIN.id
    assert "inviteId" not in reply.json


def test_addresses_are_stored_in_lower_case(api: Client, clinic_id: str) -> None:
    assert create(api, clinic_id, email="Erin@HillTop.example").json["email"] == "erin@hilltop.example"


def test_the_times_in_the_body_are_ignored(api: Client, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = create(api, clinic_id, createdTime="2001-01-01T00:00:00Z", updatedTime="2001-01-01T00:00:00Z")
    assert reply.json["createdTime"] == reply.json["updatedTime"] == "2026-03-02T09:30:00.000Z"


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"email": "erin"}, "/body/email", "format"),
        ({"email": None}, "/body/email", "type"),
        ({"roles": []}, "/body/roles", "minItems"),
        ({"roles": ["CLINIC_MEMBER", "CLINIC_MEMBER"]}, "/body/roles", "uniqueItems"),
        ({"roles": ["OWNER"]}, "/body/roles/0", "enum"),
        ({"id": "Erin"}, "/body/id", "pattern"),
        ({"name": ""}, "/body/name", "minLength"),
    ],
)
def test_malformed_bodies_are_refused(
    api: Client, clinic_id: str, body: dict[str, Any], pointer: str, rule: str
) -> None:
    reply = create(api, clinic_id, **body)
    assert_violations(reply, (pointer, rule))


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"email": "erin@hilltop.example"}, {"roles": ["CLINIC_MEMBER"]}, []])
def test_address_and_roles_are_required(api: Client, clinic_id: str, body: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/clinicians", json=body, as_=SERVICE).status == 400
    assert api.post(f"/v1/clinics/{clinic_id}/clinicians", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/clinicians", json={}).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, clinic_id: str, caller: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/clinicians", json={}, as_=caller).status == 403


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinic_id")
def test_an_unknown_clinic_is_not_found(api: Client) -> None:
    assert create(api, "0" * 24).status == 404


@pytest.mark.one_engine
def test_the_clinic_must_be_migrated(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, is_migrated=False)
    assert create(api, clinic.id).status == 422
    assert stored(database, Clinician) == []


@pytest.mark.parametrize(
    "body",
    [
        {"id": BOB.id, "email": "other@mail.example"},
        {"id": ERIN.id, "email": "BOB@harbour.example"},
        {"email": "Bob@Harbour.example"},
        {"email": "DORA@mail.example"},
        {"email": "other@mail.example", "inviteId": INVITE_KEY},
    ],
)
def test_the_same_user_invitation_or_address_is_a_conflict(
    api: Client, database: Database, clinic_id: str, body: dict[str, Any]
) -> None:
    assert create(api, clinic_id, email="dora@mail.example", inviteId=INVITE_KEY).status == 200
    before = len(stored(database, Clinician))
    assert create(api, clinic_id, **body).status == 409
    assert len(stored(database, Clinician)) == before


def test_an_invitation_leads_to_one_clinic_only(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        make_clinician(unit, elsewhere, MALLORY, user_id=None, invite_id=INVITE_KEY)
    assert create(api, clinic_id, inviteId=INVITE_KEY).status == 409


@pytest.mark.usefixtures("clinic_id")
def test_a_user_and_an_address_may_be_in_several_clinics(api: Client, database: Database) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
    assert create(api, elsewhere.id, id=BOB.id, email=BOB.email).status == 200


def test_a_repeat_is_a_conflict(api: Client, clinic_id: str) -> None:
    assert [create(api, clinic_id, id=ERIN.id).status for _ in range(2)] == [200, 409]


def test_tells_that_there_is_a_new_member_and_sends_no_mail(api: Client, database: Database, clinic_id: str) -> None:
    create(api, clinic_id, id=ERIN.id)
    (entry,) = stored(database, OutboxEntry)
    assert (entry.kind, entry.clinic_id) == ("clinician_added", clinic_id)
    assert entry.payload == {"clinicId": clinic_id, "userId": ERIN.id}
    assert stored(database, ClinicianRoleUpdate) == []


def test_an_invitation_changes_nobodys_access_yet(api: Client, database: Database, clinic_id: str) -> None:
    create(api, clinic_id, inviteId=INVITE_KEY)
    assert stored(database, OutboxEntry) == []
    assert stored(database, Invite) == []


def test_sends_four_statements(api: Client, database: Database, clinic_id: str) -> None:
    with counting(database) as statements:
        create(api, clinic_id, id=ERIN.id)
    assert len(statements) == 4


@pytest.mark.one_engine
def test_the_address_may_not_be_empty(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
    body = {"email": "", "roles": ["CLINIC_MEMBER"]}
    reply = api.post(f"/v1/clinics/{clinic.id}/clinicians", as_=SERVICE, json=body)
    assert_violations(reply, ("/body/email", "format"))
