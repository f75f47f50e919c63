"""`clinic-service db verify` and `db rebuild`: the projections that lists are read from, against their sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import delete, insert, update

from clinic_service.cli.db import db
from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import (
    LIST_INDEX,
    STATISTICS,
    Membership,
    OutboxEntry,
    Patient,
    PatientCount,
    PatientRecord,
    PendingClinician,
    Summary,
)
from clinic_service.resources.summaries import reconcile
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, CAROL, DAVE, ERIN, Somebody
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_patient, stored, storing
from tests.support.summaries import bgm_stats, cgm_stats, dates, put_summaries
from tests.support.units import everything

Run = Callable[..., Result]


class Place(NamedTuple):
    clinic_id: str
    carol: str
    dave: str


@pytest.fixture
def run(config: Config) -> Run:
    def call(*arguments: str) -> Result:
        settings = {"CLINIC_DATABASE_URL": config.database_url}
        return CliRunner().invoke(db, list(arguments), env=settings, catch_exceptions=False)

    return call


@pytest.fixture
def place(database: Database) -> Place:
    """Carol with summaries that hold all there can be, and Dave with next to nothing."""
    random = Random(20417)
    with storing(database) as unit:
        clinic = make_clinic(unit)
        carol = make_patient(
            unit,
            clinic,
            CAROL,
            mrn="MRN-20417",
            glycemic_ranges={"type": "preset", "preset": "adaHighRisk"},
        )
        dave = make_patient(unit, clinic, DAVE, full_name=None, email=None, birth_date=None)
        given = dates(random, firstData="0001-01-01T00:00:00Z", lastData="2026-03-01T10:00:00.999999+05:00")
        put_summaries(
            unit,
            CAROL,
            cgmStats=cgm_stats(random, periods=("1d", "14d", "30d", "90d"), gaps=0.2, dates=given),
            bgmStats=bgm_stats(random, id=None, dates=None, gaps=0.2),
        )
        put_summaries(unit, DAVE, cgmStats={})
        unit.execute(delete(OutboxEntry))
        return Place(clinic.id, carol.id, dave.id)


def spoil(database: Database, statement: Any) -> None:
    with storing(database) as unit:
        unit.execute(statement)


def assert_found_and_repaired(run: Run, database: Database, before: dict[str, list[Any]], *expected: str) -> None:
    """`verify` tells these lines and touches nothing; `rebuild` brings everything back to what it was `before`."""
    spoiled = everything(database)
    assert spoiled != before
    result = run("verify")
    assert result.stdout.splitlines() == list(expected)
    assert result.stderr == f"Error: Differences: {len(expected)}. Run `clinic-service db rebuild` to repair them.\n"
    assert result.exit_code == 1
    assert everything(database) == spoiled
    result = run("rebuild")
    assert (result.exit_code, result.output) == (0, f"{len(expected)} repaired\n")
    assert everything(database) == before
    assert run("verify").output == "No differences.\n"


@pytest.mark.usefixtures("place")
def test_where_nothing_differs_nothing_is_touched(run: Run, database: Database) -> None:
    before = everything(database)
    result = run("verify")
    assert (result.exit_code, result.output) == (0, "No differences.\n")
    assert run("rebuild").output == "0 repaired\n"
    assert everything(database) == before


def test_a_database_without_patients_is_in_order(run: Run, database: Database) -> None:  # noqa: ARG001
    assert run("verify").exit_code == 0


@pytest.mark.parametrize(("column", "value"), [("name_key", b"x"), ("search_text", "x"), ("has_standard_ranges", True)])
def test_keys_of_patients(run: Run, database: Database, place: Place, column: str, value: Any) -> None:
    before = everything(database)
    spoil(database, update(Patient).where(Patient.id == place.carol).values({column: value}))
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} {place.carol} patients.{column}")


def test_keys_that_an_older_program_did_not_know(run: Run, database: Database, place: Place) -> None:
    before = everything(database)
    spoil(database, update(Patient).values(name_key=b"", search_text="", has_standard_ranges=True))
    names = ("name_key", "search_text", "has_standard_ranges")
    # Dave has nothing to be found by.
    assert_found_and_repaired(run, database, before, *(f"{place.clinic_id} {place.carol} patients.{n}" for n in names))
    assert {patient.updated_time for patient in stored(database, Patient)} != {LONG_AGO}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("summary_id", "f"),
        ("digest", b""),
        ("last_updated_date", LONG_AGO),
        ("has_last_data", None),
        ("first_data", LONG_AGO),
        ("last_data", None),
        ("last_upload_date", LONG_AGO),
        ("outdated_since", LONG_AGO),
    ],
)
def test_rows_of_summaries(run: Run, database: Database, place: Place, column: str, value: Any) -> None:
    before = everything(database)
    spoil(database, update(Summary).where(Summary.type == "cgm").values({column: value}))
    expected = [f"{place.clinic_id} {place.carol} summaries.cgm"]
    if column in ("digest", "summary_id") or value == LONG_AGO:
        expected.append(f"{place.clinic_id} {place.dave} summaries.cgm")
    assert_found_and_repaired(run, database, before, *expected)


@pytest.mark.parametrize(
    "spoiling",
    [
        update(STATISTICS).where(STATISTICS.c.scope == "bgm7d").values(min=0.001),
        update(STATISTICS).where(STATISTICS.c.scope == "bgm7d").values(time_in_target_percent_delta=None),
        update(STATISTICS).where(STATISTICS.c.scope == "bgm7d").values(hours_with_data=1),
        delete(STATISTICS).where(STATISTICS.c.scope == "bgm7d"),
    ],
    ids=["value", "missing value", "value of the other type", "missing row"],
)
def test_statistics(run: Run, database: Database, place: Place, spoiling: Any) -> None:
    before = everything(database)
    spoil(database, spoiling)
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} {place.carol} statistics.bgm7d")


@pytest.mark.parametrize("scope", ["cgm7d", "cgm90d", "bgm1d", "x"])
def test_statistics_that_no_summary_has(run: Run, database: Database, place: Place, scope: str) -> None:
    before = everything(database)
    row = {"clinic_id": place.clinic_id, "patient_id": place.dave, "scope": scope, "min": 3.0}
    spoil(database, insert(STATISTICS).values(row))
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} {place.dave} statistics.{scope}")


@pytest.mark.parametrize(
    "spoiling",
    [
        update(LIST_INDEX).where(LIST_INDEX.c.period == "7d").values(bgm_average_glucose_mmol=0.001),
        update(LIST_INDEX).where(LIST_INDEX.c.period == "7d").values(cgm_last_data=LONG_AGO),
        update(LIST_INDEX).where(LIST_INDEX.c.period == "7d").values(cgm_has_last_data=None),
        delete(LIST_INDEX).where(LIST_INDEX.c.period == "7d"),
    ],
    ids=["value", "date", "missing flag", "missing row"],
)
def test_list_index(run: Run, database: Database, place: Place, spoiling: Any) -> None:
    before = everything(database)
    spoil(database, spoiling.where(LIST_INDEX.c.patient_id == place.carol))
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} {place.carol} list_index.7d")


def test_list_index_of_a_period_that_there_is_not(run: Run, database: Database, place: Place) -> None:
    before = everything(database)
    row = {"clinic_id": place.clinic_id, "patient_id": place.dave, "period": "90d", "cgm_last_data": LONG_AGO}
    spoil(database, insert(LIST_INDEX).values(row))
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} {place.dave} list_index.90d")


@pytest.mark.parametrize(
    "spoiling", [update(PatientCount).values(patients=7), delete(PatientCount)], ids=["more", "none"]
)
def test_numbers_of_patients(run: Run, database: Database, place: Place, spoiling: Any) -> None:
    # One without patients has no number, and needs none.
    with storing(database) as unit:
        make_clinic(unit)
    before = everything(database)
    spoil(database, spoiling)
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} patient_counts")


def test_a_summary_without_its_document(run: Run, database: Database, place: Place) -> None:
    before = everything(database)
    row = {"clinic_id": place.clinic_id, "patient_id": place.dave, "type": "bgm", "digest": b"x"}
    spoil(database, insert(Summary).values(row))
    assert_found_and_repaired(run, database, before, f"{place.clinic_id} {place.dave} summaries.bgm")


def test_many_patients_are_gone_through_in_batches(run: Run, database: Database) -> None:
    random = Random(20417)
    with storing(database) as unit:
        clinics = [make_clinic(unit) for _ in range(3)]
        for number in range(230):
            person = Somebody(f"{number:010x}", f"Patient {number}", f"{number}@mail.example")
            make_patient(unit, clinics[number % 3], person)
            put_summaries(unit, person, bgmStats=bgm_stats(random, periods=("14d",)))
    before = everything(database)
    # Some at the end of the second batch, and all of the third.
    last = sorted((patient.clinic_id, patient.id) for patient in stored(database, Patient))[199:]
    spoil(database, update(Patient).where(Patient.id.in_([key[1] for key in last])).values(name_key=b""))
    result = run("verify")
    assert result.stdout.splitlines() == [f"{clinic} {patient} patients.name_key" for clinic, patient in last]
    assert run("rebuild").output == "31 repaired\n"
    assert everything(database) == before


def test_what_changes_while_it_is_looked_at_is_no_difference(
    run: Run, database: Database, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a summary is replaced between two of the statements that read it without a lock."""
    rows = UnitOfWork.rows
    pending = [True]

    def interfere(unit: UnitOfWork, statement: Any, parameters: Any) -> Any:
        if pending and statement is reconcile._PatientComparison._DOCUMENTS:
            pending.clear()
            with storing(database) as other:
                put_summaries(other, CAROL, cgmStats=cgm_stats(Random(7), periods=("7d",)))
        return rows(unit, statement, parameters)

    monkeypatch.setattr(UnitOfWork, "rows", interfere)
    result = run("verify")
    assert (result.exit_code, result.output) == (0, "No differences.\n")
    assert pending == []
    assert place.carol


def test_a_database_that_is_not_there_is_told(tmp_path: Path) -> None:
    for command in ("verify", "rebuild"):
        result = CliRunner().invoke(db, [command, "--database-url", f"sqlite:///{tmp_path / 'none.db'}"])
        assert (result.exit_code, result.stdout) == (1, "")
        assert "There is no database" in result.stderr


def test_the_clinics_of_users_are_compared_and_repaired(run: Run, database: Database, place: Place) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(place.clinic_id)
        make_clinician(unit, clinic, BOB)
        make_clinician(unit, clinic, ERIN, user_id=None, invite_id="key")
    before = everything(database)
    with storing(database) as unit:
        for model in (PatientRecord, Membership, PendingClinician):
            unit.execute(delete(model).where(model.clinic_id == place.clinic_id))
        clinics = ClinicsOfUsers(unit)
        clinics.add_patients([(DAVE.id, place.clinic_id), (BOB.id, place.clinic_id)])
        clinics.add_clinicians([(BOB.id, "a clinic that is gone")])
        clinics.add_pending("another key", place.clinic_id)
    assert_found_and_repaired(
        run,
        database,
        before,
        f"{place.clinic_id} patient_records.{CAROL.id}",
        f"{place.clinic_id} patient_records.{BOB.id}",
        f"{place.clinic_id} memberships.{BOB.id}",
        f"a clinic that is gone memberships.{BOB.id}",
        f"{place.clinic_id} pending_clinicians.key",
        f"{place.clinic_id} pending_clinicians.another key",
    )
