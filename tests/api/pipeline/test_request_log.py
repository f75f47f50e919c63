"""One line for each request, made of listed facts; and nothing that a request holds gets into a log, metric or error."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from clinic_service.api.log import RequestLog
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.metrics.counters import exposition
from clinic_service.models import OutboxEntry
from clinic_service.specification.apis import Operation
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.ehr import REDOX, REDOX_SECRET, make_ehr_clinic, redox_order
from tests.support.errors import spec_apis
from tests.support.rows import make_account, make_patient, make_staffed_clinic, stored, storing

KEYS = {"time", "operation", "method", "status", "ms", "request", "trace", "caller", "kind"}
CLINIC_ID = "5f0c7d1e9a3b4c6d8e2f1a0b"
CANARY = "kanarie4711"


class Logged:
    """An application whose log is kept."""

    def __init__(self, database: Database, config: Config) -> None:
        self.stream = io.StringIO()
        self.api = Client(create_app(config, database, apis=spec_apis(), log=RequestLog(self.stream)), SECRET)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@pytest.fixture(scope="session")
def shared_logged(shared_database: Database) -> Logged:
    url = shared_database.url.render_as_string(hide_password=False)
    return Logged(
        shared_database, Config(database_url=url, session_secret=SECRET, redox_verification_token=REDOX_SECRET)
    )


@pytest.fixture
def logged(database: Database, shared_logged: Logged) -> Logged:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, id=CLINIC_ID)
        make_patient(unit, clinic, CAROL)
        make_account(unit, CAROL)
    shared_logged.stream.seek(0)
    shared_logged.stream.truncate()
    return shared_logged


class TestLines:
    def test_hold_exactly_the_listed_facts(self, logged: Logged) -> None:
        reply = logged.api.get(f"/v1/clinics/{CLINIC_ID}?secret={CANARY}", as_=BOB)
        (line,) = logged.lines
        assert set(line) == KEYS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
        assert 0 < line.pop("ms") < 60_000
        assert line == {
            "operation": "GetClinic",
            "method": "GET",
            "status": 200,
            "request": reply.headers["X-Tidepool-Trace-Request"],
            "trace": None,
            "caller": BOB.id,
            "kind": "person",
        }

    @pytest.mark.parametrize(
        ("caller", "path", "expected"),
        [
            (
                SERVICE,
                "/v1/clinics/x",
                {"operation": "GetClinic", "status": 400, "caller": SERVICE.id, "kind": "service"},
            ),
            (None, "/v1/clinics", {"operation": "ListClinics", "status": 401, "caller": None, "kind": None}),
            (ALICE, "/v1/clinics", {"operation": "ListClinics", "status": 403, "caller": ALICE.id, "kind": "person"}),
            (ALICE, f"/{CANARY}", {"operation": None, "method": None, "status": 404, "caller": None, "kind": None}),
            (ALICE, "/live", {"operation": None, "method": None, "status": 200, "caller": None, "kind": None}),
        ],
    )
    def test_are_written_for_every_outcome(
        self, logged: Logged, caller: Somebody | None, path: str, expected: dict[str, Any]
    ) -> None:
        logged.api.get(path, as_=caller)
        (line,) = logged.lines
        assert set(line) == KEYS
        assert {name: line[name] for name in expected} == expected

    @pytest.mark.one_engine
    def test_a_bad_token_names_nobody(self, logged: Logged) -> None:
        logged.api.get("/v1/clinics", headers={"X-Tidepool-Session-Token": CANARY})
        assert (logged.lines[0]["caller"], logged.lines[0]["kind"]) == (None, None)

    @pytest.mark.one_engine
    def test_a_method_that_nobody_described_is_not_repeated(self, logged: Logged) -> None:
        logged.api.request(CANARY.upper(), "/v1/clinics", as_=ALICE)
        assert logged.lines[0]["method"] is None

    @pytest.mark.one_engine
    def test_partners_are_callers(self, database: Database) -> None:
        config = Config(session_secret=SECRET, redox_verification_token="a secret shared with Redox")
        logged = Logged(database, config)
        logged.api.post("/v1/redox", json={}, headers={"Verification-Token": "a secret shared with Redox"})
        logged.api.post("/v1/redox", json={}, headers={"Verification-Token": "another"})
        assert [(line["caller"], line["kind"]) for line in logged.lines] == [("redox", "partner"), (None, None)]


def _filled(api_name: str, schema: dict[str, Any], depth: int = 0) -> Any:
    """A body for `schema` whose every text is a canary; most of them are refused for it, which is a path to try."""
    api = next(api for api in spec_apis() if api.name == api_name)
    schema = api.resolved(schema)
    for part in schema.get("allOf", [])[:1]:
        return _filled(api_name, part, depth)
    if schema.get("type") == "object" and depth < 4:
        return {name: _filled(api_name, inner, depth + 1) for name, inner in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [_filled(api_name, schema.get("items", {}), depth + 1)]
    others: dict[str, Any] = {"integer": 4711, "number": 47.11, "boolean": True}
    return others.get(str(schema.get("type")), f"{CANARY}@{CANARY}.example")


def _fitting(api_name: str, operation: Operation) -> Any:
    """The operation's example, with a canary wherever the spec lets text be anything."""
    api = next(api for api in spec_apis() if api.name == api_name)
    content = api.resolved(operation.definition["requestBody"])["content"]["application/json"]
    examples = [named["value"] for named in content.get("examples", {}).values()]
    return _with_canaries(content.get("example") or examples[0])


def _with_canaries(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _with_canaries(inner, key) for key, inner in value.items()} | {CANARY: CANARY}
    if isinstance(value, list):
        return [_with_canaries(inner) for inner in value]
    return CANARY if name.lower().endswith(("name", "address", "city", "website", "text")) else value


class _Placeholders(dict[str, str]):
    """Leaves a placeholder that it has no value for."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


class TestCanaries:
    """Every string of a request holds a word that must not turn up anywhere else than in the answer of a success."""

    @pytest.fixture
    def everything_logged(self, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
        with caplog.at_level(logging.DEBUG):
            yield caplog

    @pytest.mark.parametrize("as_", [None, ALICE, SERVICE])
    def test_are_found_nowhere(
        self,
        logged: Logged,
        as_: Somebody | None,
        everything_logged: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        errors = [
            error
            for api in spec_apis()
            for operation in api.operations
            for error in self._call(logged.api, api.name, operation, as_)
        ]
        captured = capsys.readouterr()
        assert len(errors) >= 92
        places = {
            "an error body": "".join(errors),
            "the request log": logged.stream.getvalue(),
            "a log": everything_logged.text,
            "the output": captured.out + captured.err,
            "the metrics": exposition().decode(),
        }
        assert [place for place, text in places.items() if CANARY in text.lower()] == []

    def _call(self, api: Client, api_name: str, operation: Operation, as_: Somebody | None) -> Iterator[str]:
        """The bodies and headers of every failure that the operation can be brought to with these requests."""
        good = {"clinicId": CLINIC_ID, "userId": ALICE.id, "clinicianId": BOB.id, "patientId": CAROL.id}
        for values in (good, {}):
            path = re.sub("{.*?}", CANARY, operation.path.format_map(_Placeholders(values)))
            for body in self._bodies(api_name, operation):
                query = "&".join([f"{CANARY}={CANARY}", *self._query(operation, api_name, fits=values is good)])
                # An id of the caller's is repeated, so the canary stands where it makes the id unfit.
                headers = {
                    "User-Agent": CANARY,
                    "Referer": CANARY,
                    "Cookie": CANARY,
                    "X-Tidepool-Trace-Request": f"{CANARY} ",
                    # Otherwise no body of a partner would be looked at.
                    **REDOX,
                }
                reply = api.request(
                    operation.method.upper(), path, as_=as_, json=body, query_string=query, headers=headers
                )
                assert reply.status != 500
                if reply.status >= 400:
                    yield f"{reply.json} {reply.headers}"

    @staticmethod
    def _bodies(api_name: str, operation: Operation) -> list[Any]:
        if "requestBody" not in operation.definition:
            return [{CANARY: CANARY}]
        api = next(api for api in spec_apis() if api.name == api_name)
        content = api.resolved(operation.definition["requestBody"])["content"]["application/json"]
        return [_filled(api_name, content["schema"]), _fitting(api_name, operation), CANARY, {CANARY: [CANARY]}]

    @staticmethod
    def _query(operation: Operation, api_name: str, *, fits: bool) -> list[str]:
        api = next(api for api in spec_apis() if api.name == api_name)
        declared = [api.resolved(node) for node in operation.definition["parameters"]]
        texts = [node for node in declared if node["in"] == "query"]
        if fits:
            texts = [node for node in texts if set(api.resolved(node["schema"])) <= {"type", "minLength", "maxLength"}]
        return [f"{node['name']}={CANARY}" for node in texts if not fits or node["schema"].get("type") == "string"]

    def test_are_found_nowhere_when_they_are_in_messages_of_health_records(
        self,
        logged: Logged,
        database: Database,
        everything_logged: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Nor in what others are told of them."""
        identifiers = [{"IDType": "MRN", "ID": CANARY}]
        names = {"FirstName": CANARY, "LastName": CANARY, "DOB": "1987-04-12"}
        order = redox_order(source_id=CANARY, log_id=CANARY, identifiers=identifiers, **names) | {"Notes": [CANARY]}
        document_id = self._received(logged.api, order)
        nameless = redox_order(source_id=CANARY, identifiers=identifiers, FirstName=None, LastName=None)
        refusals = [
            self._matched(logged.api, document_id, 404),
            logged.api.post("/v1/redox", json=order | {"Meta": {CANARY: CANARY}}, headers=REDOX),
        ]
        with storing(database) as unit:
            clinic = make_ehr_clinic(unit, sourceId=CANARY)
            make_patient(unit, clinic, CAROL, full_name=f"{CANARY} {CANARY}", mrn=CANARY)
        self._matched(logged.api, document_id, 200)
        assert logged.api.post(f"/v1/clinics/{clinic.id}/ehr/sync", as_=SERVICE).status == 202
        refusals.append(self._matched(logged.api, self._received(logged.api, nameless), 400))
        with storing(database) as unit:
            make_ehr_clinic(unit, sourceId=CANARY)
        refusals.append(self._matched(logged.api, document_id, 409))
        captured = capsys.readouterr()
        places = {
            "an error body": "".join(f"{reply.json} {reply.headers}" for reply in refusals),
            "the request log": logged.stream.getvalue(),
            "a log": everything_logged.text,
            "the output": captured.out + captured.err,
            "the metrics": exposition().decode(),
            "the outbox": "".join(str(entry.payload) for entry in stored(database, OutboxEntry)),
        }
        assert [place for place, text in places.items() if CANARY in text.lower()] == []

    @staticmethod
    def _received(api: Client, message: dict[str, Any]) -> str:
        reply = api.post("/v1/redox", json=message, headers=REDOX)
        assert reply.status == 200
        return str(reply.headers["x-tidepool-document-id"])

    @staticmethod
    def _matched(api: Client, document_id: str, status: int) -> Reply:
        body = {
            "messageRef": {"dataModel": "Order", "eventType": "New", "documentId": document_id},
            "patients": {"criteria": ["MRN"], "onUniqueMatch": "ENABLE_REPORTS"},
        }
        reply = api.post("/v1/redox/match", as_=SERVICE, json=body)
        assert reply.status == status
        return reply

    def test_a_leak_would_be_found(self, logged: Logged, everything_logged: pytest.LogCaptureFixture) -> None:
        logging.getLogger("clinic_service.somewhere").debug("patient %s", CANARY)
        assert CANARY in everything_logged.text
        assert CANARY not in logged.stream.getvalue()
