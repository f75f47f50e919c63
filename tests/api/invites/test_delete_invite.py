"""DeleteInvite: DELETE /v1/clinics/{clinicId}/invites/clinicians/{inviteId}"""

from __future__ import annotations

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianDeletion, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import (
    NOW,
    UNKNOWN_KEY,
    at_once,
    invite_of,
    make_key,
    make_offer,
    make_pending,
    statements_of,
    status_of,
)
from tests.support.rows import make_account, make_clinic, make_clinician, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN)


def delete(api: Client, clinic_id: str, key: str, as_: Somebody | None = ALICE) -> Reply:
    return api.delete(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}", as_=as_)


def clinicians(database: Database) -> list[str | None]:
    return [row.user_id for row in stored(database, Clinician)]


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_removes_the_clinician_and_cancels_the_invitation(
    api: Client, database: Database, clinic_id: str, key: str, caller: Somebody
) -> None:
    with clock.frozen(NOW):
        reply = delete(api, clinic_id, key, caller)
    assert (reply.status, reply.json) == (200, None)
    assert clinicians(database) == [ALICE.id, BOB.id]
    row = invite_of(database, key)
    assert (row.status, row.modified) == ("canceled", NOW)


def test_keeps_no_record_and_tells_nobody(api: Client, database: Database, clinic_id: str, key: str) -> None:
    delete(api, clinic_id, key)
    assert (stored(database, ClinicianDeletion), stored(database, OutboxEntry)) == ([], [])


def test_the_address_may_be_invited_again_at_once(api: Client, clinic_id: str, key: str) -> None:
    delete(api, clinic_id, key)
    body = {"email": ERIN.email, "roles": ["CLINIC_ADMIN"]}
    again = api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=ALICE)
    assert again.status == 200
    assert again.json["inviteId"] != key


def test_dc_3_an_accepted_invitation_is_not_found_and_the_member_stays(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
    assert api.put(f"/v1/clinicians/{ERIN.id}/invites/{key}", as_=ERIN).status == 200
    assert delete(api, clinic_id, key).status == 404
    assert clinicians(database) == [ALICE.id, BOB.id, ERIN.id]
    assert status_of(database, key) == "completed"


def test_a_repeat_is_not_found(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with clock.frozen(NOW):
        delete(api, clinic_id, key)
    assert delete(api, clinic_id, key).status == 404
    assert invite_of(database, key).modified == NOW


def test_another_clinics_unknown_ones_and_offers_are_not_found_and_stay(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
        offer = make_offer(unit, unit.clinics.get(clinic_id), CAROL)
    for key in (elsewhere, offer, UNKNOWN_KEY, "x"):
        assert delete(api, clinic_id, key).status == 404
    assert [status_of(database, key) for key in (elsewhere, offer)] == ["pending", "pending"]
    assert len(clinicians(database)) == 3


def test_a_clinician_recorded_without_an_invitation_can_be_removed(
    api: Client, database: Database, clinic_id: str
) -> None:
    key = make_key()
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, user_id=None, invite_id=key)
    assert delete(api, clinic_id, key).status == 200
    assert clinicians(database) == [ALICE.id, BOB.id]


def test_a_clinic_that_is_not_migrated_is_no_obstacle(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, is_migrated=False)
        key = make_pending(unit, clinic, ERIN)
    assert delete(api, clinic.id, key).status == 200


def test_unknown_and_malformed_clinics(api: Client, key: str) -> None:
    assert delete(api, "0" * 24, key, SERVICE).status == 404
    assert delete(api, "nowhere", key, SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert delete(api, clinic_id, key, None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(
    api: Client, database: Database, clinic_id: str, key: str, caller: Somebody
) -> None:
    assert delete(api, clinic_id, key, caller).status == 403
    assert status_of(database, key) == "pending"


def test_of_two_at_once_one_withdraws_and_the_other_finds_nothing(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    assert at_once(database, clinic_id, *[lambda: delete(api, clinic_id, key)] * 2) == [200, 404]


def test_an_invitation_is_either_withdrawn_or_accepted(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        make_account(unit, ERIN)
    accepting = lambda: api.put(f"/v1/clinicians/{ERIN.id}/invites/{key}", as_=ERIN)  # noqa: E731
    assert at_once(database, clinic_id, lambda: delete(api, clinic_id, key), accepting) == [200, 404]
    is_member = ERIN.id in clinicians(database)
    assert status_of(database, key) == ("completed" if is_member else "canceled")


def test_sends_five_statements(api: Client, database: Database, clinic_id: str, key: str) -> None:
    # Access, lock, clinician, invitation.
    assert statements_of(database, lambda: delete(api, clinic_id, key)) == 5
