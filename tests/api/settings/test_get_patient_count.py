"""GetPatientCount: GET /v1/clinics/{clinicId}/patient_count"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_staffed_clinic,
    storing,
)
from tests.support.statements import counting


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_staffed_clinic(unit)


@pytest.fixture
def with_demo(database: Database, config: Config) -> Client:
    """A client of a server that has Carol as its demonstration patient."""
    return Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)


def count(api: Client, clinic: Clinic, caller: Somebody = SERVICE) -> Any:
    reply = api.get(f"/v1/clinics/{clinic.id}/patient_count", as_=caller)
    assert reply.status == 200
    return reply.json


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_counts_the_patients_of_this_clinic(api: Client, database: Database, clinic: Clinic, caller: Somebody) -> None:
    with storing(database) as unit:
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, DAVE, "custodian")
        make_patient(unit, make_clinic(unit), ERIN)
    assert count(api, clinic, caller) == {"total": 2, "demo": 0, "plan": 2}


def test_an_empty_clinic_has_none_and_no_providers(api: Client, clinic: Clinic) -> None:
    assert count(api, clinic) == {"total": 0, "demo": 0, "plan": 0}


def test_the_demo_patient_counts_in_total_and_demo_only(with_demo: Client, database: Database, clinic: Clinic) -> None:
    with storing(database) as unit:
        make_data_source(unit, make_patient(unit, clinic, CAROL), "dexcom")
        make_patient(unit, clinic, DAVE)
    assert count(with_demo, clinic) == {"total": 2, "demo": 1, "plan": 1}


def test_a_demo_patient_with_twiist_is_left_out_of_the_plan_once(
    with_demo: Client, database: Database, clinic: Clinic
) -> None:
    with storing(database) as unit:
        make_data_source(unit, make_patient(unit, clinic, CAROL), "twiist")
        make_patient(unit, clinic, DAVE)
    assert count(with_demo, clinic) == {"total": 2, "demo": 1, "plan": 1}


@pytest.mark.parametrize("state", ["connected", "disconnected", "error", "pending", "pendingReconnect"])
def test_patients_with_twiist_are_not_in_the_plan_whatever_its_state(
    api: Client, database: Database, clinic: Clinic, state: str
) -> None:
    with storing(database) as unit:
        patient = make_patient(unit, clinic, CAROL)
        make_data_source(unit, patient, "dexcom")
        make_data_source(unit, patient, "twiist", state=state)
        make_patient(unit, clinic, DAVE)
    answer = count(api, clinic)
    assert (answer["total"], answer["plan"]) == (2, 1)
    assert answer["providers"]["twiist"] == {"total": 1, "states": {state: 1}}


def test_rule_a_provider_counts_patients_and_not_sources(api: Client, database: Database, clinic: Clinic) -> None:
    """Rule: distinct patients, for the total and for each state."""
    with storing(database) as unit:
        carol, dave = make_patient(unit, clinic, CAROL), make_patient(unit, clinic, DAVE)
        for state in ("connected", "connected", "error"):
            make_data_source(unit, carol, "dexcom", state=state)
        make_data_source(unit, dave, "dexcom", state="connected")
        make_data_source(unit, dave, "abbott", state="pendingReconnect")
        make_data_source(unit, make_patient(unit, make_clinic(unit), ERIN), "dexcom", state="pending")
    assert count(api, clinic) == {
        "total": 2,
        "demo": 0,
        "plan": 2,
        "providers": {
            "abbott": {"total": 1, "states": {"pendingReconnect": 1}},
            "dexcom": {"total": 2, "states": {"connected": 2, "error": 1}},
        },
    }


def test_counts_are_those_of_the_moment(api: Client, database: Database, clinic: Clinic) -> None:
    assert count(api, clinic)["total"] == 0
    with storing(database) as unit:
        make_patient(unit, clinic, CAROL)
    assert count(api, clinic)["total"] == 1


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert api.get("/v1/clinics/harbour/patient_count", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic: Clinic) -> None:
    assert api.get(f"/v1/clinics/{clinic.id}/patient_count").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
def test_is_for_members_and_services(api: Client, database: Database, clinic: Clinic, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
    assert api.get(f"/v1/clinics/{clinic.id}/patient_count", as_=caller).status == 403


@pytest.mark.one_engine
def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert api.get(f"/v1/clinics/{'0' * 24}/patient_count", as_=SERVICE).status == 404


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic: Clinic) -> None:
    def sent() -> int:
        with counting(database) as statements:
            count(api, clinic, BOB)
        return len(statements)

    none = sent()
    with storing(database) as unit:
        for person in (CAROL, DAVE, ERIN):
            make_data_source(unit, make_patient(unit, clinic, person), "dexcom")
    assert sent() == none <= 4
