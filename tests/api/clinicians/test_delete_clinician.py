"""DeleteClinician: DELETE /v1/clinics/{clinicId}/clinicians/{clinicianId}"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianDeletion, ClinicianRoleUpdate, OutboxEntry, Patient
from clinic_service.resources.clinicians import service
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.rows import make_clinic, make_clinician, make_patient, make_staffed_clinic, stored, storing
from tests.support.statements import counting
from tests.support.units import meanwhile

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def delete(api: Client, clinic_id: str, whom: Somebody, as_: Somebody = ALICE) -> Reply:
    return api.delete(f"/v1/clinics/{clinic_id}/clinicians/{whom.id}", as_=as_)


def members(database: Database) -> list[str | None]:
    return [one.user_id for one in stored(database, Clinician)]


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_ends_a_membership(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    reply = delete(api, clinic_id, BOB, as_=caller)
    assert (reply.status, reply.json) == (200, None)
    assert members(database) == [ALICE.id]


def test_access_ends_at_once(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), CAROL)
        assert unit.grants.effective(CAROL.id, BOB.id) == {"view": {}}
    delete(api, clinic_id, BOB)
    with storing(database) as unit:
        assert unit.grants.effective(CAROL.id, BOB.id) == {}
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians", as_=BOB).status == 403


def test_service_accounts_can_be_removed(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", email=None, is_service_account=True)
    assert delete(api, clinic_id, MALLORY).status == 200


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    reply = api.delete(f"/v1/clinics/{clinic_id}/clinicians/Bob", as_=ALICE)
    assert_violations(reply, ("/path/clinicianId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.delete(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}").status == 401


@pytest.mark.one_engine
def test_members_may_remove_themselves_only(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, clinic, ERIN)
        make_clinician(unit, make_clinic(unit), MALLORY, "CLINIC_ADMIN")
    assert delete(api, clinic_id, ERIN, as_=BOB).status == 403
    assert delete(api, clinic_id, ERIN, as_=MALLORY).status == 403
    # A prescriber without another role is no member.
    assert delete(api, clinic_id, PETE, as_=PETE).status == 403
    assert delete(api, clinic_id, MALLORY, as_=MALLORY).status == 403
    assert set(members(database)) == {ALICE.id, BOB.id, PETE.id, ERIN.id, MALLORY.id}


def test_unknown_clinics_and_members_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN)
    assert delete(api, "0" * 24, BOB, as_=SERVICE).status == 404
    assert delete(api, clinic_id, MALLORY).status == 404
    assert delete(api, clinic_id, ERIN).status == 404


def test_the_second_call_finds_nobody_and_who_left_is_refused(api: Client, clinic_id: str) -> None:
    assert delete(api, clinic_id, BOB, as_=BOB).status == 200
    assert delete(api, clinic_id, BOB, as_=BOB).status == 403
    assert delete(api, clinic_id, BOB, as_=SERVICE).status == 404


@pytest.mark.one_engine
def test_the_clinic_must_be_migrated_before_the_member_is_looked_for(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, is_migrated=False)
    assert delete(api, clinic.id, BOB).status == 422
    assert delete(api, clinic.id, MALLORY).status == 422
    assert len(members(database)) == 2


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_the_last_admin_can_neither_leave_nor_be_removed(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        # Neither an invitation nor a service account guards a clinic.
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", user_id=None, invite_id="key")
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", email=None, is_service_account=True)
    assert delete(api, clinic_id, ALICE, as_=caller).status == 422
    assert ALICE.id in members(database)
    assert stored(database, ClinicianDeletion) == []
    assert stored(database, OutboxEntry) == []


def test_an_admin_may_leave_while_another_remains(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN")
    assert delete(api, clinic_id, ALICE).status == 200
    assert set(members(database)) == {BOB.id, ERIN.id}


def test_members_may_leave_a_clinic_without_admins(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, BOB)
    assert delete(api, clinic.id, BOB, as_=BOB).status == 200


@pytest.mark.parametrize(("caller", "author"), [(ALICE, ALICE.id), (BOB, BOB.id), (SERVICE, None)])
def test_keeps_a_record_of_the_whole_row(
    api: Client, database: Database, clinic_id: str, caller: Somebody, author: str | None
) -> None:
    row = next(one for one in stored(database, Clinician) if one.user_id == BOB.id)
    with clock.frozen(NOW):
        delete(api, clinic_id, BOB, as_=caller)
    (kept,) = stored(database, ClinicianDeletion)
    assert (kept.clinic_id, kept.id, kept.user_id) == (clinic_id, row.id, BOB.id)
    assert (kept.deleted_time, kept.deleted_by_user_id) == (NOW, author)
    assert kept.record == {
        "clinic_id": clinic_id,
        "id": row.id,
        "user_id": BOB.id,
        "invite_id": None,
        "email": BOB.email,
        "name": BOB.name,
        "is_admin": False,
        "is_member": True,
        "is_prescriber": False,
        "is_service_account": False,
        "created_time": "2026-01-05T08:30:00.000Z",
        "updated_time": "2026-01-05T08:30:00.000Z",
    }


def test_the_history_goes_and_the_removal_is_told(api: Client, database: Database, clinic_id: str) -> None:
    body = {"email": BOB.email, "roles": ["PRESCRIBER", "CLINIC_MEMBER"]}
    api.put(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", json=body, as_=ALICE)
    assert len(stored(database, ClinicianRoleUpdate)) == 1
    delete(api, clinic_id, BOB)
    assert stored(database, ClinicianRoleUpdate) == []
    told = stored(database, OutboxEntry)[-1]
    assert (told.kind, told.clinic_id) == ("clinician_removed", clinic_id)
    assert told.payload == {"clinicId": clinic_id, "userId": BOB.id}


def test_the_clinics_patients_and_other_memberships_stay(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), BOB)
        elsewhere = make_clinic(unit)
        make_clinician(unit, elsewhere, BOB)
    delete(api, clinic_id, BOB)
    assert [one.clinic_id for one in stored(database, Clinician) if one.user_id == BOB.id] == [elsewhere.id]
    assert [one.user_id for one in stored(database, Patient)] == [BOB.id]


def test_of_two_admins_who_leave_at_once_exactly_one_succeeds(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN")
    reply = meanwhile(
        database,
        lambda unit: service.delete_clinician(unit, clinic_id, ERIN.id, ERIN.id),
        lambda: delete(api, clinic_id, ALICE, as_=ALICE),
    )
    assert reply.status == 422
    assert set(members(database)) == {ALICE.id, BOB.id}
    assert [one.user_id for one in stored(database, ClinicianDeletion)] == [ERIN.id]


def test_the_statements_do_not_grow_with_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            make_clinician(unit, clinic, ERIN, user_id=f"{number:010x}", email=f"{number}@mail.example")
    counts = []
    for whom in (BOB, ERIN._replace(id="0" * 10)):
        with counting(database) as statements:
            assert delete(api, clinic_id, whom).status == 200
        counts.append(len(statements))
    assert counts == [7, 7]
