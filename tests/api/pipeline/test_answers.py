"""What every answer has: headers, compression, the marks for browsers; and that nothing behind a commit can change it."""

from __future__ import annotations

import gzip
import io
import sys
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from werkzeug.test import Client as WsgiClient
from werkzeug.test import TestResponse

from clinic_service.api.compression import choose_encoding
from clinic_service.api.log import RequestLog
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.metrics.counters import exposition
from tests.conftest import SECRET
from tests.support.cast import ALICE, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error, spec_apis
from tests.support.small import operation, small_app
from tests.support.small_work import Small, store, stored

# The standard library's from Python 3.14 on, and the same for earlier ones.
ZSTD: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
CLINIC = "/v1/clinics/5f0c7d1e9a3b4c6d8e2f1a0b"
ORIGIN = "https://app.example.org"


class TestHeaders:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/v1/clinics", 200),
            ("GET", CLINIC, 404),
            ("GET", "/v1/clinics/x", 400),
            ("GET", "/nowhere", 404),
            ("DELETE", "/v1/clinics", 405),
        ],
    )
    def test_forbid_to_store_and_to_guess(self, api: Client, method: str, path: str, status: int) -> None:
        reply = api.request(method, path, as_=SERVICE)
        assert reply.status == status
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"

    def test_of_pages_may_be_stored_and_are_asked_for_again(self, api: Client) -> None:
        page = WsgiClient(api.app).get("/docs")
        assert page.headers["Cache-Control"] == "no-cache"
        assert page.headers["X-Content-Type-Options"] == "nosniff"


class TestCompression:
    SIZE = 5000

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {}

    @pytest.fixture
    def client(self, database: Database, config: Config, settings: dict[str, Any]) -> Client:
        def read(_ctx: Context) -> Any:
            return ["a" * self.SIZE]

        def small(_ctx: Context) -> Any:
            return ["a" * 900]

        paths = {"/read": {"get": operation("Read")}, "/small": {"get": operation("Small")}}
        return Client(small_app(database, replace(config, **settings), paths, read, small), SECRET)

    def _read(self, client: Client, accepted: str, path: str = "/read") -> TestResponse:
        headers = {"X-Tidepool-Session-Token": client.token(ALICE), "Accept-Encoding": accepted}
        return WsgiClient(client.app).get(path, headers=headers)

    @pytest.mark.parametrize(
        ("accepted", "encoding"), [("gzip", "gzip"), ("zstd", "zstd"), ("gzip, deflate, br, zstd", "zstd")]
    )
    def test_is_undone_by_the_client(self, client: Client, accepted: str, encoding: str) -> None:
        answer = self._read(client, accepted)
        assert answer.headers["Content-Encoding"] == encoding
        assert answer.headers["Vary"] == "Accept-Encoding"
        body = answer.get_data()
        assert len(body) < self.SIZE / 10
        plain = {"gzip": gzip.decompress, "zstd": ZSTD.decompress}[encoding](body)
        assert plain == self._read(client, "").get_data()

    @pytest.mark.parametrize("accepted", ["", "identity", "br", "gzip;q=0, zstd;q=0"])
    def test_is_left_out_when_the_client_knows_none_of_it(self, client: Client, accepted: str) -> None:
        answer = self._read(client, accepted)
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Vary"] == "Accept-Encoding"

    def test_is_left_out_of_small_answers(self, client: Client) -> None:
        answer = self._read(client, "gzip", "/small")
        assert "Content-Encoding" not in answer.headers

    @pytest.mark.parametrize("settings", [{"compression": "off"}])
    def test_can_be_left_to_a_proxy(self, client: Client) -> None:
        assert "Content-Encoding" not in self._read(client, "gzip").headers

    @pytest.mark.parametrize(
        ("accepted", "encoding"),
        [
            ("gzip;q=0.9, zstd;q=0.1", "gzip"),
            ("GZIP", "gzip"),
            ("*", "zstd"),
            ("*;q=0.5, zstd;q=0", "gzip"),
            ("*;q=0", None),
            ("gzip;q=nonsense", None),
            (",,;;=", None),
        ],
    )
    def test_follows_what_the_client_prefers(self, accepted: str, encoding: str | None) -> None:
        assert choose_encoding(accepted) == encoding


class TestOtherOrigins:
    def _client(self, database: Database, config: Config, origins: str | None) -> Client:
        return Client(create_app(replace(config, allowed_origins=origins), database, apis=spec_apis()), SECRET)

    @pytest.fixture
    def client(self, database: Database, config: Config) -> Client:
        return self._client(database, config, f"{ORIGIN}, https://other.example.org")

    @pytest.mark.parametrize(("as_", "status"), [(SERVICE, 200), (None, 401)])
    def test_that_are_allowed_read_answers_and_refusals(self, client: Client, as_: Any, status: int) -> None:
        reply = client.get("/v1/clinics", as_=as_, headers={"Origin": ORIGIN})
        assert reply.status == status
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert {"X-Tidepool-Trace-Request", "RateLimit"} <= set(
            reply.headers["Access-Control-Expose-Headers"].split(", ")
        )
        assert "Access-Control-Allow-Credentials" not in reply.headers
        assert "Origin" in reply.headers.getlist("Vary")

    @pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", ""])
    def test_others_get_no_permission(self, client: Client, origin: str) -> None:
        reply = client.get("/v1/clinics", as_=SERVICE, headers={"Origin": origin})
        assert reply.status == 200
        assert "Access-Control-Allow-Origin" not in reply.headers
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert_error(client.request("OPTIONS", "/v1/clinics", headers=asked), 405)

    def test_ask_first(self, client: Client) -> None:
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type",
        }
        reply = client.request("OPTIONS", CLINIC, headers=asked)
        assert (reply.status, reply.json) == (204, None)
        assert reply.headers["Access-Control-Allow-Origin"] == ORIGIN
        methods = set(reply.headers["Access-Control-Allow-Methods"].split(", "))
        assert {"GET", "PUT", "DELETE"} <= methods
        assert "X-Tidepool-Session-Token" in reply.headers["Access-Control-Allow-Headers"]
        assert_error(client.request("OPTIONS", "/nowhere", headers=asked), 404)
        assert_error(client.request("OPTIONS", CLINIC, headers={"Origin": ORIGIN}), 405)

    @pytest.mark.one_engine
    def test_may_be_all(self, database: Database, config: Config) -> None:
        reply = self._client(database, config, "*").get("/v1/clinics", headers={"Origin": "https://any.example"})
        assert reply.headers["Access-Control-Allow-Origin"] == "https://any.example"

    def test_are_none_by_default(self, api: Client) -> None:
        reply = api.get("/v1/clinics", as_=SERVICE, headers={"Origin": ORIGIN})
        assert "Access-Control-Allow-Origin" not in reply.headers
        assert "Vary" not in reply.headers


class TestPathPrefix:
    @pytest.fixture
    def client(self, database: Database, config: Config) -> Client:
        return Client(create_app(replace(config, path_prefix="/clinics-api"), database, apis=spec_apis()), SECRET)

    def test_stands_before_every_address(self, client: Client) -> None:
        assert client.get("/clinics-api/v1/clinics", as_=SERVICE).status == 200
        assert client.get("/clinics-api/live").status == 200
        for path in ("/v1/clinics", "/live", "/clinics-apiv1/clinics", "/clinics-api//v1/clinics", "/other/v1/clinics"):
            assert_error(client.get(path, as_=SERVICE), 404)

    def test_is_in_the_documents_and_where_the_root_leads(self, client: Client) -> None:
        assert client.get("/clinics-api/openapi/clinic.v1.json").json["servers"][0]["url"] == "/clinics-api"
        for path in ("/clinics-api", "/clinics-api/"):
            assert client.get(path).headers["Location"] == "/clinics-api/docs"


class TestAfterTheCommit:
    """The write is stored; whatever fails then, the client is told of the success, and the loss is counted."""

    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, text)

    @staticmethod
    def _lost() -> float:
        (line,) = [line for line in exposition().splitlines() if line.startswith(b"clinic_lost_log_lines_total ")]
        return float(line.split()[1])

    def test_a_log_that_takes_no_line_changes_nothing(self, small: Small) -> None:
        def work(ctx: Context) -> Any:
            store(ctx.uow)
            return {"name": "done"}

        before = self._lost()
        client = small.client(work, log=RequestLog(self.Closed()))
        reply = client.post("/write", as_=ALICE)
        assert (reply.status, reply.json) == (200, {"name": "done"})
        assert stored(small.database) == (2, 1)
        assert self._lost() == before + 1

    def test_metrics_that_take_no_value_change_nothing_either(
        self, small: Small, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        client = small.client(lambda _ctx: {"name": "done"})
        monkeypatch.setattr("clinic_service.metrics.counters.Metrics.count", refuse)
        monkeypatch.setattr("clinic_service.api.routing.count_lost_lines", refuse)
        assert client.post("/write", as_=ALICE).status == 200
