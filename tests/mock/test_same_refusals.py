"""The mock refuses malformed parameters and bodies exactly as the service does."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from clinic_service.api.plan import Plan, compile_plan
from clinic_service.api.validation import Validators
from clinic_service.db.engine import Database
from clinic_service.errors import ServiceError
from clinic_service.mock.plans import compile_mock
from clinic_service.specification.apis import Api, Operation
from tests.support.client import Client, Reply
from tests.support.errors import spec_apis
from tests.support.malformed import BODIES, IDS, QUERIES
from tests.support.malformed_targets import (
    CLINIC_ID,
    WITH_BODY,
    WITH_IDS,
    WITH_PAGES,
    address,
    allowed,
    send_body,
)
from tests.support.mocks import mock_client
from tests.support.oracle import Request
from tests.support.rows import make_staffed_clinic, storing
from tests.support.variations import good_request, varied_bodies, varied_paths, varied_queries

pytestmark = pytest.mark.one_engine

MOCK = mock_client()
CHECKING_MOCK = mock_client(auth=True)
# What a request itself is refused for; the rest depends on what is stored.
OF_THE_REQUEST = (400, 405, 413, 415)
OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]
BODIES_OF_AN_OPERATION = 40


def said(reply: Reply) -> tuple[int, Any, Any]:
    """All of a refusal but the id of the request."""
    return reply.status, {**reply.json, "instance": ""}, reply.headers.get("Content-Type")


class TestApplications:
    """The corpus of malformed requests, sent to both applications."""

    @pytest.fixture(autouse=True)
    def clinic(self, database: Database) -> None:
        with storing(database) as unit:
            make_staffed_clinic(unit, id=CLINIC_ID)

    @pytest.mark.parametrize("case", BODIES)
    def test_bodies(self, api: Client, case: str) -> None:
        for operation in WITH_BODY:
            real = send_body(api, operation, BODIES[case])
            if real.status in OF_THE_REQUEST:
                assert said(send_body(MOCK, operation, BODIES[case])) == said(real)
                assert said(send_body(CHECKING_MOCK, operation, BODIES[case])) == said(real)

    @pytest.mark.parametrize("case", QUERIES)
    def test_queries(self, api: Client, case: str) -> None:
        for operation in WITH_PAGES:
            environ = {"QUERY_STRING": QUERIES[case]}
            ask = {"as_": allowed(operation), "environ_overrides": environ}
            real = api.get(address(operation), **ask)
            assert real.status == 400
            assert said(MOCK.get(address(operation), **ask)) == said(real)

    def test_idempotency_keys(self, api: Client) -> None:
        [operation] = [operation for operation in WITH_BODY if operation.operation_id == "CreateClinic"]
        body = {"name": "Second", "preferredBgUnits": "mg/dL"}
        ask: dict[str, Any] = {"as_": allowed(operation), "headers": {"Idempotency-Key": "two words"}, "json": body}
        real = api.post("/v1/clinics", **ask)
        assert real.status == 400
        assert real.json["errors"][0]["pointer"] == "/header/Idempotency-Key"
        assert said(MOCK.post("/v1/clinics", **ask)) == said(real)

    @pytest.mark.parametrize("case", IDS)
    def test_ids(self, api: Client, case: str) -> None:
        for operation, name in WITH_IDS:
            method, path = operation.method.upper(), address(operation, **{name: IDS[case]})
            real = api.request(method, path, as_=allowed(operation))
            mocked = MOCK.request(method, path, as_=allowed(operation))
            if real.status in OF_THE_REQUEST or "%00" in path:
                assert said(mocked) == said(real)
            else:
                # Who may call, and what is there, comes first or after it.
                assert real.status in (200, 204, 403, 404)


class TestPlans:
    """Every operation of the spec, those without a handler as well, with requests that differ from a good one."""

    @pytest.mark.parametrize(("api", "operation"), OPERATIONS, ids=[o.operation_id for _, o in OPERATIONS])
    def test_read_the_same_and_refuse_the_same(self, api: Api, operation: Operation) -> None:
        real, mocked = real_plan(api.name, operation.operation_id), mock_plans(api.name)[operation.operation_id]
        outcomes = [(read(real, sent), read(mocked, sent), sent) for sent in requests(api, operation)]
        assert [sent for ours, theirs, sent in outcomes if ours != theirs] == []

    def test_there_are_requests_of_both_kinds(self) -> None:
        """Otherwise the comparison would say nothing."""
        kinds = [
            read(real_plan(api.name, o.operation_id), sent)[0] for api, o in OPERATIONS for sent in requests(api, o)
        ]
        assert min(kinds.count(True), kinds.count(False)) > 500


def requests(api: Api, operation: Operation) -> Iterator[Request]:
    yield good_request(api, operation)
    # ListPatients has a hundred parameters, of a few kinds.
    yield from itertools.islice(varied_queries(api, operation), 0, None, 3)
    yield from varied_paths(api, operation)
    yield from varied_bodies(api, operation, BODIES_OF_AN_OPERATION)


@cache
def mock_plans(name: str) -> dict[str, Plan]:
    return compile_mock(next(api for api in spec_apis() if api.name == name)).plans


@cache
def real_plan(name: str, operation_id: str) -> Plan:
    api = next(api for api in spec_apis() if api.name == name)
    operation = next(operation for operation in api.operations if operation.operation_id == operation_id)
    return compile_plan(api, operation, _validators(name), None)


@cache
def _validators(name: str) -> Validators:
    return Validators(next(api.document for api in spec_apis() if api.name == name))


def read(plan: Plan, sent: Request) -> tuple[bool, Any]:
    """Whether the request is refused, and why; else what is read of it."""
    body = sent.body or b""
    environ = {
        "CONTENT_TYPE": sent.content_type or "",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    try:
        values = plan.parameters.read(sent.path, sent.query)
        return False, (values, plan.body.arguments(plan.body.decode(environ)) if plan.body else None)
    except ServiceError as refusal:
        return True, (refusal.status, refusal.message, refusal.violations)
