"""The rules that CreatePatientAccount keeps: numbers, the limit of the plan, and the order of refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import EmbeddedAccount, OutboxEntry, Patient, PatientSite, PatientTag, Reservation
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import BOB, CAROL, DAVE, ERIN, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.rows import (
    make_account,
    make_clinic,
    make_data_source,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
)
from tests.support.units import everything, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def create(api: Client, clinic_id: str, **members: Any) -> Reply:
    body = {"fullName": CAROL.name, "birthDate": "1987-04-12"} | members
    return api.post(f"/v1/clinics/{clinic_id}/patients", as_=BOB, json=body)


def assert_nothing_made(database: Database) -> None:
    for model in (Patient, EmbeddedAccount, OutboxEntry, Reservation):
        assert stored(database, model) == []


def set_up(database: Database, clinic_id: str, **values: Any) -> None:
    """Give the clinic these settings."""
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in values.items():
            setattr(clinic, name, value)


def limit_to(database: Database, clinic_id: str, plan: int, **dates: str) -> None:
    set_up(database, clinic_id, patient_count_settings={"hardLimit": {"plan": plan, **dates}})


def test_required_numbers_must_be_given(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_required=True)
    assert_error(create(api, clinic_id), 400)
    assert_nothing_made(database)
    assert create(api, clinic_id, mrn="A-1").status == 200


@pytest.mark.parametrize("mrn", ["A-1", "a-1", " A-1 "])
def test_unique_numbers_are_compared_without_case_and_space(
    api: Client, database: Database, clinic_id: str, mrn: str
) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    assert create(api, clinic_id, mrn="A-1").status == 200
    reply = create(api, clinic_id, mrn=mrn, email=DAVE.email)
    assert_error(reply, 400)
    assert mrn not in str(reply.json)
    assert len(stored(database, Patient)) == len(stored(database, EmbeddedAccount)) == 1
    assert create(api, clinic_id, mrn="A-2").status == 200


def test_several_patients_have_no_number(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    assert [create(api, clinic_id).status for _ in range(2)] == [200, 200]


def test_numbers_repeat_where_the_clinic_does_not_mind(api: Client, clinic_id: str) -> None:
    assert [create(api, clinic_id, mrn="A-1").status for _ in range(2)] == [200, 200]


def test_the_limit_stops_the_next_patient(api: Client, database: Database, clinic_id: str) -> None:
    limit_to(database, clinic_id, 1)
    assert create(api, clinic_id).status == 200
    before = everything(database)
    assert_error(create(api, clinic_id, email=DAVE.email), 402)
    assert everything(database) == before


@pytest.mark.parametrize(
    "settings",
    [
        {"country": "CA"},
        {"tier": "tier0200"},
        {"patient_count_settings": {"softLimit": {"plan": 0}}},
        {"patient_count_settings": {"hardLimit": {"plan": 0, "startDate": "2026-03-02T09:30:00.001Z"}}},
        {"patient_count_settings": {"hardLimit": {"plan": 0, "endDate": "2026-03-02T09:29:59.999Z"}}},
    ],
)
def test_a_limit_that_does_not_apply_has_no_effect(
    api: Client, database: Database, clinic_id: str, settings: dict[str, Any]
) -> None:
    limit_to(database, clinic_id, 0)
    set_up(database, clinic_id, **settings)
    assert create(api, clinic_id).status == 200


def test_the_demo_patient_and_the_free_provider_use_up_nothing(
    database: Database, config: Config, clinic_id: str
) -> None:
    api = Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)
    limit_to(database, clinic_id, 1)
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_patient(unit, clinic, CAROL)
        make_data_source(unit, make_patient(unit, clinic, ERIN), "twiist")
    assert [create(api, clinic_id).status for _ in range(2)] == [200, 402]


def test_refusals_come_in_their_order(api: Client, database: Database, clinic_id: str) -> None:
    """Input, number, limit, sites, account: each is told before the next one is looked at."""
    with storing(database) as unit:
        make_account(unit, DAVE)
    set_up(database, clinic_id, mrn_required=True)
    limit_to(database, clinic_id, 0)
    wrong: dict[str, Any] = {"email": DAVE.email, "sites": [{"id": "0" * 24, "name": "any"}]}
    assert_error(create(api, clinic_id, **wrong, diagnosisType="gout"), 400)
    assert create(api, clinic_id, **wrong).json["message"] == "The clinic requires a medical record number."
    assert_error(create(api, clinic_id, **wrong, mrn="A-1"), 402)
    limit_to(database, clinic_id, 1)
    assert_error(create(api, clinic_id, **wrong, mrn="A-1"), 422)
    assert_error(create(api, clinic_id, email=DAVE.email, mrn="A-1"), 409)
    assert create(api, clinic_id, mrn="A-1").status == 200


def test_cost_does_not_depend_on_the_clinic_or_the_body(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    limit_to(database, clinic_id, 100)
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        tags = [make_tag(unit, clinic, f"Tag {number}").id for number in range(9)]
        sites = [{"id": make_site(unit, clinic, f"Site {number}").id, "name": "any"} for number in range(9)]
    sources = [{"state": "pending", "providerName": f"Provider {number}"} for number in range(9)]

    def cost(mrn: str, parts: int) -> int:
        body = {"tags": tags[:parts], "sites": sites[:parts], "dataSources": sources[:parts], "mrn": mrn}
        return number_of_statements(database, lambda: create(api, clinic_id, **body))

    small = cost("A-1", 1)
    with storing(database) as unit:
        for number in range(30):
            make_patient(unit, unit.clinics.get(clinic_id), Somebody(f"{number:010x}", "", ""))
    assert cost("A-2", 9) == small
    assert small <= 31


def test_unknown_tags_are_dropped(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        tag, foreign = make_tag(unit, unit.clinics.get(clinic_id), "Pump"), make_tag(unit, make_clinic(unit), "Pump")
    assert create(api, clinic_id, tags=["0" * 24, tag.id, foreign.id]).json["tags"] == [tag.id]
    assert len(stored(database, PatientTag)) == 1


@pytest.mark.parametrize("sites", [["0" * 24], ["known", "foreign"]])
def test_a_site_of_somebody_else_is_refused_and_no_account_made(
    api: Client, database: Database, clinic_id: str, sites: list[str]
) -> None:
    with storing(database) as unit:
        known = make_site(unit, unit.clinics.get(clinic_id), "North").id
        ids = {"known": known, "foreign": make_site(unit, make_clinic(unit), "North").id}
    places = [{"id": ids.get(site, site), "name": "any"} for site in sites]
    assert_error(create(api, clinic_id, sites=places, email=CAROL.email), 422)
    assert_nothing_made(database)
    assert stored(database, PatientSite) == []
