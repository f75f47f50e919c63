"""UpdateSuppressedNotifications: POST /v1/clinics/{clinicId}/suppressed_notifications"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SUPPRESS = {"suppressedNotifications": {"patientClinicInvitation": True}}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.mark.parametrize("value", [True, False])
def test_stores_the_choice(api: Client, clinic_id: str, value: bool) -> None:
    body = {"suppressedNotifications": {"patientClinicInvitation": value}}
    reply = api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", as_=ALICE, json=body)
    assert (reply.status, reply.json) == (200, None)
    shown = api.get(f"/v1/clinics/{clinic_id}", as_=ALICE).json
    assert shown["suppressedNotifications"] == {"patientClinicInvitation": value}
    assert shown["updatedTime"] == "2026-03-02T09:30:00.000Z"


def test_the_choice_is_replaced_as_a_whole(api: Client, clinic_id: str) -> None:
    nothing: dict[str, Any] = {"suppressedNotifications": {}}
    for body in (SUPPRESS, nothing):
        assert api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", as_=ALICE, json=body).status == 200
    assert api.get(f"/v1/clinics/{clinic_id}", as_=ALICE).json["suppressedNotifications"] == {}


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", as_=ALICE, json=SUPPRESS)
    rows = {clinic.id: clinic for clinic in stored(database, Clinic)}
    assert (rows[clinic_id].name, rows[clinic_id].created_time) == ("Harbour Diabetes Centre", LONG_AGO)
    assert (rows[other].suppressed_notifications, rows[other].updated_time) == (None, LONG_AGO)
    assert stored(database, OutboxEntry) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"suppressedNotifications": None},
        {"suppressedNotifications": {"everything": True}},
        {"suppressedNotifications": {"patientClinicInvitation": "yes"}},
        {"suppressedNotifications": {"patientClinicInvitation": None}},
        None,
    ],
)
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", as_=ALICE, json=body).status == 400
    assert stored(database, Clinic)[0].suppressed_notifications is None


@pytest.mark.one_engine
def test_a_body_is_required(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", as_=ALICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", json=SUPPRESS).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY, SERVICE])
def test_is_for_admins(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    address = f"/v1/clinics/{clinic_id}/suppressed_notifications"
    assert api.post(address, as_=caller, json=SUPPRESS).status == 403
    assert api.post(address, as_=caller, json={}).status == 403


@pytest.mark.one_engine
def test_unknown_and_malformed_clinics_are_told_to_nobody(api: Client) -> None:
    """Whoever may call this is a member of the clinic, so a clinic that does not exist has nobody to be told."""
    for clinic_id in ("0" * 24, "harbour"):
        address = f"/v1/clinics/{clinic_id}/suppressed_notifications"
        assert api.post(address, as_=ALICE, json=SUPPRESS).status == 403


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    with counting(database) as statements:
        api.post(f"/v1/clinics/{clinic_id}/suppressed_notifications", as_=ALICE, json=SUPPRESS)
    # Access, lock and update; SQLite's BEGIN does not count.
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) <= 3
