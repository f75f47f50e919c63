"""Which clinic and which patients a message is about, on both engines."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, EhrProvider, Patient
from clinic_service.resources.ehr.errors import EhrClinicNotFound, SourceShared
from clinic_service.resources.ehr.matching import (
    Criterion,
    PatientData,
    find_clinic,
    find_mrn,
    find_patients,
    get_clinic,
    is_child,
)
from clinic_service.unit_of_work import reading, writing
from tests.support.cast import BOB, CAROL, DAVE, ERIN
from tests.support.crowds import make_crowd
from tests.support.ehr import SOURCE_ID, make_ehr_clinic
from tests.support.plans import analyze, plans, rows_read
from tests.support.rows import make_clinic, make_patient, storing
from tests.support.statements import counting

JOSE = PatientData("MR-7", "1987-04-12", "José Álvarez")
MRN, MRN_DOB, DOB_FULLNAME = Criterion


class TestClinic:
    @pytest.mark.parametrize("lock", [False, True])
    def test_is_the_enabled_one_of_the_partner_and_the_source(self, database: Database, lock: bool) -> None:
        with storing(database) as unit:
            wanted = make_ehr_clinic(unit, mrnIdType="EPI").id
            make_ehr_clinic(unit, enabled=False)
            make_ehr_clinic(unit, provider="xealth")
            make_ehr_clinic(unit, sourceId=SOURCE_ID.upper())
            make_clinic(unit)
        with writing(database) as unit:
            found = get_clinic(unit, EhrProvider.REDOX, SOURCE_ID, lock=lock)
        assert found.id == wanted
        assert found.settings.mrn_id_type == "EPI"
        assert found.settings.procedure_codes.create_account_and_enable_reports == "CREATE-ENABLE"

    @pytest.mark.parametrize("source_id", ["another", "", None])
    def test_there_is_none_for_another_source(self, database: Database, source_id: str | None) -> None:
        with storing(database) as unit:
            make_ehr_clinic(unit)
            make_ehr_clinic(unit, sourceId="")
        with reading(database) as unit:
            assert find_clinic(unit, EhrProvider.REDOX, source_id) is None
            with pytest.raises(EhrClinicNotFound):
                get_clinic(unit, EhrProvider.REDOX, source_id)

    def test_several_with_one_source_cannot_be_told_apart(self, database: Database) -> None:
        with storing(database) as unit:
            for _ in range(3):
                make_ehr_clinic(unit)
        with reading(database) as unit, pytest.raises(SourceShared):
            find_clinic(unit, EhrProvider.REDOX, SOURCE_ID)


class TestPatients:
    def find(self, database: Database, clinic: Clinic, data: PatientData, *criteria: Criterion) -> list[str]:
        """The users who match."""
        with reading(database) as unit:
            return [found.user_id for found in find_patients(unit, clinic.id, data, criteria)]

    @pytest.mark.parametrize(
        ("known", "criterion"),
        [
            ({"mrn": "mr-7", "birth_date": None}, MRN),
            ({"mrn": "mŕ-7"}, MRN),
            ({"mrn": "Mr-7", "birth_date": "1987-04-12"}, MRN_DOB),
            ({"full_name": "jose ALVAREZ", "birth_date": "1987-04-12"}, DOB_FULLNAME),
            ({"full_name": "Jose\u0301 A\u0301lvarez", "birth_date": "1987-04-12"}, DOB_FULLNAME),
        ],
    )
    def test_are_compared_without_case_and_accents(
        self, database: Database, known: dict[str, Any], criterion: Criterion
    ) -> None:
        with storing(database) as unit:
            clinic = make_ehr_clinic(unit)
            make_patient(unit, clinic, CAROL, **known)
            make_patient(unit, make_ehr_clinic(unit), DAVE, **known)
        assert self.find(database, clinic, JOSE, criterion) == [CAROL.id]

    @pytest.mark.parametrize(
        ("known", "criterion"),
        [
            ({"mrn": "MR 7"}, MRN),
            ({"mrn": " MR-7"}, MRN),
            ({"mrn": None}, MRN),
            ({"mrn": "MR-7", "birth_date": "1987-04-13"}, MRN_DOB),
            ({"mrn": "MR-7", "birth_date": None}, MRN_DOB),
            ({"full_name": "José  Álvarez", "birth_date": "1987-04-12"}, DOB_FULLNAME),
            ({"full_name": "José Álvarez", "birth_date": "1987-04-13"}, DOB_FULLNAME),
            ({"full_name": None, "birth_date": "1987-04-12"}, DOB_FULLNAME),
        ],
    )
    def test_white_space_and_punctuation_and_all_of_a_criterion_count(
        self, database: Database, known: dict[str, Any], criterion: Criterion
    ) -> None:
        with storing(database) as unit:
            clinic = make_ehr_clinic(unit)
            make_patient(unit, clinic, CAROL, **known)
        assert self.find(database, clinic, JOSE, criterion) == []

    def test_are_those_of_all_criteria_in_their_order_each_once(self, database: Database) -> None:
        with storing(database) as unit:
            clinic = make_ehr_clinic(unit)
            make_patient(unit, clinic, CAROL, mrn="MR-7", full_name="Zoe", birth_date="1950-01-01")
            make_patient(unit, clinic, DAVE, mrn="mr-7", full_name="jose alvarez", birth_date="1987-04-12")
            make_patient(unit, clinic, ERIN, mrn="mr-8", full_name="José Alvarez", birth_date="1987-04-12")
        assert self.find(database, clinic, JOSE, MRN, DOB_FULLNAME) == [DAVE.id, CAROL.id, ERIN.id]
        assert self.find(database, clinic, JOSE, DOB_FULLNAME, MRN) == [DAVE.id, ERIN.id, CAROL.id]
        assert self.find(database, clinic, JOSE, MRN_DOB, MRN_DOB, MRN) == [DAVE.id, CAROL.id]

    def test_are_at_most_a_hundred_of_each_criterion(self, database: Database) -> None:
        with storing(database) as unit:
            clinic = make_ehr_clinic(unit)
            for number in range(101):
                make_patient(unit, clinic, BOB, user_id=f"b0b{number:07x}", mrn="MR-7", birth_date="1987-04-12")
            make_patient(unit, clinic, CAROL, full_name="José Álvarez", birth_date="1987-04-12")
        assert len(self.find(database, clinic, JOSE, MRN)) == 100
        assert len(self.find(database, clinic, JOSE, MRN_DOB, DOB_FULLNAME)) == 101

    def test_are_found_again_after_their_record_changed(self, database: Database) -> None:
        with storing(database) as unit:
            clinic = make_ehr_clinic(unit)
            make_patient(unit, clinic, CAROL, mrn="other")
        with storing(database) as unit:
            unit.patients.get(clinic.id, CAROL.id).mrn = "MR-7"
        assert self.find(database, clinic, JOSE, MRN) == [CAROL.id]


def test_all_criteria_are_one_statement_that_reads_little_but_the_matches(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_crowd(unit, clinic, 2000)
    analyze(database)
    data = PatientData("mrn-107", "1907-12-01", "patient 00107")

    def find() -> list[str]:
        with reading(database) as unit:
            return [found.user_id for found in find_patients(unit, clinic.id, data, list(Criterion))]

    with counting(database) as sent:
        assert find() == [f"c40d{107:06x}"]
    assert len(sent) == 1
    steps = [step for plan in plans(database, find) for step in plan if step.table == "patients"]
    by_birth_date = "ix_patients_clinic_id_birth_date_id"
    assert {step.by for step in steps} <= {"ix_patients_match_mrn", "ix_patients_match_name", by_birth_date}
    assert steps
    assert not any(step.whole for step in steps)
    if (rows := rows_read(steps)) is not None:
        assert rows <= 20


class TestNumber:
    @pytest.mark.parametrize(
        ("identifiers", "expected"),
        [
            ([("MRN", "7")], "7"),
            ([("EPI", "1"), ("mrn", "7"), ("MRN", "8")], "7"),
            ([("MRN", ""), ("MRN", "8")], None),
            ([("MRN", None), ("MRN", "8")], None),
            ([("MRN", 7)], None),
            ([(None, "7"), (5, "6"), (["MRN"], "5")], None),
            ([], None),
        ],
    )
    def test_is_the_first_of_its_type(self, identifiers: list[tuple[Any, Any]], expected: str | None) -> None:
        assert find_mrn(identifiers, "Mrn") == expected


@pytest.mark.parametrize(
    ("birth_date", "today", "expected"),
    [
        ("2013-05-02", "2026-05-01", True),
        ("2013-05-02", "2026-05-02", False),
        ("2013-05-02", "2026-06-01", False),
        ("2012-02-29", "2025-02-28", True),
        ("2012-02-29", "2025-03-01", False),
        ("1990-12-31", "2026-01-01", False),
        ("2030-01-01", "2026-01-01", True),
    ],
)
def test_a_child_is_not_thirteen_yet(birth_date: str, today: str, expected: bool) -> None:
    assert is_child(date.fromisoformat(birth_date), date.fromisoformat(today)) is expected


def test_a_patient_is_stored_with_both_keys(database: Database) -> None:
    with storing(database) as unit:
        patient = make_patient(unit, make_clinic(unit), CAROL, mrn="MR-7")
    assert isinstance(patient, Patient)
    assert patient.mrn_match_key
    assert patient.name_match_key
