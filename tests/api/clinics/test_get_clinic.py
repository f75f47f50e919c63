"""GetClinic: GET /v1/clinics/{clinicId}"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import PatientSite, PatientTag
from tests.support.cast import ALICE, CAROL, DAVE, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import (
    COMPLETE_CLINIC,
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    share_code,
    storing,
)
from tests.support.statements import counting


def shown(api: Client, clinic_id: str) -> Any:
    reply = api.get(f"/v1/clinics/{clinic_id}", as_=SERVICE)
    assert reply.status == 200
    return reply.json


@pytest.mark.parametrize("caller", [ALICE, MALLORY, SERVICE])
def test_answers_the_whole_clinic_to_anybody_signed_in(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(
            unit,
            **COMPLETE_CLINIC,
            website="https://harbour.example",
            phone_numbers=[{"type": "Office", "number": "+1 207 555 0142"}],
            clinic_size="250-499",
            preferred_bg_units="mmol/L",
            timezone="America/New_York",
            tier="tier0300",
            suppressed_notifications={"patientClinicInvitation": True},
        )
    reply = api.get(f"/v1/clinics/{clinic.id}", as_=caller)
    assert reply.status == 200
    assert reply.json == {
        "id": clinic.id,
        "name": "Harbour Diabetes Centre",
        "address": "14 Quay Street",
        "city": "Portland",
        "postalCode": "04101",
        "state": "ME",
        "country": "US",
        "website": "https://harbour.example",
        "phoneNumbers": [{"type": "Office", "number": "+1 207 555 0142"}],
        "clinicType": "provider_practice",
        "clinicSize": "250-499",
        "preferredBgUnits": "mmol/L",
        "timezone": "America/New_York",
        "shareCode": share_code(clinic.id),
        "canMigrate": False,
        "tier": "tier0300",
        "tierDescription": "Premium",
        "patientTags": [],
        "sites": [],
        "suppressedNotifications": {"patientClinicInvitation": True},
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
    }


def test_what_was_never_given_is_absent_or_shown_as_its_default(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, name=None, preferred_bg_units=None)
    answer = shown(api, clinic.id)
    assert (answer["name"], answer["preferredBgUnits"]) == ("", "mg/dL")
    assert set(answer) == {
        *("id", "name", "preferredBgUnits", "shareCode", "canMigrate", "tier", "tierDescription"),
        *("patientTags", "sites", "createdTime", "updatedTime"),
    }


@pytest.mark.parametrize(
    ("tier", "shown_tier", "description"),
    [
        (None, "tier0100", "Free"),
        ("tier0100", "tier0100", "Free"),
        ("tier0200", "tier0200", "Standard"),
        ("tier0300", "tier0300", "Premium"),
        ("tier0400", "tier0400", "Enterprise"),
    ],
)
def test_tells_the_tier_in_words(
    api: Client, database: Database, tier: str | None, shown_tier: str, description: str
) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, tier=tier)
    answer = shown(api, clinic.id)
    assert (answer["tier"], answer["tierDescription"]) == (shown_tier, description)


def test_rule_tags_and_sites_are_arrays_in_order_of_creation_with_counts(api: Client, database: Database) -> None:
    """Rule: always arrays, in creation order, each with its number of patients, 0 included."""
    with storing(database) as unit:
        clinic, elsewhere = make_clinic(unit), make_clinic(unit)
        tags = [make_tag(unit, clinic, name) for name in ("Zinc", "Alpha")]
        sites = [make_site(unit, clinic, name) for name in ("West", "East")]
        other = make_tag(unit, elsewhere, "Zinc")
        for person in (CAROL, DAVE):
            patient = make_patient(unit, clinic, person)
            key = {"clinic_id": clinic.id, "patient_id": patient.id}
            unit.session.add(PatientTag(**key, tag_id=tags[0].id))
            unit.session.add(PatientSite(**key, site_id=sites[1].id, position=0))
        stranger = make_patient(unit, elsewhere, CAROL)
        unit.session.add(PatientTag(clinic_id=elsewhere.id, patient_id=stranger.id, tag_id=other.id))
    answer = shown(api, clinic.id)
    assert answer["patientTags"] == [
        {"id": tags[0].id, "name": "Zinc", "numPatients": 2},
        {"id": tags[1].id, "name": "Alpha", "numPatients": 0},
    ]
    assert answer["sites"] == [
        {"id": sites[0].id, "name": "West", "numPatients": 0},
        {"id": sites[1].id, "name": "East", "numPatients": 2},
    ]


def can_migrate(api: Client, database: Database, *, with_admin: bool = True, **values: Any) -> bool:
    with storing(database) as unit:
        clinic = make_clinic(unit, **{**COMPLETE_CLINIC, "is_migrated": False, **values})
        if with_admin:
            make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
    return bool(shown(api, clinic.id)["canMigrate"])


def test_can_migrate_with_a_complete_profile_and_an_admin(api: Client, database: Database) -> None:
    assert can_migrate(api, database)


@pytest.mark.parametrize("missing", [*COMPLETE_CLINIC, "name", "preferred_bg_units"])
def test_cannot_migrate_without_a_part_of_the_profile(api: Client, database: Database, missing: str) -> None:
    lack: dict[str, Any] = {missing: None}
    assert not can_migrate(api, database, **lack)


def test_cannot_migrate_with_an_empty_name(api: Client, database: Database) -> None:
    assert not can_migrate(api, database, name="")


def test_cannot_migrate_twice(api: Client, database: Database) -> None:
    assert not can_migrate(api, database, is_migrated=True)


def test_cannot_migrate_without_an_admin(api: Client, database: Database) -> None:
    assert not can_migrate(api, database, with_admin=False)


def test_an_invited_admin_and_a_service_account_are_nobody_in_charge(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, **COMPLETE_CLINIC, is_migrated=False)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN", user_id=None, invite_id="an invitation")
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", is_service_account=True)
    assert shown(api, clinic.id)["canMigrate"] is False


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = make_clinic(unit).id
    assert api.get("/v1/clinics/harbour", as_=ALICE).status == 400
    assert api.get(f"/v1/clinics/{clinic_id[:23]}F", as_=ALICE).status == 400
    assert api.get(f"/v1/clinics/{clinic_id}%0A", as_=ALICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.get(f"/v1/clinics/{'0' * 24}").status == 401


@pytest.mark.parametrize("caller", [MALLORY, SERVICE])
def test_unknown_clinics_are_not_found(api: Client, caller: Somebody) -> None:
    reply = api.get(f"/v1/clinics/{'0' * 24}", as_=caller)
    assert (reply.status, reply.json["message"]) == (404, "The clinic was not found.")


def test_the_number_of_statements_is_fixed(api: Client, database: Database) -> None:
    def sent() -> int:
        with counting(database) as statements:
            shown(api, clinic.id)
        return len(statements)

    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
    bare = sent()
    with storing(database) as unit:
        for name in ("Pump", "Pregnant", "Sensor"):
            make_tag(unit, clinic, name)
            make_site(unit, clinic, name)
    assert sent() == bare <= 2
