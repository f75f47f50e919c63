"""AssociateClinicianToUser: PATCH /v1/clinics/{clinicId}/invites/clinicians/{inviteId}/clinician"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianRoleUpdate, EmbeddedAccount, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.invites import NOW, UNKNOWN_KEY, at_once, invite_of, make_pending, statements_of, status_of
from tests.support.rows import (
    LONG_AGO,
    make_account,
    make_clinic,
    make_clinician,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        for person in (BOB, ERIN, MALLORY):
            make_account(unit, person)
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    """Erin is invited under another address than her account's."""
    with storing(database) as unit:
        return make_pending(
            unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN", "PRESCRIBER", email="erin@work.example"
        )


def associate(api: Client, clinic_id: str, key: str, user_id: Any = ERIN.id, as_: Somebody | None = SERVICE) -> Reply:
    path = f"/v1/clinics/{clinic_id}/invites/clinicians/{key}/clinician"
    return api.patch(path, json={"userId": user_id}, as_=as_)


def waiting(database: Database) -> int:
    return sum(row.user_id is None for row in stored(database, Clinician))


def test_the_pending_clinician_becomes_a_member_with_the_invited_roles_and_address(
    api: Client, clinic_id: str, key: str
) -> None:
    with clock.frozen(NOW):
        reply = associate(api, clinic_id, key)
    assert reply.status == 200
    assert reply.json == {
        "id": ERIN.id,
        "email": "erin@work.example",
        "name": "Erin Ellis",
        "roles": ["CLINIC_ADMIN", "PRESCRIBER"],
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{ERIN.id}", as_=ERIN).json == reply.json


def test_the_pending_invitation_becomes_completed(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with clock.frozen(NOW):
        associate(api, clinic_id, key)
    row = invite_of(database, key)
    assert (row.status, row.user_id, row.modified, row.created) == ("completed", ERIN.id, NOW, LONG_AGO)


@pytest.mark.parametrize("status", ["canceled", "declined"])
def test_an_invitation_that_has_ended_stays_as_it_is(
    api: Client, database: Database, clinic_id: str, status: str
) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), MALLORY, status=status)
    assert associate(api, clinic_id, key).status == 200
    assert (invite_of(database, key).status, invite_of(database, key).user_id) == (status, None)


def test_an_admin_invitation_makes_an_admin(api: Client, clinic_id: str, key: str) -> None:
    associate(api, clinic_id, key)
    body = {"email": "new@mail.example", "roles": ["CLINIC_MEMBER"]}
    assert api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=ERIN).status == 200


def test_a_profile_without_a_name_gives_none(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        account = unit.session.get_one(EmbeddedAccount, ERIN.id)
        account.full_name = None
    assert "name" not in associate(api, clinic_id, key).json


def test_an_overlong_name_is_cut(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        unit.session.get_one(EmbeddedAccount, ERIN.id).full_name = "E" * 300
    assert associate(api, clinic_id, key).json["name"] == "E" * 255


def test_others_are_told_and_access_begins_at_once(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        key = make_pending(unit, clinic, ERIN)
        make_patient(unit, clinic, CAROL)
    assert api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=ERIN).status == 403
    associate(api, clinic_id, key)
    [entry] = stored(database, OutboxEntry)
    assert (entry.kind, entry.payload) == ("clinician_added", {"clinicId": clinic_id, "userId": ERIN.id})
    assert stored(database, ClinicianRoleUpdate) == []
    assert api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=ERIN).status == 200
    assert api.get(f"/access/{CAROL.id}/{ERIN.id}", as_=SERVICE).json == {"view": {}}


def test_a_member_of_the_clinic_is_a_conflict(api: Client, database: Database, clinic_id: str, key: str) -> None:
    assert associate(api, clinic_id, key, BOB.id).status == 409
    assert (waiting(database), status_of(database, key)) == (1, "pending")


def test_a_repeat_is_not_found_because_the_invitation_is_used_up(api: Client, clinic_id: str, key: str) -> None:
    assert [associate(api, clinic_id, key).status for _ in range(2)] == [200, 404]


@pytest.mark.one_engine
@pytest.mark.parametrize("user_id", ["not a user", "A11CE00001", "a11ce000012", "a11ce00001\n"])
def test_the_user_id_must_have_its_form(
    api: Client, database: Database, clinic_id: str, key: str, user_id: str
) -> None:
    reply = associate(api, clinic_id, key, user_id)
    assert_violations(reply, ("/body/userId", "pattern"))
    assert waiting(database) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("user_id", ["", None, 7, "a" * 37])
def test_an_empty_or_mistyped_user_id_is_refused(api: Client, clinic_id: str, key: str, user_id: Any) -> None:
    assert associate(api, clinic_id, key, user_id).status == 400


@pytest.mark.one_engine
def test_a_body_is_required(api: Client, clinic_id: str, key: str) -> None:
    path = f"/v1/clinics/{clinic_id}/invites/clinicians/{key}/clinician"
    assert api.patch(path, as_=SERVICE).status == 400
    assert api.patch(path, json={}, as_=SERVICE).status == 400


def test_unknown_users_are_not_found(api: Client, database: Database, clinic_id: str, key: str) -> None:
    reply = associate(api, clinic_id, key, "0" * 10)
    assert (reply.status, reply.json["message"]) == (404, "The user was not found.")
    assert waiting(database) == 1


def test_unknown_invitations_and_another_clinics_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_pending(unit, make_clinic(unit), ERIN)
    for key in (UNKNOWN_KEY, elsewhere):
        assert associate(api, clinic_id, key).status == 404
    assert waiting(database) == 1


@pytest.mark.one_engine
def test_the_clinic_must_exist_and_be_migrated(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        unit.clinics.get(clinic_id).is_migrated = False
    assert associate(api, "0" * 24, key).status == 404
    assert associate(api, "nowhere", key).status == 400
    assert associate(api, clinic_id, key).status == 422
    # Told before anything is asked about the user.
    assert associate(api, clinic_id, key, "0" * 10).status == 422
    assert waiting(database) == 1


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert associate(api, clinic_id, key, as_=None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, ERIN, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic_id: str, key: str, caller: Somebody) -> None:
    assert associate(api, clinic_id, key, as_=caller).status == 403
    assert waiting(database) == 1


def test_of_two_associations_at_once_exactly_one_succeeds(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    calls = [lambda person=person: associate(api, clinic_id, key, person.id) for person in (ERIN, MALLORY)]
    assert at_once(database, clinic_id, *calls) == [200, 404]
    assert len(stored(database, Clinician)) == 3


def test_one_user_cannot_take_two_invitations_at_once(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        other = make_pending(unit, unit.clinics.get(clinic_id), ERIN, email="other@mail.example")
    calls = [lambda one=one: associate(api, clinic_id, one) for one in (key, other)]
    assert at_once(database, clinic_id, *calls) == [200, 409]
    assert waiting(database) == 1


def test_the_statements_do_not_depend_on_the_clinic(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        other = make_pending(unit, clinic, MALLORY, "CLINIC_ADMIN")
    few = statements_of(database, lambda: associate(api, clinic_id, key))
    with storing(database) as unit:
        for number in range(20):
            make_clinician(
                unit, unit.clinics.get(clinic_id), ERIN, user_id=f"{number:010x}", email=f"{number}@a.example"
            )
    # The clinic, three of the directory; lock, clinician, membership, three updates, the
    # notice.
    assert (few, statements_of(database, lambda: associate(api, clinic_id, other, MALLORY.id))) == (13, 13)
