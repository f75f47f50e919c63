"""DeleteInvitedClinician: DELETE /v1/clinics/{clinicId}/invites/clinicians/{inviteId}/clinician"""

from __future__ import annotations

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianDeletion, Invite, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
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
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN)


def delete(api: Client, clinic_id: str, key: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.delete(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}/clinician", as_=as_)


def test_removes_the_clinician_and_cancels_the_invitation(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with clock.frozen(NOW):
        reply = delete(api, clinic_id, key)
    assert (reply.status, reply.json) == (200, None)
    assert [row.user_id for row in stored(database, Clinician)] == [ALICE.id, BOB.id]
    row = invite_of(database, key)
    assert (row.status, row.modified) == ("canceled", NOW)


def test_keeps_no_deletion_record(api: Client, database: Database, clinic_id: str, key: str) -> None:
    delete(api, clinic_id, key)
    assert (stored(database, ClinicianDeletion), stored(database, OutboxEntry)) == ([], [])


def test_a_clinician_without_an_invitation_is_removed_as_well(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, user_id=None, invite_id="elsewhere")
    assert delete(api, clinic_id, "elsewhere").status == 200
    assert (len(stored(database, Clinician)), stored(database, Invite)) == (2, [])


@pytest.mark.parametrize("status", ["completed", "declined"])
def test_an_invitation_that_is_not_pending_stays_as_it_is(
    api: Client, database: Database, clinic_id: str, status: str
) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, status=status)
    assert delete(api, clinic_id, key).status == 200
    assert status_of(database, key) == status


def test_a_repeat_is_not_found(api: Client, clinic_id: str, key: str) -> None:
    assert [delete(api, clinic_id, key).status for _ in range(2)] == [200, 404]


def test_another_clinics_unknown_ones_members_and_offers_are_not_found(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
        offer = make_offer(unit, unit.clinics.get(clinic_id), CAROL)
    for key in (elsewhere, offer, UNKNOWN_KEY, BOB.id):
        assert delete(api, clinic_id, key).status == 404
    assert [status_of(database, key) for key in (elsewhere, offer)] == ["pending", "pending"]
    assert len(stored(database, Clinician)) == 3


def test_the_clinic_must_exist_and_be_migrated(api: Client, database: Database, key: str) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, is_migrated=False)
        waiting = make_pending(unit, clinic, ERIN)
    assert delete(api, "0" * 24, key).status == 404
    assert delete(api, "nowhere", key).status == 400
    assert delete(api, clinic.id, waiting).status == 422
    assert delete(api, clinic.id, UNKNOWN_KEY).status == 422
    assert status_of(database, waiting) == "pending"


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert delete(api, clinic_id, key, None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, ERIN, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic_id: str, key: str, caller: Somebody) -> None:
    assert delete(api, clinic_id, key, caller).status == 403
    assert status_of(database, key) == "pending"


def test_of_two_at_once_one_finds_nothing(api: Client, database: Database, clinic_id: str, key: str) -> None:
    assert at_once(database, clinic_id, *[lambda: delete(api, clinic_id, key)] * 2) == [200, 404]


def test_sends_four_statements(api: Client, database: Database, clinic_id: str, key: str) -> None:
    assert statements_of(database, lambda: delete(api, clinic_id, key)) == 4
