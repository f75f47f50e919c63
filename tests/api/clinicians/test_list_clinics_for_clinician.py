"""ListClinicsForClinician: GET /v1/clinicians/{userId}/clinics"""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, storing
from tests.support.statements import counting


@pytest.fixture
def clinic_ids(database: Database) -> list[str]:
    """Twelve clinics that Bob joined day by day; Alice is in the first. The newest first."""
    with storing(database) as unit:
        clinics = [make_clinic(unit, name=f"Clinic {number}") for number in range(12)]
        for days, clinic in enumerate(clinics):
            make_clinician(unit, clinic, BOB, created_time=LONG_AGO + timedelta(days=days))
        make_clinician(unit, clinics[0], ALICE, "CLINIC_ADMIN")
        return [clinic.id for clinic in reversed(clinics)]


def clinics_of(api: Client, person: Somebody, query: str = "", as_: Somebody | None = None) -> list[str]:
    reply = api.get(f"/v1/clinicians/{person.id}/clinics{query}", as_=as_ or person)
    assert reply.status == 200
    assert all(one["clinician"]["id"] == person.id for one in reply.json)
    return [one["clinic"]["id"] for one in reply.json]


def test_answers_the_memberships_newest_first(api: Client, clinic_ids: list[str]) -> None:
    assert clinics_of(api, BOB, "?limit=20") == clinic_ids
    assert clinics_of(api, BOB, "?limit=20", as_=SERVICE) == clinic_ids


def test_a_page_holds_ten_unless_told_otherwise(api: Client, clinic_ids: list[str]) -> None:
    assert clinics_of(api, BOB) == clinic_ids[:10]
    assert clinics_of(api, BOB, "?offset=10") == clinic_ids[10:]
    assert clinics_of(api, BOB, "?limit=2&offset=3") == clinic_ids[3:5]


def test_each_stands_with_the_whole_clinic(api: Client, clinic_ids: list[str]) -> None:
    (one,) = api.get(f"/v1/clinicians/{ALICE.id}/clinics", as_=ALICE).json
    assert one["clinician"]["roles"] == ["CLINIC_ADMIN"]
    assert one["clinic"] == api.get(f"/v1/clinics/{clinic_ids[-1]}", as_=ALICE).json


def test_pending_invitations_are_left_out_and_service_accounts_are_not(api: Client, database: Database) -> None:
    with storing(database) as unit:
        first, second = make_clinic(unit), make_clinic(unit)
        make_clinician(unit, first, MALLORY, user_id=None, invite_id="key")
        make_clinician(unit, second, MALLORY, email=None, is_service_account=True)
    assert clinics_of(api, MALLORY) == [second.id]


@pytest.mark.usefixtures("clinic_ids")
def test_nobody_has_no_memberships(api: Client) -> None:
    assert clinics_of(api, MALLORY, as_=SERVICE) == []
    assert clinics_of(api, MALLORY) == []


@pytest.mark.one_engine
def test_malformed_requests_are_refused(api: Client) -> None:
    assert api.get("/v1/clinicians/Bob/clinics", as_=SERVICE).status == 400
    assert api.get(f"/v1/clinicians/{BOB.id}/clinics?limit=many", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.get(f"/v1/clinicians/{BOB.id}/clinics").status == 401


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinic_ids")
def test_is_for_the_user_and_services(api: Client) -> None:
    assert api.get(f"/v1/clinicians/{BOB.id}/clinics", as_=ALICE).status == 403


@pytest.mark.usefixtures("clinic_ids")
def test_the_statements_do_not_grow_with_the_page(api: Client, database: Database) -> None:
    for limit in (1, 12):
        with counting(database) as statements:
            api.get(f"/v1/clinicians/{BOB.id}/clinics?limit={limit}", as_=BOB)
        assert len(statements) == 5
