"""Thousands of patients at once, for tests of how the database finds its way among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from clinic_service.db.ids import new_id
from clinic_service.models import STATISTICS, Clinic, DataSource, DataSourceState, Patient, PatientTag, Summary, Tag
from clinic_service.models.keys import name_key
from clinic_service.unit_of_work import UnitOfWork
from tests.support.rows import LONG_AGO


def make_crowd(unit: UnitOfWork, clinic: Clinic, count: int) -> list[str]:
    """The ids of new patients of the clinic, in order of their creation."""
    rows = [_record(clinic, number) for number in range(count)]
    unit.execute(insert(Patient), rows)
    return [row["id"] for row in rows]


def _record(clinic: Clinic, number: int) -> dict[str, Any]:
    name = f"Patient {number:05}"
    return {
        "clinic_id": clinic.id,
        "id": new_id(),
        "user_id": f"c40d{number:06x}",
        "full_name": name,
        "name_key": name_key(name),
        "search_text": name.lower(),
        "birth_date": f"19{number % 100:02}-{number % 12 + 1:02}-01",
        "mrn": f"MRN-{number}",
        "mrn_key": f"mrn-{number}",
        "created_time": LONG_AGO,
        "updated_time": LONG_AGO,
    }


def tag_crowd(unit: UnitOfWork, tag: Tag, ids: Iterable[str]) -> None:
    """Let these patients of the tag's clinic carry it."""
    rows = [{"clinic_id": tag.clinic_id, "patient_id": patient_id, "tag_id": tag.id} for patient_id in ids]
    unit.execute(insert(PatientTag), rows)


def summarize_crowd(unit: UnitOfWork, clinic: Clinic, kind: str, last_data: Mapping[str, datetime | None]) -> None:
    """The rows that summaries of that type have, by patient, without their documents."""
    rows = [
        {
            "clinic_id": clinic.id,
            "patient_id": patient_id,
            "type": kind,
            "digest": b"",
            "has_last_data": time is not None,
            "last_data": time,
        }
        for patient_id, time in last_data.items()
    ]
    unit.execute(insert(Summary), rows)


def measure_crowd(unit: UnitOfWork, clinic: Clinic, scope: str, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """The rows of statistics of that scope by patient; each has the same columns as the others."""
    key = {"clinic_id": clinic.id, "scope": scope}
    rows: list[dict[str, Any]] = [{**key, "patient_id": each, **of_one} for each, of_one in figures.items()]
    unit.execute(insert(STATISTICS), rows)


def connect_crowd(unit: UnitOfWork, clinic: Clinic, states: Mapping[str, str]) -> None:
    """Give each of these patients a Dexcom source in the state."""
    rows = [
        {
            "clinic_id": clinic.id,
            "patient_id": patient_id,
            "position": 0,
            "provider_name": "dexcom",
            "state": DataSourceState(state),
        }
        for patient_id, state in states.items()
    ]
    unit.execute(insert(DataSource), rows)
