"""CreateClinic: POST /v1/clinics"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, OutboxEntry, Patient, ShareCode
from clinic_service.resources.clinics.errors import NoFreeShareCode
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, CAROL, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_violations
from tests.support.rows import make_account, make_clinic, share_code, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PROFILE: dict[str, Any] = {
    "name": "Harbour Diabetes Centre",
    "address": "14 Quay Street",
    "city": "Portland",
    "postalCode": "04101",
    "state": "ME",
    "country": "US",
    "phoneNumbers": [{"type": "Office", "number": "+1 207 555 0142"}],
    "clinicType": "provider_practice",
    "clinicSize": "250-499",
    "website": "https://harbour.example",
    "preferredBgUnits": "mmol/L",
    "timezone": "America/New_York",
}
LEAST = {"name": "Harbour", "preferredBgUnits": "mg/dL"}
CAROLS_PROFILE = {"fullName": "Carol Cooper", "birthday": "1987-04-12", "mrn": "MRN-20417", "targetDevices": ["dexcom"]}


@pytest.fixture
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture(autouse=True)
def _account(database: Database) -> None:
    with storing(database) as unit:
        make_account(unit, ALICE)


@pytest.fixture
def with_demo(database: Database, config: Config) -> Client:
    """A client of a server that has Carol as its demonstration patient."""
    return Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)


def created(api: Client, body: Any = LEAST) -> Any:
    reply = api.post("/v1/clinics", as_=ALICE, json=body)
    assert reply.status == 200
    return reply.json


def events(database: Database) -> list[tuple[str, Any]]:
    return [(entry.kind, entry.payload) for entry in stored(database, OutboxEntry)]


@pytest.mark.usefixtures("_frozen")
def test_answers_the_new_clinic(api: Client) -> None:
    answer = created(api, PROFILE)
    assert {name: answer[name] for name in PROFILE} == PROFILE
    assert {name: value for name, value in answer.items() if name not in PROFILE} == {
        "id": answer["id"],
        "shareCode": answer["shareCode"],
        "canMigrate": False,
        "tier": "tier0100",
        "tierDescription": "Free",
        "patientTags": [],
        "sites": [],
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    assert api.get(f"/v1/clinics/{answer['id']}", as_=ALICE).json == answer


def test_the_clinic_is_migrated_and_limited(api: Client, database: Database) -> None:
    created(api)
    (clinic,) = stored(database, Clinic)
    assert clinic.is_migrated
    assert clinic.tier is None
    assert clinic.patient_count_settings == {"hardLimit": {"plan": 250}}


@pytest.mark.usefixtures("_frozen")
def test_the_caller_becomes_the_first_admin(api: Client, database: Database) -> None:
    clinic_id = created(api)["id"]
    (admin,) = stored(database, Clinician)
    assert (admin.clinic_id, admin.user_id, admin.email, admin.name) == (clinic_id, ALICE.id, ALICE.email, ALICE.name)
    assert [role.value for role in admin.roles] == ["CLINIC_ADMIN"]
    assert (admin.is_service_account, admin.created_time, admin.updated_time) == (False, NOW, NOW)


def test_a_creator_without_address_and_name_becomes_admin_all_the_same(api: Client, database: Database) -> None:
    nobody = Somebody("ca11ab1e08", "", "")
    with storing(database) as unit:
        make_account(unit, nobody)
    assert api.post("/v1/clinics", as_=nobody, json=LEAST).status == 200
    (admin,) = stored(database, Clinician)
    assert (admin.user_id, admin.email, admin.name) == (nobody.id, None, None)


def test_the_share_code_is_new_and_well_formed(api: Client, database: Database) -> None:
    answers = [created(api), created(api)]
    codes = {code.code: code for code in stored(database, ShareCode)}
    assert set(codes) == {answer["shareCode"] for answer in answers}
    assert len(codes) == 2
    for answer in answers:
        assert re.fullmatch(r"([A-HJ-NP-Z2-9]{4}-){2}[A-HJ-NP-Z2-9]{4}", answer["shareCode"])
        assert codes[answer["shareCode"]].clinic_id == answer["id"]
        assert codes[answer["shareCode"]].canonical


def test_rule_a_taken_share_code_is_drawn_again(database: Database) -> None:
    """Rule: rely on the unique constraint, and try again behind a savepoint."""
    with storing(database) as unit:
        taken = share_code(make_clinic(unit).id)
    with storing(database) as unit:
        clinic = Clinic(id="f" * 24, created_time=NOW, updated_time=NOW)
        unit.session.add(clinic)
        unit.flush()
        assert unit.clinics.add_share_code(clinic.id, iter([taken, taken, "AAAA-BBBB-CCCC"]).__next__) == (
            "AAAA-BBBB-CCCC"
        )
    assert {code.code for code in stored(database, ShareCode)} == {taken, "AAAA-BBBB-CCCC"}


def test_rule_drawing_ends_after_a_hundred_taken_codes(database: Database) -> None:
    """Rule: give up after 100 attempts, with 500."""
    with storing(database) as unit:
        clinic_id = make_clinic(unit).id
    drawn: list[str] = []

    def draw() -> str:
        drawn.append(share_code(clinic_id))
        return drawn[-1]

    with storing(database) as unit, pytest.raises(NoFreeShareCode) as caught:
        unit.clinics.add_share_code("f" * 24, draw)
    assert caught.value.status == 500
    assert len(drawn) == 100


@pytest.mark.usefixtures("_frozen")
def test_tells_of_the_clinic_and_of_its_admin(api: Client, database: Database) -> None:
    clinic_id = created(api)["id"]
    assert events(database) == [
        ("clinician_added", {"clinicId": clinic_id, "userId": ALICE.id}),
        ("clinic_created", {"clinicId": clinic_id, "userId": ALICE.id, "ClinicName": "Harbour"}),
    ]


def test_an_empty_name_is_accepted_and_no_mail_is_sent(api: Client, database: Database) -> None:
    assert created(api, LEAST | {"name": ""})["name"] == ""
    assert [kind for kind, _ in events(database)] == ["clinician_added"]


def test_what_is_no_part_of_the_profile_is_ignored(api: Client, database: Database) -> None:
    given = {
        "id": "0" * 24,
        "shareCode": "AAAA-BBBB-CCCC",
        "tier": "tier0400",
        "tierDescription": "Enterprise",
        "canMigrate": True,
        "patientTags": [{"id": "1" * 24, "name": "Pump"}],
        "sites": [{"id": "1" * 24, "name": "West"}],
        "suppressedNotifications": {"patientClinicInvitation": True},
        "createdTime": "2020-01-01T00:00:00.000Z",
        "updatedTime": "2020-01-01T00:00:00.000Z",
        "isMigrated": False,
        "somethingElse": 1,
    }
    answer = created(api, LEAST | given)
    assert answer["id"] != given["id"]
    assert answer["shareCode"] != given["shareCode"]
    assert (answer["tier"], answer["canMigrate"], answer["patientTags"], answer["sites"]) == ("tier0100", False, [], [])
    assert "suppressedNotifications" not in answer
    assert not answer["createdTime"].startswith("2020")
    assert stored(database, Clinic)[0].is_migrated


def test_each_call_makes_another_clinic(api: Client, database: Database) -> None:
    assert created(api)["id"] != created(api)["id"]
    assert len(stored(database, Clinic)) == 2


@pytest.mark.usefixtures("_frozen")
def test_the_demo_patient_comes_with_the_clinic(with_demo: Client, database: Database) -> None:
    with storing(database) as unit:
        make_account(unit, CAROL, profile=CAROLS_PROFILE)
    clinic_id = created(with_demo)["id"]
    (patient,) = stored(database, Patient)
    assert (patient.clinic_id, patient.user_id, patient.full_name) == (clinic_id, CAROL.id, "Carol Cooper")
    assert (patient.birth_date, patient.email, patient.mrn) == ("1987-04-12", CAROL.email, "MRN-20417")
    assert patient.target_devices == ["dexcom"]
    assert (patient.permissions, patient.is_custodial, patient.is_migrated) == ({"view": {}}, False, True)
    assert (patient.created_time, patient.updated_time) == (NOW, NOW)
    assert patient.mrn_key == "mrn-20417"
    count = with_demo.get(f"/v1/clinics/{clinic_id}/patient_count", as_=ALICE)
    assert count.json == {"total": 1, "demo": 1, "plan": 0}
    (event,) = [payload for kind, payload in events(database) if kind == "patient_added"]
    assert (event["userId"], event["isMigrated"], event["custodial"]) == (CAROL.id, True, False)


def test_a_demo_patient_with_an_empty_profile_has_the_name_of_the_account(
    with_demo: Client, database: Database
) -> None:
    with storing(database) as unit:
        make_account(unit, CAROL)
    created(with_demo)
    (patient,) = stored(database, Patient)
    assert (patient.full_name, patient.birth_date, patient.mrn, patient.mrn_key) == (CAROL.name, None, None, None)


def test_an_unknown_demo_patient_stops_the_creation(with_demo: Client, database: Database) -> None:
    assert with_demo.post("/v1/clinics", as_=ALICE, json=LEAST).status == 502
    assert stored(database, Clinic) == []
    assert stored(database, Clinician) == []


def test_without_the_setting_there_is_no_demo_patient(api: Client, database: Database) -> None:
    created(api)
    assert stored(database, Patient) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"preferredBgUnits": "mg/l"},
        {"timezone": "Europe/Atlantis"},
        {"clinicType": "hospital"},
        {"clinicSize": "many"},
        {"phoneNumbers": []},
        {"phoneNumbers": [{"type": "Office"}]},
        {"phoneNumbers": [{"number": "1"}, {"number": "1"}]},
        {"city": ""},
        {"name": "x\u0000"},
    ],
)
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, change: dict[str, Any]) -> None:
    assert api.post("/v1/clinics", as_=ALICE, json=PROFILE | change).status == 400
    assert stored(database, Clinic) == []


@pytest.mark.one_engine
@pytest.mark.parametrize("missing", LEAST)
def test_name_and_units_are_required(api: Client, missing: str) -> None:
    body = {name: value for name, value in LEAST.items() if name != missing}
    reply = api.post("/v1/clinics", as_=ALICE, json=body)
    assert_violations(reply, (f"/body/{missing}", "required"))


@pytest.mark.one_engine
def test_a_body_is_required(api: Client) -> None:
    assert api.post("/v1/clinics", as_=ALICE).status == 400
    assert api.post("/v1/clinics", as_=ALICE, json=None).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.post("/v1/clinics", json=LEAST).status == 401


@pytest.mark.one_engine
def test_is_for_people(api: Client, database: Database) -> None:
    assert api.post("/v1/clinics", as_=SERVICE, json=LEAST).status == 403
    assert api.post("/v1/clinics", as_=SERVICE, json={}).status == 403
    assert stored(database, Clinic) == []


def test_a_caller_without_an_account_is_not_found(api: Client, database: Database) -> None:
    assert api.post("/v1/clinics", as_=CAROL, json=LEAST).status == 404
    assert stored(database, Clinic) == []


def test_nothing_remains_of_a_creation_that_fails(database: Database, config: Config) -> None:
    """The last step, the demonstration patient, cannot be stored; then the first ones must not be either."""
    with storing(database) as unit:
        make_account(unit, CAROL, profile=CAROLS_PROFILE)
        forbid = "BEFORE INSERT ON patients"
        unit.connection.exec_driver_sql(_REFUSAL[unit.connection.dialect.name].format(forbid=forbid))
    try:
        api = Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)
        assert api.post("/v1/clinics", as_=ALICE, json=LEAST).status == 500
    finally:
        with storing(database) as unit:
            unit.connection.exec_driver_sql(_RELEASE[unit.connection.dialect.name])
    for table in (Clinic, ShareCode, Clinician, Patient, OutboxEntry):
        assert stored(database, table) == []


_REFUSAL = {
    "sqlite": "CREATE TRIGGER refusal {forbid} BEGIN SELECT RAISE(ABORT, 'no'); END",
    "postgresql": """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE TRIGGER refusal {forbid} EXECUTE FUNCTION refuse()
    """,
}
_RELEASE = {"sqlite": "DROP TRIGGER refusal", "postgresql": "DROP FUNCTION refuse CASCADE"}


def test_the_number_of_statements_is_fixed(api: Client, database: Database) -> None:
    with counting(database) as statements:
        created(api, PROFILE)
    # The caller's standing, twice.
    # Account, addresses, profile; clinic, share code, clinician, an event for each of the two; two for the answer.
    # SQLite's BEGIN and the savepoint around the share code do not count.
    assert len([sql for sql in statements if sql.split()[0] in ("SELECT", "INSERT", "UPDATE")]) <= 13
