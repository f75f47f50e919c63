"""The mock of both APIs answers every operation with what the spec declares, and as the header Prefer wishes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clinic_service.api.validation import Validator, Validators
from clinic_service.specification.apis import Api, Operation
from tests.support.cast import ALICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations, spec_apis
from tests.support.malformed_targets import CLINIC_ID, address
from tests.support.mocks import mock_client

JSON = "application/json"
SEEDS = range(20)
OPERATIONS = [(api, operation) for api in spec_apis() for operation in api.operations]
EACH = pytest.mark.parametrize(("api", "operation"), OPERATIONS, ids=[o.operation_id for _, o in OPERATIONS])
VALIDATORS = {api.name: Validators(api.document) for api in spec_apis()}
CLINIC = f"/v1/clinics/{CLINIC_ID}"
# Good for every operation, since without `--auth` it only has to be there.
CREDENTIALS = {"X-Tidepool-Session-Token": "x", "Verification-Token": "x", "Authorization": "Bearer x"}
CLIENT = mock_client()
# The queries that operations require.
QUERIES = {
    "TideReport": f"period=14d&tags={CLINIC_ID}&lastDataCutoff=2026-03-02T09:30:00Z",
    "ViewPDFReport": f"clinicId={CLINIC_ID}&patientId={ALICE.id}&restricted_token=x",
}


def body_of(api: Api, operation: Operation) -> Any:
    """The example of the request body; no body when the operation has none."""
    if "requestBody" not in operation.definition:
        return ...
    content = api.resolved(operation.definition["requestBody"])["content"][JSON]
    return content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]


def call(api: Api, operation: Operation, *preferences: str, client: Client = CLIENT, **headers: str) -> Reply:
    """What the mock answers to a good request of anybody."""
    path = f"{address(operation)}?{QUERIES.get(operation.operation_id, '')}"
    sent = {**CREDENTIALS, "Accept": JSON, **headers, "Prefer": ", ".join(preferences)}
    return client.request(operation.method.upper(), path, json=body_of(api, operation), headers=sent)


def declared(api: Api, operation: Operation, status: str) -> dict[str, Any]:
    return dict(api.resolved(operation.definition["responses"][status]))


def success_of(operation: Operation) -> str:
    return str(min(status for status in operation.definition["responses"] if status.startswith("2")))


def validator_of(api: Api, operation: Operation, status: str) -> Validator | None:
    content = declared(api, operation, status).get("content", {}).get(JSON)
    return VALIDATORS[api.name].response(content["schema"]) if content else None


def examples_of(content: dict[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
    for named in content.get("examples", {}).values():
        yield named["value"]


@EACH
def test_a_success_is_the_first_example_of_the_lowest_status(api: Api, operation: Operation) -> None:
    reply = call(api, operation)
    status = success_of(operation)
    content = declared(api, operation, status).get("content", {})
    assert reply.status == int(status), reply.json
    assert "Preference-Applied" not in reply.headers
    if not content:
        assert reply.body == b""
    elif JSON in content:
        assert reply.json == next(examples_of(content[JSON]))
    else:
        assert reply.headers["Content-Type"].partition(";")[0] in content
        assert reply.body


@EACH
def test_every_declared_status_can_be_had(api: Api, operation: Operation) -> None:
    for status in operation.definition["responses"]:
        if status == "default":
            continue
        reply = call(api, operation, f"code={status}")
        assert reply.status == int(status), reply.json
        assert reply.headers["Preference-Applied"] == f"code={status}"
        validator = validator_of(api, operation, status)
        if validator:
            assert validator.violations(reply.json, "") == []
        # The server sets the first by itself, and the mock stores no answers that it could repeat.
        expected = set(declared(api, operation, status).get("headers", {})) - {"Cache-Control", "Idempotent-Replayed"}
        assert expected <= set(reply.headers.keys())


@EACH
def test_dynamic_answers_fit_the_schema_whatever_the_seed(api: Api, operation: Operation) -> None:
    validator = validator_of(api, operation, success_of(operation))
    seen = set()
    for seed in SEEDS:
        reply = call(api, operation, "dynamic=true", client=mock_client(seed=seed))
        assert reply.status == int(success_of(operation))
        if validator:
            assert validator.violations(reply.json, "") == []
            assert reply.headers["Preference-Applied"] == "dynamic=true"
        seen.add(reply.body)
    assert validator is None or len(seen) > 1, "every seed makes the same"


def named_examples() -> list[tuple[Api, Operation, str, str, Any]]:
    return [
        (api, operation, status, name, example["value"])
        for api, operation in OPERATIONS
        for status in operation.definition["responses"]
        for content in declared(api, operation, status).get("content", {}).values()
        for name, example in content.get("examples", {}).items()
    ]


@pytest.mark.parametrize(
    ("api", "operation", "status", "name", "value"), named_examples(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_named_example_can_be_had(api: Api, operation: Operation, status: str, name: str, value: Any) -> None:
    reply = call(api, operation, f"code={status}", f"example={name}")
    assert (reply.status, reply.json) == (int(status), value)
    assert reply.headers["Preference-Applied"] == f"code={status}, example={name}"


def test_there_are_named_examples() -> None:
    assert len(named_examples()) >= 3


class TestPreferences:
    def get(self, prefer: str, path: str = CLINIC, **headers: str) -> Reply:
        return CLIENT.get(path, headers={**CREDENTIALS, **headers, "Prefer": prefer})

    @pytest.mark.parametrize("code", ["418", "299", "4XX", "default", "abc", "000", "4040", "²00"])
    def test_an_unknown_code_is_refused_with_those_that_there_are(self, code: str) -> None:
        reply = self.get(f"code={code}")
        assert_error(reply, 400)
        assert reply.json["message"] == "The operation does not declare the preferred code."
        codes = ["200", "304", "400", "401", "403", "404", "429", "500", "503"]
        assert reply.json["errors"] == [{"pointer": "/header/Prefer", "rule": "unknown", "expected": codes}]
        assert "Preference-Applied" not in reply.headers

    def test_an_unknown_example_is_refused_with_those_that_there_are(self) -> None:
        api, operation, status, name, _ = named_examples()[0]
        reply = call(api, operation, f"code={status}", "example=nothing")
        assert_error(reply, 400)
        assert reply.json["message"] == "The answer does not have the preferred example."
        assert reply.json["errors"][0]["pointer"] == "/header/Prefer"
        assert name in reply.json["errors"][0]["expected"]

    def test_an_answer_without_a_body_has_no_examples(self) -> None:
        reply = CLIENT.delete(f"{CLINIC}/sites/{CLINIC_ID}", headers={**CREDENTIALS, "Prefer": "example=x"})
        assert_violations(reply, ("/header/Prefer", "unknown"))
        assert reply.json["errors"][0]["expected"] == []

    def test_dynamic_is_true_or_false(self) -> None:
        reply = self.get("dynamic=perhaps")
        assert_error(reply, 400)
        assert reply.json["errors"] == [{"pointer": "/header/Prefer", "rule": "enum", "expected": ["true", "false"]}]
        assert self.get("dynamic=false").json == self.get("").json

    def test_preferences_that_the_mock_does_not_know_are_ignored(self) -> None:
        reply = self.get('return=minimal, wait=10, note="code=404", respond-async')
        assert reply.json == self.get("").json
        assert "Preference-Applied" not in reply.headers

    def test_the_first_of_two_codes_counts_in_any_spelling(self) -> None:
        assert self.get('Code = "404" , code=503').status == 404

    def test_strict_handling_is_told_beside_the_others(self) -> None:
        reply = self.get("code=404, handling=strict")
        assert reply.status == 404
        assert sorted(reply.headers.getlist("Preference-Applied")) == ["code=404", "handling=strict"]
        assert_violations(self.get("code=404, handling=strict", f"{CLINIC}?nothing=1"), ("/query/*", "unknown"))

    def test_an_example_is_not_made_up(self) -> None:
        api, operation, status, name, value = named_examples()[0]
        reply = call(api, operation, f"code={status}", f"example={name}", "dynamic=true")
        assert reply.json == value
        assert "dynamic" not in reply.headers["Preference-Applied"]

    def test_accept_chooses_the_media_type(self) -> None:
        types = [
            (api, operation, media_type)
            for api, operation in OPERATIONS
            for media_type in declared(api, operation, success_of(operation)).get("content", {})
            if len(declared(api, operation, success_of(operation))["content"]) > 1
        ]
        for api, operation, media_type in types:
            reply = call(api, operation, Accept=media_type)
            assert reply.headers["Content-Type"].partition(";")[0] == media_type


class TestDeterminism:
    def dynamic(self, path: str, seed: int = 0) -> Any:
        return mock_client(seed=seed).get(path, headers={**CREDENTIALS, "Prefer": "dynamic=true"}).json

    def test_the_same_request_has_the_same_answer(self) -> None:
        assert self.dynamic(CLINIC) == self.dynamic(CLINIC)

    def test_another_address_and_another_seed_have_another_answer(self) -> None:
        answers = [self.dynamic(CLINIC), self.dynamic(CLINIC[:-1] + "c"), self.dynamic(CLINIC, seed=1)]
        assert len({str(answer) for answer in answers}) == 3

    def test_an_answer_does_not_depend_on_those_before(self) -> None:
        before = self.dynamic(CLINIC)
        self.dynamic("/v1/clinics")
        assert self.dynamic(CLINIC) == before


class TestPages:
    def test_the_documents_and_the_reference_are_served(self) -> None:
        assert CLIENT.get("/openapi/clinic.v1.json").json["info"]["title"] == "Clinics API"
        assert CLIENT.get("/docs").status == 200
        assert CLIENT.get("/").headers["Location"] == "/docs"

    def test_it_is_live_and_ready_without_a_database(self) -> None:
        assert CLIENT.get("/live").json == CLIENT.get("/ready").json == {"status": "ok"}

    def test_unknown_addresses_and_methods_are_refused(self) -> None:
        assert_error(CLIENT.get("/v1/nothing"), 404)
        assert_error(CLIENT.patch(CLINIC), 405)
