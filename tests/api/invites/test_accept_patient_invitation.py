"""AcceptPatientInvitation: PUT /v1/clinics/{clinicId}/invites/patients/{inviteId}"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, EmbeddedAccount, OutboxEntry, Patient, PatientDeletion
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.invites import (
    NOW,
    UNKNOWN_KEY,
    at_once,
    invite_of,
    make_offer,
    make_pending,
    statements_of,
    status_of,
)
from tests.support.rows import (
    LONG_AGO,
    make_account,
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
)

PROFILE = {"fullName": "Cody Cooper", "birthday": "1987-04-12", "mrn": "MRN-1", "targetDevices": ["dexcom"]}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, CAROL, profile=PROFILE)
        make_account(unit, DAVE)
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_offer(unit, unit.clinics.get(clinic_id), CAROL, "view", "upload")


def accept(api: Client, clinic_id: str, key: str, body: Any = ..., as_: Somebody | None = BOB) -> Reply:
    with clock.frozen(NOW):
        return api.put(f"/v1/clinics/{clinic_id}/invites/patients/{key}", json=body, as_=as_)


def set_up(database: Database, clinic_id: str, **values: Any) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in values.items():
            setattr(clinic, name, value)


def users(database: Database) -> list[str]:
    return [row.user_id for row in stored(database, Patient)]


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_makes_a_patient_from_the_profile(
    api: Client, database: Database, clinic_id: str, key: str, caller: Somebody
) -> None:
    reply = accept(api, clinic_id, key, as_=caller)
    assert reply.status == 200
    assert reply.json == {
        "id": CAROL.id,
        "email": CAROL.email,
        "fullName": "Cody Cooper",
        "birthDate": "1987-04-12",
        "mrn": "MRN-1",
        "targetDevices": ["dexcom"],
        "permissions": {"view": {}, "upload": {}},
        "tags": [],
        "sites": [],
        "dataSources": None,
        "reviews": [],
        "connectionRequests": {"abbott": [], "dexcom": [], "twiist": []},
        "createdTime": "2026-03-02T09:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    row = invite_of(database, key)
    assert (row.status, row.modified, row.created) == ("completed", NOW, LONG_AGO)
    assert api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB).json == reply.json


def test_dc_5_the_body_wins_and_ranges_and_diagnosis_are_kept(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        tag, north, south = (
            make_tag(unit, clinic, "Pumps"),
            make_site(unit, clinic, "North"),
            make_site(unit, clinic, "S"),
        )
    body = {
        "fullName": "Cody C. Cooper",
        "birthDate": "1987-04-13",
        "mrn": " A-7 ",
        "tags": [tag.id],
        "sites": [{"id": south.id, "name": "any"}, {"id": north.id, "name": "any"}],
        "glycemicRanges": {"type": "preset", "preset": "adaPregnancyType1"},
        "diagnosisType": "type1",
    }
    answer = accept(api, clinic_id, key, body).json
    assert (answer["fullName"], answer["birthDate"], answer["mrn"]) == ("Cody C. Cooper", "1987-04-13", " A-7 ")
    assert answer["tags"] == [tag.id]
    assert [site["name"] for site in answer["sites"]] == ["S", "North"]
    assert answer["glycemicRanges"] == {"type": "preset", "preset": "adaPregnancyType1"}
    assert answer["diagnosisType"] == "type1"


def test_an_empty_body_takes_the_profile_as_it_is(api: Client, clinic_id: str, key: str) -> None:
    assert accept(api, clinic_id, key, {}).json["fullName"] == "Cody Cooper"


def test_permissions_are_those_offered_limited_to_view_upload_and_note(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), CAROL, "note", "custodian", "follow", "view")
    # What the body says of permissions is nothing that is known.
    body = {"permissions": {"custodian": {}, "upload": {}}, "isMigrated": True, "legacyClinicianId": ALICE.id}
    assert accept(api, clinic_id, key, body).json["permissions"] == {"view": {}, "note": {}}
    [patient] = stored(database, Patient)
    assert (patient.is_migrated, patient.legacy_clinician_ids, patient.is_custodial) == (False, None, False)


def test_the_patient_limit_does_not_apply(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), DAVE, "custodian")
    set_up(database, clinic_id, tier="tier0100", patient_count_settings={"hardLimit": {"plan": 1}})
    assert accept(api, clinic_id, key).status == 200


def test_others_are_told(api: Client, database: Database, clinic_id: str, key: str) -> None:
    accept(api, clinic_id, key)
    [event] = stored(database, OutboxEntry)
    assert (event.kind, event.clinic_id) == ("patient_added", clinic_id)
    assert event.payload == {
        "clinicId": clinic_id,
        "userId": CAROL.id,
        "custodial": False,
        "isMigrated": False,
        "invitedBy": None,
    }


def test_members_may_see_the_data_at_once(api: Client, clinic_id: str, key: str) -> None:
    assert api.get(f"/access/{CAROL.id}/{BOB.id}", as_=SERVICE).status == 404
    accept(api, clinic_id, key)
    assert api.get(f"/access/{CAROL.id}/{BOB.id}", as_=SERVICE).json == {"view": {}, "upload": {}}


@pytest.mark.parametrize("permissions", [("view",), ("custodian", "view")])
def test_who_is_a_patient_already_is_left_as_they_are_custodial_or_not(
    api: Client, database: Database, clinic_id: str, key: str, permissions: tuple[str, ...]
) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), CAROL, *permissions, full_name="Known Already")
    # Not even what would be refused for a new one matters.
    set_up(database, clinic_id, mrn_required=True)
    reply = accept(api, clinic_id, key, {"fullName": "Other", "sites": [{"id": "0" * 24, "name": "x"}]})
    assert (reply.status, reply.json["fullName"]) == (200, "Known Already")
    assert list(reply.json["permissions"]) == list(permissions)
    [patient] = stored(database, Patient)
    assert (patient.updated_time, patient.is_custodial) == (LONG_AGO, "custodian" in permissions)
    assert (status_of(database, key), stored(database, OutboxEntry)) == ("completed", [])


def test_a_repeat_is_refused(api: Client, database: Database, clinic_id: str, key: str) -> None:
    assert [accept(api, clinic_id, key).status for _ in range(2)] == [200, 403]
    assert users(database) == [CAROL.id]


@pytest.mark.parametrize("status", ["completed", "canceled", "declined"])
def test_what_is_not_pending_is_refused_even_when_expired(
    api: Client, database: Database, clinic_id: str, status: str
) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), CAROL, status=status, expires_at=LONG_AGO)
    assert accept(api, clinic_id, key).status == 403
    assert (users(database), status_of(database, key)) == ([], status)


def test_an_invitation_of_a_clinician_is_refused(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, creator_id=CAROL.id)
    assert accept(api, clinic_id, key).status == 403
    assert (users(database), status_of(database, key)) == ([], "pending")


def test_wc_12_an_expired_offer_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        late = make_offer(unit, clinic, CAROL, expires_at=NOW)
        just = make_offer(unit, clinic, DAVE, expires_at=NOW + timedelta(milliseconds=1))
    assert [accept(api, clinic_id, key).status for key in (late, just)] == [404, 200]
    assert users(database) == [DAVE.id]


def test_unknown_ones_and_another_clinics_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_offer(unit, make_clinic(unit), CAROL)
    for key in (elsewhere, UNKNOWN_KEY, "x"):
        assert accept(api, clinic_id, key).status == 404
    assert accept(api, "0" * 24, elsewhere, as_=SERVICE).status == 404
    assert accept(api, "nowhere", elsewhere, as_=SERVICE).status == 400
    assert (users(database), status_of(database, elsewhere)) == ([], "pending")


def test_an_account_that_is_gone_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), MALLORY)
    assert accept(api, clinic_id, key).status == 404
    assert status_of(database, key) == "pending"


def test_a_required_number_must_be_given_or_known(api: Client, database: Database, clinic_id: str) -> None:
    set_up(database, clinic_id, mrn_required=True)
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), DAVE)
    assert accept(api, clinic_id, key, {}).status == 400
    assert (users(database), status_of(database, key)) == ([], "pending")
    assert accept(api, clinic_id, key, {"mrn": "B-1"}).json["mrn"] == "B-1"


def test_a_number_that_the_profile_knows_is_given(api: Client, database: Database, clinic_id: str, key: str) -> None:
    set_up(database, clinic_id, mrn_required=True)
    assert accept(api, clinic_id, key).json["mrn"] == "MRN-1"


def test_a_taken_number_is_refused_before_sites(api: Client, database: Database, clinic_id: str, key: str) -> None:
    set_up(database, clinic_id, mrn_unique=True)
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), DAVE, mrn="mrn-1", mrn_key="mrn-1", require_unique_mrn=True)
    assert accept(api, clinic_id, key, {"sites": [{"id": "0" * 24, "name": "x"}]}).status == 400
    assert (users(database), status_of(database, key)) == ([DAVE.id], "pending")


def test_unknown_sites_and_another_clinics_are_refused(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        own, foreign = (
            make_site(unit, unit.clinics.get(clinic_id), "Own"),
            make_site(unit, make_clinic(unit), "Foreign"),
        )
    for unknown in ("0" * 24, foreign.id):
        body = {"sites": [{"id": own.id, "name": "Own"}, {"id": unknown, "name": "x"}]}
        assert accept(api, clinic_id, key, body).status == 422
    assert (users(database), status_of(database, key), stored(database, OutboxEntry)) == ([], "pending", [])
    twice = {"sites": [{"id": own.id, "name": "Own"}] * 2}
    assert [site["id"] for site in accept(api, clinic_id, key, twice).json["sites"]] == [own.id]


def test_unknown_tags_are_dropped(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        tag = make_tag(unit, unit.clinics.get(clinic_id), "Pumps")
    assert accept(api, clinic_id, key, {"tags": ["0" * 24, tag.id]}).json["tags"] == [tag.id]


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "body",
    [
        {"fullName": ""},
        {"birthDate": "12.04.1987"},
        {"birthDate": "0000-01-01"},
        {"mrn": ""},
        {"mrn": " \t\u2003\x1f"},
        {"tags": ["x"]},
        {"tags": ["0" * 24, "0" * 24]},
        {"sites": [{"id": "0" * 24}]},
        {"diagnosisType": "type9"},
        {"glycemicRanges": {"type": "custom"}},
        {"fullName": 7},
        {"mrn": "7" * 256},
        [],
    ],
)
def test_malformed_bodies_are_refused(
    api: Client, database: Database, clinic_id: str, key: str, body: dict[str, Any]
) -> None:
    assert accept(api, clinic_id, key, body).status == 400
    assert (users(database), status_of(database, key)) == ([], "pending")


@pytest.mark.one_engine
def test_a_site_is_named_by_its_id(api: Client, clinic_id: str, key: str) -> None:
    reply = accept(api, clinic_id, key, {"sites": [{"name": "North"}]})
    assert_violations(reply, ("/body/sites/0/id", "required"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str, key: str) -> None:
    assert accept(api, clinic_id, key, as_=None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [CAROL, ERIN, PETE, MALLORY])
def test_is_for_members_and_services_and_not_for_mere_prescribers(
    api: Client, database: Database, clinic_id: str, key: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    assert accept(api, clinic_id, key, as_=caller).status == 403
    assert status_of(database, key) == "pending"


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        other = make_offer(unit, unit.clinics.get(clinic_id), DAVE)
    accept(api, clinic_id, key)
    assert status_of(database, other) == "pending"
    assert (
        len(stored(database, Clinician)),
        len(stored(database, EmbeddedAccount)),
        stored(database, PatientDeletion),
    ) == (
        2,
        2,
        [],
    )


def test_of_two_acceptances_at_once_exactly_one_succeeds(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with clock.frozen(NOW):
        assert at_once(database, clinic_id, *[lambda: accept_now(api, clinic_id, key)] * 2) == [200, 403]
    assert users(database) == [CAROL.id]
    assert [entry.kind for entry in stored(database, OutboxEntry)] == ["patient_added"]


def test_an_offer_is_either_accepted_or_withdrawn(api: Client, database: Database, clinic_id: str, key: str) -> None:
    withdrawing = lambda: api.delete(f"/v1/clinics/{clinic_id}/invites/patients/{key}", as_=CAROL)  # noqa: E731
    with clock.frozen(NOW):
        assert at_once(database, clinic_id, lambda: accept_now(api, clinic_id, key), withdrawing) == [200, 403]
    assert status_of(database, key) == ("completed" if users(database) else "canceled")


def accept_now(api: Client, clinic_id: str, key: str) -> Reply:
    """As `accept`, at a time that the caller has stopped for all threads."""
    return api.put(f"/v1/clinics/{clinic_id}/invites/patients/{key}", as_=BOB)


def test_the_statements_do_not_depend_on_clinic_and_body(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        other = make_offer(unit, clinic, DAVE)
        tags = [make_tag(unit, clinic, f"Tag {number}").id for number in range(9)]
        sites = [{"id": make_site(unit, clinic, f"Site {number}").id, "name": "any"} for number in range(9)]
    few = statements_of(database, lambda: accept(api, clinic_id, key, {"tags": tags[:1], "sites": sites[:1]}))
    many = statements_of(database, lambda: accept(api, clinic_id, other, {"tags": tags, "sites": sites}))
    # Access, terms, patient, three of the directory; access, lock, invitation, patient; the new one and the number,
    # two each for tags and sites, the notice, the end of the invitation; two to answer.
    assert (few, many) == (21, 21)
