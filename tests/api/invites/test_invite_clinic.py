"""InviteClinic: POST /confirm/send/invite/{userId}/clinic"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Invite, OutboxEntry, Patient, ShareCode
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.invites import NOW, WEEK, at_once, invite_of, mails, make_offer, make_pending, statements_of
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_grant,
    make_patient,
    make_staffed_clinic,
    share_code,
    stored,
    storing,
)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, CAROL, profile={"birthday": "1987-04-12"})
        return make_staffed_clinic(unit).id


def offer(api: Client, clinic_id: str, person: Somebody = CAROL, as_: Somebody | None = None, **body: Any) -> Reply:
    body = {"shareCode": share_code(clinic_id), "permissions": {"view": {}, "note": {}}} | body
    return api.post(f"/confirm/send/invite/{person.id}/clinic", json=body, as_=as_ or person)


def test_makes_an_offer_that_expires_in_a_week(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = offer(api, clinic_id)
    assert reply.status == 200
    [made] = stored(database, Invite)
    assert len(made.key) == 32
    assert reply.json == {
        "key": made.key,
        "type": "careteam_invitation",
        "status": "pending",
        "email": CAROL.email,
        "creatorId": CAROL.id,
        "created": "2026-03-02T09:30:00.000Z",
        "modified": "2026-03-02T09:30:00.000Z",
        "creator": {
            "userid": CAROL.id,
            "profile": {"fullName": "Carol Cooper", "patient": {"birthday": "1987-04-12"}},
        },
        "context": {"view": {}, "note": {}},
        "expiresAt": "2026-03-09T09:30:00.000Z",
    }
    assert (made.clinic_id, made.user_id, made.expires_at) == (clinic_id, None, NOW + WEEK)
    assert stored(database, Patient) == []


def test_the_clinic_finds_it_and_can_accept_it(api: Client, clinic_id: str) -> None:
    made = offer(api, clinic_id).json
    path = f"/v1/clinics/{clinic_id}/invites/patients"
    assert api.get(path, as_=BOB).json == [made]
    assert api.put(f"{path}/{made['key']}", as_=BOB).json["permissions"] == {"view": {}, "note": {}}


@pytest.mark.parametrize("caller", [SERVICE, MALLORY])
def test_custodians_and_services_offer_in_the_name_of_the_person(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, MALLORY, "custodian")
    assert offer(api, clinic_id, as_=caller).json["creatorId"] == CAROL.id


def test_only_view_upload_and_note_are_offered_each_with_an_empty_object(
    api: Client, database: Database, clinic_id: str
) -> None:
    permissions = {"custodian": {}, "note": {"x": 1}, "upload": {}, "follow": {}}
    assert offer(api, clinic_id, permissions=permissions).json["context"] == {"upload": {}, "note": {}}
    assert stored(database, Invite)[0].context == {"upload": {}, "note": {}}


def test_a_patient_without_an_address_has_none(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, DAVE._replace(email=""))
    assert "email" not in offer(api, clinic_id, DAVE).json


def test_mails_go_to_all_admins_with_an_address(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", "PRESCRIBER")
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, clinic, DAVE, "CLINIC_ADMIN", email=None, is_service_account=True)
        make_pending(unit, clinic, MALLORY, "CLINIC_ADMIN")
    offer(api, clinic_id)
    entries = stored(database, OutboxEntry)
    assert [(entry.kind, entry.clinic_id) for entry in entries] == [("patient_clinic_invitation", clinic_id)] * 2
    assert [entry.payload["userId"] for entry in entries] == [ALICE.id, ERIN.id]
    assert entries[0].payload == {
        "clinicId": clinic_id,
        "userId": ALICE.id,
        "ClinicName": "Harbour Diabetes Centre",
        "sharerId": CAROL.id,
        "CareteamName": "Carol Cooper",
        "WebPath": "login",
    }


def test_more_than_a_hundred_admins_are_told(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(120):
            make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", user_id=f"{number:010x}", email=f"{number}@mail.example")
    offer(api, clinic_id)
    assert len(mails(database)) == 121


def test_the_mail_names_the_person_they_act_for(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, DAVE, profile={"fullName": "Dora Draper", "isOtherPerson": True})
    reply = offer(api, clinic_id, DAVE)
    assert mails(database)[0].payload["CareteamName"] == "Dora Draper"
    assert reply.json["creator"]["profile"] == {
        "fullName": "Dave Draper",
        "patient": {"fullName": "Dora Draper", "isOtherPerson": True},
    }


@pytest.mark.parametrize(
    ("suppressed", "sent"), [({"patientClinicInvitation": True}, 0), ({"patientClinicInvitation": False}, 1), ({}, 1)]
)
def test_no_mail_goes_to_a_clinic_that_suppresses_it(
    api: Client, database: Database, clinic_id: str, suppressed: dict[str, bool], sent: int
) -> None:
    with storing(database) as unit:
        unit.clinics.get(clinic_id).suppressed_notifications = suppressed
    assert offer(api, clinic_id).status == 200
    assert (len(mails(database)), len(stored(database, Invite))) == (sent, 1)


def test_a_repeat_is_a_conflict_while_the_offer_is_pending(api: Client, database: Database, clinic_id: str) -> None:
    assert [offer(api, clinic_id).status for _ in range(2)] == [200, 409]
    assert (len(stored(database, Invite)), len(mails(database))) == (1, 1)


@pytest.mark.parametrize("status", ["completed", "canceled", "declined"])
def test_an_offer_that_was_answered_is_no_conflict(
    api: Client, database: Database, clinic_id: str, status: str
) -> None:
    with storing(database) as unit:
        old = make_offer(unit, unit.clinics.get(clinic_id), CAROL, status=status)
    assert offer(api, clinic_id).status == 200
    assert invite_of(database, old).status == status


def test_an_offer_that_expired_is_closed_and_no_conflict(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        old = make_offer(unit, clinic, CAROL, expires_at=NOW)
        others = [
            make_offer(unit, clinic, DAVE, expires_at=NOW),
            make_offer(unit, make_clinic(unit), CAROL, expires_at=NOW),
            make_pending(unit, clinic, ERIN, creator_id=CAROL.id),
        ]
    with clock.frozen(NOW):
        assert offer(api, clinic_id).status == 200
    row = invite_of(database, old)
    assert (row.status, row.modified) == ("canceled", NOW)
    assert [invite_of(database, key).status for key in others] == ["pending"] * 3


def test_an_offer_that_is_about_to_expire_is_a_conflict(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_offer(unit, unit.clinics.get(clinic_id), CAROL, expires_at=NOW + timedelta(milliseconds=1))
    with clock.frozen(NOW):
        assert offer(api, clinic_id).status == 409


def test_a_patient_of_the_clinic_is_a_conflict_and_of_another_is_not(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), CAROL)
        make_account(unit, DAVE)
        make_patient(unit, unit.clinics.get(clinic_id), DAVE, "custodian")
    assert [offer(api, clinic_id, person).status for person in (CAROL, DAVE)] == [200, 409]
    assert len(stored(database, Invite)) == 1


def test_a_share_code_taken_over_in_a_merge_leads_to_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        unit.session.add(ShareCode(code="ABCD-EFGH-JKLM", clinic_id=clinic_id, canonical=False))
    assert offer(api, clinic_id, shareCode="ABCD-EFGH-JKLM").status == 200
    assert stored(database, Invite)[0].clinic_id == clinic_id


def test_unknown_share_codes_and_accounts_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    assert offer(api, clinic_id, shareCode="AAAA-AAAA-AAAA").status == 404
    assert offer(api, clinic_id, shareCode=share_code(clinic_id).lower()).status == 404
    assert offer(api, clinic_id, MALLORY, SERVICE).status == 404
    assert stored(database, Invite) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"shareCode": ""}, "/body/shareCode", "minLength"),
        ({"shareCode": 7}, "/body/shareCode", "type"),
        ({"shareCode": "A" * 65}, "/body/shareCode", "maxLength"),
        ({"permissions": None}, "/body/permissions", "type"),
        ({"permissions": ["view"]}, "/body/permissions", "type"),
        ({"permissions": {"view": True}}, "/body/permissions/view", "type"),
    ],
)
def test_malformed_bodies_are_refused(
    api: Client, database: Database, clinic_id: str, body: dict[str, Any], pointer: str, rule: str
) -> None:
    reply = offer(api, clinic_id, **body)
    assert_violations(reply, (pointer, rule))
    assert stored(database, Invite) == []


@pytest.mark.one_engine
@pytest.mark.parametrize("missing", ["shareCode", "permissions"])
def test_share_code_and_permissions_are_required(api: Client, clinic_id: str, missing: str) -> None:
    body = {"shareCode": share_code(clinic_id), "permissions": {"view": {}}}
    del body[missing]
    reply = api.post(f"/confirm/send/invite/{CAROL.id}/clinic", json=body, as_=CAROL)
    assert_violations(reply, (f"/body/{missing}", "required"))
    assert api.post(f"/confirm/send/invite/{CAROL.id}/clinic", as_=CAROL).status == 400


@pytest.mark.one_engine
def test_malformed_user_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert offer(api, clinic_id, CAROL._replace(id="Carol"), SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.post(f"/confirm/send/invite/{CAROL.id}/clinic", json={}).status == 401


@pytest.mark.parametrize("caller", [ALICE, BOB, DAVE, MALLORY])
def test_is_for_the_person_custodians_and_services(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "view", "upload", "note")
    assert offer(api, clinic_id, as_=caller).status == 403
    assert stored(database, Invite) == []


def test_of_two_equal_offers_at_once_exactly_one_is_made(api: Client, database: Database, clinic_id: str) -> None:
    assert at_once(database, clinic_id, *[lambda: offer(api, clinic_id)] * 2) == [200, 409]
    assert (len(stored(database, Invite)), len(mails(database))) == (1, 1)


def test_the_statements_do_not_depend_on_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    few = statements_of(database, lambda: offer(api, clinic_id))
    with storing(database) as unit:
        make_account(unit, DAVE)
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            values = {"user_id": f"{number:010x}", "email": f"{number}@mail.example"}
            make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", **values)
    # The caller's standing, twice; the share code, three of the directory; the share code, lock, patient, expired
    # offers, what is pending, the offer, three for the limit of mails, admins, mails.
    assert (few, statements_of(database, lambda: offer(api, clinic_id, DAVE))) == (17, 17)
