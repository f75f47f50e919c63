"""MergeClinic: POST /v1/clinics/{clinicId}/merge. What happens to patients, tags, sites and members; what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, Patient, PatientDeletion, Site, Tag
from clinic_service.resources.summaries.reconcile import compare
from tests.api.merges.steps import clinics_of, merge
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.invites import NOW, make_pending, status_of
from tests.support.merges import FRANK, Pair
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_tag,
    place_patient,
    stored,
    storing,
)
from tests.support.units import everything


@pytest.fixture
def with_demo(database: Database, config: Config) -> Client:
    """A client of a server that has Mallory as its demonstration patient."""
    return Client(application(replace(config, demo_patient_user_id=MALLORY.id), database), SECRET)


def shown(api: Client, clinic_id: str, person: Somebody) -> Any:
    reply = api.get(f"/v1/clinics/{clinic_id}/patients/{person.id}", as_=SERVICE)
    assert reply.status == 200
    return reply.json


class TestPatients:
    def test_who_moves_is_shown_in_the_target_with_all_that_belongs_to_the_record(
        self, api: Client, database: Database, full: Pair
    ) -> None:
        before = shown(api, full.source, CAROL)
        merge(api, full)
        after = shown(api, full.target, CAROL)
        elsewhere = {"tags", "sites", "updatedTime"}
        assert {k: v for k, v in after.items() if k not in elsewhere} == {
            k: v for k, v in before.items() if k not in elsewhere
        }
        assert set(after["summary"]) == {"cgmStats", "bgmStats"}
        assert len(after["dataSources"]) == len(after["reviews"]) == 2
        assert after["updatedTime"] > before["updatedTime"]
        # A clinic's lists, its number of patients and the reports are read from what is copied.
        assert list(compare(database)) == []

    def test_the_target_has_the_patients_of_both_each_once(self, api: Client, database: Database, full: Pair) -> None:
        merge(api, full)
        listed = api.get(f"/v1/clinics/{full.target}/patients", as_=SERVICE).json
        assert {patient["id"] for patient in listed["data"]} == {CAROL.id, DAVE.id, MALLORY.id, FRANK.id}
        assert listed["meta"]["count"] == 4
        assert {patient.clinic_id for patient in stored(database, Patient)} == {full.target}

    def test_tags_become_those_of_the_target_and_sites_are_kept(self, api: Client, full: Pair) -> None:
        merge(api, full)
        clinic = api.get(f"/v1/clinics/{full.target}", as_=SERVICE).json
        tags = {tag["id"]: (tag["name"], tag["numPatients"]) for tag in clinic["patientTags"]}
        sites = {site["name"]: site["numPatients"] for site in clinic["sites"]}
        assert sorted(tags.values()) == [("Own", 1), ("PUMP", 3), ("Trial", 2)]
        assert sites == {"West (2)": 2, "North": 1, "WEST": 1, "East": 1}
        carol, dave = shown(api, full.target, CAROL), shown(api, full.target, DAVE)
        assert {tags[tag][0] for tag in carol["tags"]} == {"PUMP", "Trial"}
        assert [site["name"] for site in carol["sites"]] == ["North", "West (2)"]
        assert {tags[tag][0] for tag in dave["tags"]} == {"PUMP", "Trial", "Own"}
        assert [site["name"] for site in dave["sites"]] == ["East", "WEST", "West (2)"]

    def test_of_who_is_in_both_the_target_keeps_its_record(self, api: Client, database: Database, full: Pair) -> None:
        before = shown(api, full.target, DAVE)
        merge(api, full)
        after = shown(api, full.target, DAVE)
        changed = {name for name in before if before[name] != after[name]}
        assert changed == {"tags", "sites", "updatedTime"}
        assert after["mrn"] == "M-3"
        [dropped] = stored(database, PatientDeletion)
        assert (dropped.clinic_id, dropped.user_id, dropped.deleted_by_user_id) == (full.source, DAVE.id, None)
        assert (dropped.record["mrn"], dropped.record["full_name"]) == ("M-2", "Dave of Hilltop")
        assert set(dropped.record["summaries"]) == {"bgm", "cgm"}
        assert [one["name"] for one in dropped.record["ehr_subscriptions"]] == ["summaryAndReports"]

    def test_a_record_that_gains_nothing_is_not_touched(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            for clinic in clinics_of(unit, pair):
                make_patient(unit, clinic, DAVE)
        before = shown(api, pair.target, DAVE)
        merge(api, pair)
        assert shown(api, pair.target, DAVE) == before

    @pytest.mark.parametrize("unique", [True, False])
    def test_numbers_are_held_against_others_as_the_target_asks(
        self, api: Client, database: Database, unique: bool
    ) -> None:
        with storing(database) as unit:
            source = make_clinic(unit, mrn_required=False, mrn_unique=unique)
            target = make_clinic(unit, mrn_required=False, mrn_unique=unique)
            make_patient(unit, source, CAROL, mrn="M-1", mrn_key="m-1", require_unique_mrn=not unique)
        merge(api, Pair(source.id, target.id))
        assert [patient.require_unique_mrn for patient in stored(database, Patient)] == [unique]

    def test_no_limit_of_the_plan_is_checked(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            target.patient_count_settings = {"hardLimit": {"plan": 1}}
            for person, clinic in ((CAROL, source), (DAVE, source), (FRANK, target)):
                make_patient(unit, clinic, person, "custodian", "view")
        merge(api, pair)
        count = api.get(f"/v1/clinics/{pair.target}/patient_count", as_=SERVICE).json
        assert (count["total"], count["plan"]) == (3, 3)

    def test_more_patients_than_are_moved_at_a_time(self, api: Client, database: Database, pair: Pair) -> None:
        people = [Somebody(f"{number:010x}", f"Patient {number}", "") for number in range(230)]
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            tag, site = make_tag(unit, source, "Pump"), make_site(unit, source, "West")
            for number, person in enumerate(people):
                place_patient(unit, make_patient(unit, source, person, email=None), site)
                if number % 3 == 0:
                    make_patient(unit, target, person, email=None)
        merge(api, pair)
        assert {patient.clinic_id for patient in stored(database, Patient)} == {pair.target}
        assert len(stored(database, Patient)) == 230
        assert len(stored(database, PatientDeletion)) == 77
        clinic = api.get(f"/v1/clinics/{pair.target}", as_=SERVICE).json
        assert [(one["name"], one["numPatients"]) for one in clinic["sites"]] == [("West", 230)]
        assert [(one["name"], one["numPatients"]) for one in clinic["patientTags"]] == [(tag.name, 0)]
        assert list(compare(database)) == []


class TestDemoPatient:
    def test_that_of_the_source_is_dropped_and_not_compared(
        self, with_demo: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            for clinic in (source, target):
                clinic.mrn_required = clinic.mrn_unique = True
            make_patient(unit, source, MALLORY)
            make_patient(unit, source, CAROL, mrn="M-1", mrn_key="m-1")
        merge(with_demo, pair)
        assert [patient.user_id for patient in stored(database, Patient)] == [CAROL.id]
        [dropped] = stored(database, PatientDeletion)
        assert (dropped.user_id, dropped.deleted_by_user_id) == (MALLORY.id, None)
        assert list(compare(database)) == []

    def test_that_of_the_target_stays_and_its_number_is_nobodys(
        self, with_demo: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            for clinic in (source, target):
                clinic.mrn_required = clinic.mrn_unique = True
            make_patient(unit, target, MALLORY, mrn="M-1", mrn_key="m-1", require_unique_mrn=True)
            make_patient(unit, source, MALLORY)
            make_patient(unit, source, CAROL, mrn="M-1", mrn_key="m-1", require_unique_mrn=True)
        merge(with_demo, pair)
        found = {patient.user_id: patient.require_unique_mrn for patient in stored(database, Patient)}
        assert found == {MALLORY.id: False, CAROL.id: True}


class TestTagsAndSites:
    def test_tags_that_are_made_are_the_newest_and_the_others_keep_their_ids(
        self, api: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            make_tag(unit, source, "Trial")
            make_tag(unit, source, "pump")
            own = make_tag(unit, target, "Pump")
        merge(api, pair)
        tags = api.get(f"/v1/clinics/{pair.target}", as_=SERVICE).json["patientTags"]
        assert [tag["name"] for tag in tags] == ["Pump", "Trial"]
        assert tags[0]["id"] == own.id
        assert {tag.clinic_id for tag in stored(database, Tag)} == {pair.target}

    def test_sites_keep_their_ids_and_may_become_more_than_50(
        self, api: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            ids = {make_site(unit, clinic, f"Site {n}").id for clinic in (source, target) for n in range(30)}
        merge(api, pair)
        sites = stored(database, Site)
        assert {site.id for site in sites} == ids
        assert {site.name_key for site in sites} == {Site.key_of(site.name) for site in sites}
        assert len({site.name_key for site in sites}) == 60
        full = api.post(f"/v1/clinics/{pair.target}/sites", as_=SERVICE, json={"name": "One more"})
        assert full.status == 422

    def test_the_time_of_the_target_moves_on(self, api: Client, database: Database, pair: Pair) -> None:
        merge(api, pair)
        [clinic] = stored(database, Clinic)
        assert (clinic.id, clinic.updated_time) == (pair.target, NOW)


class TestMembers:
    def test_who_is_in_both_keeps_the_role_of_the_target_and_the_others_keep_their_own(
        self, api: Client, database: Database, full: Pair
    ) -> None:
        merge(api, full)
        members = {one.user_id: one for one in stored(database, Clinician)}
        assert {user: list(map(str, one.roles)) for user, one in members.items()} == {
            ALICE.id: ["CLINIC_ADMIN"],
            BOB.id: ["CLINIC_MEMBER"],
            ERIN.id: ["CLINIC_ADMIN"],
        }
        assert {one.clinic_id for one in members.values()} == {full.target}

    def test_access_follows_at_once(self, api: Client, full: Pair) -> None:
        assert api.get(f"/v1/clinics/{full.target}/patients/{FRANK.id}", as_=ERIN).status == 403
        merge(api, full)
        assert api.get(f"/v1/clinics/{full.target}/patients/{FRANK.id}", as_=ERIN).status == 200
        assert api.get(f"/v1/clinics/{full.source}/patients/{CAROL.id}", as_=ERIN).status == 403
        assert api.get(f"/access/{CAROL.id}/{ERIN.id}", as_=ERIN).json == {"custodian": {}, "view": {}}
        assert api.get(f"/access/{FRANK.id}/{BOB.id}", as_=BOB).json == {"view": {}}

    def test_service_accounts_and_prescribers_move_as_well(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            source, _ = clinics_of(unit, pair)
            make_clinician(unit, source, BOB, email=None, is_service_account=True)
            make_clinician(unit, source, PETE, "PRESCRIBER")
        merge(api, pair)
        members = api.get(f"/v1/clinics/{pair.target}/clinicians", as_=SERVICE).json
        assert {(one["id"], *one["roles"]) for one in members} == {
            (BOB.id, "CLINIC_MEMBER"),
            (PETE.id, "PRESCRIBER"),
        }
        assert [one.is_service_account for one in stored(database, Clinician)].count(True) == 1

    @pytest.mark.parametrize("linked", [True, False])
    def test_an_invitation_of_the_target_to_who_moves_in_is_canceled(
        self, api: Client, database: Database, pair: Pair, linked: bool
    ) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            make_clinician(unit, source, ERIN)
            email = "other@hilltop.example" if linked else ERIN.email
            key = make_pending(unit, target, ERIN, "CLINIC_ADMIN", email=email, user_id=ERIN.id if linked else None)
            kept = make_pending(unit, target, PETE)
        merge(api, pair)
        assert (status_of(database, key), status_of(database, kept)) == ("canceled", "pending")
        rows = {(one.user_id, one.invite_id, *one.roles) for one in stored(database, Clinician)}
        assert rows == {(ERIN.id, None, "CLINIC_MEMBER"), (None, kept, "CLINIC_MEMBER")}

    def test_an_address_that_a_member_of_the_target_has_is_left_out(
        self, api: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            make_clinician(unit, source, ERIN, email="office@hilltop.example")
            make_clinician(unit, target, BOB, email="office@hilltop.example")
        merge(api, pair)
        assert {one.user_id: one.email for one in stored(database, Clinician)} == {
            ERIN.id: None,
            BOB.id: "office@hilltop.example",
        }
        assert api.get(f"/v1/clinics/{pair.target}/clinicians/{ERIN.id}", as_=SERVICE).json["email"] == ""

    def test_the_last_administrator_may_be_lost(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            source, target = clinics_of(unit, pair)
            make_clinician(unit, source, ALICE, "CLINIC_ADMIN")
            make_clinician(unit, target, ALICE)
        merge(api, pair)
        assert [one.is_admin for one in stored(database, Clinician)] == [False]


def test_a_second_call_finds_no_source(api: Client, database: Database, full: Pair) -> None:
    merge(api, full)
    before = everything(database)
    reply = api.post(full.path, as_=SERVICE, json=full.body)
    assert_error(reply, 404)
    assert reply.json["message"] == "The source clinic was not found."
    assert everything(database) == before


def test_clinics_can_be_merged_one_after_the_other(api: Client, database: Database, full: Pair) -> None:
    with storing(database) as unit:
        third = make_clinic(unit, name="Lakeside")
        make_patient(unit, third, CAROL)
    merge(api, full)
    merge(api, Pair(full.target, third.id))
    assert {patient.user_id for patient in stored(database, Patient)} == {CAROL.id, DAVE.id, MALLORY.id, FRANK.id}
    assert [clinic.id for clinic in stored(database, Clinic)] == [third.id]
    assert list(compare(database)) == []
