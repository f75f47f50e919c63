"""GenerateMergeReport: POST /v1/clinics/{clinicId}/reports/merge. The sheets are looked at in `tests/merges`."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from openpyxl import load_workbook

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import MergePlanElement
from clinic_service.unit_of_work import writing
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.invites import NOW, make_pending
from tests.support.merges import FRANK, Pair
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_patient,
    make_restriction,
    make_site,
    make_tag,
    stored,
    storing,
)
from tests.support.units import everything, number_of_statements

UNKNOWN = "0" * 24
JSON = {"Accept": "application/json"}
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def path_of(clinic_id: str) -> str:
    return f"/v1/clinics/{clinic_id}/reports/merge"


def report(api: Client, pair: Pair) -> Any:
    reply = api.post(path_of(pair.target), as_=SERVICE, json=pair.body, headers=JSON)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    return reply.json


class TestMediaTypes:
    @pytest.mark.parametrize("accept", [None, "*/*", WORKBOOK, f"{WORKBOOK}, application/json;q=0.5", "text/html"])
    def test_a_workbook_is_the_answer_unless_json_is_asked_for(
        self, api: Client, full: Pair, accept: str | None
    ) -> None:
        headers = {"Accept": accept} if accept else {}
        reply = api.post(path_of(full.target), as_=SERVICE, json=full.body, headers=headers)
        assert reply.status == 200
        assert reply.headers["Content-Type"] == WORKBOOK
        assert reply.headers["Content-Disposition"] == "attachment; filename=merge-report-1772443800.xlsx"
        assert load_workbook(BytesIO(reply.body))["Summary"]["B2"].value == "Hilltop"

    @pytest.mark.parametrize("accept", ["application/json", f"application/json, {WORKBOOK};q=0.1"])
    def test_json_is_sent_to_who_asks_for_it(self, api: Client, full: Pair, accept: str) -> None:
        reply = api.post(path_of(full.target), as_=SERVICE, json=full.body, headers={"Accept": accept})
        assert reply.json["sourceId"] == full.source
        assert "Content-Disposition" not in reply.headers


class TestJson:
    def test_tells_the_whole_plan(self, api: Client, full: Pair) -> None:
        told = report(api, full)
        assert {name: told[name] for name in ("sourceId", "targetId", "createdTime", "canExecute", "errors")} == {
            "sourceId": full.source,
            "targetId": full.target,
            "createdTime": "2026-03-02T09:30:00.000Z",
            "canExecute": True,
            "errors": [],
        }
        assert told["settings"] == [
            {"name": "mrnRequired", "sourceValue": "false", "targetValue": "false", "match": True},
            {"name": "mrnUnique", "sourceValue": "false", "targetValue": "false", "match": True},
            {"name": "preferredBgUnits", "sourceValue": "mg/dL", "targetValue": "mg/dL", "match": True},
            {"name": "timezone", "sourceValue": None, "targetValue": None, "match": True},
        ]
        assert told["membershipRestrictions"] == {"source": [], "target": [], "match": True}
        assert told["tags"] == [
            {"name": "Own", "action": "RETAIN", "workspaces": ["target"], "merge": False},
            {"name": "PUMP", "action": "RETAIN", "workspaces": ["source", "target"], "merge": True},
            {"name": "pump", "action": "SKIP", "workspaces": ["source", "target"], "merge": True},
            {"name": "Trial", "action": "CREATE", "workspaces": ["source"], "merge": False},
        ]
        assert [(one["name"], one["resultingName"], one["action"], one["workspace"]) for one in told["sites"]] == [
            ("East", "East", "RETAIN", "target"),
            ("North", "North", "MOVE", "source"),
            ("WEST", "WEST", "RETAIN", "target"),
            ("West", "West (2)", "RENAME", "source"),
        ]
        assert told["counts"] == {
            "resultingMembers": 3,
            "resultingAdmins": 2,
            "downgradedMembers": 1,
            "resultingTags": 3,
            "duplicateTags": 1,
            "resultingSites": 4,
            "renamedSites": 1,
            "resultingPatients": 4,
            "duplicateAccounts": 1,
            "likelyDuplicateAccounts": 1,
            "mrnOnlyMatches": 0,
            "nameOnlyMatches": 0,
        }

    def test_tells_of_every_member(self, api: Client, full: Pair) -> None:
        members = report(api, full)["clinicians"]
        assert members[:2] == [
            {
                "userId": ALICE.id,
                "email": ALICE.email,
                "name": ALICE.name,
                "action": "MERGE",
                "downgraded": False,
                "resultingRoles": ["CLINIC_ADMIN"],
                "workspaces": ["source", "target"],
            },
            {
                "userId": ALICE.id,
                "email": ALICE.email,
                "name": ALICE.name,
                "action": "MERGE_INTO",
                "downgraded": False,
                "resultingRoles": ["CLINIC_ADMIN"],
                "workspaces": ["source", "target"],
            },
        ]
        assert [(one["userId"], one["action"], one["downgraded"]) for one in members[2:]] == [
            (BOB.id, "MERGE", True),
            (BOB.id, "MERGE_INTO", False),
            (ERIN.id, "MOVE", False),
        ]

    def test_tells_of_every_patient(self, api: Client, full: Pair) -> None:
        patients = report(api, full)["patients"]
        assert [(one["userId"], one["action"]) for one in patients] == [
            # Nobody's name comes first, and the two Carols are of one name.
            (MALLORY.id, "MOVE"),
            (CAROL.id, "MOVE"),
            (FRANK.id, "RETAIN"),
            (DAVE.id, "MERGE_INTO"),
            (DAVE.id, "MERGE"),
        ]
        assert patients[1] == {
            "userId": CAROL.id,
            "action": "MOVE",
            "conflicts": [{"category": "Likely Duplicate Accounts", "userId": FRANK.id}],
            "tags": ["PUMP", "Trial"],
            "sites": ["North", "West (2)"],
        }
        assert patients[4] == {
            "userId": DAVE.id,
            "action": "MERGE",
            "conflicts": [{"category": "Duplicate Accounts", "userId": DAVE.id}],
            "tags": ["Own", "PUMP", "Trial"],
            "sites": ["East", "WEST", "West (2)"],
        }

    def test_tells_of_invitations_and_service_accounts(self, api: Client, database: Database, pair: Pair) -> None:
        with storing(database) as unit:
            source, target = unit.clinics.get(pair.source), unit.clinics.get(pair.target)
            make_clinician(unit, source, BOB, email=None, name=None, is_service_account=True)
            make_clinician(unit, source, ERIN)
            make_pending(unit, source, MALLORY)
            make_pending(unit, target, ERIN, "CLINIC_ADMIN")
        told = report(api, pair)
        assert [(one.get("userId"), one.get("email"), one["action"]) for one in told["clinicians"]] == [
            (None, MALLORY.email, "MOVE"),
            (None, ERIN.email, "CANCEL"),
            (BOB.id, None, "MOVE"),
            (ERIN.id, ERIN.email, "MOVE"),
        ]
        assert [error["code"] for error in told["errors"]] == ["PENDING_INVITES"]
        assert told["counts"]["resultingMembers"] == 2

    def test_gives_reasons_that_rule_the_merge_out_and_who_they_are_about(
        self, api: Client, database: Database, pair: Pair
    ) -> None:
        with storing(database) as unit:
            source, target = unit.clinics.get(pair.source), unit.clinics.get(pair.target)
            source.mrn_unique, source.mrn_required = True, True
            target.mrn_unique, target.mrn_required = True, True
            source.timezone = "Europe/Oslo"
            make_restriction(unit, source, "hilltop.example", "idp")
            make_patient(unit, source, CAROL)
            make_patient(unit, source, DAVE, mrn="A", mrn_key="a")
            make_patient(unit, target, FRANK, mrn="a", mrn_key="a")
        told = report(api, pair)
        assert told["canExecute"] is False
        assert [error["code"] for error in told["errors"]] == [
            "SETTINGS_MISMATCH",
            "SETTINGS_MISMATCH",
            "MRN_REQUIRED",
            "DUPLICATE_MRN_TARGET",
        ]
        assert {one["userId"]: one.get("error") for one in told["patients"]} == {
            CAROL.id: "MRN_REQUIRED",
            DAVE.id: "DUPLICATE_MRN_TARGET",
            FRANK.id: None,
        }
        assert told["membershipRestrictions"] == {
            "source": [{"emailDomain": "hilltop.example", "requiredIdp": "idp"}],
            "target": [],
            "match": False,
        }

    def test_two_reports_are_equal_but_for_their_time(self, api: Client, full: Pair) -> None:
        first = report(api, full)
        with clock.frozen(NOW.replace(hour=10)):
            second = report(api, full)
        assert second["createdTime"] != first["createdTime"]
        assert second | {"createdTime": ""} == first | {"createdTime": ""}

    def test_says_what_the_merge_then_does(self, api: Client, database: Database, full: Pair) -> None:
        told = report(api, full)
        assert api.post(full.path, as_=SERVICE, json=full.body).status == 200
        kept = [(row.type.value, row.element) for row in stored(database, MergePlanElement)]
        for kind, name in (("tag", "tags"), ("site", "sites"), ("clinician", "clinicians"), ("patient", "patients")):
            expected = told[name]
            found = [element for type_, element in kept if type_ == kind]
            assert sorted(map(str, found)) == sorted(map(str, expected))
        clinic = api.get(f"/v1/clinics/{full.target}", as_=SERVICE).json
        assert len(clinic["sites"]) == told["counts"]["resultingSites"]
        assert len(clinic["patientTags"]) == told["counts"]["resultingTags"]
        count = api.get(f"/v1/clinics/{full.target}/patient_count", as_=SERVICE).json
        assert count["total"] == told["counts"]["resultingPatients"]

    def test_leaves_out_demo_patients(self, database: Database, config: Config, pair: Pair) -> None:
        with_demo = Client(application(replace(config, demo_patient_user_id=MALLORY.id), database), SECRET)
        with storing(database) as unit:
            for clinic_id in pair:
                make_patient(unit, unit.clinics.get(clinic_id), MALLORY)
                make_patient(unit, unit.clinics.get(clinic_id), CAROL)
        told = report(with_demo, pair)
        assert {one["userId"] for one in told["patients"]} == {CAROL.id}
        assert told["counts"]["resultingPatients"] == 1


def test_changes_nothing(api: Client, database: Database, full: Pair) -> None:
    before = everything(database)
    for headers in ({}, JSON):
        assert api.post(path_of(full.target), as_=SERVICE, json=full.body, headers=headers).status == 200
    assert everything(database) == before


def test_does_not_wait_for_writers(api: Client, database: Database, full: Pair) -> None:
    with writing(database) as unit:
        for clinic_id in full:
            unit.clinics.lock(clinic_id)
        assert report(api, full)["canExecute"] is True


@pytest.mark.parametrize("headers", [{}, JSON])
def test_the_number_of_statements_grows_only_with_pages(
    api: Client, database: Database, headers: dict[str, str]
) -> None:
    def sent(size: int) -> int:
        with storing(database) as unit:
            clinics = [make_clinic(unit), make_clinic(unit)]
            for clinic in clinics:
                for number in range(size):
                    person = Somebody(f"{number:010x}", f"Patient {number % 7}", f"{number}@mail.example")
                    make_patient(unit, clinic, person)
                    if number < 20:
                        make_tag(unit, clinic, f"Tag {number}")
                        make_site(unit, clinic, f"Site {number}")
                        make_clinician(unit, clinic, person)
        path, body = path_of(clinics[1].id), {"sourceId": clinics[0].id}
        return number_of_statements(database, lambda: api.post(path, as_=SERVICE, json=body, headers=headers))

    few = sent(3)
    assert sent(60) == few
    assert few < 60


class TestRefused:
    @pytest.mark.one_engine
    @pytest.mark.parametrize("body", [{}, {"sourceId": None}, {"sourceId": "harbour"}, [], "x"])
    def test_malformed_bodies(self, api: Client, pair: Pair, body: Any) -> None:
        assert api.post(path_of(pair.target), as_=SERVICE, json=body).status == 400

    @pytest.mark.one_engine
    def test_no_body(self, api: Client, pair: Pair) -> None:
        assert api.post(path_of(pair.target), as_=SERVICE).status == 400

    @pytest.mark.one_engine
    def test_malformed_paths(self, api: Client, pair: Pair) -> None:
        assert api.post(path_of("harbour"), as_=SERVICE, json=pair.body).status == 400

    @pytest.mark.one_engine
    @pytest.mark.parametrize("known", [True, False])
    def test_one_clinic_with_itself(self, api: Client, pair: Pair, known: bool) -> None:
        clinic_id = pair.target if known else UNKNOWN
        reply = api.post(path_of(clinic_id), as_=SERVICE, json={"sourceId": clinic_id})
        assert_violations(reply, ("/body/sourceId", "state"))

    @pytest.mark.one_engine
    def test_nobodys_token(self, api: Client, pair: Pair) -> None:
        assert api.post(path_of(pair.target), json=pair.body).status == 401

    @pytest.mark.one_engine
    @pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, MALLORY])
    def test_people(self, api: Client, database: Database, pair: Pair, caller: Somebody) -> None:
        with storing(database) as unit:
            for clinic_id in pair:
                clinic = unit.clinics.get(clinic_id)
                make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
                make_clinician(unit, clinic, BOB)
                make_patient(unit, clinic, CAROL)
        assert api.post(path_of(pair.target), as_=caller, json=pair.body).status == 403

    def test_unknown_clinics_the_source_first(self, api: Client, pair: Pair) -> None:
        def refused(path: str, source_id: str) -> Reply:
            reply = api.post(path_of(path), as_=SERVICE, json={"sourceId": source_id})
            assert_error(reply, 404)
            return reply

        assert refused(pair.target, UNKNOWN).json["message"] == "The source clinic was not found."
        assert refused("1" * 24, UNKNOWN).json["message"] == "The source clinic was not found."
        assert refused(UNKNOWN, pair.source).json["message"] == "The target clinic was not found."
