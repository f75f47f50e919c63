"""Revisions that change data do so for the rows of a database in use."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any
from unicodedata import normalize

import pytest
from sqlalchemy import select, text, update

from clinic_service.db import schema
from clinic_service.db.engine import Database, revision_engine
from clinic_service.models import HOT_STATISTICS, Clinic, Patient, PatientCount, Site, Tag
from clinic_service.models.sort_keys import name_key, search_text
from clinic_service.resources.patients.mrn import mrn_key
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.unit_of_work import UnitOfWork, reading, writing
from tests.support.cast import BOB, CAROL, DAVE, ERIN
from tests.support.rows import make_clinic, make_patient, tag_patient
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


FOREIGN_SPACES = ["\u00a0", "\u2003", "\u3000", "\ufeff", "\u2028", "\u1680", "\v"]


def old_key(name: str) -> str:
    """The key of a tag as it was."""
    return name.strip().replace(" ", "").lower()


@pytest.fixture
def filled(database_url: str) -> Iterator[Database]:
    """A database at the newest revision, to be filled with rows as older programs left them."""
    schema.upgrade(database_url)
    database = Database(database_url)
    yield database
    database.dispose()


def upgrade_again(database: Database) -> None:
    database.dispose()
    url = database.url.render_as_string(hide_password=False)
    schema.downgrade(url, "0020")
    schema.upgrade(url)


def store_tags(unit: UnitOfWork, clinic: Clinic, *names: str) -> list[Tag]:
    tags = [Tag(clinic_id=clinic.id, id=unit.new_id(), name=name, name_key=old_key(name)) for name in names]
    unit.session.add_all(tags)
    unit.flush()
    return tags


def test_tags_that_become_one_name_are_kept_under_names_of_their_own(filled: Database) -> None:
    with writing(filled) as unit:
        clinic, other = make_clinic(unit), make_clinic(unit)
        long = "δ" * 18
        tags = store_tags(unit, clinic, "ΟΔΟΣ", "οδοσ", "οδος 2", f"{long}ΔΣ", f"{long}δσ", "Straße", "STRASSE", "Pump")
        store_tags(unit, other, "οδοσ")
        patient = make_patient(unit, clinic, CAROL)
        tag_patient(unit, patient, *tags)
        ids = [tag.id for tag in tags]
    upgrade_again(filled)
    with reading(filled) as unit:
        found = unit.clinics.describe([clinic.id, other.id])
        keys = unit.tags.ids_by_key(clinic.id)
    assert [tag.id for tag in found[clinic.id].patient_tags] == ids
    names = ["ΟΔΟΣ", "οδοσ 3", "οδος 2", f"{long}ΔΣ", f"{long} 2", "Straße", "STRASSE 2", "Pump"]
    assert [tag.name for tag in found[clinic.id].patient_tags] == names
    assert [tag.name for tag in found[other.id].patient_tags] == ["οδοσ"]
    assert [tag.num_patients for tag in found[clinic.id].patient_tags] == [1] * len(names)
    assert keys == {Tag.key_of(name): one for name, one in zip(names, ids, strict=True)}


def test_keys_that_trade_places_do_not_meet(filled: Database) -> None:
    """The new key of the first is the old key of the second, whose new key was nobody's."""
    with writing(filled) as unit:
        clinic = make_clinic(unit)
        store_tags(unit, clinic, "Δος", "δοσ")
    upgrade_again(filled)
    with reading(filled) as unit:
        assert [tag.name for tag in unit.clinics.describe([clinic.id])[clinic.id].patient_tags] == ["Δος", "δοσ 2"]


def test_white_space_of_tags_that_is_not_allowed_becomes_a_space(filled: Database) -> None:
    with writing(filled) as unit:
        clinic = make_clinic(unit)
        store_tags(
            unit,
            clinic,
            *(f"{n}{space}a" for n, space in enumerate(FOREIGN_SPACES)),
            "Pump\ufeff",
            "A\tB",
            "7\u00a0a",
            "7 a",
        )
    upgrade_again(filled)
    with reading(filled) as unit:
        names = [tag.name for tag in unit.clinics.describe([clinic.id])[clinic.id].patient_tags]
    assert names == [*(f"{n} a" for n, _ in enumerate(FOREIGN_SPACES)), "Pump", "A\tB", "7 a", "7 a 2"]


def test_sites_that_become_one_name_are_kept_under_names_of_their_own(filled: Database) -> None:
    composed, decomposed = (normalize(form, "한글") for form in ("NFC", "NFD"))
    with writing(filled) as unit:
        clinic = make_clinic(unit)
        for name in (composed, decomposed, "City Clinic"):
            unit.session.add(Site(clinic_id=clinic.id, id=unit.new_id(), name=name, name_key=name.casefold()))
    upgrade_again(filled)
    with reading(filled) as unit:
        names = [site.name for site in unit.clinics.describe([clinic.id])[clinic.id].sites]
        keys = unit.sites.ids_by_key(clinic.id)
    assert names == [composed, f"{decomposed} (2)", "City Clinic"]
    assert set(keys) == {Site.key_of(name) for name in names}


def test_patients_get_their_folded_keys_and_equal_numbers_are_tolerated(filled: Database) -> None:
    """Numbers that nobody else has are held against others afterwards as they were before."""
    numbers = {CAROL: "\u1fb4", DAVE: "\u1fb3\u0301", ERIN: "\u1fb3\u0301-1", BOB: "B-1"}
    with writing(filled) as unit:
        clinic = make_clinic(unit, mrn_required=False, mrn_unique=True)
        for person, mrn in numbers.items():
            old = normalize("NFC", mrn.casefold())
            make_patient(unit, clinic, person, full_name="Straße", mrn=mrn, mrn_key=old, require_unique_mrn=True)
        unit.execute(update(Patient).values(search_text="straße"))
    upgrade_again(filled)
    with reading(filled) as unit:
        patients = {row.user_id: row for row in unit.execute(select(*Patient.__table__.columns))}
    for person, mrn in numbers.items():
        row = patients[person.id]
        assert row.mrn_key == mrn_key(mrn)
        assert row.search_text == search_text("Straße", person.email, mrn, "1987-04-12")
    assert patients[CAROL.id].mrn_key == patients[DAVE.id].mrn_key
    assert [patients[person.id].require_unique_mrn for person in numbers] == [True, False, True, True]
    assert list(compare(filled)) == []


def _hot_statistics_and_counts(database: Database) -> list[list[Any]]:
    with reading(database) as unit:
        tables = (HOT_STATISTICS, PatientCount.metadata.tables["patient_counts"])
        return [list(unit.execute(select(table).order_by(*table.primary_key.columns))) for table in tables]
