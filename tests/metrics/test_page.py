"""Who may read /metrics: those with the token, or who reach the port for metrics; by default the same machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from werkzeug.test import Client as WsgiClient

from clinic_service.api.metrics_page import create_metrics_app
from clinic_service.app import create_app
from clinic_service.config import Config
from clinic_service.db.schema import upgrade
from clinic_service.metrics.collectors import ServerProcesses
from tests.conftest import SECRET
from tests.support.cast import SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error, spec_apis
from tests.support.metrics import get, parsed
from tests.support.mocks import silent
from tests.support.processes import free_port, serving
from tests.support.tokens import token_of

TOKEN = "sesame-open-sesame"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def main_client(tmp_path: Path, **settings: str | int) -> Client:
    config = Config(database_url=f"sqlite:///{tmp_path / 'empty.db'}", session_secret=SECRET, **settings)  # type: ignore[arg-type]
    return Client(create_app(config, apis=spec_apis(), log=silent()), SECRET)


class TestNoToken:
    @pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
    def test_the_same_machine_may_read(self, tmp_path: Path, host: str) -> None:
        assert WsgiClient(main_client(tmp_path, host=host).app).get("/metrics").status_code == 200

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "clinic.example"])
    def test_other_machines_may_not(self, tmp_path: Path, host: str) -> None:
        reply = main_client(tmp_path, host=host).get("/metrics", headers=BEARER)
        assert_error(reply, 404)
        assert "CLINIC_METRICS_TOKEN" in reply.json["message"]


class TestToken:
    def test_opens_the_page(self, tmp_path: Path) -> None:
        api = main_client(tmp_path, metrics_token=TOKEN)
        answer = WsgiClient(api.app).get("/metrics", headers=BEARER)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert ("clinic_connections", frozenset()) in parsed(answer.get_data(as_text=True))

    @pytest.mark.parametrize(
        "sent",
        [None, TOKEN, f"Basic {TOKEN}", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ü"],
    )
    def test_of_another_kind_does_not(self, tmp_path: Path, sent: str | None) -> None:
        api = main_client(tmp_path, metrics_token=TOKEN)
        reply = api.get("/metrics", headers={"Authorization": sent} if sent else {})
        assert_error(reply, 401)
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="metrics"'

    def test_does_not_open_the_main_port_when_there_is_another_one(self, tmp_path: Path) -> None:
        api = main_client(tmp_path, metrics_token=TOKEN, metrics_port=9464)
        assert api.get("/metrics", headers=BEARER).status == 404

    def test_is_asked_for_on_the_port_too(self) -> None:
        app = create_metrics_app(Config(metrics_token=TOKEN, metrics_port=9464), [ServerProcesses()], silent())
        assert WsgiClient(app).get("/metrics").status_code == 401
        assert WsgiClient(app).get("/metrics", headers=BEARER).status_code == 200


def test_a_port_shows_all_processes_and_nothing_else(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    port = free_port()
    settings = {"CLINIC_DATABASE_URL": database_url, "CLINIC_SESSION_SECRET": SECRET, "CLINIC_METRICS_PORT": str(port)}
    with serving(tmp_path, "--workers", "2", **settings) as server:
        for _ in range(20):
            assert server.get("/v1/clinics", token_of(SERVICE)).status == 200
        assert server.get("/metrics").status == 404
        found = parsed(get(port, "/metrics")[1])
        assert get(port, "/v1/clinics")[0] == 404
    labels = {"operation": "ListClinics", "method": "GET", "status": "200"}
    assert found["clinic_requests_total", frozenset(labels.items())] == 20
    memory = [value for (name, _), value in found.items() if name == "process_resident_memory_bytes"]
    assert len(memory) == 3
    assert all(value > 2**20 for value in memory)
