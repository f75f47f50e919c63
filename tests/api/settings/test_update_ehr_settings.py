"""UpdateEHRSettings: PUT /v1/clinics/{clinicId}/settings/ehr"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, OutboxEntry
from tests.support.cast import ALICE, BOB, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time
from tests.support.units import number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


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
LEAST: dict[str, Any] = {
    "enabled": False,
    "provider": "xealth",
    "sourceId": "",
    "procedureCodes": {},
    "mrnIdType": "MRN",
    "scheduledReports": {"onUploadEnabled": False, "cadence": "DISABLED"},
    "tags": {},
    "flowsheets": {"icode": False},
}


def put(api: Client, clinic_id: str, body: Any, as_: Somebody | None = SERVICE) -> Reply:
    return api.put(f"/v1/clinics/{clinic_id}/settings/ehr", as_=as_, json=body)


def columns(database: Database) -> tuple[Any, ...]:
    (clinic,) = stored(database, Clinic)
    return clinic.ehr_provider, clinic.ehr_source_id, clinic.ehr_enabled, clinic.ehr_on_upload


def test_stores_the_settings(api: Client, database: Database, clinic_id: str) -> None:
    reply = put(api, clinic_id, SETTINGS)
    assert (reply.status, reply.json) == (200, SETTINGS)
    assert api.get(f"/v1/clinics/{clinic_id}/settings/ehr", as_=BOB).json == SETTINGS
    assert stored(database, Clinic)[0].ehr_settings == SETTINGS
    assert clinic_time(database, clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_the_columns_follow_the_document(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, SETTINGS)
    assert columns(database) == ("redox", SETTINGS["sourceId"], True, True)
    put(api, clinic_id, LEAST)
    assert columns(database) == ("xealth", "", False, False)


def test_the_list_of_clinics_follows_it(api: Client, clinic_id: str) -> None:
    for settings, number in ((SETTINGS, 1), ({**SETTINGS, "enabled": False}, 0)):
        put(api, clinic_id, settings)
        assert len(api.get("/v1/clinics?ehrEnabled=true", as_=SERVICE).json) == number


def test_the_whole_object_is_replaced(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, SETTINGS)
    shown = {**LEAST, "notes": {"includeGMI": False}}
    assert put(api, clinic_id, LEAST).json == shown
    assert stored(database, Clinic)[0].ehr_settings == shown


@pytest.mark.parametrize(
    ("reports", "shown"),
    [
        ({"onUploadEnabled": True}, "New"),
        ({"onUploadEnabled": True, "onUploadNoteEventType": "New"}, "New"),
        ({"onUploadEnabled": True, "onUploadNoteEventType": "Replace"}, "Replace"),
        ({"onUploadEnabled": False}, None),
        ({"onUploadEnabled": False, "onUploadNoteEventType": "Replace"}, None),
    ],
)
def test_the_kind_of_note_is_kept_only_with_uploads(
    api: Client, database: Database, clinic_id: str, reports: dict[str, Any], shown: str | None
) -> None:
    reply = put(api, clinic_id, {**SETTINGS, "scheduledReports": {**reports, "cadence": "1d"}})
    expected = {"onUploadEnabled": reports["onUploadEnabled"], "cadence": "1d"}
    expected |= {"onUploadNoteEventType": shown} if shown else {}
    assert reply.json["scheduledReports"] == expected
    kept = stored(database, Clinic)[0].ehr_settings
    assert kept is not None
    assert kept["scheduledReports"] == expected


@pytest.mark.parametrize("notes", [{}, {"includeGMI": False}])
def test_rule_notes_are_always_shown(api: Client, clinic_id: str, notes: dict[str, Any]) -> None:
    """Rule: `includeGMI` is false unless chosen."""
    assert put(api, clinic_id, {**SETTINGS, "notes": notes}).json["notes"] == {"includeGMI": False}


@pytest.mark.parametrize("tags", [{}, {"codes": []}, {"codes": ["a", "a"]}, {"separator": "; "}])
def test_codes_of_tags_come_back_as_given_or_not_at_all(api: Client, clinic_id: str, tags: dict[str, Any]) -> None:
    assert put(api, clinic_id, {**SETTINGS, "tags": tags}).json["tags"] == tags


def test_what_the_spec_does_not_know_is_not_kept(api: Client, clinic_id: str) -> None:
    given = {**SETTINGS, "other": 1, "flowsheets": {"icode": True, "other": 1}}
    assert put(api, clinic_id, given).json == SETTINGS


def test_nothing_is_checked_across_providers(api: Client, clinic_id: str) -> None:
    without = {name: value for name, value in SETTINGS.items() if name != "destinationIds"}
    assert put(api, clinic_id, without).json == without


@pytest.mark.parametrize("cadence", ["1d", "7d", "14d", "30d", "DISABLED"])
def test_cadences(api: Client, clinic_id: str, cadence: str) -> None:
    reports = {"onUploadEnabled": False, "cadence": cadence}
    assert put(api, clinic_id, {**SETTINGS, "scheduledReports": reports}).json["scheduledReports"] == reports


def test_two_clinics_may_share_a_source_and_the_operator_is_told(
    api: Client, database: Database, clinic_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    put(api, other, SETTINGS)
    assert caplog.records == []
    assert put(api, clinic_id, SETTINGS).status == 200
    (warning,) = caplog.records
    assert (warning.getMessage(), warning.__dict__["clinic"], warning.__dict__["other"]) == (
        "ehr_source_shared",
        clinic_id,
        other,
    )
    assert {clinic.ehr_source_id for clinic in stored(database, Clinic)} == {SETTINGS["sourceId"]}


@pytest.mark.parametrize("change", [{"enabled": False}, {"provider": "xealth"}, {"sourceId": "other"}])
def test_a_source_that_is_not_shared_is_no_matter(
    api: Client, database: Database, clinic_id: str, caplog: pytest.LogCaptureFixture, change: dict[str, Any]
) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    put(api, other, {**SETTINGS, **change})
    put(api, clinic_id, SETTINGS)
    # Nor does a clinic share a source with itself.
    put(api, clinic_id, SETTINGS)
    assert caplog.records == []


def test_a_repeat_moves_the_clinics_time_only(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, SETTINGS)
    with clock.frozen(NOW + timedelta(seconds=1)):
        assert put(api, clinic_id, SETTINGS).json == SETTINGS
    assert clinic_time(database, clinic_id) == NOW + timedelta(seconds=1)


def test_other_clinics_keep_theirs(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit).id
    put(api, clinic_id, SETTINGS)
    rows = {clinic.id: clinic for clinic in stored(database, Clinic)}
    assert (rows[other].ehr_settings, rows[other].updated_time) == (None, LONG_AGO)


@pytest.mark.one_engine
@pytest.mark.parametrize("name", list(LEAST))
def test_every_required_member_must_be_given(api: Client, database: Database, clinic_id: str, name: str) -> None:
    body = {key: value for key, value in SETTINGS.items() if key != name}
    assert_violations(put(api, clinic_id, body), (f"/body/{name}", "required"))
    assert stored(database, Clinic)[0].ehr_settings is None


@pytest.mark.parametrize(
    "change",
    [
        {"enabled": "true"},
        {"provider": "epic"},
        {"provider": None},
        {"sourceId": 5},
        {"sourceId": "x" * 256},
        {"mrnIdType": ""},
        {"mrnIdType": None},
        {"destinationIds": {}},
        {"destinationIds": {"flowsheet": "a", "notes": "b"}},
        {"destinationIds": {"flowsheet": "a", "notes": "b", "results": ""}},
        {"procedureCodes": {"enableSummaryReports": ""}},
        {"procedureCodes": {"disableSummaryReports": ""}},
        {"procedureCodes": {"createAccount": ""}},
        {"procedureCodes": []},
        {"scheduledReports": {"onUploadEnabled": True}},
        {"scheduledReports": {"cadence": "14d"}},
        {"scheduledReports": {"onUploadEnabled": True, "cadence": "2d"}},
        {"scheduledReports": {"onUploadEnabled": True, "cadence": ""}},
        {"scheduledReports": {"onUploadEnabled": True, "cadence": "14d", "onUploadNoteEventType": "Old"}},
        {"tags": {"codes": None}},
        {"tags": {"separator": ""}},
        {"tags": {"codes": [1]}},
        {"flowsheets": {}},
        {"flowsheets": {"icode": 1}},
        {"notes": {"includeGMI": "yes"}},
        {"notes": None},
    ],
)
def test_settings_that_break_the_spec_are_refused(
    api: Client, database: Database, clinic_id: str, change: dict[str, Any]
) -> None:
    put(api, clinic_id, SETTINGS)
    assert_error(put(api, clinic_id, {**SETTINGS, **change}), 400)
    assert stored(database, Clinic)[0].ehr_settings == SETTINGS


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [..., None, [], {}, "x"])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    assert_error(put(api, clinic_id, body), 400)
    assert stored(database, Clinic)[0].ehr_settings is None


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(put(api, "A" * 24, SETTINGS), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(put(api, clinic_id, SETTINGS, None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    assert_error(put(api, clinic_id, SETTINGS, caller), 403)
    assert stored(database, Clinic)[0].ehr_settings is None


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert_error(put(api, "0" * 24, SETTINGS), 404)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    alone = number_of_statements(database, lambda: put(api, clinic_id, SETTINGS))
    with storing(database) as unit:
        for _ in range(5):
            make_clinic(unit, ehr_provider="redox", ehr_source_id=SETTINGS["sourceId"], ehr_enabled=True)
    assert number_of_statements(database, lambda: put(api, clinic_id, SETTINGS)) == alone == 4
