"""MigrateLegacyClinicianPatients: POST /v1/clinics/{clinicId}/migrations"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Migration, OutboxEntry
from clinic_service.resources.migrations.errors import DuplicateMigration
from clinic_service.resources.migrations.service import migrate_patients
from tests.support.cast import ALICE, BOB, CAROL, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.meeting import meeting
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_migration,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_staffed_clinic(unit)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def test_queues_the_migration(api: Client, database: Database, clinic: Clinic) -> None:
    body = {"userId": BOB.id, "status": "COMPLETED", "attestationTime": "2020-01-01T00:00:00.000Z"}
    reply = api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json=body)
    assert reply.status == 202
    assert reply.json == {
        "userId": BOB.id,
        "status": "PENDING",
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    (migration,) = stored(database, Migration)
    assert (migration.user_id, migration.clinic_id, migration.status) == (BOB.id, clinic.id, "PENDING")
    assert (migration.created_time, migration.attestation_time) == (NOW, None)
    told = [(entry.kind, entry.payload) for entry in stored(database, OutboxEntry)]
    assert told == [("migration_requested", {"clinicId": clinic.id, "userId": BOB.id})]
    assert stored(database, Clinic)[0].updated_time == LONG_AGO


def test_a_repeat_conflicts(api: Client, database: Database, clinic: Clinic) -> None:
    body = {"userId": BOB.id}
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json=body).status == 202
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json=body).status == 409
    assert len(stored(database, Migration)) == len(stored(database, OutboxEntry)) == 1


def test_a_migration_into_another_clinic_conflicts(api: Client, database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        make_migration(unit, make_clinic(unit), BOB, status="COMPLETED")
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json={"userId": BOB.id}).status == 409


def test_of_two_requests_for_two_clinics_at_once_the_later_conflicts(database: Database) -> None:
    """The clinics' locks do not keep these apart; the key of the migrations does."""
    with storing(database) as unit:
        clinic_ids = [make_staffed_clinic(unit).id for _ in range(2)]

    def request_again() -> None:
        with storing(database) as later:
            migrate_patients(later, clinic_ids[1], BOB.id)

    with ThreadPoolExecutor(1) as pool, meeting(database) as met:
        with storing(database) as earlier:
            migrate_patients(earlier, clinic_ids[0], BOB.id)
            answer = pool.submit(request_again)
            # On PostgreSQL the later one has looked by then, and found nothing yet.
            met.wait_for([answer])
        assert isinstance(answer.exception(), DuplicateMigration)
    (migration,) = stored(database, Migration)
    assert migration.clinic_id == clinic_ids[0]
    assert len(stored(database, OutboxEntry)) == 1


@pytest.mark.parametrize("user_id", [CAROL.id, PETE.id, "no user id", "x" * 255])
def test_users_who_are_no_members_are_not_found(api: Client, database: Database, clinic: Clinic, user_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), CAROL)
    reply = api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json={"userId": user_id})
    assert (reply.status, reply.json["message"]) == (404, "The user is not a member of the clinic.")
    assert stored(database, Migration) == []


@pytest.mark.parametrize("unknown", ["0" * 24, "no id at all"])
def test_unknown_clinics_are_not_found(api: Client, unknown: str) -> None:
    assert api.post(f"/v1/clinics/{unknown}/migrations", as_=SERVICE, json={"userId": BOB.id}).status == 404


def test_a_clinic_that_is_not_migrated_is_refused_after_the_member_was_found(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, is_migrated=False)
    for user_id, status in ((CAROL.id, 404), (BOB.id, 422)):
        reply = api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json={"userId": user_id})
        assert reply.status == status
    assert stored(database, Migration) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "body", [{}, {"userId": ""}, {"userId": None}, {"userId": BOB.id, "status": "DONE"}, {"userId": "x" * 256}, None]
)
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic: Clinic, body: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json=body).status == 400
    assert stored(database, Migration) == []


@pytest.mark.one_engine
def test_a_body_is_required(api: Client, clinic: Clinic) -> None:
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic: Clinic) -> None:
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", json={"userId": BOB.id}).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, clinic: Clinic, caller: Somebody) -> None:
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=caller, json={"userId": BOB.id}).status == 403
    assert api.post(f"/v1/clinics/{clinic.id}/migrations", as_=caller, json={}).status == 403


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic: Clinic) -> None:
    with counting(database) as statements:
        api.post(f"/v1/clinics/{clinic.id}/migrations", as_=SERVICE, json={"userId": BOB.id})
    # Lock, member, migrated, other migration, and two writes; SQLite's BEGIN does not count.
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) <= 6
