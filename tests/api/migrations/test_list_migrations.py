"""ListMigrations: GET /v1/clinics/{clinicId}/migrations"""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_migration,
    make_staffed_clinic,
    storing,
)
from tests.support.statements import counting


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_staffed_clinic(unit)


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_lists_the_migrations_into_this_clinic(
    api: Client, database: Database, clinic: Clinic, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_migration(unit, clinic, BOB, status="RUNNING", attestation_time=LONG_AGO)
        make_migration(unit, make_clinic(unit), ERIN)
    reply = api.get(f"/v1/clinics/{clinic.id}/migrations", as_=caller)
    assert reply.status == 200
    assert reply.json == [
        {
            "userId": BOB.id,
            "status": "RUNNING",
            "createdTime": "2026-01-05T08:30:00.000Z",
            "updatedTime": "2026-01-05T08:30:00.000Z",
            "attestationTime": "2026-01-05T08:30:00.000Z",
        }
    ]


def test_the_oldest_comes_first_and_ties_have_an_order(api: Client, database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        make_migration(unit, clinic, DAVE)
        make_migration(unit, clinic, ALICE, created_time=LONG_AGO + timedelta(milliseconds=1))
        make_migration(unit, clinic, CAROL)
    reply = api.get(f"/v1/clinics/{clinic.id}/migrations", as_=ALICE)
    assert [migration["userId"] for migration in reply.json] == [CAROL.id, DAVE.id, ALICE.id]


def test_rule_no_migrations_are_an_empty_list(api: Client, clinic: Clinic) -> None:
    """Rule: `[]` when there is none."""
    reply = api.get(f"/v1/clinics/{clinic.id}/migrations", as_=ALICE)
    assert (reply.status, reply.json) == (200, [])


@pytest.mark.parametrize("unknown", ["0" * 24, "no id at all", "x" * 300])
@pytest.mark.usefixtures("clinic")
def test_an_unknown_clinic_has_none_for_a_service(api: Client, unknown: str) -> None:
    reply = api.get(f"/v1/clinics/{unknown}/migrations", as_=SERVICE)
    assert (reply.status, reply.json) == (200, [])
    assert api.get(f"/v1/clinics/{unknown}/migrations", as_=ALICE).status == 403


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic: Clinic) -> None:
    assert api.get(f"/v1/clinics/{clinic.id}/migrations").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
def test_is_for_members_and_services(api: Client, database: Database, clinic: Clinic, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert api.get(f"/v1/clinics/{clinic.id}/migrations", as_=caller).status == 403


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic: Clinic) -> None:
    def sent() -> int:
        with counting(database) as statements:
            assert api.get(f"/v1/clinics/{clinic.id}/migrations", as_=ALICE).status == 200
        return len(statements)

    none = sent()
    with storing(database) as unit:
        for person in (ALICE, BOB, CAROL):
            make_migration(unit, clinic, person)
    assert sent() == none <= 2
