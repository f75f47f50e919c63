"""DeletePatientReviews: DELETE /v1/clinics/{clinicId}/patients/{patientId}/reviews"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

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
LATER = NOW + timedelta(minutes=1)
OLD, BY_ALICE, BY_BOB = Review(ERIN.id, LONG_AGO), Review(ALICE.id, NOW), Review(BOB.id, LATER)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic where Carol was reviewed by Alice and then by Bob, and Dave never."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL).reviews = [BY_BOB, BY_ALICE]
        make_patient(unit, clinic, DAVE)
        return clinic.id


def path(clinic_id: str, whom: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{whom.id}/reviews"


def take_back(api: Client, clinic_id: str, as_: Somebody = BOB, whom: Somebody = CAROL) -> Reply:
    return api.delete(path(clinic_id, whom), as_=as_)


def reviews_of(database: Database, person: Somebody = CAROL) -> list[Review]:
    [found] = [patient.reviews for patient in stored(database, Patient) if patient.user_id == person.id]
    return found


def let_review(database: Database, clinic_id: str, *given: Review) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).reviews = given


def test_drops_the_newest(api: Client, database: Database, clinic_id: str) -> None:
    reply = take_back(api, clinic_id)
    assert reply.status == 200
    assert reply.json == [{"clinicianId": ALICE.id, "time": "2026-03-02T09:30:00.000Z"}]
    assert reviews_of(database) == [BY_ALICE]


def test_the_one_before_is_the_newest_afterwards_and_is_judged_alike(
    api: Client, database: Database, clinic_id: str
) -> None:
    assert take_back(api, clinic_id, BOB).status == 200
    assert_error(take_back(api, clinic_id, BOB), 409)
    reply = take_back(api, clinic_id, ALICE)
    assert (reply.status, reply.json) == (200, [])
    assert reviews_of(database) == []
    assert_error(take_back(api, clinic_id, ALICE), 404)


def test_ones_own_two_can_both_be_taken_back(api: Client, database: Database, clinic_id: str) -> None:
    let_review(database, clinic_id, BY_BOB, BY_BOB._replace(time=NOW))
    assert [one["time"] for one in take_back(api, clinic_id).json] == ["2026-03-02T09:30:00.000Z"]
    assert take_back(api, clinic_id).json == []


def test_the_newest_of_somebody_else_stays(api: Client, database: Database, clinic_id: str) -> None:
    """Also for the one who made the older of the two, and for an administrator."""
    before = everything(database)
    reply = take_back(api, clinic_id, ALICE)
    assert_error(reply, 409)
    assert BOB.id not in repr(reply.json)
    assert everything(database) == before


@pytest.mark.parametrize("caller", [ALICE, BOB])
def test_rule_wp_14_a_patient_without_review_is_not_found(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    before = everything(database)
    assert_error(take_back(api, clinic_id, caller, DAVE), 404)
    assert everything(database) == before


def test_the_record_shows_it_and_nothing_else_of_it_changes(api: Client, clinic_id: str) -> None:
    record = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    before = api.get(record, as_=BOB).json
    left = take_back(api, clinic_id).json
    assert api.get(record, as_=BOB).json == {**before, "reviews": left}


def test_rule_neither_sets_the_time_of_change_nor_adds_an_event(
    api: Client, database: Database, clinic_id: str
) -> None:
    take_back(api, clinic_id)
    with storing(database) as unit:
        assert unit.patients.get(clinic_id, CAROL.id).updated_time == LONG_AGO
    assert stored(database, OutboxEntry) == []


def test_other_patients_and_other_clinics_keep_theirs(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), CAROL).reviews = [BY_BOB]
        unit.patients.get(clinic_id, DAVE.id).reviews = [BY_BOB]
    take_back(api, clinic_id)
    assert sorted(len(patient.reviews) for patient in stored(database, Patient)) == [1, 1, 1]


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    reply = take_back(api, clinic_id, whom=CAROL._replace(id="Carol"))
    assert_violations(reply, ("/path/patientId", "pattern"))
    assert "Carol" not in repr(reply.json)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.delete(path(clinic_id)), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [SERVICE, CAROL, DAVE, ERIN, PETE, MALLORY])
def test_is_for_members_and_for_no_service(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    let_review(database, clinic_id, Review(caller.id, NOW))
    assert_error(take_back(api, clinic_id, caller), 403)
    assert len(reviews_of(database)) == 1


def test_unknown_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), ERIN).reviews = [BY_BOB]
    before = everything(database)
    assert_error(take_back(api, clinic_id, whom=MALLORY), 404)
    assert_error(take_back(api, clinic_id, whom=ERIN), 404)
    assert everything(database) == before


def test_a_review_of_somebody_else_made_meanwhile_stays(api: Client, database: Database, clinic_id: str) -> None:
    """What was one's own newest when the request came is so no more."""
    reply = meanwhile(
        database,
        lambda unit: reviews.record(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: take_back(api, clinic_id, BOB),
    )
    assert_error(reply, 409)
    assert [one.clinician_id for one in reviews_of(database)] == [ALICE.id, BOB.id]


def test_two_who_take_the_same_back_at_once_take_it_once(api: Client, database: Database, clinic_id: str) -> None:
    let_review(database, clinic_id, BY_BOB, OLD)
    reply = meanwhile(
        database,
        lambda unit: reviews.take_back(unit, clinic_id, CAROL.id, BOB.id),
        lambda: take_back(api, clinic_id, BOB),
    )
    assert_error(reply, 409)
    assert reviews_of(database) == [OLD]


def test_a_patient_who_is_removed_meanwhile_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: take_back(api, clinic_id),
    )
    assert_error(reply, 404)


def test_compares_and_removes_in_one_statement(api: Client, database: Database, clinic_id: str) -> None:
    let_review(database, clinic_id, BY_BOB, BY_BOB)
    one = number_of_statements(database, lambda: take_back(api, clinic_id))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            make_patient(unit, clinic, ERIN, user_id=f"{number:010x}")
    # Besides the caller's role.
    assert number_of_statements(database, lambda: take_back(api, clinic_id)) == one == 2
