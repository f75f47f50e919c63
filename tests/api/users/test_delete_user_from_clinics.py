"""DeleteUserFromClinics: DELETE /v1/users/{userId}/clinics"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import (
    Base,
    Clinic,
    Clinician,
    ClinicianDeletion,
    ClinicianRoleUpdate,
    EmbeddedAccount,
    Grant,
    Invite,
    OutboxEntry,
    Patient,
    PatientDeletion,
)
from clinic_service.resources.users import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_grant,
    make_invite,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.statements import counting
from tests.support.units import meanwhile

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as its only admin, Carol who gave access and Dave whose account the clinic made."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, DAVE, "custodian", "view", email=None)
        return clinic.id


def remove(api: Client, person: Somebody, as_: Somebody = SERVICE) -> Reply:
    return api.delete(f"/v1/users/{person.id}/clinics", as_=as_)


def users(database: Database, model: type[Any]) -> list[str | None]:
    return [row.user_id for row in stored(database, model)]


@pytest.mark.usefixtures("clinic_id")
def test_a_patient_leaves_all_clinics(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), CAROL, "custodian")
    reply = remove(api, CAROL)
    assert (reply.status, reply.json) == (200, None)
    assert users(database, Patient) == [DAVE.id]
    assert users(database, PatientDeletion) == [CAROL.id, CAROL.id]
    assert users(database, Clinician) == [ALICE.id, BOB.id]


@pytest.mark.usefixtures("clinic_id")
def test_a_plain_member_leaves_all_clinics_and_triggers_nothing(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), BOB, "PRESCRIBER")
    assert remove(api, BOB).status == 200
    assert users(database, Clinician) == [ALICE.id]
    assert users(database, ClinicianDeletion) == [BOB.id, BOB.id]
    assert users(database, Patient) == [CAROL.id, DAVE.id]


def test_when_the_only_admin_goes_non_custodial_patients_leave_and_custodial_ones_stay(
    api: Client, database: Database, clinic_id: str
) -> None:
    assert remove(api, ALICE).status == 200
    assert users(database, Clinician) == [BOB.id]
    assert users(database, Patient) == [DAVE.id]
    assert users(database, PatientDeletion) == [CAROL.id]
    assert [clinic.id for clinic in stored(database, Clinic)] == [clinic_id]


def test_pending_invitations_and_service_accounts_never_count_as_admins(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", user_id=None, invite_id="key")
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", email=None, is_service_account=True)
    remove(api, ALICE)
    assert users(database, Patient) == [DAVE.id]
    assert set(users(database, Clinician)) == {BOB.id, None, MALLORY.id}


def test_a_service_account_that_goes_leaves_no_clinic_alone(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", email=None, is_service_account=True)
        make_patient(unit, clinic, CAROL)
    remove(api, MALLORY)
    assert users(database, Clinician) == []
    assert users(database, Patient) == [CAROL.id]


def test_while_another_admin_remains_the_patients_stay(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN")
    remove(api, ALICE)
    assert users(database, Patient) == [CAROL.id, DAVE.id]


@pytest.mark.usefixtures("clinic_id")
def test_each_clinic_is_judged_by_itself(api: Client, database: Database) -> None:
    with storing(database) as unit:
        guarded, left, foreign = make_clinic(unit), make_clinic(unit), make_clinic(unit)
        for clinic in (guarded, left):
            make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        make_clinician(unit, guarded, ERIN, "CLINIC_ADMIN")
        make_clinician(unit, foreign, ERIN, "CLINIC_ADMIN")
        for clinic in (guarded, left, foreign):
            make_patient(unit, clinic, CAROL)
    remove(api, ALICE)
    assert {row.clinic_id for row in stored(database, Patient) if row.user_id == CAROL.id} == {guarded.id, foreign.id}


def test_who_is_patient_and_only_admin_leaves_as_both(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), ALICE)
    remove(api, ALICE)
    assert users(database, Patient) == [DAVE.id]
    assert sorted(filter(None, users(database, PatientDeletion))) == [ALICE.id, CAROL.id]
    assert users(database, ClinicianDeletion) == [ALICE.id]


def test_also_leaves_clinics_that_are_not_migrated(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_staffed_clinic(unit, is_migrated=False)
    assert remove(api, ALICE).status == 200
    assert users(database, Clinician) == [BOB.id]


def test_keeps_records_of_the_deletions_without_a_user(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(NOW):
        remove(api, ALICE)
    (patient,) = stored(database, PatientDeletion)
    (clinician,) = stored(database, ClinicianDeletion)
    for kept in (patient, clinician):
        assert (kept.clinic_id, kept.deleted_time, kept.deleted_by_user_id) == (clinic_id, NOW, None)
    assert patient.record["full_name"] == CAROL.name
    assert clinician.record["name"] == ALICE.name


def test_histories_go_with_their_clinicians(api: Client, database: Database, clinic_id: str) -> None:
    body = {"email": BOB.email, "roles": ["PRESCRIBER"]}
    api.put(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", json=body, as_=ALICE)
    assert len(stored(database, ClinicianRoleUpdate)) == 1
    remove(api, BOB)
    assert stored(database, ClinicianRoleUpdate) == []


def test_invitations_to_the_user_and_offers_by_the_user_go(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_account(unit, CAROL)
        for key, values in {
            "linked": {"user_id": CAROL.id, "email": "old@mail.example"},
            "answered": {"user_id": CAROL.id, "status": "declined"},
            "by address": {"email": CAROL.email},
            "offer": {"type": "careteam_invitation", "creator_id": CAROL.id},
            "old offer": {"type": "careteam_invitation", "creator_id": CAROL.id, "status": "completed"},
            "to another": {"user_id": DAVE.id, "email": CAROL.email},
            "to another address": {"email": "caroline@mail.example"},
            "made as an admin": {"creator_id": CAROL.id, "email": "dora@mail.example"},
            "offer of another": {"type": "careteam_invitation", "creator_id": DAVE.id},
        }.items():
            make_invite(unit, clinic, key=key, **values)
    remove(api, CAROL)
    assert {invite.key for invite in stored(database, Invite)} == {
        "to another",
        "to another address",
        "made as an admin",
        "offer of another",
    }


@pytest.mark.usefixtures("clinic_id")
def test_pending_clinicians_go_with_their_invitations(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        for key, person in {"carol": CAROL, "dave": DAVE}.items():
            make_invite(unit, clinic, key=key, user_id=person.id, email=person.email)
            make_clinician(unit, clinic, person, user_id=None, invite_id=key)
        make_clinician(unit, clinic, ERIN, user_id=None, invite_id="kept elsewhere")
    remove(api, CAROL)
    left = [row.invite_id for row in stored(database, Clinician) if row.clinic_id == clinic.id]
    assert left == ["dave", "kept elsewhere"]
    assert stored(database, ClinicianDeletion) == []


def test_grants_in_both_directions_go(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
        make_grant(unit, ERIN, CAROL)
        make_grant(unit, DAVE, ERIN)
    remove(api, CAROL)
    assert [(grant.sharer_id, grant.grantee_id) for grant in stored(database, Grant)] == [(DAVE.id, ERIN.id)]


def test_the_account_itself_is_not_touched(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_account(unit, CAROL)
    remove(api, CAROL)
    assert [account.user_id for account in stored(database, EmbeddedAccount)] == [CAROL.id]


def test_others_are_told(api: Client, database: Database, clinic_id: str) -> None:
    remove(api, ALICE)
    told = [(entry.kind, entry.clinic_id, entry.payload["userId"]) for entry in stored(database, OutboxEntry)]
    assert told == [("clinician_removed", clinic_id, ALICE.id), ("patient_removed", clinic_id, CAROL.id)]


@pytest.mark.usefixtures("clinic_id")
def test_can_be_repeated_and_a_user_unknown_everywhere_is_no_error(api: Client, database: Database) -> None:
    tables: tuple[type[Base], ...] = (Patient, Clinician, PatientDeletion, ClinicianDeletion, OutboxEntry)
    assert remove(api, MALLORY).status == 200
    assert [len(stored(database, table)) for table in tables] == [2, 2, 0, 0, 0]
    assert [remove(api, ALICE).status for _ in range(2)] == [200, 200]
    assert [len(stored(database, table)) for table in tables] == [1, 1, 1, 1, 2]


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    reply = api.delete("/v1/users/Alice/clinics", as_=SERVICE)
    assert_violations(reply, ("/path/userId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.delete(f"/v1/users/{ALICE.id}/clinics").status == 401


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinic_id")
def test_is_for_services_not_even_for_the_user(api: Client, database: Database) -> None:
    assert remove(api, ALICE, as_=ALICE).status == 403
    assert remove(api, BOB, as_=ALICE).status == 403
    assert users(database, Clinician) == [ALICE.id, BOB.id]


def test_two_admins_who_are_removed_at_once_leave_the_clinic_alone(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN")
    reply = meanwhile(
        database,
        lambda unit: service.remove_from_clinics(unit, ERIN.id, []),
        lambda: remove(api, ALICE),
    )
    assert reply.status == 200
    # Neither saw a clinic without the other unless it waited.
    assert users(database, Clinician) == [BOB.id]
    assert users(database, Patient) == [DAVE.id]


@pytest.mark.usefixtures("clinic_id")
def test_only_the_locks_grow_with_the_clinics(api: Client, database: Database) -> None:
    def removing(person: Somebody) -> list[str]:
        with counting(database) as statements:
            assert remove(api, person).status == 200
        return statements

    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), ALICE)
        for number in range(5):
            clinic = make_clinic(unit)
            make_clinician(unit, clinic, PETE, "CLINIC_ADMIN")
            make_patient(unit, make_clinic(unit), PETE)
            for other in range(10):
                make_patient(unit, clinic, CAROL, user_id=f"{number}{other:09x}")
    first, second = removing(ALICE), removing(PETE)
    # Clinics and records are locked one by one: 9 more clinics here, and 3 more records than the two statements that
    # removed ALICE had locked.
    assert (len(first), len(second)) == (32, 44)
