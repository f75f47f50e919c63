"""DeletePatientInvite: DELETE /v1/clinics/{clinicId}/invites/patients/{inviteId}"""

from __future__ import annotations

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Patient
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import (
    NOW,
    UNKNOWN_KEY,
    at_once,
    invite_of,
    make_offer,
    make_pending,
    statements_of,
    status_of,
)
from tests.support.rows import LONG_AGO, make_account, make_clinic, make_clinician, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, CAROL, profile={"birthday": "1987-04-12"})
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_offer(unit, unit.clinics.get(clinic_id), CAROL)


def close(api: Client, clinic_id: str, key: str, as_: Somebody | None = BOB) -> Reply:
    return api.delete(f"/v1/clinics/{clinic_id}/invites/patients/{key}", as_=as_)


@pytest.mark.parametrize(
    ("caller", "status"), [(CAROL, "canceled"), (ALICE, "declined"), (BOB, "declined"), (SERVICE, "declined")]
)
def test_the_creator_withdraws_and_a_member_or_service_declines(
    api: Client, database: Database, clinic_id: str, key: str, caller: Somebody, status: str
) -> None:
    with clock.frozen(NOW):
        reply = close(api, clinic_id, key, caller)
    assert reply.status == 200
    assert reply.json == {
        "key": key,
        "type": "careteam_invitation",
        "status": status,
        "email": CAROL.email,
        "creatorId": CAROL.id,
        "created": "2026-01-05T08:30:00.000Z",
        "modified": "2026-03-02T09:30:00.000Z",
        "creator": {
            "userid": CAROL.id,
            "profile": {"fullName": "Carol Cooper", "patient": {"birthday": "1987-04-12"}},
        },
        "context": {"view": {}},
        "expiresAt": "2026-03-09T09:30:00.000Z",
    }
    row = invite_of(database, key)
    assert (row.status, row.modified) == (status, NOW)


def test_a_member_who_made_the_offer_withdraws_it(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), BOB)
    assert close(api, clinic_id, key).json["status"] == "canceled"


def test_a_declined_offer_may_be_declined_again_and_withdrawn(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with clock.frozen(NOW):
        close(api, clinic_id, key)
    assert close(api, clinic_id, key).json["status"] == "declined"
    assert invite_of(database, key).modified == NOW
    assert close(api, clinic_id, key, CAROL).json["status"] == "canceled"


@pytest.mark.parametrize("status", ["completed", "canceled"])
@pytest.mark.parametrize("caller", [CAROL, BOB])
def test_accepted_and_withdrawn_offers_are_final(
    api: Client, database: Database, clinic_id: str, caller: Somebody, status: str
) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), CAROL, status=status)
    assert close(api, clinic_id, key, caller).status == 403
    assert (invite_of(database, key).status, invite_of(database, key).modified) == (status, LONG_AGO)


def test_an_invitation_of_a_clinician_is_refused_also_to_who_made_it(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, creator_id=CAROL.id)
    assert [close(api, clinic_id, key, caller).status for caller in (BOB, CAROL, SERVICE)] == [403, 403, 403]
    assert status_of(database, key) == "pending"


def test_an_expired_offer_may_be_closed(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), CAROL, expires_at=LONG_AGO)
    assert close(api, clinic_id, key, CAROL).json["status"] == "canceled"


def test_unknown_ones_and_another_clinics_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_offer(unit, make_clinic(unit), CAROL)
    assert close(api, clinic_id, UNKNOWN_KEY).status == 404
    # Not even for the person who made it, under the wrong clinic.
    assert [close(api, clinic_id, elsewhere, caller).status for caller in (BOB, CAROL, SERVICE)] == [404, 404, 404]
    assert close(api, "0" * 24, elsewhere, SERVICE).status == 404
    assert close(api, "nowhere", elsewhere, SERVICE).status == 400
    assert status_of(database, elsewhere) == "pending"


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert close(api, clinic_id, key, None).status == 401


@pytest.mark.parametrize("caller", [DAVE, ERIN, PETE, MALLORY])
def test_is_for_nobody_else(api: Client, database: Database, clinic_id: str, key: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    assert close(api, clinic_id, key, caller).status == 403
    assert status_of(database, key) == "pending"


def test_the_patient_may_make_a_new_offer_and_nothing_else_changes(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    close(api, clinic_id, key)
    assert (stored(database, OutboxEntry), stored(database, Patient)) == ([], [])
    code = api.get(f"/v1/clinics/{clinic_id}", as_=CAROL).json["shareCode"]
    body = {"shareCode": code, "permissions": {"view": {}}}
    assert api.post(f"/confirm/send/invite/{CAROL.id}/clinic", json=body, as_=CAROL).status == 200


def test_of_two_withdrawals_at_once_exactly_one_succeeds(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    assert at_once(database, clinic_id, *[lambda: close(api, clinic_id, key, CAROL)] * 2) == [200, 403]


def test_sends_seven_statements(api: Client, database: Database, clinic_id: str, key: str) -> None:
    # Access, terms, the directory; access, lock, invitation, update.
    assert statements_of(database, lambda: close(api, clinic_id, key)) == 7
