"""GetEHRSettings: GET /v1/clinics/{clinicId}/settings/ehr"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.units import number_of_statements

SETTINGS: dict[str, Any] = {
    "enabled": True,
    "provider": "redox",
    "sourceId": "7ce6f387-c33c-417d-8682-81e83628cbd9",
    "destinationIds": {"flowsheet": "flow", "notes": "note", "results": "result"},
    "procedureCodes": {
        "enableSummaryReports": "TP-ENABLE",
        "disableSummaryReports": "TP-DISABLE",
        "createAccount": "TP-CREATE",
        "createAccountAndEnableReports": "",
    },
    "mrnIdType": "EPI",
    "scheduledReports": {"onUploadEnabled": True, "onUploadNoteEventType": "Replace", "cadence": "7d"},
    "tags": {"codes": ["TP-TAGS"], "separator": ","},
    "flowsheets": {"icode": True},
    "notes": {"includeGMI": True},
}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit, ehr_settings=SETTINGS).id


def get(api: Client, clinic_id: str, as_: Somebody | None = SERVICE) -> Reply:
    return api.get(f"/v1/clinics/{clinic_id}/settings/ehr", as_=as_)


def shown(api: Client, database: Database, **changes: Any) -> Any:
    """What is shown of stored settings with `changes`."""
    with storing(database) as unit:
        clinic_id = make_clinic(unit, ehr_settings={**SETTINGS, **changes}).id
    return get(api, clinic_id).json


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_shows_the_settings(api: Client, clinic_id: str, caller: Somebody) -> None:
    reply = get(api, clinic_id, caller)
    assert (reply.status, reply.json) == (200, SETTINGS)


def test_an_empty_kind_of_identifier_shows_as_mrn(api: Client, database: Database) -> None:
    assert shown(api, database, mrnIdType="")["mrnIdType"] == "MRN"


def test_an_empty_cadence_shows_as_14_days(api: Client, database: Database) -> None:
    reports = {"onUploadEnabled": False, "cadence": ""}
    assert shown(api, database, scheduledReports=reports)["scheduledReports"]["cadence"] == "14d"


def test_rule_notes_are_always_shown(api: Client, database: Database) -> None:
    """Rule: `includeGMI` is false where it was never chosen."""
    with storing(database) as unit:
        without = {name: value for name, value in SETTINGS.items() if name != "notes"}
        clinic_id = make_clinic(unit, ehr_settings=without).id
    assert get(api, clinic_id).json["notes"] == {"includeGMI": False}
    assert shown(api, database, notes={})["notes"] == {"includeGMI": False}


def test_absent_codes_of_tags_are_never_null(api: Client, database: Database) -> None:
    assert shown(api, database, tags={})["tags"] == {}
    assert shown(api, database, tags={"codes": None, "separator": ";"})["tags"] == {"separator": ";"}
    assert shown(api, database, tags={"codes": []})["tags"] == {"codes": []}


def test_settings_that_were_never_stored_are_not_found(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = make_clinic(unit).id
    assert_error(get(api, clinic_id), 404)


@pytest.mark.one_engine
def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(get(api, "0" * 24), 404)


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(get(api, "A" * 24), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(get(api, clinic_id, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ERIN, PETE, MALLORY])
def test_is_for_members_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    assert_error(get(api, clinic_id, caller), 403)


def test_the_number_of_statements(api: Client, database: Database, clinic_id: str) -> None:
    # Access, clinic, settings.
    assert number_of_statements(database, lambda: get(api, clinic_id, BOB)) == 3
