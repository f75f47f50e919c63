"""A patient of whom everything is known, and whose record is replaced."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry
from clinic_service.models.patient import Review
from tests.support.cast import ALICE, BOB, CAROL, Somebody
from tests.support.client import Client, Reply
from tests.support.rows import (
    LONG_AGO,
    make_data_source,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    stored,
    storing,
    tag_patient,
)

# When the tests happen, and when the record was made.
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
TIME, BEFORE = "2026-03-02T09:30:00.000Z", "2026-01-05T08:30:00.000Z"
RANGES = {"type": "preset", "preset": "adaHighRisk"}
SOURCE = {"state": "connected", "providerName": "dexcom"}


def make_known_patient(database: Database) -> str:
    """The id of a clinic with the claimed patient Carol, of whom everything is known."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        carol = make_patient(
            unit,
            clinic,
            CAROL,
            mrn="MRN-1",
            mrn_key="mrn-1",
            target_devices=["omnipod", "dexcom"],
            glycemic_ranges=RANGES,
            diagnosis_type="type1",
        )
        carol.reviews = [Review(ALICE.id, LONG_AGO)]
        make_data_source(unit, carol, "dexcom")
        tag_patient(unit, carol, make_tag(unit, clinic, "Pump"))
        place_patient(unit, carol, *(make_site(unit, clinic, name) for name in ("North", "City")))
        return clinic.id


def path(clinic_id: str, person: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{person.id}"


def record(api: Client, clinic_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = api.get(path(clinic_id), as_=BOB).json
    return shown


def put(api: Client, clinic_id: str, body: Any, as_: Somebody = BOB) -> Reply:
    return api.put(path(clinic_id), as_=as_, json=body)


def change(api: Client, clinic_id: str, as_: Somebody = BOB, **members: Any) -> Reply:
    """Send the record back with these members changed; ... leaves a member out."""
    body = record(api, clinic_id) | members
    return put(api, clinic_id, {name: value for name, value in body.items() if value is not ...}, as_)


def events(database: Database) -> list[Any]:
    return [event.payload for event in stored(database, OutboxEntry)]
