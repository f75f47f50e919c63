"""The audit trail: every operation, when it is allowed, refused or fails, leaves exactly the record that is due.

What is due follows from the spec: a write leaves a row, a read of the data of people leaves a line, and so do refusals and
failures of all operations. The writes are the cases of `tests/support/cases`, the reads are below.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.api.dispatch import BaseDispatcher
from clinic_service.api.plan import may_write
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.restricted_tokens.embedded import EmbeddedRestrictedTokens
from clinic_service.specification.apis import Operation
from tests.api.ehr.report_pages import view
from tests.support.audit import lines_of, rows_of
from tests.support.cases import Send, Stage, find_case
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, SERVICE
from tests.support.client import Client, Reply
from tests.support.ehr import SETTINGS
from tests.support.errors import spec_apis
from tests.support.failing import Defect
from tests.support.invites import make_offer, make_pending
from tests.support.rows import (
    make_account,
    make_grant,
    make_migration,
    make_patient,
    make_restriction,
    make_staffed_clinic,
    share_code,
    storing,
)
from tests.support.xealth_site import make_enrolled_patient, make_xealth_clinic, xealth_site

OPERATIONS = {operation.operation_id: operation for api in spec_apis() for operation in api.operations}
ID = "65f1c0de0a1b2c3d4e5f6a7b"
IN_PATH = {"clinicId": ID, "patientId": CAROL.id, "userId": CAROL.id, "sharerId": CAROL.id, "clinicianId": BOB.id}
# What a record may hold besides names of the spec: times, ids, and the names of services and partners.
KNOWN = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|[0-9a-f]{24}|[0-9a-f]{10}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|allowed|refused|failed|person|service|partner|"
    r"CLINIC_ADMIN|CLINIC_MEMBER|task-runner|redox|xealth|redox-challenge|report"
)


def every(*, which: Callable[[Operation], bool] = lambda _: True) -> pytest.MarkDecorator:
    chosen = [operation for operation in OPERATIONS.values() if which(operation)]
    return pytest.mark.parametrize("operation", chosen, ids=lambda operation: operation.operation_id)


def path_of(operation: Operation) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: IN_PATH.get(found[1], ID), operation.path)


def named_in_path(operation: Operation) -> dict[str, Any]:
    """What a record says of the path: the clinic, and the person if `x-audit` names one of its parameters."""
    word, _, parameter = operation.definition["x-audit"].partition(":")
    named = {"clinic": ID} if "{clinicId}" in operation.path else {}
    return named | ({"subject": IN_PATH[parameter]} if word == "subject" else {})


def assert_no_value_of_the_request(record: dict[str, Any]) -> None:
    members = {name for changed in [record.get("changed", [])] for name in changed}
    declared = {"operation": record["operation"] in OPERATIONS, "changed": members <= declared_members(record)}
    assert all(declared.values()), declared
    for name in record.keys() - declared.keys() - {"status", "patients", "previous"}:
        assert KNOWN.fullmatch(str(record[name])), f"{name} is not known to be harmless"


def declared_members(record: dict[str, Any]) -> set[str]:
    operation = OPERATIONS[record["operation"]]
    api = next(api for api in spec_apis() if operation in api.operations)
    body = api.resolved(operation.definition.get("requestBody", {}))
    schema = api.resolved(body.get("content", {}).get("application/json", {}).get("schema", {}))
    parts = [schema, *map(api.resolved, schema.get("allOf", []))]
    return {name for part in parts for name in part.get("properties", {})}


@every()
def test_a_request_without_proof(api: Client, database: Database, config: Config, operation: Operation) -> None:
    reply = api.request(operation.method.upper(), path_of(operation))
    assert 400 <= reply.status < 500 or reply.status == 501
    (line,) = lines_of(config, reply)
    outcome = "failed" if reply.status == 501 else "refused"
    assert line.items() >= (named_in_path(operation) | {"outcome": outcome, "status": reply.status}).items()
    assert line["operation"] == operation.operation_id
    assert "caller" not in line
    assert_no_value_of_the_request(line)
    assert rows_of(database, reply) == []


@every()
def test_a_request_that_fails(
    api: Client, database: Database, config: Config, operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Defect

    caller = Caller(SERVICE.id, CallerKind.SERVICE)
    with monkeypatch.context() as patch:
        patch.setattr(BaseDispatcher, "_caller", lambda *_: caller)
        patch.setattr("clinic_service.api.dispatch.run", fail)
        reply = api.request(operation.method.upper(), path_of(operation))
    assert reply.status == 500
    (line,) = lines_of(config, reply)
    due = {"outcome": "failed", "status": 500, "caller": SERVICE.id, "kind": "service"}
    assert line.items() >= (named_in_path(operation) | due).items()
    assert_no_value_of_the_request(line)
    assert rows_of(database, reply) == []


@pytest.fixture
def send(operation: Operation, api: Client, database: Database) -> Iterator[Send]:
    """Sends a request of the operation that is allowed."""
    is_read = operation.method == "get" and not may_write(operation)
    case = READS[operation.operation_id] if is_read else find_case(operation)
    with ExitStack() as needs:
        with storing(database) as unit:
            send = case(Stage(api, database, unit, needs))
        yield send


@every()
def test_a_request_that_is_allowed(database: Database, config: Config, operation: Operation, send: Send) -> None:
    reply = send()
    assert reply.status < 300, reply.json
    rows, lines = rows_of(database, reply), lines_of(config, reply)
    writes, reads_people = may_write(operation), operation.definition["x-audit"] != "none"
    assert (len(rows), len(lines)) == ((1, 0) if writes else (0, int(reads_people)))
    for record in rows + lines:
        assert record["operation"] == operation.operation_id
        assert (record["outcome"], record["status"]) == ("allowed", reply.status)
        assert record["kind"] in ("person", "service", "partner")
        assert ("clinic" in record) == ("{clinicId}" in operation.path)
        assert_names_the_people(operation, record, reply)
        assert_no_value_of_the_request(record)


def assert_names_the_people(operation: Operation, record: dict[str, Any], reply: Reply) -> None:
    """Either the one person, or how many there are in the answer or in the body."""
    word, _, place = operation.definition["x-audit"].partition(":")
    assert ("subject" in record) == (word.startswith("subject"))
    assert ("patients" in record) == (word.startswith("patients"))
    if word == "subject-in-answer":
        assert record["subject"] == reply.json[place[1:]]
    elif word == "patients-in-answer":
        assert record["patients"] == NUMBERS.get(operation.operation_id, 1)


# How many patients the answers below have, where it is not one.
NUMBERS = {"ListPatients": 2, "FindPatients": 2, "TideReport": 0, "GetGroupsForUser": 2}
READS: dict[str, Callable[[Stage], Send]] = {}


def read(operation_id: str, path: str, as_: Any = SERVICE) -> None:
    """A read of what is stored by `_everybody`; `{clinic}`, `{invite}` and `{offer}` stand for ids in it."""

    def case(stage: Stage) -> Send:
        ids = _everybody(stage)
        return lambda: stage.api.get(path.format(**ids), as_=as_)

    READS[operation_id] = case


def _everybody(stage: Stage) -> dict[str, str]:
    unit = stage.unit
    clinic = make_staffed_clinic(unit, ehr_settings=SETTINGS, mrn_required=True, mrn_unique=False)
    for person in (CAROL, DAVE):
        make_account(unit, person)
        make_patient(unit, clinic, person, "view", mrn="A-1", mrn_key="a-1")
    make_migration(unit, clinic, ALICE)
    make_restriction(unit, clinic, "harbour.example")
    make_grant(unit, CAROL, DAVE, "view")
    offer = make_offer(unit, clinic, CAROL, "view", expires_at=clock.now() + timedelta(days=1))
    invite = make_pending(unit, clinic, ERIN)
    return {"clinic": clinic.id, "offer": offer, "invite": invite, "share_code": share_code(clinic.id)}


def view_pdf_report(stage: Stage) -> Send:
    clinic = make_xealth_clinic(stage.unit)
    patient = make_enrolled_patient(stage.unit, clinic, CAROL)
    site = stage.needs.enter_context(xealth_site(stage.database))

    def send() -> Reply:
        answer = view(site, patient, EmbeddedRestrictedTokens(stage.database).create(CAROL.id).id)
        return Reply(answer.status, None, answer.headers, b"")

    return send


READS["ViewPDFReport"] = view_pdf_report
_CLINIC = "/v1/clinics/{clinic}"
read("ListClinics", "/v1/clinics")
read("GetClinicByShareCode", "/v1/clinics/share_code/{share_code}")
read("GetClinic", _CLINIC)
read("ListClinicians", f"{_CLINIC}/clinicians")
read("GetClinician", f"{_CLINIC}/clinicians/{BOB.id}")
read("ListAllClinicians", "/v1/clinicians")
read("ListClinicsForClinician", f"/v1/clinicians/{ALICE.id}/clinics")
read("TideReport", f"{_CLINIC}/tide_report?period=14d&tags={ID}&lastDataCutoff=2026-01-01T00:00:00Z")
read("ListPatients", f"{_CLINIC}/patients", as_=BOB)
read("GetPatient", f"{_CLINIC}/patients/{CAROL.id}", as_=BOB)
read("ListClinicsForPatient", f"/v1/patients/{CAROL.id}/clinics", as_=CAROL)
read("FindPatients", "/v1/patients?mrn=A-1", as_=BOB)
read("GetPatientInvites", f"{_CLINIC}/invites/patients", as_=BOB)
read("GetClinicianInvite", f"{_CLINIC}/invites/clinicians/{{invite}}", as_=ALICE)
read("GetInvitedClinician", f"{_CLINIC}/invites/clinicians/{{invite}}/clinician")
read("ListMigrations", f"{_CLINIC}/migrations")
read("GetMigration", f"{_CLINIC}/migrations/{ALICE.id}")
read("ListMembershipRestrictions", f"{_CLINIC}/membership_restrictions")
read("GetEHRSettings", f"{_CLINIC}/settings/ehr")
read("GetMRNSettings", f"{_CLINIC}/settings/mrn")
read("GetPatientCountSettings", f"{_CLINIC}/settings/patient_count")
read("GetPatientCount", f"{_CLINIC}/patient_count")
read("GetGroupsForUser", f"/access/groups/{DAVE.id}")
read("GetUsersInGroup", f"/access/{CAROL.id}")
read("GetPermissionsForUser", f"/access/{CAROL.id}/{DAVE.id}")
