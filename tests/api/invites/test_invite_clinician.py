"""InviteClinician: POST /v1/clinics/{clinicId}/invites/clinicians"""

from __future__ import annotations

import re
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianRoleUpdate, Invite, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.invites import NOW, at_once, mails, make_pending, statements_of
from tests.support.rows import make_account, make_clinic, make_clinician, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as its admin, who has an account, and Bob as a member."""
    with storing(database) as unit:
        make_account(unit, ALICE)
        return make_staffed_clinic(unit).id


def invite(api: Client, clinic_id: str, as_: Somebody = ALICE, **body: Any) -> Reply:
    body = {"email": ERIN.email, "roles": ["CLINIC_MEMBER"]} | body
    return api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=as_)


def pending(database: Database) -> list[Clinician]:
    return [row for row in stored(database, Clinician) if row.user_id is None]


def test_records_a_pending_clinician_and_its_invitation(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = invite(api, clinic_id, email="Erin@Hilltop.example", roles=["PRESCRIBER", "CLINIC_ADMIN"])
    assert reply.status == 200
    key = reply.json["inviteId"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", key)
    assert reply.json == {
        "inviteId": key,
        "email": "erin@hilltop.example",
        "roles": ["CLINIC_ADMIN", "PRESCRIBER"],
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    [made] = stored(database, Invite)
    assert (made.key, made.clinic_id, made.type, made.status) == (key, clinic_id, "clinician_invitation", "pending")
    assert (made.email, made.user_id, made.creator_id) == ("erin@hilltop.example", None, ALICE.id)
    assert (made.created, made.modified, made.expires_at, made.context) == (NOW, NOW, None, None)


def test_addresses_are_stored_in_lower_case_also_in_the_mail(api: Client, database: Database, clinic_id: str) -> None:
    invite(api, clinic_id, email="ERIN@HILLTOP.EXAMPLE")
    [row], [made], [mail] = pending(database), stored(database, Invite), mails(database)
    assert row.email == made.email == mail.payload["Email"] == "erin@hilltop.example"


def test_sends_a_mail_that_leads_to_the_sign_up_page(api: Client, database: Database, clinic_id: str) -> None:
    invite(api, clinic_id)
    [mail] = stored(database, OutboxEntry)
    assert (mail.kind, mail.clinic_id) == ("clinician_invitation", clinic_id)
    assert mail.payload == {
        "clinicId": clinic_id,
        "ClinicName": "Harbour Diabetes Centre",
        "CreatorName": "Alice Archer",
        "Email": ERIN.email,
        "WebPath": "signup/clinician",
    }


def test_who_has_an_account_is_linked_and_led_to_the_log_in_page(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
    reply = invite(api, clinic_id, email="Erin@Hilltop.example")
    assert "id" not in reply.json
    [made], [mail] = stored(database, Invite), mails(database)
    assert (made.user_id, mail.payload["WebPath"]) == (ERIN.id, "login")


def test_for_a_service_the_mail_names_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    assert invite(api, clinic_id, SERVICE).status == 200
    [made], [mail] = stored(database, Invite), mails(database)
    assert (made.creator_id, mail.payload["CreatorName"]) == (SERVICE.id, "Harbour Diabetes Centre")


def test_an_admin_without_a_name_invites_in_the_name_of_the_clinic(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
    assert invite(api, clinic.id).status == 200
    assert mails(database)[0].payload["CreatorName"] == "Harbour Diabetes Centre"


@pytest.mark.parametrize("email", [BOB.email, "BOB@Harbour.example", PETE.email, "Pete@HARBOUR.example"])
def test_an_address_of_a_member_or_a_pending_invitation_is_a_conflict_whatever_its_case(
    api: Client, database: Database, clinic_id: str, email: str
) -> None:
    with storing(database) as unit:
        make_pending(unit, unit.clinics.get(clinic_id), PETE)
    assert invite(api, clinic_id, email=email).status == 409
    assert (len(stored(database, Clinician)), len(stored(database, Invite)), mails(database)) == (3, 1, [])


def test_a_member_under_another_address_is_a_conflict(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, email="other@mail.example")
    assert invite(api, clinic_id).status == 409
    assert (pending(database), stored(database, Invite), mails(database)) == ([], [], [])


def test_a_member_of_another_clinic_can_be_invited(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert invite(api, clinic_id).status == 200


def test_a_repeat_is_a_conflict_and_sends_nothing(api: Client, database: Database, clinic_id: str) -> None:
    assert [invite(api, clinic_id).status for _ in range(2)] == [200, 409]
    assert (len(pending(database)), len(stored(database, Invite)), len(mails(database))) == (1, 1, 1)


def test_wc_10_a_mail_that_cannot_be_queued_leaves_nothing_that_blocks_a_new_attempt(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        unit.connection.exec_driver_sql("ALTER TABLE outbox RENAME TO outbox_gone")
    try:
        assert invite(api, clinic_id).status == 500
    finally:
        with storing(database) as unit:
            unit.connection.exec_driver_sql("ALTER TABLE outbox_gone RENAME TO outbox")
    assert (pending(database), stored(database, Invite)) == ([], [])
    assert invite(api, clinic_id).status == 200


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"email": "erin ellis"}, "/body/email", "format"),
        ({"email": "a@b.c"}, "/body/email", "minLength"),
        ({"email": f"{'e' * 250}@mail.example"}, "/body/email", "maxLength"),
        ({"email": None}, "/body/email", "type"),
        ({"roles": []}, "/body/roles", "minItems"),
        ({"roles": ["CLINIC_MEMBER", "CLINIC_MEMBER"]}, "/body/roles", "uniqueItems"),
        ({"roles": ["OWNER"]}, "/body/roles/0", "enum"),
        ({"roles": "CLINIC_MEMBER"}, "/body/roles", "type"),
    ],
)
def test_malformed_bodies_are_refused(
    api: Client, database: Database, clinic_id: str, body: dict[str, Any], pointer: str, rule: str
) -> None:
    reply = invite(api, clinic_id, **body)
    assert_violations(reply, (pointer, rule))
    assert (pending(database), stored(database, Invite)) == ([], [])


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"email": ERIN.email}, {"roles": ["CLINIC_MEMBER"]}, [], None])
def test_address_and_roles_are_required(api: Client, clinic_id: str, body: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=ALICE).status == 400
    assert api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", as_=ALICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json={}).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, CAROL, MALLORY])
def test_is_for_admins_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    assert invite(api, clinic_id, caller).status == 403
    assert stored(database, Invite) == []


@pytest.mark.one_engine
def test_unknown_and_malformed_clinics(api: Client) -> None:
    assert invite(api, "0" * 24, SERVICE).status == 404
    assert invite(api, "nowhere", SERVICE).status == 400


@pytest.mark.one_engine
def test_the_clinic_must_be_migrated(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, is_migrated=False)
    assert invite(api, clinic.id, email=BOB.email).status == 422
    assert stored(database, Invite) == []


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str) -> None:
    before = [(row.user_id, row.updated_time) for row in stored(database, Clinician)]
    invite(api, clinic_id)
    after = [(row.user_id, row.updated_time) for row in stored(database, Clinician) if row.user_id]
    assert (before, stored(database, ClinicianRoleUpdate)) == (after, [])


def test_of_two_equal_invitations_at_once_exactly_one_is_made(api: Client, database: Database, clinic_id: str) -> None:
    calls = [lambda email=email: invite(api, clinic_id, email=email) for email in (ERIN.email, "ERIN@hilltop.example")]
    assert at_once(database, clinic_id, *calls) == [200, 409]
    assert (len(pending(database)), len(stored(database, Invite)), len(mails(database))) == (1, 1, 1)


def test_the_statements_do_not_depend_on_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
    few = statements_of(database, lambda: invite(api, clinic_id))
    with storing(database) as unit:
        make_account(unit, MALLORY)
        for number in range(20):
            clinic = unit.clinics.get(clinic_id)
            make_clinician(unit, clinic, ERIN, user_id=f"{number:010x}", email=f"{number}@mail.example")
            make_pending(unit, clinic, ERIN, email=f"{number}@other.example")
    many = statements_of(database, lambda: invite(api, clinic_id, email=MALLORY.email))
    # Access, the clinic, three of the directory; access, lock, membership, what is pending, three for the limit of
    # mails, three inserts.
    assert (few, many) == (16, 16)
