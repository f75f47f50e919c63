"""UpdateMigration: PATCH /v1/clinics/{clinicId}/migrations/{userId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Migration, OutboxEntry
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_migration, make_staffed_clinic, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
STATUSES = ["PENDING", "RUNNING", "COMPLETED"]


@pytest.fixture
def clinic(database: Database) -> Clinic:
    """A clinic with a migration of Alice's account, and another clinic with one of Erin's."""
    with storing(database) as unit:
        clinic, other = make_staffed_clinic(unit), make_clinic(unit)
        make_migration(unit, clinic, ALICE, attestation_time=LONG_AGO)
        make_migration(unit, other, ERIN)
    return clinic


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def migration(database: Database, person: Somebody = ALICE) -> Migration:
    return next(row for row in stored(database, Migration) if row.user_id == person.id)


@pytest.mark.parametrize("before", STATUSES)
@pytest.mark.parametrize("after", STATUSES)
def test_rule_any_status_may_follow_any_and_the_time_moves(
    api: Client, database: Database, clinic: Clinic, before: str, after: str
) -> None:
    """Rule: any of the three values is accepted from any state; updatedTime always moves."""
    address = f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}"
    assert api.patch(address, as_=SERVICE, json={"status": before}).status == 200
    with clock.frozen(NOW + timedelta(seconds=1)):
        reply = api.patch(address, as_=SERVICE, json={"status": after})
    assert reply.status == 200
    assert reply.json == {
        "userId": ALICE.id,
        "status": after,
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:01.000Z",
        "attestationTime": "2026-01-05T08:30:00.000Z",
    }
    assert migration(database).status == after
    assert api.get(address, as_=SERVICE).json == reply.json


def test_nothing_else_changes(api: Client, database: Database, clinic: Clinic) -> None:
    api.patch(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}", as_=SERVICE, json={"status": "COMPLETED"})
    other = migration(database, ERIN)
    assert (other.status, other.updated_time) == ("PENDING", LONG_AGO)
    assert {row.updated_time for row in stored(database, Clinic)} == {LONG_AGO}
    assert stored(database, OutboxEntry) == []


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"status": "DONE"}, {"status": None}, {"status": "pending"}, None, []])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic: Clinic, body: Any) -> None:
    assert api.patch(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}", as_=SERVICE, json=body).status == 400
    assert migration(database).updated_time == LONG_AGO


@pytest.mark.one_engine
def test_malformed_ids_and_absent_bodies_are_refused(api: Client, clinic: Clinic) -> None:
    body = {"status": "RUNNING"}
    assert api.patch(f"/v1/clinics/{clinic.id}/migrations/Alice", as_=SERVICE, json=body).status == 400
    assert api.patch(f"/v1/clinics/harbour/migrations/{ALICE.id}", as_=SERVICE, json=body).status == 400
    assert api.patch(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic: Clinic) -> None:
    address = f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}"
    assert api.patch(address, json={"status": "RUNNING"}).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic: Clinic, caller: Somebody) -> None:
    address = f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}"
    assert api.patch(address, as_=caller, json={"status": "RUNNING"}).status == 403
    assert api.patch(address, as_=caller, json={}).status == 403
    assert migration(database).status == "PENDING"


@pytest.mark.parametrize("person", [BOB, ERIN])
def test_only_the_pair_of_clinic_and_user_finds_it(
    api: Client, database: Database, clinic: Clinic, person: Somebody
) -> None:
    body = {"status": "RUNNING"}
    assert api.patch(f"/v1/clinics/{clinic.id}/migrations/{person.id}", as_=SERVICE, json=body).status == 404
    assert api.patch(f"/v1/clinics/{'0' * 24}/migrations/{person.id}", as_=SERVICE, json=body).status == 404
    assert {row.status for row in stored(database, Migration)} == {"PENDING"}


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic: Clinic) -> None:
    address = f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}"
    with counting(database) as statements:
        api.patch(address, as_=SERVICE, json={"status": "RUNNING"})
    # Lock and update; SQLite's BEGIN does not count.
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) <= 2
