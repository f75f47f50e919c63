"""Rules of the clinic that apply to a new patient: medical record numbers and the patient limit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import Patient
from tests.api.patients.enrolling import NOW, PROFILE, create, set_up
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import CAROL, DAVE, ERIN, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import (
    make_account,
    make_clinic,
    make_data_source,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, CAROL, profile=PROFILE)
        make_account(unit, DAVE)
        return make_staffed_clinic(unit).id


def limit_to(database: Database, clinic_id: str, plan: int, **dates: str) -> None:
    set_up(database, clinic_id, patient_count_settings={"hardLimit": {"plan": plan, **dates}})


def test_required_numbers_must_be_known(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_required=True, mrn_unique=False)
    assert_error(create(api, clinic_id, DAVE), 400)
    assert create(api, clinic_id, DAVE, mrn="D-1").status == 200
    assert create(api, clinic_id, CAROL).status == 200


@pytest.mark.parametrize("mrn", ["A-1", "a-1", " A-1 "])
def test_unique_numbers_are_compared_without_case_and_space(
    api: Client, database: Database, clinic_id: str, mrn: str
) -> None:
    set_up(database, clinic_id, mrn_required=False, mrn_unique=True)
    assert create(api, clinic_id, DAVE, mrn="A-1").status == 200
    assert_error(create(api, clinic_id, CAROL, mrn=mrn), 400)
    assert [patient.user_id for patient in stored(database, Patient)] == [DAVE.id]


@pytest.mark.parametrize(("first", "second", "status"), [("é1", "e\u0301" + "1", 400), ("e1", "é1", 200)])
def test_accents_of_numbers_count_and_their_spelling_does_not(
    api: Client, database: Database, clinic_id: str, first: str, second: str, status: int
) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    create(api, clinic_id, DAVE, mrn=first)
    assert create(api, clinic_id, CAROL, mrn=second).status == status


def test_unique_numbers_hold_against_older_records_too(api: Client, database: Database, clinic_id: str) -> None:
    assert create(api, clinic_id, DAVE, mrn="A-1").status == 200
    set_up(database, clinic_id, mrn_unique=True)
    assert_error(create(api, clinic_id, CAROL, mrn="a-1"), 400)


def test_several_patients_have_no_number(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    with storing(database) as unit:
        make_account(unit, ERIN)
    assert [create(api, clinic_id, person).status for person in (DAVE, ERIN)] == [200, 200]


def test_numbers_repeat_where_the_clinic_does_not_mind(api: Client, clinic_id: str) -> None:
    assert [create(api, clinic_id, person, mrn="A-1").status for person in (CAROL, DAVE)] == [200, 200]


def test_numbers_are_unique_within_the_clinic_only(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other_id = make_clinic(unit, mrn_unique=True).id
    set_up(database, clinic_id, mrn_unique=True)
    assert [create(api, one, CAROL, mrn="A-1").status for one in (clinic_id, other_id)] == [200, 200]


def test_the_limit_stops_custodial_patients_only(api: Client, database: Database, clinic_id: str) -> None:
    limit_to(database, clinic_id, 1)
    assert create(api, clinic_id, CAROL, permissions={"custodian": {}}).status == 200
    refused = create(api, clinic_id, DAVE, permissions={"custodian": {}})
    assert_error(refused, 402)
    assert [patient.user_id for patient in stored(database, Patient)] == [CAROL.id]
    assert create(api, clinic_id, DAVE, permissions={"view": {}}).status == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"country": "CA"},
        {"country": "USA"},
        {"tier": "tier0200"},
        {"patient_count_settings": None},
        {"patient_count_settings": {"softLimit": {"plan": 0}}},
        {"patient_count_settings": {"hardLimit": {"plan": 0, "startDate": "2026-03-02T09:30:00.001Z"}}},
        {"patient_count_settings": {"hardLimit": {"plan": 0, "endDate": "2026-03-02T09:29:59.999Z"}}},
        {"patient_count_settings": {"hardLimit": {"plan": 1}}},
    ],
)
def test_a_limit_that_does_not_apply_has_no_effect(
    api: Client, database: Database, clinic_id: str, settings: dict[str, Any]
) -> None:
    limit_to(database, clinic_id, 0)
    set_up(database, clinic_id, **settings)
    with clock.frozen(NOW):
        assert create(api, clinic_id, permissions={"custodian": {}}).status == 200


@pytest.mark.parametrize("settings", [{"country": "US"}, {"country": ""}, {"tier": "tier0100"}])
def test_a_limit_that_applies_stops_at_its_number(
    api: Client, database: Database, clinic_id: str, settings: dict[str, Any]
) -> None:
    limit_to(database, clinic_id, 0, startDate="2026-03-02T09:30:00.000Z", endDate="2026-03-02T09:30:00.000Z")
    set_up(database, clinic_id, **settings)
    with clock.frozen(NOW):
        assert_error(create(api, clinic_id, permissions={"custodian": {}}), 402)


def test_patients_of_the_free_provider_do_not_use_up_the_limit(api: Client, database: Database, clinic_id: str) -> None:
    limit_to(database, clinic_id, 1)
    with storing(database) as unit:
        free = make_patient(unit, unit.clinics.get(clinic_id), ERIN)
        make_data_source(unit, free, "twiist", state="disconnected")
    assert create(api, clinic_id, permissions={"custodian": {}}).status == 200


def test_a_taken_number_is_reported_before_the_limit(api: Client, database: Database, clinic_id: str) -> None:
    create(api, clinic_id, DAVE, mrn="A-1")
    limit_to(database, clinic_id, 0)
    set_up(database, clinic_id, mrn_unique=True)
    assert_error(create(api, clinic_id, mrn="A-1", permissions={"custodian": {}}), 400)


def test_the_demo_patient_is_exempt_from_the_limit_and_does_not_use_it_up(
    database: Database, config: Config, clinic_id: str
) -> None:
    api = Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)
    limit_to(database, clinic_id, 0)
    assert create(api, clinic_id, CAROL, permissions={"custodian": {}}).status == 200
    limit_to(database, clinic_id, 1)
    assert create(api, clinic_id, DAVE, permissions={"custodian": {}}).status == 200


def in_parallel(api: Client, clinic_id: str, persons: Sequence[Somebody], **body: Any) -> list[int]:
    """The statuses, sorted, when all of them are enrolled at the same time."""
    with ThreadPoolExecutor(len(persons)) as pool:
        return sorted(pool.map(lambda person: create(api, clinic_id, person, **body).status, persons))


def test_parallel_creations_do_not_overshoot_the_limit(api: Client, database: Database, clinic_id: str) -> None:
    limit_to(database, clinic_id, 1)
    assert in_parallel(api, clinic_id, (CAROL, DAVE), permissions={"custodian": {}}) == [200, 402]
    assert len(stored(database, Patient)) == 1


def test_parallel_creations_keep_numbers_unique(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    assert in_parallel(api, clinic_id, (CAROL, DAVE), mrn="A-1") == [200, 400]
    assert len(stored(database, Patient)) == 1


def test_parallel_creations_make_one_patient_of_a_user(api: Client, database: Database, clinic_id: str) -> None:
    assert in_parallel(api, clinic_id, (CAROL, CAROL)) == [200, 409]
    assert len(stored(database, Patient)) == 1
