"""DismissClinicianInvite: DELETE /v1/clinicians/{userId}/invites/{inviteId}"""

from __future__ import annotations

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianDeletion, OutboxEntry
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import (
    NOW,
    UNKNOWN_KEY,
    at_once,
    invite_of,
    make_offer,
    make_pending,
    restrict,
    statements_of,
    status_of,
)
from tests.support.rows import make_account, make_clinic, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        for person in (ERIN, MALLORY):
            make_account(unit, person)
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN)


def dismiss(api: Client, key: str, person: Somebody = ERIN, as_: Somebody | None = None) -> Reply:
    return api.delete(f"/v1/clinicians/{person.id}/invites/{key}", as_=as_ or person)


def clinicians(database: Database) -> list[str | None]:
    return [row.user_id for row in stored(database, Clinician)]


def test_declines_the_invitation_and_removes_the_pending_clinician(api: Client, database: Database, key: str) -> None:
    with clock.frozen(NOW):
        reply = dismiss(api, key)
    assert (reply.status, reply.json) == (200, None)
    row = invite_of(database, key)
    assert (row.status, row.modified) == ("declined", NOW)
    assert clinicians(database) == [ALICE.id, BOB.id]
    assert (stored(database, OutboxEntry), stored(database, ClinicianDeletion)) == ([], [])


def test_the_clinic_may_invite_the_address_again_at_once(api: Client, clinic_id: str, key: str) -> None:
    dismiss(api, key)
    body = {"email": ERIN.email, "roles": ["CLINIC_MEMBER"]}
    assert api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=ALICE).status == 200


def test_restrictions_and_migration_do_not_matter(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, is_migrated=False)
        restrict(unit, clinic, ("mail.example", None))
        key = make_pending(unit, clinic, ERIN, email="erin@old.example", user_id=ERIN.id)
        make_account(unit, ERIN)
    assert dismiss(api, key).status == 200


def test_a_repeat_is_not_found(api: Client, key: str) -> None:
    assert [dismiss(api, key).status for _ in range(2)] == [200, 404]


@pytest.mark.parametrize("status", ["completed", "canceled", "declined"])
def test_what_has_been_answered_is_not_found(api: Client, database: Database, clinic_id: str, status: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, status=status)
    assert dismiss(api, key).status == 404
    assert clinicians(database).count(None) == 1


def test_unknown_ones_offers_and_other_peoples_are_not_found(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        offer = make_offer(unit, unit.clinics.get(clinic_id), MALLORY)
        linked = make_pending(unit, make_clinic(unit), MALLORY, user_id=ERIN.id)
    for one in (UNKNOWN_KEY, key, offer, linked):
        assert dismiss(api, one, MALLORY).status == 404
    assert [status_of(database, one) for one in (key, offer, linked)] == ["pending"] * 3


@pytest.mark.one_engine
def test_needs_a_token(api: Client, key: str) -> None:
    assert api.delete(f"/v1/clinicians/{ERIN.id}/invites/{key}").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, SERVICE])
def test_is_for_the_person_alone(api: Client, database: Database, key: str, caller: Somebody) -> None:
    assert dismiss(api, key, as_=caller).status == 403
    assert status_of(database, key) == "pending"


def test_an_invitation_is_either_accepted_or_dismissed(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    accepting = lambda: api.put(f"/v1/clinicians/{ERIN.id}/invites/{key}", as_=ERIN)  # noqa: E731
    assert at_once(database, clinic_id, lambda: dismiss(api, key), accepting) == [200, 404]
    assert status_of(database, key) == ("completed" if ERIN.id in clinicians(database) else "declined")


def test_sends_ten_statements(api: Client, database: Database, key: str) -> None:
    # The caller's standing, twice; two of the directory, the invitation; lock, invitation, two changes.
    assert statements_of(database, lambda: dismiss(api, key)) == 10
