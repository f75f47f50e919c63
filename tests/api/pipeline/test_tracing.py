"""A trace that a request belongs to (W3C Trace Context) is in its log line, and goes on to the services that are called."""

from __future__ import annotations

import json
import re

import pytest

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways import http
from clinic_service.tracing import Trace, trace_headers
from tests.support.cast import ALICE
from tests.support.client import Client
from tests.support.http_server import Response, http_server
from tests.support.small_work import Small

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def traced(parent: str, state: str = "") -> Trace:
    return Trace({"HTTP_TRACEPARENT": parent, "HTTP_TRACESTATE": state})


class TestReading:
    @pytest.mark.parametrize(
        "parent", [PARENT, f"00-{TRACE}-b7ad6b7169203331-00", f"cc-{TRACE}-b7ad6b7169203331-01-later"]
    )
    def test_a_valid_parent_names_the_trace(self, parent: str) -> None:
        assert traced(parent).trace_id == TRACE

    @pytest.mark.parametrize(
        "parent",
        [
            "",
            "x",
            TRACE,
            PARENT.upper(),
            PARENT + "-more",
            PARENT[:-1],
            PARENT.replace("-", " "),
            f"{PARENT},{PARENT}",
            f"ff-{TRACE}-b7ad6b7169203331-01",
            f"00-{'0' * 32}-b7ad6b7169203331-01",
            f"00-{TRACE}-{'0' * 16}-01",
            f"00-{TRACE}-b7ad6b7169203331-0g",
        ],
    )
    def test_an_invalid_one_is_ignored_with_its_state(self, parent: str) -> None:
        trace = traced(parent, "vendor=1")
        assert trace.trace_id is None
        headers = trace.headers()
        assert TRACE not in headers["traceparent"]
        assert "tracestate" not in headers

    def test_a_state_that_is_no_plain_text_is_ignored(self) -> None:
        assert traced(PARENT, "vendor=1,other=2").headers()["tracestate"] == "vendor=1,other=2"
        assert "tracestate" not in traced(PARENT, "x" * 513).headers()
        assert "tracestate" not in traced(PARENT, "\x80").headers()


@pytest.mark.one_engine
def test_the_log_names_the_trace(api: Client, capsys: pytest.CaptureFixture[str]) -> None:
    api.get("/v1/clinics", headers={"traceparent": PARENT}, as_=ALICE)
    assert json.loads(capsys.readouterr().err)["trace"] == TRACE


class TestCalls:
    def test_for_a_request_have_its_id_and_its_trace(self, database: Database, config: Config) -> None:
        with http_server(lambda _: Response(200, json={})) as server:

            def call(*_: object) -> dict[str, str]:
                http.exchange("GET", server.url, headers={"accept": "application/json"})
                http.exchange("GET", server.url, headers={})
                return {"name": "x"}

            sent = {"X-Request-Id": "gateway-17", "traceparent": PARENT, "tracestate": "vendor=1"}
            assert Small(database, config).client(call).post("/write", as_=ALICE, headers=sent).status == 200
        first, second = (received.headers for received in server.received)
        assert (first["x-request-id"], first["x-tidepool-trace-request"]) == ("gateway-17", "gateway-17")
        assert first["tracestate"] == "vendor=1"
        parents = [re.fullmatch(f"00-{TRACE}-([0-9a-f]{{16}})-01", c["traceparent"]) for c in (first, second)]
        assert parents[0]
        assert parents[1]
        # Each call is a parent of its own.
        assert len({parents[0][1], parents[1][1], "b7ad6b7169203331"}) == 3

    def test_of_a_request_without_a_trace_begin_one(
        self, database: Database, config: Config, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with http_server(lambda _: Response(200, json={})) as server:

            def call(*_: object) -> dict[str, str]:
                http.exchange("GET", server.url, headers={})
                return {"name": "x"}

            assert Small(database, config).client(call).post("/write", as_=ALICE).status == 200
        begun = server.received[0].headers["traceparent"]
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", begun)
        assert json.loads(capsys.readouterr().err.splitlines()[-1])["trace"] == begun[3:35]

    def test_that_belong_to_no_request_have_none(self) -> None:
        with http_server(lambda _: Response(200, json={})) as server:
            http.exchange("GET", server.url, headers={})
        assert "traceparent" not in server.received[0].headers
        assert trace_headers() == {}
