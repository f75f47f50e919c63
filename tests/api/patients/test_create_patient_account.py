"""CreatePatientAccount: POST /v1/clinics/{clinicId}/patients"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import (
    AccountEmail,
    Clinic,
    EmbeddedAccount,
    OutboxEntry,
    Patient,
    Permission,
    Reservation,
)
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
)
from tests.support.units import everything

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TIME = "2026-03-02T09:30:00.000Z"
REQUEST = {"providerName": "dexcom", "createdTime": TIME}
NOBODY_KNOWS = "Quite Unusual"


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def path(clinic_id: str) -> str:
    return f"/v1/clinics/{clinic_id}/patients"


def create(api: Client, clinic_id: str, as_: Somebody = BOB, **members: Any) -> Reply:
    return api.post(path(clinic_id), as_=as_, json={"fullName": CAROL.name, "birthDate": "1987-04-12"} | members)


def assert_nothing_made(database: Database) -> None:
    for model in (Patient, EmbeddedAccount, AccountEmail, OutboxEntry, Reservation):
        assert stored(database, model) == []


def test_a_patient_and_an_account_are_made(api: Client, database: Database, clinic_id: str) -> None:
    reply = create(api, clinic_id, email="Carol@Mail.Example")
    assert reply.status == 200
    [patient], [account], [address] = (
        stored(database, Patient),
        stored(database, EmbeddedAccount),
        stored(database, AccountEmail),
    )
    assert reply.json == {
        "id": account.user_id,
        "email": "carol@mail.example",
        "fullName": CAROL.name,
        "birthDate": "1987-04-12",
        "tags": [],
        "sites": [],
        "permissions": {"custodian": {}, "view": {}, "upload": {}, "note": {}},
        "createdTime": TIME,
        "updatedTime": TIME,
        "dataSources": None,
        "reviews": [],
        "connectionRequests": {"abbott": [], "dexcom": [], "twiist": []},
    }
    assert api.get(f"{path(clinic_id)}/{account.user_id}", as_=ALICE).json == reply.json
    assert (account.username, account.custodial_clinic_id) == ("carol@mail.example", clinic_id)
    assert (address.email, address.user_id) == ("carol@mail.example", account.user_id)
    assert (patient.user_id, patient.invited_by, patient.is_migrated) == (account.user_id, BOB.id, False)
    assert tuple(patient.permissions or ()) == tuple(Permission)


def test_all_that_a_clinic_may_say_is_stored(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        tag, sites = make_tag(unit, clinic, "Pump"), [make_site(unit, clinic, name) for name in ("North", "City")]
    source = {
        "state": "connected",
        "providerName": "dexcom",
        "dataSourceId": "0" * 24,
        "modifiedTime": "2026-01-20T15:05:11.0009+01:00",
    }
    given: dict[str, Any] = {
        "mrn": " MRN-1 ",
        "targetDevices": ["omnipod", "dexcom"],
        "tags": [tag.id],
        "glycemicRanges": {"type": "preset", "preset": "adaHighRisk"},
        "diagnosisType": "lada",
    }
    places = [{"id": site.id, "name": "any"} for site in (sites[1], sites[0], sites[1])]
    sources = [source, {"state": "pending", "providerName": "abbott"}]
    reply = create(api, clinic_id, **given, sites=places, dataSources=sources)
    assert reply.status == 200
    assert {name: reply.json[name] for name in given} == given
    assert reply.json["dataSources"] == [source | {"modifiedTime": "2026-01-20T14:05:11.000Z"}, sources[1]]
    assert reply.json["sites"] == [{"id": sites[1].id, "name": "City"}, {"id": sites[0].id, "name": "North"}]


def test_an_account_needs_no_address(api: Client, database: Database, clinic_id: str) -> None:
    replies = [create(api, clinic_id), create(api, clinic_id, email="")]
    assert [reply.status for reply in replies] == [200, 200]
    assert all("email" not in reply.json for reply in replies)
    # Nothing tells the two apart, so the same body twice makes two patients.
    assert len({patient.user_id for patient in stored(database, Patient)}) == 2
    assert [account.username for account in stored(database, EmbeddedAccount)] == [None, None]


def test_a_service_invites_nobody(api: Client, database: Database, clinic_id: str) -> None:
    assert create(api, clinic_id, SERVICE).status == 200
    [patient] = stored(database, Patient)
    assert patient.invited_by is None


@pytest.mark.parametrize(
    "members",
    [
        {"permissions": {"view": {}}},
        {"reviews": [{"clinicianId": ALICE.id, "time": TIME}]},
        {"id": CAROL.id, "createdTime": "2001-01-01T00:00:00Z", "updatedTime": "2001-01-01T00:00:00Z"},
        {"lastUploadReminderTime": TIME},
        {"connectionRequests": {"abbott": [], "dexcom": [REQUEST], "twiist": []}},
        {"attestationSubmitted": True},
        {"summary": {}},
        {"isMigrated": True, "invitedBy": MALLORY.id, "legacyClinicianIds": [MALLORY.id], "custodian": False},
    ],
    ids=lambda members: next(iter(members)),
)
def test_what_is_not_the_clinics_to_say_is_ignored(
    api: Client, database: Database, clinic_id: str, members: dict[str, Any]
) -> None:
    """WP-6 among others: nobody forges reviews."""
    plain, given = create(api, clinic_id).json, create(api, clinic_id, **members)
    assert given.status == 200
    assert given.json | {"id": None} == plain | {"id": None}
    for patient in stored(database, Patient):
        assert (patient.is_migrated, patient.invited_by, patient.legacy_clinician_ids) == (False, BOB.id, None)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"birthDate": "0001-01-01"}, {"birthDate": "0001-01-01"}),
        ({"tags": None}, {"tags": []}),
        ({"dataSources": None}, {"dataSources": None}),
        ({"dataSources": []}, {"dataSources": []}),
        ({"diagnosisType": ""}, {"diagnosisType": ...}),
        ({"targetDevices": []}, {"targetDevices": []}),
        ({"glycemicRanges": {}}, {"glycemicRanges": {"type": "preset", "preset": "adaStandard"}}),
    ],
)
def test_empty_members_are_accepted(api: Client, clinic_id: str, given: dict[str, Any], shown: dict[str, Any]) -> None:
    reply = create(api, clinic_id, **given)
    assert reply.status == 200
    assert {name: reply.json.get(name, ...) for name in shown} == shown


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "members",
    [
        {"fullName": ...},
        {"fullName": ""},
        {"fullName": None},
        {"birthDate": ...},
        {"birthDate": None},
        {"birthDate": "1987-02-30"},
        {"birthDate": ""},
        {"email": None},
        {"email": "Carol"},
        {"email": "carol@two@mail.example"},
        {"birthDate": "0000-01-01"},
        {"mrn": ""},
        {"mrn": " \t\u2003\x1f"},
        {"mrn": None},
        {"targetDevices": None},
        {"targetDevices": "omnipod"},
        {"tags": ["0" * 24, "0" * 24]},
        {"tags": ["Pump"]},
        {"sites": None},
        {"sites": [{"id": "0" * 24}]},
        {"dataSources": [{"providerName": "dexcom", "state": "lost"}]},
        {"dataSources": [{"providerName": "dexcom"}]},
        {"glycemicRanges": None},
        {"glycemicRanges": {"type": "custom"}},
        {"diagnosisType": "gout"},
        {"diagnosisType": None},
    ],
    ids=str,
)
def test_bad_input_is_refused(api: Client, database: Database, clinic_id: str, members: dict[str, Any]) -> None:
    body = {"fullName": NOBODY_KNOWS, "birthDate": "1987-04-12"} | members
    reply = api.post(path(clinic_id), as_=BOB, json={name: value for name, value in body.items() if value is not ...})
    assert_error(reply, 400)
    assert_nothing_made(database)


@pytest.mark.one_engine
def test_a_site_is_named_by_its_id(api: Client, database: Database, clinic_id: str) -> None:
    assert_violations(create(api, clinic_id, sites=[{"name": "North"}]), ("/body/sites/0/id", "required"))
    assert_nothing_made(database)


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"json": None}, {"json": []}])
def test_a_body_is_required(api: Client, database: Database, clinic_id: str, body: dict[str, Any]) -> None:
    """WP-7: an absent body would make a nameless patient."""
    assert_error(api.post(path(clinic_id), as_=BOB, **body), 400)
    assert_nothing_made(database)


@pytest.mark.one_engine
def test_an_error_names_the_place_and_not_the_value(api: Client, clinic_id: str) -> None:
    reply = create(api, clinic_id, email=NOBODY_KNOWS)
    assert_violations(reply, ("/body/email", "format"))
    assert NOBODY_KNOWS not in str(reply)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.post(path(clinic_id), json={}), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [CAROL, DAVE, ERIN, PETE, MALLORY])
def test_nobody_else_makes_patients(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
        make_patient(unit, unit.clinics.get(clinic_id), DAVE)
    before = everything(database)
    assert_error(create(api, clinic_id, caller), 403)
    # Access is told before what is wrong with the request.
    assert_error(api.post(path(clinic_id), as_=caller, json={"mrn": 1}), 403)
    assert everything(database) == before


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_members_admins_and_services_do(api: Client, clinic_id: str, caller: Somebody) -> None:
    assert create(api, clinic_id, caller).status == 200


def test_an_unknown_clinic_is_not_found(api: Client, database: Database) -> None:
    assert_error(create(api, "0" * 24, SERVICE, email=CAROL.email), 404)
    assert_nothing_made(database)


def test_an_address_belongs_to_one_account(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, DAVE)
    before = everything(database)
    reply = create(api, clinic_id, email=DAVE.email.upper())
    assert_error(reply, 409)
    assert DAVE.email not in str(reply).lower()
    # Nothing is left that would be carried out later, or that takes up a place.
    assert everything(database) == before


def test_the_same_body_twice_is_refused_when_it_has_an_address(api: Client, database: Database, clinic_id: str) -> None:
    assert [create(api, clinic_id, email=CAROL.email).status for _ in range(2)] == [200, 409]
    assert len(stored(database, Patient)) == 1


def test_what_it_leaves_behind(api: Client, database: Database, clinic_id: str) -> None:
    [before] = stored(database, Clinic)
    user_id = create(api, clinic_id, email=CAROL.email).json["id"]
    [event] = stored(database, OutboxEntry)
    assert (event.kind, event.clinic_id, event.next_attempt_time) == ("patient_added", clinic_id, NOW)
    assert event.payload == {
        "clinicId": clinic_id,
        "userId": user_id,
        "custodial": True,
        "isMigrated": False,
        "invitedBy": BOB.id,
    }
    assert stored(database, Reservation) == []
    [after] = stored(database, Clinic)
    assert after.updated_time == before.updated_time
