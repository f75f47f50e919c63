"""Finding patients across clinics reads what it answers, and little else, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.db.prepared import insert_into
from clinic_service.models import Clinic, Patient
from clinic_service.models.sort_keys import name_key
from clinic_service.resources.clinicians import listing
from clinic_service.resources.patients.search import Search, find_records
from clinic_service.unit_of_work import UnitOfWork, reading, writing
from tests.support.cast import BOB, CAROL, DAVE, Somebody
from tests.support.databases import clear
from tests.support.plans import Step, analyze, plans, rows_read
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, stored, storing
from tests.support.statements import counting

CLINICS, PATIENTS_OF_EACH, OF_BOB = 12, 300, 6
_ADD = insert_into(
    Patient,
    *("clinic_id", "id", "user_id", "full_name", "name_key", "search_text", "birth_date", "mrn", "mrn_key"),
    *("require_unique_mrn", "has_permissions", "has_standard_ranges", "is_migrated", "data_sources_set"),
    *("permission_custodian", "permission_view", "permission_upload", "permission_note"),
    *("created_time", "updated_time"),
)


def user_id(number: int) -> str:
    """Ids that no other test uses: rows that are gone can still be counted."""
    return f"f1bd{number:06x}"


def _add_patients(unit: UnitOfWork, clinic: Clinic, numbers: range) -> None:
    """Everybody has a number and a day of birth that few others have."""
    unit.insert(_ADD, *(_record(clinic, number) for number in numbers))
    ClinicsOfUsers(unit).add_patients((user_id(number), clinic.id) for number in numbers)


def _record(clinic: Clinic, number: int) -> dict[str, Any]:
    name = f"Patient {number:04}"
    flags = ("require_unique_mrn", "is_migrated", "data_sources_set")
    permissions = ("permission_custodian", "permission_upload", "permission_note")
    return {
        "clinic_id": clinic.id,
        "id": new_id(),
        "user_id": user_id(number),
        "full_name": name,
        "name_key": name_key(name),
        "search_text": name.lower(),
        "birth_date": f"19{number % 100:02}-{number % 12 + 1:02}-01",
        "mrn": f"MRN-{number}",
        "mrn_key": f"mrn-{number}",
        "has_permissions": True,
        "permission_view": True,
        "has_standard_ranges": True,
        "created_time": LONG_AGO,
        "updated_time": LONG_AGO,
        **dict.fromkeys((*flags, *permissions), False),
    }


@pytest.fixture(scope="module")
def large(shared_database: Database) -> Iterator[Database]:
    """Many clinics with many patients, of which Bob works for some. Nothing in here changes anything."""
    with storing(shared_database) as unit:
        for number in range(CLINICS):
            clinic = make_clinic(unit, ehr_source_id=f"source {number % 4}")
            # All know the same users, by the same names.
            _add_patients(unit, clinic, range(PATIENTS_OF_EACH))
            if number < OF_BOB:
                make_clinician(unit, clinic, BOB)
            else:
                make_clinician(unit, clinic, DAVE)
    analyze(shared_database)
    yield shared_database
    clear(shared_database)


def find(
    database: Database, search: Search, limit: int = 10, offset: int = 0, person: Somebody = BOB
) -> list[tuple[str, str]]:
    """The name and the id of those who are found."""
    with reading(database) as unit:
        return [(found.full_name or "", found.id) for found in find_records(unit, person.id, search, limit, offset)]


def steps(database: Database, search: Search, limit: int = 10) -> list[Step]:
    """How the patients, their clinics and their clinicians were come by."""
    tables = ("patients", "clinics", "clinicians")
    found = [step for plan in plans(database, lambda: find(database, search, limit)) for step in plan]
    return [step for step in found if step.table in tables]


def assert_reads(steps: list[Step], index: str, *, at_most: int) -> None:
    """Patients are come by through this index alone, by all that it is about, and so many of them are looked at."""
    of_patients = [step for step in steps if step.table == "patients"]
    assert {_NAMES.get(str(step.by), step.by) for step in of_patients} == {index}, of_patients
    assert all(COMPARED[index] <= step.columns for step in of_patients), of_patients
    assert not any(step.whole for step in of_patients), of_patients
    if (rows := rows_read(of_patients)) is not None:
        assert rows <= at_most, of_patients


WORKSPACES: list[dict[str, Any]] = [{}, {"workspace_id": "source 1", "workspace_id_type": "ehrSourceId"}]
BY_MRN, BY_BIRTH_DATE = "ix_patients_clinic_id_mrn_key", "ix_patients_clinic_id_birth_date_id"
BY_USER = "uq_patients_clinic_id_user_id"
# The name of SQLite for the index of a unique constraint.
_NAMES = {"sqlite_autoindex_patients_2": BY_USER}
COMPARED = {
    BY_MRN: {"clinic_id", "mrn_key"},
    BY_BIRTH_DATE: {"clinic_id", "birth_date"},
    BY_USER: {"clinic_id", "user_id"},
}


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_rule_a_number_is_one_probe_for_each_clinic(large: Database, workspace: dict[str, str]) -> None:
    search = Search(mrn=" mrn-7 ", **workspace)
    assert len(find(large, search)) == (2 if workspace else OF_BOB)
    assert_reads(steps(large, search), BY_MRN, at_most=OF_BOB)


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_rule_a_day_of_birth_is_one_probe_for_each_clinic(large: Database, workspace: dict[str, str]) -> None:
    search = Search(birth_date="1907-08-01", **workspace)
    expected = 2 if workspace else OF_BOB
    assert len(find(large, search)) == expected
    assert_reads(steps(large, search), BY_BIRTH_DATE, at_most=expected)


@pytest.mark.parametrize(
    ("search", "index"), [(Search(mrn="mrn-7"), BY_MRN), (Search(birth_date="1907-08-01"), BY_BIRTH_DATE)]
)
def test_in_one_clinic_the_order_of_names_is_not_gone_through(large: Database, search: Search, index: str) -> None:
    clinic_id = stored(large, Clinic)[0].id
    narrowed = search._replace(workspace_id=clinic_id, workspace_id_type="clinicId")
    assert len(find(large, narrowed)) == 1
    assert_reads(steps(large, narrowed), index, at_most=1)


def test_both_criteria_take_either_index(large: Database) -> None:
    search = Search(mrn="mrn-7", birth_date="1907-08-01")
    assert len(find(large, search)) == OF_BOB
    found = steps(large, search)
    [index] = {step.by for step in found if step.table == "patients"}
    assert index in (BY_MRN, BY_BIRTH_DATE)
    assert_reads(found, str(index), at_most=OF_BOB)


@pytest.mark.parametrize("limit", [1, 10, 50])
def test_rule_without_criterion_the_indexes_of_names_are_merged(large: Database, limit: int) -> None:
    found = steps(large, Search(), limit)
    by_name = "ix_patients_clinic_id_name_key_id"
    merged = [step for step in found if step.by == by_name]
    # One for each clinic; two more, on the way to a power of two, find nothing, and PostgreSQL leaves them out.
    assert len(merged) == OF_BOB + (2 if large.url.get_backend_name() == "sqlite" else 0)
    if (rows := rows_read(merged)) is not None:
        assert rows <= OF_BOB * limit
    records = [step for step in found if step not in merged]
    assert not any(step.whole for step in records if step.table == "patients")
    if (rows := rows_read(step for step in records if step.table == "patients")) is not None:
        assert rows <= limit


def test_the_callers_clinics_are_found_by_the_caller(large: Database) -> None:
    for search in (Search(), Search(mrn="mrn-7")):
        clinicians = [step for step in steps(large, search) if step.table == "clinicians"]
        assert clinicians
        if (rows := rows_read(clinicians)) is not None:
            assert rows <= CLINICS


def test_the_merge_is_in_order_across_pages(large: Database) -> None:
    everybody = [found for offset in range(0, 200, 50) for found in find(large, Search(), 50, offset)]
    assert len(set(everybody)) == 200
    assert all(earlier < later for earlier, later in pairwise(everybody))
    # Each user is known to every clinic of Bob's.
    assert [name for name, _ in everybody[:OF_BOB]] == ["Patient 0000"] * OF_BOB
    assert find(large, Search(), 10, OF_BOB * PATIENTS_OF_EACH - 3) == everybody_at_the_end(large)
    assert find(large, Search(), 10, OF_BOB * PATIENTS_OF_EACH) == []


def everybody_at_the_end(database: Database) -> list[tuple[str, str]]:
    with reading(database) as unit:
        clinics = [row.clinic_id for row in listing.of_user(unit, BOB.id, 100, 0)]
        last = [unit.patients.describe_one(clinic_id, user_id(PATIENTS_OF_EACH - 1)) for clinic_id in clinics]
    return sorted((patient.full_name or "", patient.id) for patient in last)[-3:]


def test_more_clinics_than_one_statement_merges(large: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [(10, 0), (7, 20), (50, OF_BOB * PATIENTS_OF_EACH - 10)]
    whole = [find(large, Search(), *page) for page in pages]
    monkeypatch.setattr("clinic_service.resources.patients.search._MOST_MERGED", 3)
    assert [find(large, Search(), *page) for page in pages] == whole


def test_who_has_no_clinic_asks_for_no_patients(large: Database) -> None:
    with counting(large) as sent:
        assert find(large, Search(), person=CAROL) == []
    assert len(sent) == 1


def test_the_records_of_a_user_are_found_by_the_user(large: Database) -> None:
    """Rule of ListClinicsForPatient: nothing but the user's own records is looked at; nor is it for data sources."""

    def ask() -> None:
        with reading(large) as unit:
            assert len(unit.patients.list_for_user(user_id(7), 10, 0)) == 10

    def lock() -> None:
        with writing(large) as unit:
            assert len(unit.patients.all_of_user(user_id(7))) == CLINICS

    for call in (ask, lock):
        found = [step for plan in plans(large, call) for step in plan if step.table == "patients"]
        assert_reads(found, BY_USER, at_most=CLINICS)
