"""UpdateMRNSettings: PUT /v1/clinics/{clinicId}/settings/mrn"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry, Patient
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.settings import service
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_account,
    make_clinic,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.tags_and_sites import clinic_time, patient_times
from tests.support.units import assert_all_or_nothing, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def put(api: Client, clinic_id: str, body: Any, as_: Somebody | None = SERVICE) -> Reply:
    return api.put(f"/v1/clinics/{clinic_id}/settings/mrn", as_=as_, json=body)


def set_unique(api: Client, clinic_id: str, unique: bool) -> None:
    assert put(api, clinic_id, {"required": False, "unique": unique}).status == 200


def add_patients(database: Database, clinic_id: str, **mrns: str | None) -> None:
    """Patients by name of the cast, stored while nothing was asked of their numbers."""
    people = {"carol": CAROL, "dave": DAVE, "erin": ERIN, "pete": PETE}
    with storing(database) as unit:
        for name, mrn in mrns.items():
            make_patient(unit, unit.clinics.get(clinic_id), people[name], mrn=mrn, mrn_key=mrn_key(mrn))


def bound(database: Database) -> set[str]:
    """The user ids of the patients whose numbers are under the constraint."""
    return {patient.user_id for patient in stored(database, Patient) if patient.require_unique_mrn}


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("unique", [True, False])
def test_stores_the_settings(api: Client, database: Database, clinic_id: str, required: bool, unique: bool) -> None:
    body = {"required": required, "unique": unique}
    reply = put(api, clinic_id, body)
    assert (reply.status, reply.json) == (200, body)
    assert api.get(f"/v1/clinics/{clinic_id}/settings/mrn", as_=BOB).json == body
    (clinic,) = stored(database, Clinic)
    assert (clinic.mrn_required, clinic.mrn_unique, clinic.updated_time) == (required, unique, NOW)
    assert stored(database, OutboxEntry) == []


def test_rule_the_switch_is_accepted_whatever_is_stored(api: Client, database: Database, clinic_id: str) -> None:
    """Rule: existing duplicates are tolerated; patients without a number are, too."""
    add_patients(database, clinic_id, carol="abc1", dave="ABC1 ", erin=None, pete="xyz")
    assert put(api, clinic_id, {"required": True, "unique": True}).status == 200
    assert [patient.mrn for patient in stored(database, Patient)] == ["abc1", "ABC1 ", None, "xyz"]


def test_rule_numbers_that_are_unique_fall_under_the_constraint_at_once(
    api: Client, database: Database, clinic_id: str
) -> None:
    """Rule: the rows whose number nobody shares are guarded from then on, and only those."""
    add_patients(database, clinic_id, carol="abc1", dave="abc1", pete="xyz")
    set_unique(api, clinic_id, True)
    assert bound(database) == {PETE.id}

    def add_another() -> None:
        with storing(database) as unit:
            clinic = unit.clinics.get(clinic_id)
            make_patient(unit, clinic, ERIN, mrn="XYZ", mrn_key="xyz", require_unique_mrn=True)

    with pytest.raises(IntegrityError):
        add_another()


def test_rule_duplicates_are_tolerated_until_one_is_changed(api: Client, database: Database, clinic_id: str) -> None:
    """Rule: a new patient cannot join them; whoever gets a number of his own is guarded."""
    add_patients(database, clinic_id, carol="abc1", dave="abc1")
    set_unique(api, clinic_id, True)
    with storing(database) as unit:
        make_account(unit, ERIN)
    path = f"/v1/clinics/{clinic_id}/patients/{ERIN.id}"
    assert_error(api.post(path, as_=SERVICE, json={"permissions": {"view": {}}, "mrn": "Abc1"}), 400)
    with storing(database) as unit:
        (carol,) = unit.patients.all_of_user(CAROL.id)
        carol.mrn, carol.mrn_key = "other", "other"
    set_unique(api, clinic_id, True)
    assert bound(database) == {CAROL.id, DAVE.id}


def test_rule_turning_it_off_releases_all_rows(api: Client, database: Database, clinic_id: str) -> None:
    """Rule: afterwards numbers can be shared again."""
    add_patients(database, clinic_id, carol="abc1", dave=None)
    set_unique(api, clinic_id, True)
    assert bound(database) == {CAROL.id, DAVE.id}
    set_unique(api, clinic_id, False)
    assert bound(database) == set()
    add_patients(database, clinic_id, erin="abc1")
    assert len(stored(database, Patient)) == 3


def test_numbers_of_other_clinics_do_not_count(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    add_patients(database, other, carol="abc1")
    add_patients(database, clinic_id, dave="abc1")
    set_unique(api, clinic_id, True)
    assert bound(database) == {DAVE.id}
    set_unique(api, other, True)
    set_unique(api, clinic_id, False)
    assert bound(database) == {CAROL.id}


def test_patients_are_not_changed_by_it(api: Client, database: Database, clinic_id: str) -> None:
    add_patients(database, clinic_id, carol="abc1")
    set_unique(api, clinic_id, True)
    assert patient_times(database) == {CAROL.id: LONG_AGO}


def test_a_repeat_moves_the_clinics_time_only(api: Client, database: Database, clinic_id: str) -> None:
    for seconds in (0, 1):
        with clock.frozen(NOW + timedelta(seconds=seconds)):
            set_unique(api, clinic_id, True)
    assert clinic_time(database, clinic_id) == NOW + timedelta(seconds=1)


def test_who_enrols_meanwhile_is_held_against_the_new_settings(api: Client, database: Database, clinic_id: str) -> None:
    add_patients(database, clinic_id, carol="abc1")
    with storing(database) as unit:
        make_account(unit, ERIN)
    path = f"/v1/clinics/{clinic_id}/patients/{ERIN.id}"
    reply = meanwhile(
        database,
        lambda unit: service.set_mrn_settings(unit, clinic_id, required=False, unique=True),
        lambda: api.post(path, as_=SERVICE, json={"permissions": {"view": {}}, "mrn": "ABC1"}),
    )
    assert_error(reply, 400)
    assert bound(database) == {CAROL.id}


def test_all_or_nothing_when_numbers_may_be_shared_again(api: Client, database: Database, clinic_id: str) -> None:
    add_patients(database, clinic_id, carol="abc1")
    set_unique(api, clinic_id, True)
    assert_all_or_nothing(database, lambda: put(api, clinic_id, {"required": True, "unique": False}))


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "body",
    [
        ...,
        None,
        [],
        {},
        {"required": True},
        {"unique": True},
        {"required": "true", "unique": True},
        {"required": True, "unique": None},
        {"required": 1, "unique": 0},
    ],
)
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert_error(put(api, clinic_id, body), 400)
    (clinic,) = stored(database, Clinic)
    assert (clinic.mrn_required, clinic.mrn_unique, clinic.updated_time) == (None, None, LONG_AGO)


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(put(api, "A" * 24, {"required": True, "unique": True}), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(put(api, clinic_id, {"required": True, "unique": True}, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, clinic_id: str, caller: Somebody) -> None:
    assert_error(put(api, clinic_id, {"required": True, "unique": True}, caller), 403)


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(put(api, "0" * 24, {"required": True, "unique": True}), 404)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    body = {"required": True, "unique": True}
    none = number_of_statements(database, lambda: put(api, clinic_id, body))
    with storing(database) as unit:
        for number in range(20):
            key = f"{number // 2}"
            person = f"{number:010x}"
            make_patient(unit, unit.clinics.get(clinic_id), CAROL, user_id=person, mrn=key, mrn_key=key)
    assert number_of_statements(database, lambda: put(api, clinic_id, body)) == none == 4
