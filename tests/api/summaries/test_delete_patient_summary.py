"""DeletePatientSummary: DELETE /v1/summaries/{summaryId}/clinics"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.models import OutboxEntry, Patient, Summary
from clinic_service.models.statistics import BGM, CGM, TYPES
from clinic_service.resources.summaries import service
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE, BOB, CAROL, DAVE, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.plans import analyze, plans
from tests.support.rows import LONG_AGO, make_clinic, make_patient, make_staffed_clinic, stored, storing
from tests.support.summaries import bgm_stats, cgm_stats, documents, put_summaries, statistics, summary_rows
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ID, OTHER_ID = "5f0c7d1e9a3b4c6d8e2f1a0e", "5f0c7d1e9a3b4c6d8e2f1a0f"


class Clinics(NamedTuple):
    first: str
    second: str


@pytest.fixture
def clinics(database: Database, random: Random) -> Clinics:
    """Carol's summaries, one with the id, in two clinics; the first one, which has made her account, has Dave's too."""
    with storing(database) as unit:
        first, second = make_staffed_clinic(unit), make_clinic(unit)
        make_patient(unit, first, CAROL, "custodian")
        make_patient(unit, first, DAVE)
        make_patient(unit, second, CAROL)
        put_summaries(unit, CAROL, cgmStats=cgm_stats(random, id=ID), bgmStats=bgm_stats(random, id=OTHER_ID))
        put_summaries(unit, DAVE, cgmStats=cgm_stats(random))
    clear_traces(database)
    return Clinics(first.id, second.id)


def clear_traces(database: Database) -> None:
    """Set old times of change and empty the outbox."""
    with storing(database) as unit:
        for patient in (*unit.patients.all_of_user(CAROL.id), *unit.patients.all_of_user(DAVE.id)):
            patient.updated_time = LONG_AGO
        unit.execute(OutboxEntry.__table__.delete())  # type: ignore[attr-defined]


def remove(api: Client, summary_id: str = ID, as_: Somebody | None = SERVICE) -> Reply:
    return api.delete(f"/v1/summaries/{summary_id}/clinics", as_=as_)


def shown(api: Client, clinic_id: str, person: Somebody = CAROL) -> Any:
    return api.get(f"/v1/clinics/{clinic_id}/patients/{person.id}", as_=SERVICE).json.get("summary")


def test_removes_the_summary_from_all_clinics(api: Client, database: Database, clinics: Clinics) -> None:
    reply = remove(api)
    assert (reply.status, reply.json) == (200, None)
    for clinic_id in clinics:
        assert set(shown(api, clinic_id)) == {"bgmStats"}
    left = {(clinic_id, BGM) for clinic_id in clinics}
    assert set(documents(database, CAROL)) == set(summary_rows(database, CAROL)) == left


def test_its_figures_go_too_and_all_others_stay(api: Client, database: Database, clinics: Clinics) -> None:
    before = statistics(database, CAROL)
    dave = shown(api, clinics.first, DAVE), statistics(database, DAVE)
    remove(api)
    assert statistics(database, CAROL) == {key: row for key, row in before.items() if key[1].startswith(BGM)}
    assert (shown(api, clinics.first, DAVE), statistics(database, DAVE)) == dave


def test_both_types_with_the_id_go(api: Client, database: Database, clinics: Clinics, random: Random) -> None:
    with storing(database) as unit:
        put_summaries(unit, CAROL, bgmStats=bgm_stats(random, id=ID))
    assert remove(api).status == 200
    assert [shown(api, clinic_id) for clinic_id in clinics] == [None, None]
    assert (documents(database, CAROL), statistics(database, CAROL)) == ({}, {})


def test_clinics_with_another_summary_keep_it(api: Client, database: Database, clinics: Clinics) -> None:
    """As when one clinic missed an update, and the id with it."""
    with storing(database) as unit:
        unit.execute(
            Summary.__table__.update()  # type: ignore[attr-defined]
            .where(Summary.clinic_id == clinics.second, Summary.type == CGM)
            .values(summary_id="a" * 24)
        )
    assert remove(api).status == 200
    assert {clinic_id for clinic_id, kind in documents(database, CAROL) if kind == CGM} == {clinics.second}


@pytest.mark.usefixtures("clinics")
def test_rule_the_time_of_the_records_stays(api: Client, database: Database) -> None:
    with clock.frozen(NOW + timedelta(days=1)):
        remove(api)
    assert {row.updated_time for row in stored(database, Patient)} == {LONG_AGO}


def test_each_record_that_changed_is_told_once(
    api: Client, database: Database, clinics: Clinics, random: Random
) -> None:
    with storing(database) as unit:
        put_summaries(unit, CAROL, bgmStats=bgm_stats(random, id=ID))
    clear_traces(database)
    remove(api)
    told = [(row.kind, row.clinic_id, row.payload["userId"], row.payload["custodial"]) for row in entries(database)]
    assert sorted(told) == sorted(
        [("patient_changed", clinics.first, CAROL.id, True), ("patient_changed", clinics.second, CAROL.id, False)]
    )
    assert {tuple(row.payload["changed"]) for row in entries(database)} == {("summary",)}


def entries(database: Database) -> list[OutboxEntry]:
    return stored(database, OutboxEntry)


@pytest.mark.usefixtures("clinics")
def test_a_repeat_and_an_unknown_id_are_answered_204(api: Client, database: Database) -> None:
    remove(api)
    before = everything(database)
    for summary_id in (ID, "0" * 24, "a"):
        reply = remove(api, summary_id)
        assert (reply.status, reply.json) == (204, None)
    assert everything(database) == before


@pytest.mark.usefixtures("clinics")
def test_summaries_without_an_id_cannot_be_removed_by_it(api: Client, database: Database, random: Random) -> None:
    with storing(database) as unit:
        put_summaries(unit, CAROL, cgmStats=cgm_stats(random, id=""), bgmStats=bgm_stats(random, id=None))
    before = everything(database)
    # There is no such path.
    assert_error(remove(api, ""), 404)
    assert remove(api).status == 204
    assert everything(database) == before


def test_a_shorter_id_is_an_id(api: Client, database: Database, clinics: Clinics, random: Random) -> None:
    with storing(database) as unit:
        put_summaries(unit, CAROL, cgmStats=cgm_stats(random, id="f"))
    assert remove(api, ID).status == 204
    assert remove(api, "f").status == 200
    assert set(shown(api, clinics.second)) == {"bgmStats"}


def test_after_it_an_older_summary_is_stored_again(api: Client, clinics: Clinics, random: Random) -> None:
    remove(api)
    old = cgm_stats(random, id=ID)
    old["dates"]["lastUpdatedDate"] = "2020-01-01T00:00:00Z"
    api.post(f"/v1/patients/{CAROL.id}/summary", as_=SERVICE, json={"cgmStats": old})
    assert shown(api, clinics.first)["cgmStats"] == old


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinics")
@pytest.mark.parametrize("summary_id", ["A" * 24, "a" * 25, "x", "%20"])
def test_malformed_ids_are_refused(api: Client, database: Database, summary_id: str) -> None:
    before = everything(database)
    reply = remove(api, summary_id)
    assert_error(reply, 400)
    assert {violation["pointer"] for violation in reply.json["errors"]} == {"/path/summaryId"}
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinics")
def test_a_malformed_id_is_told_by_its_rule(api: Client) -> None:
    assert_violations(remove(api, "A" * 24), ("/path/summaryId", "pattern"))


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinics")
def test_needs_a_token(api: Client, database: Database) -> None:
    before = everything(database)
    assert_error(remove(api, as_=None), 401)
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinics")
@pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, DAVE, MALLORY])
def test_is_for_services(api: Client, database: Database, caller: Somebody) -> None:
    before = everything(database)
    assert_error(remove(api, as_=caller), 403)
    assert_error(remove(api, "A" * 24, as_=caller), 403)
    assert everything(database) == before


@pytest.mark.usefixtures("clinics")
def test_all_or_nothing(api: Client, database: Database) -> None:
    # The clinics and a lock in each of two, figures, summaries, list index emptied and removed, outbox.
    assert_all_or_nothing(database, lambda: remove(api), statements=8)


@pytest.mark.usefixtures("clinics")
def test_only_the_locks_grow_with_the_clinics(api: Client, database: Database, random: Random) -> None:
    few = number_of_statements(database, lambda: remove(api))
    fill(database, random, patients=20)
    with storing(database) as unit:
        for _ in range(20):
            make_patient(unit, make_clinic(unit), CAROL)
        put_summaries(unit, CAROL, cgmStats=cgm_stats(random, id=ID), bgmStats=bgm_stats(random, id=ID))
    assert few == 8
    assert number_of_statements(database, lambda: remove(api)) == few + 20


def fill(database: Database, random: Random, patients: int) -> None:
    """Another clinic with so many patients, each with a summary of little more than an id."""
    with storing(database) as unit:
        clinic = make_clinic(unit)
        for number in range(patients):
            person = Somebody(f"{number:010x}", f"Patient {number}", f"{number}@mail.example")
            make_patient(unit, clinic, person)
            put_summaries(unit, person, cgmStats={"id": f"{random.getrandbits(96):024x}"})


@pytest.mark.usefixtures("clinics")
def test_the_summary_is_found_by_an_index(api: Client, database: Database, random: Random) -> None:
    # An id that was never used before: PostgreSQL's index still knows what other tests stored under theirs.
    summary_id = new_id()
    with storing(database) as unit:
        put_summaries(unit, CAROL, cgmStats=cgm_stats(random, id=summary_id))
    fill(database, random, patients=400)
    analyze(database)
    looks = plans(database, lambda: remove(api, summary_id))
    # The clinics, and a lock in each of two.
    assert len(looks) == 3
    first = {step.table: (step.by, step.whole) for step in looks[0]}
    assert first["summaries"] == ("ix_summaries_summary_id", False)
    for steps in looks:
        assert [step for step in steps if step.whole or (step.rows or 0) > 2] == []


def test_two_removals_at_once_tell_once(api: Client, database: Database, clinics: Clinics) -> None:
    reply = meanwhile(database, lambda unit: service.remove_summary(unit, ID), lambda: remove(api))
    assert reply.status == 204
    assert sorted(row.clinic_id or "" for row in entries(database)) == sorted(clinics)


def test_a_summary_that_is_replaced_meanwhile_stays(
    api: Client, database: Database, clinics: Clinics, random: Random
) -> None:
    other = cgm_stats(random, id=OTHER_ID)
    reply = meanwhile(database, lambda unit: put_summaries(unit, CAROL, cgmStats=other), lambda: remove(api))
    assert reply.status == 204
    assert [shown(api, clinic_id)["cgmStats"] for clinic_id in clinics] == [other, other]
    assert len(statistics(database, CAROL)) == 2 * 4 * len(TYPES)


def test_a_patient_who_is_removed_meanwhile_is_no_matter(api: Client, database: Database, clinics: Clinics) -> None:
    def leave(unit: UnitOfWork) -> None:
        unit.patients.remove([unit.patients.lock(clinics.first, CAROL.id)], None)

    assert meanwhile(database, leave, lambda: remove(api)).status == 200
    assert set(documents(database, CAROL)) == {(clinics.second, BGM)}
