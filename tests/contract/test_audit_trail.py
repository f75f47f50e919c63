"""The audit trail: every operation, when it is allowed, refused or fails, leaves exactly the record that is due.

What is due follows from the spec: a write leaves a row, a read of the data of people leaves a line, and so do refusals and
failures of all operations. The requests are those of `tests/support/cases` and `tests/support/reads.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from clinic_service.api.dispatch import BaseDispatcher
from clinic_service.api.plan import may_write
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.specification.apis import Operation
from tests.support.audit import lines_of, rows_of
from tests.support.cases import Send, Stage
from tests.support.cast import BOB, CAROL, SERVICE
from tests.support.client import Client, Reply
from tests.support.errors import spec_apis
from tests.support.failing import Defect
from tests.support.reads import request_of
from tests.support.rows import (
    storing,
)

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


@pytest.mark.one_engine
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


@pytest.mark.one_engine
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
    with ExitStack() as needs:
        with storing(database) as unit:
            send = request_of(operation)(Stage(api, database, unit, needs))
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
