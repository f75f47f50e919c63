"""What the tests of CreatePatientFromUser share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from clinic_service.db.engine import Database
from tests.support.cast import CAROL, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.rows import storing

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
PROFILE = {
    "fullName": "Carol C. Cooper",
    "birthday": "1987-04-12",
    "mrn": "MRN-20417",
    "targetDevices": ["omnipod", "dexcom"],
}


def path(clinic_id: str, person: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{person.id}"


def create(api: Client, clinic_id: str, person: Somebody = CAROL, **body: Any) -> Reply:
    return api.post(path(clinic_id, person), as_=SERVICE, json=body)


def set_up(database: Database, clinic_id: str, **values: Any) -> None:
    """Give the clinic these settings."""
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in values.items():
            setattr(clinic, name, value)
