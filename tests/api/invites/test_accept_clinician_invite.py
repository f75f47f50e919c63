"""AcceptClinicianInvite: PUT /v1/clinicians/{userId}/invites/{inviteId}"""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import (
    NOW,
    UNKNOWN_KEY,
    at_once,
    invite_of,
    make_offer,
    make_pending,
    restrict,
    session_of,
    statements_of,
    status_of,
)
from tests.support.rows import LONG_AGO, make_account, make_clinic, make_clinician, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        for person in (BOB, ERIN, MALLORY):
            make_account(unit, person)
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN, "PRESCRIBER", "CLINIC_ADMIN")


def accept(
    api: Client, key: str, person: Somebody = ERIN, as_: Somebody | None = None, headers: dict[str, str] | None = None
) -> Reply:
    return api.put(f"/v1/clinicians/{person.id}/invites/{key}", as_=as_ or person, headers=headers)


def members(database: Database) -> list[str | None]:
    return [row.user_id for row in stored(database, Clinician)]


def test_wc_11_an_invitation_that_was_never_listed_makes_a_member(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with clock.frozen(NOW):
        reply = accept(api, key)
    assert reply.status == 200
    assert reply.json == {
        "id": ERIN.id,
        "email": ERIN.email,
        "name": "Erin Ellis",
        "roles": ["CLINIC_ADMIN", "PRESCRIBER"],
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    row = invite_of(database, key)
    assert (row.status, row.user_id, row.modified) == ("completed", ERIN.id, NOW)
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ERIN.id}", as_=ERIN).json == reply.json


def test_an_invitation_that_was_linked_makes_a_member_with_the_invited_address(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, email="erin@old.example", user_id=ERIN.id)
    assert accept(api, key).json["email"] == "erin@old.example"


def test_the_invitation_that_was_sent_is_the_one_that_is_accepted(
    api: Client, database: Database, clinic_id: str
) -> None:
    body = {"email": "Erin@Hilltop.EXAMPLE", "roles": ["CLINIC_MEMBER"]}
    sent = api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=ALICE)
    reply = accept(api, sent.json["inviteId"])
    assert (reply.status, reply.json["id"], reply.json["email"]) == (200, ERIN.id, ERIN.email)
    assert members(database) == [ALICE.id, BOB.id, ERIN.id]


def test_others_are_told(api: Client, database: Database, clinic_id: str, key: str) -> None:
    accept(api, key)
    [entry] = stored(database, OutboxEntry)
    assert (entry.kind, entry.payload) == ("clinician_added", {"clinicId": clinic_id, "userId": ERIN.id})


def test_a_repeat_is_not_found(api: Client, database: Database, key: str) -> None:
    assert [accept(api, key).status for _ in range(2)] == [200, 404]
    assert members(database) == [ALICE.id, BOB.id, ERIN.id]


def test_wc_11_unknown_keys_are_not_found(api: Client) -> None:
    for key in (UNKNOWN_KEY, "x", "%20", "a" * 500):
        assert accept(api, key).status == 404


def test_what_is_addressed_to_somebody_else_is_not_found(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        linked = make_pending(unit, unit.clinics.get(clinic_id), MALLORY, email="m@old.example", user_id=ERIN.id)
        # Tied to an account already, so the address does not count any more.
        taken = make_pending(unit, make_clinic(unit), MALLORY, user_id=ERIN.id)
    for one in (key, linked, taken):
        assert accept(api, one, MALLORY).status == 404
        assert status_of(database, one) == "pending"
    assert MALLORY.id not in members(database)


@pytest.mark.parametrize("status", ["completed", "canceled", "declined"])
def test_what_has_been_answered_is_not_found(api: Client, database: Database, clinic_id: str, status: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, status=status)
    assert accept(api, key).status == 404


def test_what_has_expired_and_offers_of_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        old = make_pending(unit, clinic, ERIN, expires_at=LONG_AGO + timedelta(days=7))
        offer = make_offer(unit, clinic, ERIN, user_id=ERIN.id)
    assert [accept(api, key).status for key in (old, offer)] == [404, 404]


@pytest.mark.parametrize(
    ("entries", "provider", "status"),
    [
        ([("mail.example", None)], None, 403),
        ([("Hilltop.Example", None)], None, 200),
        ([("hilltop.example", "okta")], None, 403),
        ([("hilltop.example", "okta")], "azure", 403),
        ([("hilltop.example", "okta")], "Okta", 200),
        # WC-9: the first entry that fits the address does not decide alone.
        ([("hilltop.example", "okta"), ("hilltop.example", "azure")], "azure", 200),
        ([("hilltop.example", "okta"), ("hilltop.example", None)], None, 200),
    ],
)
def test_the_restrictions_of_the_clinic_bind(
    api: Client,
    database: Database,
    clinic_id: str,
    key: str,
    entries: list[tuple[str, str | None]],
    provider: str | None,
    status: int,
) -> None:
    with storing(database) as unit:
        restrict(unit, unit.clinics.get(clinic_id), *entries)
    headers = session_of(ERIN, provider) if provider else None
    assert accept(api, key, headers=headers).status == status
    assert (ERIN.id in members(database)) == (status == 200)
    assert status_of(database, key) == ("completed" if status == 200 else "pending")


def test_the_address_of_the_account_counts_and_not_the_invited_one(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        restrict(unit, clinic, ("harbour.example", None))
        key = make_pending(unit, clinic, ERIN, email="erin@harbour.example", user_id=ERIN.id)
    assert accept(api, key).status == 403


def test_the_clinic_must_be_migrated_which_is_told_after_the_restrictions(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
        clinic = make_staffed_clinic(unit, is_migrated=False)
        key = make_pending(unit, clinic, ERIN)
    assert accept(api, key).status == 422
    with storing(database) as unit:
        restrict(unit, unit.clinics.get(clinic.id), ("mail.example", None))
    assert accept(api, key).status == 403
    assert status_of(database, key) == "pending"


def test_a_member_is_a_conflict(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), BOB, email="bob@other.example", user_id=BOB.id)
    assert accept(api, key, BOB).status == 409
    assert status_of(database, key) == "pending"
    assert members(database).count(None) == 1


@pytest.mark.one_engine
def test_needs_a_token(api: Client, key: str) -> None:
    assert api.put(f"/v1/clinicians/{ERIN.id}/invites/{key}").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, SERVICE])
def test_is_for_the_person_alone(api: Client, database: Database, key: str, caller: Somebody) -> None:
    assert accept(api, key, as_=caller).status == 403
    assert status_of(database, key) == "pending"


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        other = make_pending(unit, unit.clinics.get(clinic_id), CAROL)
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
    accept(api, key)
    assert [status_of(database, one) for one in (other, elsewhere)] == ["pending", "pending"]
    assert members(database).count(None) == 2


def test_of_two_acceptances_at_once_exactly_one_succeeds(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    assert at_once(database, clinic_id, *[lambda: accept(api, key)] * 2) == [200, 404]
    assert members(database) == [ALICE.id, BOB.id, ERIN.id]
    assert [entry.kind for entry in stored(database, OutboxEntry)] == ["clinician_added"]


def test_one_person_cannot_accept_two_invitations_of_a_clinic_at_once(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        other = make_pending(unit, unit.clinics.get(clinic_id), ERIN, email="erin@old.example", user_id=ERIN.id)
    assert at_once(database, clinic_id, lambda: accept(api, key), lambda: accept(api, other)) == [200, 409]
    assert members(database).count(ERIN.id) == 1


def test_the_statements_do_not_depend_on_clinic_and_restrictions(api: Client, database: Database, key: str) -> None:
    few = statements_of(database, lambda: accept(api, key))
    with storing(database) as unit:
        clinic = make_clinic(unit)
        restrict(unit, clinic, *[("hilltop.example", None)] * 9)
        for number in range(20):
            make_clinician(unit, clinic, BOB, user_id=f"{number:010x}", email=f"{number}@mail.example")
        other = make_pending(unit, clinic, ERIN, "CLINIC_ADMIN")
    # The caller's standing, twice.
    # Three of the directory, the invitation; lock, invitation, restrictions, clinic, membership, clinician, three
    # updates, the notice.
    assert (few, statements_of(database, lambda: accept(api, other))) == (18, 18)
