"""TriggerInitialMigration: POST /v1/clinics/{clinicId}/migrate"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Migration, OutboxEntry
from clinic_service.resources.migrations import service
from clinic_service.resources.migrations.errors import NotOneAdmin
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import (
    COMPLETE_CLINIC,
    LONG_AGO,
    make_account,
    make_clinic,
    make_clinician,
    make_migration,
    stored,
    storing,
)
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PROFILE = COMPLETE_CLINIC | {"is_migrated": False}
MIGRATION = {
    "userId": ALICE.id,
    "status": "PENDING",
    "createdTime": "2026-03-02T09:30:00.000Z",
    "updatedTime": "2026-03-02T09:30:00.000Z",
}


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic ready to be migrated: complete, with Alice, a legacy account, as its only admin and Bob as a member."""
    with storing(database) as unit:
        make_account(unit, ALICE, "clinic")
        clinic = make_clinic(unit, **PROFILE)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        make_clinician(unit, clinic, BOB)
    return clinic.id


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def change(database: Database, clinic_id: str, **values: Any) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in values.items():
            setattr(clinic, name, value)


def unchanged(database: Database) -> bool:
    (clinic,) = stored(database, Clinic)
    return (
        (clinic.is_migrated, clinic.updated_time) == (False, LONG_AGO)
        and not stored(database, Migration)
        and not stored(database, OutboxEntry)
    )


def test_queues_the_migration_and_marks_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    reply = api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE)
    assert (reply.status, reply.json) == (200, MIGRATION)
    (clinic,) = stored(database, Clinic)
    assert (clinic.is_migrated, clinic.updated_time, clinic.created_time) == (True, NOW, LONG_AGO)
    (migration,) = stored(database, Migration)
    assert (migration.user_id, migration.clinic_id, migration.status) == (ALICE.id, clinic_id, "PENDING")
    told = [(entry.kind, entry.payload) for entry in stored(database, OutboxEntry)]
    assert told == [("migration_requested", {"clinicId": clinic_id, "userId": ALICE.id})]
    assert api.get(f"/v1/clinics/{clinic_id}", as_=ALICE).json["canMigrate"] is False


@pytest.mark.parametrize("body", [{}, {"attestationSubmitted": False}])
def test_without_confirmation_no_time_of_one_is_kept(api: Client, clinic_id: str, body: Any) -> None:
    reply = api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE, json=body)
    assert (reply.status, reply.json) == (200, MIGRATION)


def test_keeps_the_time_of_the_confirmation(api: Client, database: Database, clinic_id: str) -> None:
    reply = api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE, json={"attestationSubmitted": True})
    assert reply.json == MIGRATION | {"attestationTime": "2026-03-02T09:30:00.000Z"}
    assert stored(database, Migration)[0].attestation_time == NOW


def test_a_repeat_is_refused(api: Client, database: Database, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 200
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 422
    assert len(stored(database, Migration)) == len(stored(database, OutboxEntry)) == 1


def test_two_calls_at_once_queue_one_migration(api: Client, database: Database, clinic_id: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        calls = pool.map(lambda _: api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status, range(4))
    assert sorted(calls) == [200, 422, 422, 422]
    assert len(stored(database, Migration)) == 1


def test_a_migrated_clinic_is_refused(api: Client, database: Database, clinic_id: str) -> None:
    change(database, clinic_id, is_migrated=True)
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 422
    assert stored(database, Migration) == []


@pytest.mark.parametrize(
    "missing",
    ["name", "address", "city", "postal_code", "state", "country", "clinic_type", "preferred_bg_units"],
)
def test_an_incomplete_profile_is_refused(api: Client, database: Database, clinic_id: str, missing: str) -> None:
    change(database, clinic_id, **{missing: None})
    reply = api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE)
    assert (reply.status, reply.json["message"]) == (422, "The profile of the clinic is not complete.")
    assert unchanged(database)


def test_more_than_one_admin_is_refused(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN")
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 422
    assert unchanged(database)


def test_an_invited_admin_does_not_count(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", user_id=None, invite_id="an invitation")
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 200


def make_other_clinic(database: Database) -> str:
    """A clinic like the other one, whose admin Erin has no account yet."""
    with storing(database) as unit:
        clinic = make_clinic(unit, **PROFILE)
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN")
    return clinic.id


def test_an_admin_without_an_account_is_not_found(api: Client, database: Database) -> None:
    assert api.post(f"/v1/clinics/{make_other_clinic(database)}/migrate", as_=ERIN).status == 404
    assert unchanged(database)


def test_an_admin_without_a_legacy_account_is_refused(api: Client, database: Database) -> None:
    clinic_id = make_other_clinic(database)
    with storing(database) as unit:
        make_account(unit, ERIN, "clinician")
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ERIN).status == 422
    assert unchanged(database)


def test_an_account_that_migrated_elsewhere_conflicts(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_migration(unit, make_clinic(unit), ALICE, status="COMPLETED")
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 409
    assert not next(clinic for clinic in stored(database, Clinic) if clinic.id == clinic_id).is_migrated
    assert stored(database, OutboxEntry) == []


def test_an_admin_who_took_over_in_between_is_not_taken_for_the_other(database: Database, clinic_id: str) -> None:
    with storing(database) as unit, pytest.raises(NotOneAdmin):
        service.start_initial_migration(unit, clinic_id, ERIN.id, attested=False)


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{"attestationSubmitted": "yes"}, {"attestationSubmitted": None}, [], "yes", None])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE, json=body).status == 400
    assert unchanged(database)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/migrate").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY, SERVICE])
def test_is_for_admins(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=caller).status == 403
    assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=caller, json=[]).status == 403
    assert unchanged(database)


@pytest.mark.one_engine
@pytest.mark.parametrize("unknown", ["0" * 24, "no id at all", "x" * 300])
@pytest.mark.usefixtures("clinic_id")
def test_unknown_clinics_are_told_to_nobody(api: Client, unknown: str) -> None:
    """Whoever may call this is an admin of the clinic, so a clinic that does not exist has nobody to be told."""
    assert api.post(f"/v1/clinics/{unknown}/migrate", as_=ALICE).status == 403


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    with counting(database) as statements:
        assert api.post(f"/v1/clinics/{clinic_id}/migrate", as_=ALICE).status == 200
    # Once before and once under the lock: access, clinic (two), admins. Then account, addresses, lock, one to look for
    # a migration, and three writes.
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) <= 15
