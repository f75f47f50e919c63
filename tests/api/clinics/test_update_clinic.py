"""UpdateClinic: PUT /v1/clinics/{clinicId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic, make_tag, stored, storing
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LEAST = {"name": "Hilltop", "preferredBgUnits": "mmol/L"}
OLD: dict[str, Any] = {
    "address": "14 Quay Street",
    "city": "Portland",
    "postal_code": "04101",
    "state": "ME",
    "country": "US",
    "website": "https://harbour.example",
    "phone_numbers": [{"number": "1"}],
    "clinic_type": "provider_practice",
    "clinic_size": "250-499",
    "timezone": "America/New_York",
}
NEW = {
    "name": "Hilltop",
    "address": "1 Hill Road",
    "city": "Toronto",
    "postalCode": "M4B",
    "state": "ON",
    "country": "CA",
    "website": "no address at all",
    "phoneNumbers": [{"type": "Fax", "number": "2"}],
    "clinicType": "researcher",
    "clinicSize": "1000+",
    "preferredBgUnits": "mmol/L",
    "timezone": "US/Pacific",
}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit, **OLD).id


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_stores_the_profile(api: Client, clinic_id: str, caller: Somebody) -> None:
    before = api.get(f"/v1/clinics/{clinic_id}", as_=caller).json
    reply = api.put(f"/v1/clinics/{clinic_id}", as_=caller, json=NEW)
    assert reply.status == 200
    assert reply.json == before | NEW | {"updatedTime": "2026-03-02T09:30:00.000Z"}
    assert api.get(f"/v1/clinics/{clinic_id}", as_=caller).json == reply.json


def test_rule_absent_members_are_kept_but_for_telephone_and_time_zone(api: Client, clinic_id: str) -> None:
    """Rule: an omitted scalar keeps its stored value; omitted phoneNumbers and timezone are cleared."""
    answer = api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=LEAST).json
    kept = {"address", "city", "postalCode", "state", "country", "website", "clinicType", "clinicSize"}
    assert kept <= set(answer)
    assert (answer["address"], answer["clinicSize"], answer["name"]) == ("14 Quay Street", "250-499", "Hilltop")
    assert not {"phoneNumbers", "timezone"} & set(answer)


def test_what_was_read_can_be_sent_back(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, **OLD, tier="tier0200", suppressed_notifications={})
        make_tag(unit, clinic, "Pump")
    read = api.get(f"/v1/clinics/{clinic.id}", as_=ALICE).json
    reply = api.put(f"/v1/clinics/{clinic.id}", as_=ALICE, json=read)
    assert reply.json == read | {"updatedTime": "2026-03-02T09:30:00.000Z"}


def test_what_is_no_part_of_the_profile_is_left_alone(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, tier="tier0200", patient_count_settings={"hardLimit": {"plan": 7}})
    body = LEAST | {
        "id": "0" * 24,
        "tier": "tier0400",
        "shareCode": "AAAA-BBBB-CCCC",
        "patientTags": [{"id": "1" * 24, "name": "Pump"}],
        "suppressedNotifications": {"patientClinicInvitation": True},
        "createdTime": "2020-01-01T00:00:00.000Z",
        "country": "CA",
    }
    answer = api.put(f"/v1/clinics/{clinic.id}", as_=ALICE, json=body).json
    assert (answer["id"], answer["tier"], answer["patientTags"]) == (clinic.id, "tier0200", [])
    assert answer["shareCode"] != "AAAA-BBBB-CCCC"
    assert answer["createdTime"] == "2026-01-05T08:30:00.000Z"
    (row,) = stored(database, Clinic)
    assert row.suppressed_notifications is None
    assert row.patient_count_settings == {"hardLimit": {"plan": 7}}


def test_an_unmigrated_clinic_can_be_completed_and_says_so(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, name=None, preferred_bg_units=None, is_migrated=False)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
    assert api.put(f"/v1/clinics/{clinic.id}", as_=ALICE, json=LEAST).json["canMigrate"] is False
    assert api.put(f"/v1/clinics/{clinic.id}", as_=ALICE, json=NEW).json["canMigrate"] is True


def test_the_time_of_the_change_never_goes_back(api: Client, database: Database) -> None:
    later = NOW + timedelta(hours=1)
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, updated_time=later)
    assert api.put(f"/v1/clinics/{clinic.id}", as_=ALICE, json=LEAST).json["updatedTime"] == clock.to_wire(later)


def test_a_repeat_changes_only_the_time(api: Client, clinic_id: str) -> None:
    first = api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=NEW).json
    with clock.frozen(NOW + timedelta(seconds=1)):
        second = api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=NEW).json
    assert second == first | {"updatedTime": "2026-03-02T09:30:01.000Z"}


def test_other_clinics_are_untouched_and_nobody_is_told(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=NEW)
    row = next(clinic for clinic in stored(database, Clinic) if clinic.id == other)
    assert (row.name, row.updated_time) == ("Harbour Diabetes Centre", LONG_AGO)
    assert stored(database, OutboxEntry) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"preferredBgUnits": "mg"},
        {"timezone": "Europe/Atlantis"},
        {"clinicType": "hospital"},
        {"clinicSize": "0"},
        {"phoneNumbers": []},
        {"phoneNumbers": None},
        {"address": ""},
    ],
)
def test_bodies_that_break_the_spec_are_refused(
    api: Client, database: Database, clinic_id: str, change: dict[str, Any]
) -> None:
    assert api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=NEW | change).status == 400
    (row,) = stored(database, Clinic)
    assert (row.name, row.updated_time) == ("Harbour Diabetes Centre", LONG_AGO)


@pytest.mark.one_engine
@pytest.mark.parametrize("missing", LEAST)
def test_name_and_units_are_required(api: Client, clinic_id: str, missing: str) -> None:
    body = {name: value for name, value in LEAST.items() if name != missing}
    assert api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=body).status == 400


@pytest.mark.one_engine
def test_a_body_is_required(api: Client, clinic_id: str) -> None:
    assert api.put(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.put(f"/v1/clinics/{clinic_id}", json=LEAST).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert api.put(f"/v1/clinics/{clinic_id}", as_=caller, json=LEAST).status == 403
    assert api.put(f"/v1/clinics/{clinic_id}", as_=caller, json={}).status == 403


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert api.put(f"/v1/clinics/{'0' * 24}", as_=SERVICE, json=LEAST).status == 404
    assert api.put(f"/v1/clinics/{'0' * 24}", as_=ALICE, json=LEAST).status == 403


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    with counting(database) as statements:
        api.put(f"/v1/clinics/{clinic_id}", as_=ALICE, json=NEW)
    # Begin (SQLite only), access, lock, update, and two for the answer.
    assert len([sql for sql in statements if not sql.startswith("BEGIN")]) <= 5
