"""Thousands of patients at once, for tests of how the database finds its way among them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert, inspect, literal, select

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.base import Base
from clinic_service.db.ids import new_id
from clinic_service.models import (
    LIST_INDEX,
    STATISTICS,
    Clinic,
    DataSource,
    DataSourceState,
    Patient,
    PatientTag,
    Summary,
    Tag,
)
from clinic_service.models.patient import ADD_TO_COUNT
from clinic_service.models.sort_keys import match_key, name_key
from clinic_service.models.statistics import scope
from clinic_service.unit_of_work import UnitOfWork
from tests.support.rows import LONG_AGO


def make_crowd(unit: UnitOfWork, clinic: Clinic, count: int) -> list[str]:
    """The ids of new patients of the clinic, in order of their creation."""
    rows = [_record(clinic, number) for number in range(count)]
    unit.execute(insert(Patient), rows)
    ClinicsOfUsers(unit).add_patients((row["user_id"], clinic.id) for row in rows)
    unit.execute(ADD_TO_COUNT, [{"clinic_id": clinic.id, "patients": count}])
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
        "mrn_match_key": match_key(f"MRN-{number}"),
        "name_match_key": match_key(name),
        "created_time": LONG_AGO,
        "updated_time": LONG_AGO,
    }


def tag_crowd(unit: UnitOfWork, tag: Tag, ids: Iterable[str]) -> None:
    """Let these patients of the tag's clinic carry it."""
    rows = [{"clinic_id": tag.clinic_id, "patient_id": patient_id, "tag_id": tag.id} for patient_id in ids]
    unit.execute(insert(PatientTag), rows)


# Columns of a summary and of its statistics in one period, by patient.
Summaries = Mapping[str, Mapping[str, Any]]


def summarize_crowd(unit: UnitOfWork, clinic: Clinic, period: str, summaries: Mapping[str, Summaries]) -> None:
    """All rows but the documents that the summaries, by their type, have; each has the same columns as the others."""
    indexed: dict[str, dict[str, Any]] = defaultdict(dict)
    for kind, of_kind in summaries.items():
        for patient_id, columns in of_kind.items():
            named = {f"{kind}_{name}": value for name, value in columns.items()}
            indexed[patient_id] |= {name: value for name, value in named.items() if name in LIST_INDEX.c}
        _store(unit, Summary, clinic, of_kind, {"type": kind, "digest": b""})
        _store(unit, STATISTICS, clinic, of_kind, {"scope": scope(kind, period)})
    _store(unit, LIST_INDEX, clinic, indexed, {"period": period})


def _store(unit: UnitOfWork, target: Any, clinic: Clinic, rows: Summaries, same: Mapping[str, Any]) -> None:
    """What the table has of the columns of each row."""
    known = inspect(target).c.keys() if isinstance(target, type) else target.c.keys()
    key = {"clinic_id": clinic.id, **same}
    made = [
        {**key, "patient_id": patient_id, **{name: value for name, value in columns.items() if name in known}}
        for patient_id, columns in rows.items()
    ]
    unit.execute(insert(target), made)


_COPIED = (
    *("tags", "sites", "patients", "patient_counts", "summaries", "statistics", "list_index"),
    *("patient_tags", "patient_sites", "data_sources"),
)


def copy_crowd(unit: UnitOfWork, clinic: Clinic, other: Clinic) -> None:
    """Give the other clinic the same of everything: less work than to make another crowd."""
    for name in _COPIED:
        table = Base.metadata.tables[name]
        columns = [literal(other.id) if column.name == "clinic_id" else column for column in table.c]
        same = select(*columns).where(table.c.clinic_id == clinic.id)
        unit.execute(insert(table).from_select(table.c.keys(), same))


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
