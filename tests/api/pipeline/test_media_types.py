"""Answers that are not JSON, several media types of one answer, headers of an answer; bodies of any content type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from clinic_service.api.parameters import PlanError
from clinic_service.config import Config
from clinic_service.context import Answer, Context
from clinic_service.db.engine import Database
from tests.conftest import SECRET
from tests.support.cast import SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.small import EMPTY_ANSWER, json_body, operation, small_api, small_app, small_plans

SHEET = "application/vnd.example.sheet"
NAMED = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def content(*media_types: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The responses of an operation that succeeds with one of these media types."""
    schemas: dict[str, Any] = {"application/json": NAMED}
    described = {name: {"schema": schemas.get(name, {"type": "string"})} for name in media_types}
    return {"200": {"description": "Done.", "content": described, "headers": headers or {}}}


def serve(database: Database, config: Config, answer: Answer, *media_types: str, headers: Any = None) -> Client:
    """A server whose operation `Look` always gives this answer."""

    def look(_ctx: Context) -> Answer:
        return answer

    paths = {"/look": {"get": operation("Look", responses=content(*media_types, headers=headers))}}
    return Client(small_app(database, config, paths, look), SECRET)


class TestAnswersThatAreNotJson:
    def test_text_is_sent_as_it_is(self, database: Database, config: Config) -> None:
        reply = serve(database, config, Answer(200, "<p>café</p>", "text/html"), "text/html").get("/look", as_=SERVICE)
        assert (reply.status, reply.body) == (200, "<p>café</p>".encode())
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"

    def test_bytes_are_sent_as_they_are(self, database: Database, config: Config) -> None:
        reply = serve(database, config, Answer(200, b"\x00\xff", SHEET), SHEET).get("/look", as_=SERVICE)
        assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"\x00\xff", SHEET)

    def test_a_media_type_that_the_spec_does_not_declare_is_a_defect(self, database: Database, config: Config) -> None:
        answer = Answer(200, "name;age", "text/csv")
        assert_error(serve(database, config, answer, "text/html").get("/look", as_=SERVICE), 500)


class TestHeaders:
    DECLARED = {"X-Document": {"schema": {"type": "string"}}}  # noqa: RUF012

    def test_declared_ones_are_sent(self, database: Database, config: Config) -> None:
        answer = Answer(200, {"name": "x"}, headers=[("X-Document", "17")])
        server = serve(database, config, answer, "application/json", headers=self.DECLARED)
        assert server.get("/look", as_=SERVICE).headers["X-Document"] == "17"

    def test_others_are_a_defect(self, database: Database, config: Config) -> None:
        answer = Answer(200, {"name": "x"}, headers=[("X-Other", "17")])
        server = serve(database, config, answer, "application/json", headers=self.DECLARED)
        assert_error(server.get("/look", as_=SERVICE), 500)


class TestSeveralMediaTypes:
    @pytest.mark.parametrize(
        ("accept", "wanted"),
        [
            (None, SHEET),
            ("*/*", SHEET),
            ("application/json", "application/json"),
            (f"application/json;q=0.2, {SHEET}", SHEET),
            ("text/csv", SHEET),
            ("application/*", SHEET),
            ("text/html, application/json;q=0.9, */*;q=0.1", "application/json"),
            ("not a media type", SHEET),
        ],
    )
    def test_the_client_chooses_and_otherwise_the_first_one_is_sent(
        self, database: Database, config: Config, accept: str | None, wanted: str
    ) -> None:
        def look(_ctx: Context, media_type: str) -> Answer:
            return Answer(200, {"name": "x"} if media_type == "application/json" else b"sheet", media_type)

        paths = {"/look": {"get": operation("Look", responses=content(SHEET, "application/json"))}}
        server = Client(small_app(database, config, paths, look), SECRET)
        reply = server.get("/look", as_=SERVICE, headers={"Accept": accept} if accept else {})
        assert (reply.status, reply.headers["Content-Type"]) == (200, wanted)

    def test_a_handler_that_does_not_look_at_the_choice_is_refused(self) -> None:
        def look(_ctx: Context) -> None: ...

        paths = {"/look": {"get": operation("Look", responses=content(SHEET, "application/json"))}}
        with pytest.raises(PlanError, match="differ in media_type"):
            small_plans(small_api(paths), look)


class TestBodiesOfPartners:
    BODY = b' {"name": "x",\n "more": 1.50}'

    def serve(self, database: Database, config: Config, seen: list[Any], **members: Any) -> Client:
        def take(_ctx: Context, body: Any, body_text: str) -> None:
            seen.extend([body, body_text])

        described = operation("Take", requestBody=json_body(NAMED), responses=EMPTY_ANSWER, **members)
        return Client(small_app(database, config, {"/take": {"post": described}}, take), SECRET)

    def test_a_handler_may_have_the_text_as_it_was_sent(self, database: Database, config: Config) -> None:
        seen: list[Any] = []
        server = self.serve(database, config, seen)
        assert server.post("/take", as_=SERVICE, data=self.BODY, content_type="application/json").status == 204
        assert seen == [{"name": "x", "more": 1.5}, self.BODY.decode()]

    @pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml; charset=latin-1"])
    def test_any_content_type_is_read_as_json_where_the_spec_says_so(
        self, database: Database, config: Config, content_type: str
    ) -> None:
        seen: list[Any] = []
        server = self.serve(database, config, seen, **{"x-any-content-type": True})
        assert server.post("/take", as_=SERVICE, data=self.BODY, content_type=content_type).status == 204
        assert_error(server.post("/take", as_=SERVICE, data=b"{", content_type=content_type), 400)
        assert seen == [{"name": "x", "more": 1.5}, self.BODY.decode()]

    @pytest.mark.one_engine
    def test_elsewhere_it_is_refused(self, database: Database, config: Config) -> None:
        server = self.serve(database, config, [])
        assert_error(server.post("/take", as_=SERVICE, data=self.BODY, content_type="text/plain"), 415)


class TestSecuritySchemes:
    @pytest.mark.parametrize(
        ("access", "security"),
        [
            ("service", [{"apiKey": []}]),
            ("service", []),
            ("service", [{"sessionToken": []}, {"apiKey": []}]),
            ("partner:redox", [{"sessionToken": []}]),
            ("partner:redox", []),
            ("partner:xealth", [{"redoxToken": []}]),
            ("partner:report", [{"xealthToken": []}]),
        ],
    )
    def test_one_that_nobody_verifies_stops_the_start(self, access: str, security: list[Any]) -> None:
        described = operation("Look", security=security, **{"x-access": [access]})
        with pytest.raises(PlanError, match="security must be"):
            small_plans(small_api({"/look": {"get": described}}))

    def test_those_that_are_verified_are_taken(self) -> None:
        cases: list[tuple[str, list[Any]]] = [
            ("service", [{"sessionToken": []}]),
            ("partner:redox", [{"redoxToken": []}]),
            ("partner:redox-challenge", []),
            ("partner:xealth", [{"xealthToken": []}]),
        ]
        for access, security in cases:
            described = operation("Look", security=security, **{"x-access": [access]})
            assert set(small_plans(small_api({"/look": {"get": described}}))) == {"Look"}
