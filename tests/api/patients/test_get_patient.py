"""GetPatient: GET /v1/clinics/{clinicId}/patients/{patientId}"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Review
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)
from tests.support.statements import counting

LATER = datetime(2026, 3, 2, 9, 30, 0, 123000, tzinfo=UTC)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        return clinic.id


def path(clinic_id: str, person: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{person.id}"


def store(database: Database, **values: Any) -> str:
    """A clinic whose patient Carol has these values."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL, **values)
        return clinic.id


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_answers_the_record(api: Client, clinic_id: str, caller: Somebody) -> None:
    reply = api.get(path(clinic_id), as_=caller)
    assert reply.status == 200
    assert reply.json == {
        "id": CAROL.id,
        "email": CAROL.email,
        "fullName": CAROL.name,
        "birthDate": "1987-04-12",
        "tags": [],
        "permissions": {"view": {}},
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
        "dataSources": None,
        "reviews": [],
        "connectionRequests": {"abbott": [], "dexcom": [], "twiist": []},
        "sites": [],
    }


def test_answers_every_member_that_has_a_value(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        patient = make_patient(
            unit,
            clinic,
            CAROL,
            "note",
            "custodian",
            "upload",
            "view",
            mrn="MRN-20417",
            target_devices=["omnipod", "dexcom"],
            last_upload_reminder_time=LATER,
            glycemic_ranges={"type": "preset", "preset": "adaHighRisk"},
            diagnosis_type="type1",
            connection_requests={"twiist": [{"providerName": "twiist", "createdTime": "2026-02-01T00:00:00.000Z"}]},
        )
        patient.reviews = [Review(BOB.id, LATER), Review(ALICE.id, LONG_AGO)]
        tags = [make_tag(unit, clinic, name) for name in ("Pump", "Pregnant")]
        sites = [make_site(unit, clinic, name) for name in ("North Wing", "City Clinic")]
        tag_patient(unit, patient, *reversed(tags))
        place_patient(unit, patient, *reversed(sites))
        make_data_source(unit, patient, "twiist", state="pending", expiration_time=LATER)
        make_data_source(
            unit, patient, "dexcom", data_source_id="a" * 24, modified_time=LONG_AGO, latest_data_time=LATER
        )
    reply = api.get(path(clinic.id), as_=BOB)
    assert reply.status == 200
    assert reply.json == {
        "id": CAROL.id,
        "email": CAROL.email,
        "fullName": CAROL.name,
        "birthDate": "1987-04-12",
        "mrn": "MRN-20417",
        "tags": [tag.id for tag in tags],
        "targetDevices": ["omnipod", "dexcom"],
        "permissions": {"custodian": {}, "view": {}, "upload": {}, "note": {}},
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
        "dataSources": [
            {"providerName": "twiist", "state": "pending", "expirationTime": "2026-03-02T09:30:00.123Z"},
            {
                "providerName": "dexcom",
                "state": "connected",
                "dataSourceId": "a" * 24,
                "modifiedTime": "2026-01-05T08:30:00.000Z",
                "latestDataTime": "2026-03-02T09:30:00.123Z",
            },
        ],
        "lastUploadReminderTime": "2026-03-02T09:30:00.123Z",
        "reviews": [
            {"clinicianId": BOB.id, "time": "2026-03-02T09:30:00.123Z"},
            {"clinicianId": ALICE.id, "time": "2026-01-05T08:30:00.000Z"},
        ],
        "connectionRequests": {
            "abbott": [],
            "dexcom": [],
            "twiist": [{"providerName": "twiist", "createdTime": "2026-02-01T00:00:00.000Z"}],
        },
        "sites": [
            {"id": sites[1].id, "name": "City Clinic"},
            {"id": sites[0].id, "name": "North Wing"},
        ],
        "glycemicRanges": {"type": "preset", "preset": "adaHighRisk"},
        "diagnosisType": "type1",
    }


def test_an_unknown_birth_date_and_name_are_shown_in_the_form_clients_know(api: Client, database: Database) -> None:
    shown = api.get(path(store(database, birth_date=None, full_name=None, email=None)), as_=BOB).json
    assert shown["birthDate"] == "0001-01-01"
    assert shown["fullName"] == ""
    assert "email" not in shown


def test_permissions_never_given_are_not_shown(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).permissions = None
    assert "permissions" not in api.get(path(clinic_id), as_=BOB).json
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).permissions = []
    assert api.get(path(clinic_id), as_=BOB).json["permissions"] == {}


def test_data_sources_are_null_until_a_list_was_given(api: Client, database: Database) -> None:
    assert api.get(path(store(database)), as_=BOB).json["dataSources"] is None
    assert api.get(path(store(database, data_sources_set=True)), as_=BOB).json["dataSources"] == []


def test_the_last_dexcom_request_of_older_records_is_shown(api: Client, database: Database) -> None:
    shown = api.get(path(store(database, last_requested_dexcom_connect_time=LATER)), as_=BOB).json
    assert shown["connectionRequests"]["dexcom"] == [
        {"providerName": "dexcom", "createdTime": "2026-03-02T09:30:00.123Z"}
    ]


def test_newer_dexcom_requests_win_over_the_older_record(api: Client, database: Database) -> None:
    requests = [{"providerName": "dexcom", "createdTime": "2026-01-01T00:00:00.000Z"}]
    clinic_id = store(database, last_requested_dexcom_connect_time=LATER, connection_requests={"dexcom": requests})
    assert api.get(path(clinic_id), as_=BOB).json["connectionRequests"]["dexcom"] == requests


def test_a_renamed_site_shows_at_once(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        site = make_site(unit, unit.clinics.get(clinic_id), "North Wing")
        place_patient(unit, unit.patients.get(clinic_id, CAROL.id), site)
        site.name = "South Wing"
    assert api.get(path(clinic_id), as_=BOB).json["sites"] == [{"id": site.id, "name": "South Wing"}]


def test_only_what_belongs_to_the_record_is_shown(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        for clinic, person in ((unit.clinics.get(clinic_id), DAVE), (make_clinic(unit), CAROL)):
            other = make_patient(unit, clinic, person)
            tag_patient(unit, other, make_tag(unit, clinic, "Pump"))
            place_patient(unit, other, make_site(unit, clinic, "North Wing"))
            make_data_source(unit, other, "dexcom")
    shown = api.get(path(clinic_id), as_=BOB).json
    assert (shown["tags"], shown["sites"], shown["dataSources"]) == ([], [], None)


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert_error(api.get(f"/v1/clinics/{clinic_id}/patients/Carol", as_=BOB), 400)
    assert_error(api.get(f"/v1/clinics/{clinic_id.upper()}/patients/{CAROL.id}", as_=SERVICE), 400)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.get(path(clinic_id)), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [CAROL, MALLORY, PETE, ERIN])
def test_is_for_members_and_services_and_not_for_the_patient(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(api.get(path(clinic_id), as_=caller), 403)
    assert_error(api.get(f"/v1/clinics/{clinic_id}/patients/not-an-id", as_=caller), 403)


def test_a_patient_who_is_a_member_as_well_reads_the_record(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), CAROL)
    assert api.get(path(clinic_id), as_=CAROL).status == 200


def test_unknown_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), DAVE)
    assert_error(api.get(path(clinic_id, MALLORY), as_=BOB), 404)
    assert_error(api.get(path(clinic_id, DAVE), as_=BOB), 404)
    assert_error(api.get(path("0" * 24), as_=SERVICE), 404)


def test_cost_does_not_depend_on_what_the_record_holds(api: Client, database: Database, clinic_id: str) -> None:
    with counting(database) as few:
        api.get(path(clinic_id), as_=BOB)
    with storing(database) as unit:
        clinic, patient = unit.clinics.get(clinic_id), unit.patients.get(clinic_id, CAROL.id)
        for number in range(5):
            tag_patient(unit, patient, make_tag(unit, clinic, f"Tag {number}"))
            make_data_source(unit, patient, "dexcom", modified_time=LONG_AGO + timedelta(days=number))
        place_patient(unit, patient, *(make_site(unit, clinic, f"Site {number}") for number in range(5)))
    with counting(database) as many:
        assert len(api.get(path(clinic_id), as_=BOB).json["tags"]) == 5
    # The caller's roles, the record, its tags and sites; its sources only if it was ever given some.
    assert len(few) == 3
    assert len(many) == 4
