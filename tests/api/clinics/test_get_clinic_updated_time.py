"""GetClinic: when `updatedTime` moves on with the set of administrators, and when it does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import make_pending
from tests.support.rows import make_account, make_clinician, make_staffed_clinic, storing

BEFORE = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
NOW = BEFORE + timedelta(hours=1)
ADMIN_KEY, MEMBER_KEY = "Qm9yZWFsIEZvcmVzdCBpbnZpdGUgMDAx", "Qm9yZWFsIEZvcmVzdCBpbnZpdGUgMDAy"

Change = Callable[[Client, str], Reply]


@pytest.fixture
def clinic_id(database: Database) -> str:
    """Alice and Carol are administrators, Bob is a member, Erin and Mallory are invited, Dave is a service account."""
    with storing(database) as unit:
        clinic: Clinic = make_staffed_clinic(unit, updated_time=BEFORE)
        make_clinician(unit, clinic, CAROL, "CLINIC_ADMIN")
        make_clinician(unit, clinic, DAVE, email=None, is_service_account=True)
        for person, role, key in ((ERIN, "CLINIC_ADMIN", ADMIN_KEY), (MALLORY, "CLINIC_MEMBER", MEMBER_KEY)):
            make_account(unit, person)
            make_pending(unit, clinic, person, role, key=key)
        return clinic.id


def record(role: str, **more: str) -> Change:
    body = {"email": "new@mail.example", "roles": [role], **more}
    return lambda api, clinic: api.post(f"/v1/clinics/{clinic}/clinicians", as_=SERVICE, json=body)


def update(person: Somebody, *roles: str, name: str = "Somebody") -> Change:
    body = {"email": person.email, "roles": roles, "name": name}
    return lambda api, clinic: api.put(f"/v1/clinics/{clinic}/clinicians/{person.id}", as_=SERVICE, json=body)


def delete(person: Somebody) -> Change:
    return lambda api, clinic: api.delete(f"/v1/clinics/{clinic}/clinicians/{person.id}", as_=ALICE)


def accept(person: Somebody, key: str) -> Change:
    return lambda api, _: api.put(f"/v1/clinicians/{person.id}/invites/{key}", as_=person)


def associate(person: Somebody, key: str) -> Change:
    path = f"invites/clinicians/{key}/clinician"
    return lambda api, clinic: api.patch(f"/v1/clinics/{clinic}/{path}", as_=SERVICE, json={"userId": person.id})


def withdraw(key: str) -> Change:
    return lambda api, clinic: api.delete(f"/v1/clinics/{clinic}/invites/clinicians/{key}", as_=ALICE)


def remove_everywhere(person: Somebody) -> Change:
    return lambda api, _: api.delete(f"/v1/users/{person.id}/clinics", as_=SERVICE)


CHANGES: dict[str, Change] = {
    "an admin is recorded": record("CLINIC_ADMIN", id="0e7e000006"),
    "an admin accepts": accept(ERIN, ADMIN_KEY),
    "an admin is associated": associate(ERIN, ADMIN_KEY),
    "a member is promoted": update(BOB, "CLINIC_ADMIN"),
    "an admin is demoted": update(ALICE, "CLINIC_MEMBER"),
    "an admin is deleted": delete(CAROL),
    "an admin's account is removed": remove_everywhere(CAROL),
}
OTHERS: dict[str, Change] = {
    "a member is recorded": record("CLINIC_MEMBER", id="0e7e000006"),
    "an admin is invited": record("CLINIC_ADMIN"),
    "a member accepts": accept(MALLORY, MEMBER_KEY),
    "a member is associated": associate(MALLORY, MEMBER_KEY),
    "a member gets another role": update(BOB, "CLINIC_MEMBER", "PRESCRIBER"),
    "an admin gets another role": update(ALICE, "CLINIC_ADMIN", "PRESCRIBER"),
    "a service account is promoted": update(DAVE, "CLINIC_ADMIN"),
    "an admin gets another name": update(ALICE, "CLINIC_ADMIN", name="Alice A."),
    "a member is deleted": delete(BOB),
    "a member's account is removed": remove_everywhere(BOB),
    "an invitation of an admin is withdrawn": withdraw(ADMIN_KEY),
}


def updated_time(api: Client, clinic_id: str) -> str:
    text: str = api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE).json["updatedTime"]
    return text


@pytest.mark.parametrize("case", CHANGES)
def test_moves_on_when_the_set_of_admins_changes(api: Client, clinic_id: str, case: str) -> None:
    with clock.frozen(NOW):
        assert CHANGES[case](api, clinic_id).status in (200, 204)
    assert updated_time(api, clinic_id) == clock.to_wire(NOW)


@pytest.mark.parametrize("case", OTHERS)
def test_stays_when_the_set_of_admins_stays(api: Client, clinic_id: str, case: str) -> None:
    with clock.frozen(NOW):
        assert OTHERS[case](api, clinic_id).status in (200, 204)
    assert updated_time(api, clinic_id) == clock.to_wire(BEFORE)


@pytest.mark.parametrize("case", CHANGES)
def test_never_goes_back(api: Client, clinic_id: str, case: str) -> None:
    with clock.frozen(BEFORE - timedelta(hours=1)):
        assert CHANGES[case](api, clinic_id).status in (200, 204)
    assert updated_time(api, clinic_id) == clock.to_wire(BEFORE)
