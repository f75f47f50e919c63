"""Revisions that change data do so for the rows of a database in use."""

from __future__ import annotations

from sqlalchemy import select, text

from clinic_service.db import schema
from clinic_service.db.engine import Database, revision_engine
from clinic_service.models import Patient
from clinic_service.models.sort_keys import match_key
from clinic_service.packaged import revisions_folder
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.unit_of_work import reading

CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"
# More than are read at a time.
PATIENTS = 1005
FLAGS = ("require_unique_mrn", "data_sources_set", "has_permissions", "is_migrated")
PERMISSIONS = ("permission_custodian", "permission_view", "permission_upload", "permission_note")


def before(name: str) -> str:
    """The number of the revision before the one called `name`."""
    [file] = (revisions_folder() / "versions").glob(f"*_{name}.py")
    return f"{int(file.name[:4]) - 1:04d}"


def test_patients_who_were_there_before_get_their_match_keys(database_url: str) -> None:
    schema.upgrade(database_url, before("fill_match_keys"))
    engine = revision_engine(database_url)
    columns = ", ".join((*FLAGS, *PERMISSIONS))
    values = ", ".join(["false"] * len((*FLAGS, *PERMISSIONS)))
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO clinics (id, is_migrated, ehr_enabled, ehr_on_upload, created_time, updated_time)"
                " VALUES (:id, true, false, false, :now, :now)"
            ),
            {"id": CLINIC_ID, "now": "2026-01-05T08:30:00.000Z"},
        )
        connection.execute(
            text(
                f"INSERT INTO patients (clinic_id, id, user_id, full_name, mrn, created_time, updated_time, {columns})"
                f" VALUES (:clinic_id, :id, :user_id, :name, :mrn, :now, :now, {values})"
            ),
            [
                {
                    "clinic_id": CLINIC_ID,
                    "id": f"{number:024x}",
                    "user_id": f"{number:010x}",
                    "name": None if number == 0 else f"Ólafur Straße {number}",
                    "mrn": None if number == 1 else f"Mŕ-{number}",
                    "now": "2026-01-05T08:30:00.000Z",
                }
                for number in range(PATIENTS)
            ],
        )
    engine.dispose()
    schema.upgrade(database_url)
    database = Database(database_url)
    with reading(database) as unit:
        keys = select(Patient.full_name, Patient.mrn, Patient.name_match_key, Patient.mrn_match_key)
        rows = unit.execute(keys.order_by(Patient.id)).all()
    differences = [difference.what for difference in compare(database)]
    database.dispose()
    assert len(rows) == PATIENTS
    assert [row.name_match_key for row in rows] == [match_key(row.full_name) for row in rows]
    assert [row.mrn_match_key for row in rows] == [match_key(row.mrn) for row in rows]
    assert not any("match_key" in what for what in differences)
