"""Every refusal and every failure has the one error body, and says nothing that it should not."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from clinic_service.errors import BadRequest, Conflict, ServiceError, Unavailable, Violation
from tests.conftest import SECRET
from tests.support.cast import ALICE, MALLORY, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations, spec_apis
from tests.support.small import EMPTY_ANSWER, json_body, operation, small_app

CLINIC = "/v1/clinics/5f0c7d1e9a3b4c6d8e2f1a0b"
CANARY = "canary-4711"


@pytest.mark.one_engine
class TestRouting:
    @pytest.mark.parametrize(
        "path",
        [
            "/v1",
            "/v2/clinics",
            f"{CLINIC}/nothing",
            f"{CLINIC}/",
            "/v1/clinics/",
            "//v1/clinics",
            "/v1//clinics",
            "/v1/clinics//clinicians",
            "/V1/clinics",
            "/v1/Clinics",
            f"{CLINIC}/../clinics",
            "/v1/clinics/a%2Fb/clinicians",
            "/access",
            "/access/groups/a/b",
            "/openapi.json",
            "/ui/",
            "/static/docs.js",
        ],
    )
    def test_unknown_addresses(self, api: Client, path: str) -> None:
        for caller in (None, ALICE, SERVICE):
            assert_error(api.get(path, as_=caller), 404)

    def test_addresses_in_need_of_a_redirect_are_unknown(self, api: Client) -> None:
        assert "Location" not in api.get(f"{CLINIC}/", as_=ALICE).headers

    @pytest.mark.parametrize(
        ("method", "path", "allowed"),
        [
            ("POST", CLINIC, {"GET", "HEAD", "PUT", "DELETE"}),
            ("PATCH", CLINIC, {"GET", "HEAD", "PUT", "DELETE"}),
            ("PUT", "/v1/clinics", {"GET", "HEAD", "POST"}),
            ("GET", f"{CLINIC}/tier", {"POST"}),
            ("HEAD", f"{CLINIC}/tier", {"POST"}),
            ("DELETE", f"/access/{ALICE.id}/{MALLORY.id}", {"GET", "HEAD", "POST"}),
            ("POST", "/live", {"GET", "HEAD"}),
            ("OPTIONS", CLINIC, {"GET", "HEAD", "PUT", "DELETE"}),
            ("TRACE", CLINIC, {"GET", "HEAD", "PUT", "DELETE"}),
            ("BREW", CLINIC, {"GET", "HEAD", "PUT", "DELETE"}),
            ("get", f"/access/{ALICE.id}", {"GET", "HEAD"}),
        ],
    )
    def test_wrong_methods(self, api: Client, method: str, path: str, allowed: set[str]) -> None:
        reply = api.request(method, path, as_=SERVICE)
        if method == "HEAD":
            assert (reply.status, reply.json) == (405, None)
        else:
            assert_error(reply, 405)
        assert set(reply.headers["Allow"].split(", ")) == allowed

    def test_wrong_methods_need_no_token(self, api: Client) -> None:
        assert_error(api.post(CLINIC), 405)

    def test_every_address_tells_its_methods(self, api: Client) -> None:
        operations = [o for spec in spec_apis() for o in spec.operations]
        for path in {o.path for o in operations}:
            reply = api.request("OPTIONS", path)
            assert_error(reply, 405)
            # An address can fit several paths: `groups` of /access/groups/{userId} also stands where a sharer's id can.
            offered = {o.method.upper() for o in operations if re.fullmatch(re.sub("{.*?}", "[^/]+", o.path), path)}
            assert set(reply.headers["Allow"].split(", ")) - {"HEAD"} == offered

    def test_head_is_get_without_a_body(self, small: Client) -> None:
        get, head = (small.request(method, "/greeting", as_=ALICE) for method in ("GET", "HEAD"))
        assert (get.status, head.status, head.json) == (200, 200, None)
        assert head.headers["Content-Length"] == get.headers["Content-Length"]
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


class TestHostHeader:
    @pytest.mark.parametrize(
        "host", ["", "a b", "exa mple:80", "example:port", "[::1", "ex\u00e4mple", "-", "a" * 3000]
    )
    def test_odd_hosts_are_no_defect(self, small: Client, host: str) -> None:
        environ = {"HTTP_HOST": host.encode("utf-8").decode("latin-1")}
        reply = small.get("/greeting", as_=ALICE, environ_overrides=environ)
        if reply.status != 200:
            assert_error(reply, 400)


class TestOrder:
    def test_route_then_token_then_access_then_content(self, api: Client) -> None:
        bad = {"data": b"{", "content_type": "text/plain"}
        path = "/v1/clinics/not-an-id/tier"
        assert_error(api.post(f"{path}/x", **bad), 404)
        assert_error(api.post(path, **bad), 401)
        assert_error(api.post(path, as_=MALLORY, **bad), 403)
        assert_error(api.post(path, as_=SERVICE, **bad), 400)
        assert_error(api.post(f"{CLINIC}/tier", as_=SERVICE, **bad), 415)
        assert_error(api.post(f"{CLINIC}/tier", as_=SERVICE, json={"tier": "tier0100"}), 404)

    @pytest.mark.one_engine
    def test_refusals_do_not_say_which_role_is_missing(self, api: Client) -> None:
        reply = api.post(f"{CLINIC}/tier", as_=MALLORY, json={})
        assert reply.json["message"] == "The caller may not perform this operation."


class _Counted(io.RawIOBase):
    """A body without end, which counts what is taken of it."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "a body without end must not be read as a whole"
        self.taken += size
        return b" " * size


@pytest.mark.one_engine
class TestOversizedBodies:
    MIB = 1 << 20

    def test_a_declared_length_is_refused_unread(self, api: Client) -> None:
        stream = _Counted()
        for length in (self.MIB + 1, 10**18, "9" * 5000):
            reply = self._post(api, {"CONTENT_LENGTH": str(length), "wsgi.input": stream})
            assert_error(reply, 413)
        assert stream.taken == 0

    @pytest.mark.parametrize("mark", [{"wsgi.input_terminated": True}, {"HTTP_TRANSFER_ENCODING": "gzip, Chunked"}])
    def test_a_chunked_body_is_counted(self, api: Client, mark: dict[str, Any]) -> None:
        stream = _Counted()
        assert_error(self._post(api, {"CONTENT_LENGTH": "", "wsgi.input": stream, **mark}), 413)
        assert stream.taken <= self.MIB + 1

    def test_the_largest_body_is_read(self, api: Client) -> None:
        raw = b'{"tier": "' + b"x" * (self.MIB - 12) + b'"}'
        assert len(raw) == self.MIB
        reply = api.post(f"{CLINIC}/tier", as_=SERVICE, data=raw, content_type="application/json")
        assert_error(reply, 400)
        assert_error(api.post(f"{CLINIC}/tier", as_=SERVICE, data=raw + b" ", content_type="application/json"), 413)

    @pytest.mark.parametrize("length", ["-1", "+5", "1e3", "0x10", "five", "5 5", "\u00b2"])
    def test_lengths_that_are_no_number(self, api: Client, length: str) -> None:
        assert_error(self._post(api, {"CONTENT_LENGTH": length, "wsgi.input": io.BytesIO(b"{}")}), 400)

    def test_a_body_that_ends_early_is_not_taken_for_the_whole(self, api: Client) -> None:
        reply = self._post(api, {"CONTENT_LENGTH": "40", "wsgi.input": io.BytesIO(b'{"tier": "tier0100"}')})
        assert_error(reply, 400)

    @staticmethod
    def _post(api: Client, environ: dict[str, Any]) -> Any:
        return api.post(f"{CLINIC}/tier", as_=SERVICE, content_type="application/json", environ_overrides=environ)


class NameTaken(Conflict):
    message = "The name is taken."
    violations = (Violation("/body/name", "unique"),)


def fail(_ctx: Context, kind: str) -> Any:
    raise {
        "defect": RuntimeError(CANARY),
        "chained": _chained(),
        "conflict": NameTaken(),
        "conflict elsewhere": NameTaken.at("/path/kind"),
        "bad": BadRequest(violations=[Violation("/query/kind", "enum")]),
        "away": Unavailable(),
        "bare": ServiceError(),
        "key": KeyError(CANARY),
        "recursion": RecursionError(CANARY),
        "unicode": UnicodeEncodeError("utf-8", CANARY, 0, 1, CANARY),
    }[kind]


def _chained() -> Exception:
    error = ValueError(CANARY)
    error.__cause__ = KeyError(CANARY)
    error.add_note(CANARY)
    return error


def greet(ctx: Context) -> Any:
    return {"hello": ctx.caller.id}


def answer_nothing(_ctx: Context) -> Any:
    return None


PATHS = {
    "/fail/{kind}": {
        "post": operation(
            "Fail", parameters=[{"name": "kind", "in": "path", "required": True, "schema": {"type": "string"}}]
        )
    },
    "/greeting": {"get": operation("Greet")},
    "/empty": {"get": operation("AnswerNothing", responses=EMPTY_ANSWER)},
    "/unbuilt": {"post": operation("NotBuilt", requestBody=json_body({"type": "object"}))},
    "/unbuilt/service": {"post": operation("NotBuiltForServices", **{"x-access": ["service"]})},
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """An application with an empty database."""
    url = f"sqlite:///{tmp_path_factory.mktemp('errors') / 'empty.db'}"
    upgrade(url)
    database = Database(url)
    config = Config(session_secret=SECRET)
    yield Client(small_app(database, config, PATHS, fail, greet, answer_nothing), SECRET)
    database.dispose()


class TestFailures:
    @pytest.mark.parametrize("kind", ["defect", "chained", "bare", "key", "recursion", "unicode"])
    def test_defects_tell_a_reference_and_nothing_else(
        self, small: Client, kind: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reply = small.post(f"/fail/{kind}", as_=ALICE)
        assert_error(reply, 500)
        assert reply.json["message"] == "An unexpected error occurred."
        captured = capsys.readouterr()
        for place in (str(reply.json), str(reply.headers), caplog.text, captured.err, captured.out):
            assert CANARY not in place

    def test_defects_are_logged_with_their_reference_kind_and_place(
        self, small: Client, caplog: pytest.LogCaptureFixture
    ) -> None:
        reply = small.post("/fail/defect", as_=ALICE)
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.exc_info is None
        for fact in (reply.json["instance"], "Fail", "RuntimeError", "test_errors.py"):
            assert fact in record.getMessage()

    def test_defects_anywhere_in_the_pipeline_have_the_same_body(
        self, small: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("clinic_service.api.plan.decode_json", None)
        monkeypatch.setattr("clinic_service.api.dispatch.partner_caller", None)
        monkeypatch.setattr("clinic_service.api.dispatch.run", None)
        assert_error(small.get("/empty", as_=ALICE), 500)

    def test_refusals_have_the_status_and_message_of_their_class(self, small: Client) -> None:
        reply = small.post("/fail/conflict", as_=ALICE)
        assert_error(reply, 409)
        assert reply.json["message"] == "The name is taken."
        assert reply.json["errors"] == [{"pointer": "/body/name", "rule": "unique", "expected": True}]
        elsewhere = small.post("/fail/conflict elsewhere", as_=ALICE)
        assert elsewhere.json["errors"] == [{"pointer": "/path/kind", "rule": "unique", "expected": True}]
        assert_violations(small.post("/fail/bad", as_=ALICE), ("/query/kind", "enum"))

    def test_temporary_failures_say_when_to_try_again(self, small: Client) -> None:
        reply = small.post("/fail/away", as_=ALICE)
        assert_error(reply, 503)
        assert int(reply.headers["Retry-After"]) >= 1

    def test_operations_without_a_handler(self, small: Client) -> None:
        assert_error(small.post("/unbuilt", as_=ALICE), 501)
        assert_error(small.post("/unbuilt"), 401)
        assert_error(small.post("/unbuilt/service", as_=ALICE), 403)
        assert_error(small.post("/unbuilt/service", as_=SERVICE), 501)

    def test_empty_answers_have_neither_type_nor_length(self, small: Client) -> None:
        reply = small.get("/empty", as_=ALICE)
        assert (reply.status, reply.json) == (204, None)
        assert "Content-Type" not in reply.headers
        assert "Content-Length" not in reply.headers


class TestDatabaseGone:
    """Refused as 503, not as 401 or 403: nobody should be signed out because a disk is missing."""

    @pytest.fixture(params=["postgresql://nobody@127.0.0.1:1/none", "sqlite:////nowhere/at/all.db"])
    def gone(self, request: pytest.FixtureRequest) -> Client:
        config = Config(database_url=request.param, session_secret=SECRET)
        return Client(small_app(Database(request.param), config, PATHS, fail, greet, answer_nothing), SECRET)

    def test_reads_writes_and_access_are_unavailable(self, gone: Client) -> None:
        for method, path in (("GET", "/empty"), ("POST", "/fail/defect"), ("POST", "/unbuilt")):
            reply = gone.request(method, path, as_=ALICE)
            assert_error(reply, 503)
            assert reply.headers["Retry-After"] == "1"

    @pytest.mark.one_engine
    def test_refused_callers_are_still_refused(self, gone: Client) -> None:
        assert_error(gone.get("/empty"), 401)
        assert_error(gone.get("/nothing", as_=ALICE), 404)

    def test_requests_succeed_again_when_the_database_is_back(self, tmp_path: Path) -> None:
        folder = tmp_path / "disk"
        url = f"sqlite:///{folder / 'test.db'}"
        config = Config(database_url=url, session_secret=SECRET)
        api = Client(small_app(Database(url), config, PATHS, fail, greet, answer_nothing), SECRET)
        assert api.get("/empty", as_=ALICE).status == 503
        folder.mkdir()
        upgrade(url)
        assert api.get("/empty", as_=ALICE).status == 204
