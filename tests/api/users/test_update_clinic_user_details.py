"""UpdateClinicUserDetails: POST /v1/users/{userId}/clinics"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, Invite, OutboxEntry, Patient
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB, CAROL, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_account,
    make_clinic,
    make_clinician,
    make_data_source,
    make_invite,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
WEEK = timedelta(days=7)
NEW = "robert@harbour.example"


class Known(NamedTuple):
    """The ids of two clinics that Bob is a member and a patient of."""

    first: str
    second: str


@pytest.fixture
def clinics(database: Database) -> Known:
    with storing(database) as unit:
        first, second = make_staffed_clinic(unit), make_clinic(unit)
        make_clinician(unit, second, BOB)
        make_patient(unit, first, BOB, "custodian")
        make_patient(unit, second, BOB)
        make_patient(unit, second, CAROL)
        make_invite(unit, second, key="linked", user_id=BOB.id, email=BOB.email)
        make_invite(unit, second, key="unlinked", email=BOB.email)
        return Known(first.id, second.id)


def update(api: Client, person: Somebody, body: Any) -> Reply:
    return api.post(f"/v1/users/{person.id}/clinics", json=body, as_=SERVICE)


def rows_of_users(database: Database) -> list[Clinician | Patient]:
    return [*stored(database, Clinician), *stored(database, Patient)]


def addresses(database: Database) -> list[tuple[str | None, str | None]]:
    return [(row.user_id, row.email) for row in rows_of_users(database)]


def invited(unit: UnitOfWork, clinic: Clinic, key: str, email: str = BOB.email, **values: Any) -> None:
    """An invitation that is linked to Bob, and its pending clinician."""
    make_invite(unit, clinic, key=key, user_id=BOB.id, email=email, **values)
    make_clinician(unit, clinic, BOB, user_id=None, invite_id=key, name=None, email=email)


def pairs(database: Database) -> dict[str, tuple[str | None, str | None]]:
    """The addresses of each pending clinician and of its invitation."""
    invites = {invite.key: invite.email for invite in stored(database, Invite)}
    return {row.invite_id: (row.email, invites[row.invite_id]) for row in stored(database, Clinician) if row.invite_id}


@pytest.mark.usefixtures("clinics")
def test_the_address_follows_the_account_in_lower_case_everywhere(api: Client, database: Database) -> None:
    reply = update(api, BOB, {"email": "Robert@Harbour.EXAMPLE"})
    assert (reply.status, reply.json) == (204, None)
    assert sorted(addresses(database), key=str) == sorted(
        [(ALICE.id, ALICE.email), (CAROL.id, CAROL.email), *[(BOB.id, NEW)] * 4], key=str
    )
    assert {invite.key: invite.email for invite in stored(database, Invite)} == {"linked": NEW, "unlinked": BOB.email}


@pytest.mark.usefixtures("clinics")
def test_moves_the_time_of_each_row_that_changed(api: Client, database: Database) -> None:
    with clock.frozen(NOW):
        update(api, BOB, {"email": NEW})
    rows = rows_of_users(database)
    assert {row.updated_time for row in rows if row.user_id == BOB.id} == {NOW}
    assert {row.updated_time for row in rows if row.user_id != BOB.id} == {LONG_AGO}
    assert {invite.key: invite.modified for invite in stored(database, Invite)} == {"linked": NOW, "unlinked": LONG_AGO}


def test_tells_which_patient_records_changed(api: Client, database: Database, clinics: Known) -> None:
    update(api, BOB, {"email": NEW})
    entries = stored(database, OutboxEntry)
    assert [(entry.kind, entry.clinic_id) for entry in entries] == [
        ("patient_changed", clinics.first),
        ("patient_changed", clinics.second),
    ]
    assert [(entry.payload["changed"], entry.payload["custodial"]) for entry in entries] == [
        (["email"], True),
        (["email"], False),
    ]


def test_rule_what_patients_were_asked_to_connect_is_asked_again(
    api: Client, database: Database, clinics: Known
) -> None:
    """The address that they have now never got the mails. Of several requests about one provider the newest counts."""
    asked = {"dexcom": [{"providerName": "dexcom", "createdTime": "2026-01-05T08:30:00.000Z"}] * 2, "twiist": []}
    with storing(database) as unit:
        for patient in unit.patients.all_of_user(BOB.id):
            patient.connection_requests = asked | {"abbott": asked["dexcom"]}
            if patient.clinic_id == clinics.second:
                make_data_source(unit, patient, "abbott", state="pendingReconnect")
    update(api, BOB, {"email": NEW})
    mails = [
        (entry.kind, entry.clinic_id) for entry in stored(database, OutboxEntry) if entry.kind != "patient_changed"
    ]
    assert mails == [
        ("request_dexcom_connect_custodial", clinics.first),
        ("request_abbott_connect_custodial", clinics.first),
        ("request_dexcom_connect", clinics.second),
        ("request_abbott_reconnect", clinics.second),
    ]


@pytest.mark.usefixtures("clinics")
def test_a_repeat_changes_nothing(api: Client, database: Database) -> None:
    with clock.frozen(NOW):
        update(api, BOB, {"email": NEW})
    with clock.frozen(NOW + timedelta(days=1)):
        assert update(api, BOB, {"email": NEW}).status == 204
    rows = rows_of_users(database)
    assert {row.updated_time for row in rows if row.user_id == BOB.id} == {NOW}
    assert len(stored(database, OutboxEntry)) == 2


@pytest.mark.usefixtures("clinics")
def test_rows_without_an_address_get_it(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, CAROL, email=None)
        make_patient(unit, clinic, CAROL, email=None)
    update(api, CAROL, {"email": "cc@mail.example"})
    assert [email for user, email in addresses(database) if user == CAROL.id] == ["cc@mail.example"] * 3


@pytest.mark.usefixtures("clinics")
@pytest.mark.parametrize("body", [{}, {"name": "Bobby"}])
def test_an_empty_object_changes_nothing(api: Client, database: Database, body: Any) -> None:
    before = addresses(database)
    assert update(api, BOB, body).status == 204
    assert addresses(database) == before


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"email": "bob"}, "/body/email", "format"),
        # In lower case each letter becomes two.
        ({"email": f"{'İ' * 200}@x.example"}, "/body/email", "format"),
        ({"email": None}, "/body/email", "type"),
        ([], "/body", "type"),
    ],
)
def test_malformed_bodies_are_refused(api: Client, body: Any, pointer: str, rule: str) -> None:
    reply = update(api, BOB, body)
    assert_violations(reply, (pointer, rule))


@pytest.mark.one_engine
def test_an_empty_address_and_an_absent_body_are_refused(api: Client) -> None:
    assert update(api, BOB, {"email": ""}).status == 400
    assert api.post(f"/v1/users/{BOB.id}/clinics", as_=SERVICE).status == 400
    assert api.post("/v1/users/Bob/clinics", json={"email": NEW}, as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.post(f"/v1/users/{BOB.id}/clinics", json={"email": NEW}).status == 401


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinics")
def test_is_for_services_not_even_for_the_user(api: Client) -> None:
    for caller in (BOB, ALICE):
        assert api.post(f"/v1/users/{BOB.id}/clinics", json={"email": NEW}, as_=caller).status == 403


def test_a_user_without_any_row_is_no_error(api: Client) -> None:
    assert update(api, MALLORY, {"email": "m@mail.example"}).status == 204


def test_another_row_of_one_clinic_with_the_address_refuses_the_invitation(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        invited(unit, clinic, "key")
        make_clinician(unit, clinic, CAROL, email=NEW)
    before = addresses(database), pairs(database)
    assert update(api, BOB, {"email": NEW}).status == 422
    assert (addresses(database), pairs(database)) == before


def test_another_row_of_one_clinic_with_the_address_refuses_all_of_it(
    api: Client, database: Database, clinics: Known
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinics.second), CAROL, user_id=None, invite_id="key", email=NEW)
    before = addresses(database), [invite.email for invite in stored(database, Invite)]
    assert update(api, BOB, {"email": NEW.upper()}).status == 422
    assert (addresses(database), [invite.email for invite in stored(database, Invite)]) == before
    assert stored(database, OutboxEntry) == []


@pytest.mark.usefixtures("clinics")
def test_the_address_may_stand_in_a_clinic_the_user_is_not_in(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), CAROL, email=NEW)
    assert update(api, BOB, {"email": NEW}).status == 204


@pytest.mark.usefixtures("clinics")
def test_only_the_locks_grow_with_the_clinics(api: Client, database: Database) -> None:
    with counting(database) as first:
        update(api, BOB, {"email": NEW})
    with storing(database) as unit:
        for _ in range(10):
            clinic = make_clinic(unit)
            make_clinician(unit, clinic, BOB)
            make_patient(unit, clinic, BOB)
    with counting(database) as second:
        update(api, BOB, {"email": "bobby@harbour.example"})
    assert len(first) == 13
    # The lock of a clinic and that of a record, for each of ten more clinics.
    assert len(second) == len(first) + 2 * 10


def test_a_pending_clinician_follows_with_its_invitation(api: Client, database: Database) -> None:
    key = "SGFyYm91ciBjbGluaWNpYW4gaW52aXRl"
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        make_account(unit, BOB._replace(email=NEW))
        invited(unit, clinic, key)
    with clock.frozen(NOW):
        assert update(api, BOB, {"email": NEW.upper()}).status == 204
    assert pairs(database) == {key: (NEW, NEW)}
    assert [row.updated_time for row in stored(database, Clinician) if row.invite_id] == [NOW]
    again = {"email": NEW, "roles": ["CLINIC_MEMBER"]}
    assert api.post(f"/v1/clinics/{clinic.id}/invites/clinicians", json=again, as_=ALICE).status == 409
    accepted = api.put(f"/v1/clinicians/{BOB.id}/invites/{key}", as_=BOB)
    assert (accepted.status, accepted.json["email"]) == (200, NEW)


def test_pending_clinicians_of_others_and_invitations_that_have_ended_stay(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_invite(unit, clinic, key="of carol", user_id=CAROL.id, email=CAROL.email)
        make_clinician(unit, clinic, CAROL, user_id=None, invite_id="of carol")
        make_invite(unit, clinic, key="unlinked", email="bobby@harbour.example")
        make_clinician(unit, clinic, BOB, user_id=None, invite_id="unlinked", email="bobby@harbour.example")
    assert update(api, BOB, {"email": NEW}).status == 204
    assert pairs(database) == {
        "of carol": (CAROL.email, CAROL.email),
        "unlinked": ("bobby@harbour.example", "bobby@harbour.example"),
    }


def test_one_row_of_a_clinic_gets_the_address(api: Client, database: Database) -> None:
    """The member before the invitation, and the older invitation before the newer one."""
    with storing(database) as unit:
        member, twice = make_clinic(unit), make_clinic(unit)
        make_clinician(unit, member, BOB)
        invited(unit, member, "member already", "bobby@harbour.example")
        invited(unit, twice, "newer", "bobby@harbour.example", created=LONG_AGO + timedelta(days=1))
        invited(unit, twice, "older")
        make_invite(unit, twice, key="declined", user_id=BOB.id, status="declined", created=LONG_AGO - WEEK)
    assert update(api, BOB, {"email": NEW}).status == 204
    assert pairs(database) == {
        "member already": ("bobby@harbour.example", "bobby@harbour.example"),
        "newer": ("bobby@harbour.example", "bobby@harbour.example"),
        "older": (NEW, NEW),
    }
