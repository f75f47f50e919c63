"""CreatePatientFromUser: POST /v1/clinics/{clinicId}/patients/{patientId}"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, EmbeddedAccount, OutboxEntry, Patient, PatientSite, PatientTag
from clinic_service.preparation import PreparationOutdated
from clinic_service.resources.patients import enrolment
from tests.api.patients.enrolling import NOW, PROFILE, create, path, set_up
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    make_account,
    make_clinic,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
)
from tests.support.statements import counting


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, CAROL, profile=PROFILE)
        make_account(unit, DAVE)
        return make_staffed_clinic(unit).id


def test_the_profile_fills_what_the_body_leaves_out(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = create(api, clinic_id)
    assert reply.status == 200
    assert reply.json == {
        "id": CAROL.id,
        "email": CAROL.email,
        "fullName": "Carol C. Cooper",
        "birthDate": "1987-04-12",
        "mrn": "MRN-20417",
        "targetDevices": ["omnipod", "dexcom"],
        "tags": [],
        "sites": [],
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
        "dataSources": None,
        "reviews": [],
        "connectionRequests": {"abbott": [], "dexcom": [], "twiist": []},
    }
    assert api.get(path(clinic_id), as_=BOB).json == reply.json
    [patient] = stored(database, Patient)
    assert not patient.has_permissions
    assert not patient.is_migrated
    assert (patient.invited_by, patient.legacy_clinician_ids) == (None, None)


def test_values_of_the_body_win_over_the_profile(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
    reply = create(
        api,
        clinic_id,
        fullName="Carol Smith",
        birthDate="1990-01-02",
        mrn="other",
        isMigrated=True,
        legacyClinicianId=ERIN.id,
        attestationSubmitted=True,
        permissions={"view": {}, "upload": {"ignored": 1}},
        tags=[tag.id],
        sites=[{"id": site.id, "name": "Whatever"}],
        glycemicRanges={"type": "preset", "preset": "adaHighRisk"},
        diagnosisType="lada",
    )
    assert reply.status == 200
    assert reply.json["fullName"] == "Carol Smith"
    assert reply.json["birthDate"] == "1990-01-02"
    assert reply.json["mrn"] == "other"
    assert reply.json["permissions"] == {"view": {}, "upload": {}}
    assert reply.json["tags"] == [tag.id]
    assert reply.json["sites"] == [{"id": site.id, "name": "North Wing"}]
    assert reply.json["glycemicRanges"] == {"type": "preset", "preset": "adaHighRisk"}
    assert reply.json["diagnosisType"] == "lada"
    assert "attestationSubmitted" not in reply.json
    [patient] = stored(database, Patient)
    assert patient.is_migrated
    assert patient.legacy_clinician_ids == [ERIN.id]


def test_an_absent_body_is_an_empty_one(api: Client, clinic_id: str) -> None:
    reply = api.post(path(clinic_id), as_=SERVICE)
    assert reply.status == 200
    assert reply.json["fullName"] == "Carol C. Cooper"


def test_an_account_without_a_profile_is_enough(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_account(unit, Somebody(ERIN.id, "", ""))
    reply = create(api, clinic_id, ERIN)
    assert reply.status == 200
    assert (reply.json["fullName"], reply.json["birthDate"]) == ("", "0001-01-01")
    assert not {"email", "mrn", "targetDevices", "diagnosisType", "glycemicRanges"} & reply.json.keys()
    [patient] = stored(database, Patient)
    assert (patient.full_name, patient.birth_date, patient.email, patient.mrn) == (None, None, None, None)


def test_the_name_of_the_account_serves_when_the_patient_has_none(api: Client, clinic_id: str) -> None:
    assert create(api, clinic_id, DAVE).json["fullName"] == DAVE.name


def test_blank_values_are_filled_in(api: Client, clinic_id: str) -> None:
    shown = create(api, clinic_id, fullName="  ", birthDate="0001-01-01", diagnosisType="").json
    assert shown["fullName"] == "Carol C. Cooper"
    assert shown["birthDate"] == "1987-04-12"
    assert "diagnosisType" not in shown


def test_an_empty_set_of_permissions_is_shown_as_such(api: Client, clinic_id: str) -> None:
    assert create(api, clinic_id, permissions={}).json["permissions"] == {}


def test_unknown_tags_and_sites_are_dropped(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic, other = unit.clinics.get(clinic_id), make_clinic(unit)
        sites = [make_site(unit, clinic, name) for name in ("North Wing", "City Clinic")]
        tag = make_tag(unit, clinic, "Pump")
        foreign_site, foreign_tag = make_site(unit, other, "North Wing"), make_tag(unit, other, "Pump")
    ids = [sites[1].id, "0" * 24, foreign_site.id, sites[0].id, sites[1].id]
    reply = create(
        api,
        clinic_id,
        tags=["0" * 24, foreign_tag.id, tag.id],
        sites=[{"id": site_id, "name": "any"} for site_id in ids],
    )
    assert reply.status == 200
    assert reply.json["tags"] == [tag.id]
    assert [site["id"] for site in reply.json["sites"]] == [sites[1].id, sites[0].id]
    assert len(stored(database, PatientTag)) == 1
    assert len(stored(database, PatientSite)) == 2


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({}, {"type": "preset", "preset": "adaStandard"}),
        ({"type": "preset"}, {"type": "preset", "preset": "adaStandard"}),
        (
            {"type": "preset", "preset": "adaPregnancyType1", "custom": {"name": "x", "thresholds": []}},
            {"type": "preset", "preset": "adaPregnancyType1"},
        ),
        (
            {
                "type": "custom",
                "preset": "adaHighRisk",
                "custom": {
                    "name": "Hers",
                    "thresholds": [
                        {"name": "low", "upperBound": {"value": 3.9, "units": "mmol/L"}},
                        {"name": "high", "upperBound": {"value": 10, "units": "mmol/L"}, "inclusive": True},
                    ],
                },
            },
            {
                "type": "custom",
                "custom": {
                    "name": "Hers",
                    "thresholds": [
                        {"name": "low", "upperBound": {"value": 3.9, "units": "mmol/L"}, "inclusive": False},
                        {"name": "high", "upperBound": {"value": 10, "units": "mmol/L"}, "inclusive": True},
                    ],
                },
            },
        ),
    ],
)
def test_ranges_hold_the_branch_of_their_type_and_the_defaults(
    api: Client, clinic_id: str, given: dict[str, Any], kept: dict[str, Any]
) -> None:
    reply = create(api, clinic_id, glycemicRanges=given)
    assert reply.status == 200
    assert reply.json["glycemicRanges"] == kept


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "given", [{"type": "custom"}, {"type": "none"}, None, "adaStandard", {"type": "custom", "custom": {}}]
)
def test_ranges_that_say_nothing_are_refused(api: Client, database: Database, clinic_id: str, given: Any) -> None:
    assert_error(create(api, clinic_id, glycemicRanges=given), 400)
    assert stored(database, Patient) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "body",
    [
        {"birthDate": "1987-02-30"},
        {"birthDate": ""},
        {"fullName": ""},
        {"birthDate": "0000-01-01"},
        {"mrn": ""},
        {"mrn": " \t\u2003\x1f"},
        {"mrn": None},
        {"tags": ["0" * 24, "0" * 24]},
        {"tags": ["Pump"]},
        {"permissions": {"view": True}},
        {"permissions": None},
        {"diagnosisType": "gout"},
        {"legacyClinicianId": "Erin"},
        {"sites": [{"id": "0" * 24}]},
        {"isMigrated": "yes"},
    ],
)
def test_bad_input_is_refused(api: Client, database: Database, clinic_id: str, body: dict[str, Any]) -> None:
    assert_error(create(api, clinic_id, **body), 400)
    assert stored(database, Patient) == []


@pytest.mark.one_engine
def test_a_site_is_named_by_its_id(api: Client, database: Database, clinic_id: str) -> None:
    assert_violations(create(api, clinic_id, sites=[{"name": "North"}]), ("/body/sites/0/id", "required"))
    assert stored(database, Patient) == []


@pytest.mark.one_engine
def test_bad_input_is_refused_before_missing_objects(api: Client, clinic_id: str) -> None:
    assert_error(create(api, "0" * 24, MALLORY, glycemicRanges={"type": "custom"}), 400)
    assert_error(api.post(f"/v1/clinics/{clinic_id}/patients/Carol", as_=SERVICE), 400)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.post(path(clinic_id), json={}), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, MALLORY])
def test_only_services_may_enrol(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    assert_error(api.post(path(clinic_id), as_=caller, json={}), 403)
    assert_error(api.post(path(clinic_id), as_=caller, json={"mrn": 1}), 403)
    assert stored(database, Patient) == []


def test_unknown_clinics_and_users_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    assert_error(create(api, "0" * 24), 404)
    assert_error(create(api, clinic_id, MALLORY), 404)
    assert stored(database, Patient) == []
    assert stored(database, OutboxEntry) == []


def test_a_patient_of_another_clinic_can_be_enrolled(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), CAROL)
    assert create(api, clinic_id).status == 200
    assert len(stored(database, Patient)) == 2


def test_a_user_becomes_a_patient_once(api: Client, database: Database, clinic_id: str) -> None:
    before = create(api, clinic_id).json
    events = len(stored(database, OutboxEntry))
    assert_error(create(api, clinic_id, fullName="Somebody Else"), 409)
    assert api.get(path(clinic_id), as_=BOB).json == before
    assert len(stored(database, OutboxEntry)) == events


def test_a_repeat_with_a_legacy_clinician_adds_only_that(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(NOW):
        before = create(api, clinic_id, legacyClinicianId=ERIN.id).json
    with clock.frozen(NOW + timedelta(seconds=1)):
        reply = create(api, clinic_id, legacyClinicianId=ALICE.id, fullName="Somebody Else", permissions={"view": {}})
    assert reply.status == 200
    assert reply.json == before | {"updatedTime": "2026-03-02T09:30:01.000Z"}
    assert stored(database, Patient)[0].legacy_clinician_ids == [ERIN.id, ALICE.id]
    with clock.frozen(NOW + timedelta(seconds=2)):
        assert create(api, clinic_id, legacyClinicianId=ERIN.id).json == reply.json
    assert stored(database, Patient)[0].legacy_clinician_ids == [ERIN.id, ALICE.id]


def test_a_repeat_asks_no_other_service(api: Client, database: Database, clinic_id: str) -> None:
    create(api, clinic_id)
    with storing(database) as unit:
        for account in (unit.session.get(EmbeddedAccount, person.id) for person in (CAROL, DAVE)):
            unit.session.delete(account)
    assert_error(create(api, clinic_id), 409)
    assert create(api, clinic_id, legacyClinicianId=ERIN.id).status == 200
    assert_error(create(api, clinic_id, DAVE), 404)


def test_a_record_that_goes_while_the_user_is_looked_up_is_looked_up_again(database: Database, clinic_id: str) -> None:
    found_as_patient = enrolment.EnrolmentRequest({})
    with storing(database) as unit, pytest.raises(PreparationOutdated):
        enrolment.create_from_user(unit, clinic_id, CAROL.id, found_as_patient, None)
    assert stored(database, Patient) == []


def test_the_new_patient_adds_an_event(api: Client, database: Database, clinic_id: str) -> None:
    create(api, clinic_id, permissions={"custodian": {}, "view": {}}, isMigrated=True)
    [event] = stored(database, OutboxEntry)
    assert (event.kind, event.clinic_id) == ("patient_added", clinic_id)
    assert event.payload == {
        "clinicId": clinic_id,
        "userId": CAROL.id,
        "custodial": True,
        "isMigrated": True,
        "invitedBy": None,
    }


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str) -> None:
    [before] = stored(database, Clinic)
    create(api, clinic_id, permissions={"view": {}})
    [after] = stored(database, Clinic)
    assert after.updated_time == before.updated_time
    assert {account.user_id for account in stored(database, EmbeddedAccount)} == {CAROL.id, DAVE.id}


def test_cost_does_not_depend_on_the_clinic_or_the_body(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        tags = [make_tag(unit, clinic, f"Tag {number}").id for number in range(9)]
        sites = [{"id": make_site(unit, clinic, f"Site {number}").id, "name": "any"} for number in range(9)]
    with counting(database) as few:
        create(api, clinic_id, CAROL, tags=tags[:1], sites=sites[:1], permissions={"custodian": {}})
    with counting(database) as many:
        body = {"tags": tags, "sites": sites, "mrn": "A-1", "permissions": {"custodian": {}}}
        assert create(api, clinic_id, DAVE, **body).status == 200
    assert len(few) == len(many)
