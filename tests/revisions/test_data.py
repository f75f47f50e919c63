"""Revisions that change data do so for the rows of a database in use."""

from __future__ import annotations

from random import Random
from typing import Any

from sqlalchemy import select, text

from clinic_service.db import schema
from clinic_service.db.engine import Database, revision_engine
from clinic_service.models import HOT_STATISTICS, PatientCount
from clinic_service.models.keys import name_key, search_text
from clinic_service.unit_of_work import reading, writing
from tests.support.cast import CAROL, DAVE, ERIN
from tests.support.rows import make_clinic, make_patient
from tests.support.summaries import bgm_stats, cgm_stats, put_summaries

CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"
# More than are read at a time.
PATIENTS = 1005


def test_patients_who_were_there_before_get_their_keys(database_url: str) -> None:
    schema.upgrade(database_url, "0012")
    engine = revision_engine(database_url)
    columns = "has_permissions, permission_custodian, permission_view, permission_upload, permission_note, is_migrated"
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO clinics (id, name, preferred_bg_units, is_migrated, ehr_enabled, ehr_on_upload, created_time,"
                " updated_time) VALUES (:id, 'Harbour', 'mg/dL', true, false, false, :now, :now)"
            ),
            {"id": CLINIC_ID, "now": "2026-01-05T08:30:00.000Z"},
        )
        connection.execute(
            text(
                "INSERT INTO patients (clinic_id, id, user_id, full_name, mrn, glycemic_ranges, require_unique_mrn,"
                f" data_sources_set, created_time, updated_time, {columns}) VALUES (:clinic_id, :id, :user_id, :name,"
                " 'M-1', :ranges, false, false, :now, :now, false, false, false, false, false, false)"
            ),
            [
                {
                    "clinic_id": CLINIC_ID,
                    "id": f"{number:024x}",
                    "user_id": f"{number:010x}",
                    "name": None if number == 0 else f"Ólafur {number}",
                    "ranges": '{"type": "preset", "preset": "adaHighRisk"}' if number == 1 else None,
                    "now": "2026-01-05T08:30:00.000Z",
                }
                for number in range(PATIENTS)
            ],
        )
    schema.upgrade(database_url)
    with engine.connect() as connection:
        question = text("SELECT full_name, name_key, search_text, has_standard_ranges FROM patients ORDER BY id")
        rows = connection.execute(question).all()
    engine.dispose()
    assert len(rows) == PATIENTS
    assert [bytes(row.name_key) for row in rows] == [name_key(row.full_name) for row in rows]
    assert [row.search_text for row in rows] == [search_text(row.full_name, "M-1") for row in rows]
    assert [bool(row.has_standard_ranges) for row in rows] == [number != 1 for number in range(PATIENTS)]


def test_patients_who_were_there_before_get_their_hot_statistics(database_url: str) -> None:
    """Made by today's program, taken away by a downgrade, and made again by the revisions from what is left."""
    schema.upgrade(database_url)
    database, random = Database(database_url), Random(7)
    with writing(database) as unit:
        for number in range(3):
            clinic = make_clinic(unit)
            for person in (CAROL, DAVE, ERIN)[number:]:
                make_patient(unit, clinic, person)
        put_summaries(
            unit, CAROL, cgmStats=cgm_stats(random, periods=("1d", "14d"), gaps=0.3), bgmStats=bgm_stats(random)
        )
        put_summaries(unit, DAVE, bgmStats=bgm_stats(random, periods=(), dates=None))
    made = _hot_statistics_and_counts(database)
    database.dispose()
    schema.downgrade(database_url, "0016")
    schema.upgrade(database_url)
    database = Database(database_url)
    assert _hot_statistics_and_counts(database) == made
    database.dispose()
    assert [len(rows) for rows in made] == [4 + 2 * 4, 3]


def _hot_statistics_and_counts(database: Database) -> list[list[Any]]:
    with reading(database) as unit:
        tables = (HOT_STATISTICS, PatientCount.metadata.tables["patient_counts"])
        return [list(unit.execute(select(table).order_by(*table.primary_key.columns))) for table in tables]
