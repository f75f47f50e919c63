"""A server that is started with `--reload` in a checkout, whose handlers are edited while it answers."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.support.processes import ROOT, ServerProcess, run_command, serving

_SECONDS_TO_NOTICE = 60


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout, whose code and spec a test may edit."""
    for name in ("clinic_service", "spec", "alembic"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_running_server_takes_changed_handlers_and_survives_broken_ones(checkout: Path) -> None:
    handlers = checkout / "clinic_service" / "resources" / "clinics" / "handlers.py"
    good = handlers.read_text()
    head, body = good.split("def list_clinics(", 1)
    signature, rest = body.split('"""', 2)[0], body.split('"""', 2)[2]
    edited = f'{head}def list_clinics({signature}"""Nothing."""\n    return []\n{rest}'
    with serving(checkout, "--reload") as server:
        assert str(checkout / "spec") in server.errors.read_text()
        assert str(checkout / "clinic_service") in server.errors.read_text()
        token = run_command(checkout, "token", "service", "x").stdout.strip()
        made = server.request("POST", "/v1/clinics", _person(checkout), json={"name": "A", "preferredBgUnits": "mg/dL"})
        assert [clinic["id"] for clinic in server.get("/v1/clinics", token).json] == [made.json["id"]]

        handlers.write_text(edited)
        _wait_for(server, "The code was applied.")
        assert server.get("/v1/clinics", token).json == []
        refused = server.get("/v1/clinics")
        assert refused.status == 401
        [audited] = checkout.glob("*-audit/*.jsonl")
        assert refused.headers["X-Request-Id"] in audited.read_text()

        handlers.write_text(edited.replace("return []", "return ["))
        _wait_for(server, "handlers.py:")
        handlers.write_text(f"{edited}\n\nundefined\n")
        _wait_for(server, "NameError")
        assert server.get("/v1/clinics", token).json == []

        handlers.write_text(good)
        _wait_for(server, "The code was applied.", times=2)
        assert [clinic["id"] for clinic in server.get("/v1/clinics", token).json] == [made.json["id"]]

        models = checkout / "clinic_service" / "models" / "clinic.py"
        models.write_text(models.read_text() + "\n")
        _wait_for(server, "restart the server")


def _person(folder: Path) -> str:
    added = run_command(folder, "users", "add", "--name", "Ada Archer").stdout.strip()
    return run_command(folder, "token", "user", added).stdout.strip()


def _wait_for(server: ServerProcess, words: str, times: int = 1) -> None:
    deadline = time.monotonic() + _SECONDS_TO_NOTICE
    while server.errors.read_text().count(words) < times:
        assert time.monotonic() < deadline, server.errors.read_text()
        time.sleep(0.05)
