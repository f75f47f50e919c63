"""UpdatePatientReviews: PUT /v1/clinics/{clinicId}/patients/{patientId}/reviews"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Patient, Review
from clinic_service.resources.patients import permissions, reviews
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_patient, make_staffed_clinic, stored, storing
from tests.support.units import everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
NOW_TEXT = "2026-03-02T09:30:00.000Z"
LONG_AGO_TEXT = "2026-01-05T08:30:00.000Z"
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, DAVE)
        return clinic.id


def path(clinic_id: str, whom: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{whom.id}/reviews"


def review(api: Client, clinic_id: str, as_: Somebody = BOB, whom: Somebody = CAROL) -> Reply:
    return api.put(path(clinic_id, whom), as_=as_)


def review_at(api: Client, clinic_id: str, time: datetime, as_: Somebody = BOB) -> Any:
    with clock.frozen(time):
        return review(api, clinic_id, as_).json


def reviews_of(database: Database, person: Somebody = CAROL) -> list[Review]:
    [found] = [patient.reviews for patient in stored(database, Patient) if patient.user_id == person.id]
    return found


def let_review(database: Database, clinic_id: str, *given: Review) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).reviews = given


@pytest.mark.parametrize("caller", [ALICE, BOB])
def test_notes_who_reviewed_and_when(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    reply = review(api, clinic_id, caller)
    assert reply.status == 200
    assert reply.json == [{"clinicianId": caller.id, "time": NOW_TEXT}]
    assert reviews_of(database) == [Review(caller.id, NOW)]


def test_the_newest_stands_first_and_two_are_kept(api: Client, database: Database, clinic_id: str) -> None:
    review_at(api, clinic_id, NOW, ALICE)
    assert [one["clinicianId"] for one in review_at(api, clinic_id, NOW + MINUTE, BOB)] == [BOB.id, ALICE.id]
    assert review_at(api, clinic_id, NOW + 2 * MINUTE, BOB) == [
        {"clinicianId": BOB.id, "time": "2026-03-02T09:32:00.000Z"},
        {"clinicianId": BOB.id, "time": "2026-03-02T09:31:00.000Z"},
    ]
    assert reviews_of(database) == [Review(BOB.id, NOW + 2 * MINUTE), Review(BOB.id, NOW + MINUTE)]


def test_times_are_cut_to_milliseconds(api: Client, clinic_id: str) -> None:
    shown = review_at(api, clinic_id, NOW + timedelta(microseconds=999_999))
    assert shown[0]["time"] == "2026-03-02T09:30:00.999Z"


def test_a_review_by_a_slower_clock_still_stands_first_with_the_latest_time(api: Client, clinic_id: str) -> None:
    review_at(api, clinic_id, NOW, ALICE)
    assert review_at(api, clinic_id, NOW - MINUTE, BOB) == [
        {"clinicianId": BOB.id, "time": NOW_TEXT},
        {"clinicianId": ALICE.id, "time": NOW_TEXT},
    ]


def test_the_record_shows_it_and_nothing_else_of_it_changes(api: Client, clinic_id: str) -> None:
    record = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    before = api.get(record, as_=BOB).json
    shown = review(api, clinic_id).json
    assert api.get(record, as_=BOB).json == {**before, "reviews": shown}


def test_rule_neither_sets_the_time_of_change_nor_adds_an_event(
    api: Client, database: Database, clinic_id: str
) -> None:
    review(api, clinic_id)
    with storing(database) as unit:
        assert unit.patients.get(clinic_id, CAROL.id).updated_time == LONG_AGO
    assert stored(database, OutboxEntry) == []


def test_other_patients_and_other_clinics_are_untouched(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), CAROL)
    review(api, clinic_id)
    reviewed = [(p.clinic_id, p.user_id) for p in stored(database, Patient) if p.reviews]
    assert reviewed == [(clinic_id, CAROL.id)]


def test_a_clinician_who_is_the_patient_may_review(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), CAROL)
    assert review(api, clinic_id, CAROL).json[0]["clinicianId"] == CAROL.id


def test_a_body_is_not_read(api: Client, clinic_id: str) -> None:
    """Nobody can say who reviewed, or when."""
    forged = [{"clinicianId": ALICE.id, "time": "2020-01-01T00:00:00.000Z"}]
    reply = api.put(path(clinic_id), as_=BOB, json=forged)
    assert reply.json == [{"clinicianId": BOB.id, "time": NOW_TEXT}]


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    reply = review(api, clinic_id, whom=CAROL._replace(id="Carol"))
    assert_violations(reply, ("/path/patientId", "pattern"))
    assert "Carol" not in repr(reply.json)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.put(path(clinic_id)), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [SERVICE, CAROL, DAVE, ERIN, PETE, MALLORY])
def test_is_for_members_and_for_no_service(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(review(api, clinic_id, caller), 403)
    assert_error(review(api, clinic_id, caller, CAROL._replace(id="Carol")), 403)
    assert reviews_of(database) == []


def test_unknown_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), ERIN)
    before = everything(database)
    assert_error(review(api, clinic_id, whom=MALLORY), 404)
    assert_error(review(api, clinic_id, whom=ERIN), 404)
    assert everything(database) == before


def test_rule_parallel_reviews_both_land_in_the_order_of_their_commits(
    api: Client, database: Database, clinic_id: str
) -> None:
    let_review(database, clinic_id, Review(ERIN.id, LONG_AGO))
    reply = meanwhile(
        database,
        lambda unit: reviews.record(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: review(api, clinic_id, BOB),
    )
    assert [one["clinicianId"] for one in reply.json] == [BOB.id, ALICE.id]
    assert reviews_of(database) == [Review(BOB.id, NOW), Review(ALICE.id, NOW)]


def test_none_of_many_parallel_reviews_is_lost(api: Client, database: Database, clinic_id: str) -> None:
    callers = [ALICE, BOB] * 10
    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(lambda caller: review(api, clinic_id, caller), callers))
    assert [reply.status for reply in replies] == [200] * len(callers)
    assert len(reviews_of(database)) == 2
    # Each review was pushed down by the next one; the first of all found nothing before it.
    seen_second = [reply.json[1]["clinicianId"] for reply in replies if len(reply.json) == 2]
    first = [reply.json[0]["clinicianId"] for reply in replies if len(reply.json) == 1]
    assert len(first) == 1
    assert sorted([*seen_second, reviews_of(database)[0].clinician_id]) == sorted(caller.id for caller in callers)


def test_a_review_does_not_undo_what_is_changed_meanwhile(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.replace_permissions(unit, clinic_id, CAROL.id, {"note"}),
        lambda: review(api, clinic_id),
    )
    assert reply.status == 200
    [patient] = [one for one in stored(database, Patient) if one.user_id == CAROL.id]
    assert list(patient.permissions or ()) == ["note"]
    assert patient.updated_time == NOW


def test_a_patient_who_is_removed_meanwhile_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: review(api, clinic_id),
    )
    assert_error(reply, 404)


def test_is_one_statement(api: Client, database: Database, clinic_id: str) -> None:
    one = number_of_statements(database, lambda: review(api, clinic_id))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            make_patient(unit, clinic, ERIN, user_id=f"{number:010x}")
    # Besides the caller's role.
    assert number_of_statements(database, lambda: review(api, clinic_id)) == one == 2
