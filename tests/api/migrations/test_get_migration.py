"""GetMigration: GET /v1/clinics/{clinicId}/migrations/{userId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, PETE, SERVICE, Somebody
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
    """A clinic with a migration of Alice's account, and another clinic with one of Erin's."""
    with storing(database) as unit:
        clinic, other = make_staffed_clinic(unit), make_clinic(unit)
        make_migration(unit, clinic, ALICE, status="COMPLETED")
        make_migration(unit, other, ERIN)
    return clinic


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_answers_the_migration(api: Client, clinic: Clinic, caller: Somebody) -> None:
    reply = api.get(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}", as_=caller)
    assert reply.status == 200
    assert reply.json == {
        "userId": ALICE.id,
        "status": "COMPLETED",
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
    }


def test_shows_the_confirmation_when_there_was_one(api: Client, database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        make_migration(unit, clinic, CAROL, attestation_time=LONG_AGO)
    reply = api.get(f"/v1/clinics/{clinic.id}/migrations/{CAROL.id}", as_=BOB)
    assert reply.json["attestationTime"] == "2026-01-05T08:30:00.000Z"


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic: Clinic) -> None:
    assert api.get(f"/v1/clinics/{clinic.id}/migrations/Alice", as_=ALICE).status == 400
    assert api.get(f"/v1/clinics/harbour/migrations/{ALICE.id}", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic: Clinic) -> None:
    assert api.get(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
def test_is_for_members_and_services(api: Client, database: Database, clinic: Clinic, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert api.get(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}", as_=caller).status == 403
    assert api.get(f"/v1/clinics/{clinic.id}/migrations/Alice", as_=caller).status == 403


@pytest.mark.parametrize("person", [BOB, ERIN])
def test_only_the_pair_of_clinic_and_user_finds_it(api: Client, clinic: Clinic, person: Somebody) -> None:
    assert api.get(f"/v1/clinics/{clinic.id}/migrations/{person.id}", as_=ALICE).status == 404
    assert api.get(f"/v1/clinics/{'0' * 24}/migrations/{person.id}", as_=SERVICE).status == 404


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic: Clinic) -> None:
    with counting(database) as statements:
        assert api.get(f"/v1/clinics/{clinic.id}/migrations/{ALICE.id}", as_=ALICE).status == 200
    assert len(statements) <= 2
