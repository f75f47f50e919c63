"""What a server process has in memory for good: the modules that it needs, and none of the command line's other tools."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from clinic_service.db.schema import upgrade
from tests.conftest import SECRET
from tests.support import processes
from tests.support.cast import SERVICE
from tests.support.processes import serving
from tests.support.tokens import token_of

# The command `clinic-service`, which writes down in the end what its process had imported.
_PROGRAM = """
import atexit, sys
from pathlib import Path
atexit.register(lambda: Path("modules.txt").write_text("\\n".join(sys.modules)))
from clinic_service.__main__ import run
run()
"""
# Each costs memory in every process and time at every start.
_DEMO = "clinic_service.demo"
_UNWANTED = (
    # Only an upgrade of the schema needs them, and `serve` leaves that to a child process.
    "alembic",
    "mako",
    # Only `spec check` needs them.
    "clinic_service.cli.spec",
    "openapi_schema_validator",
    "openapi_spec_validator",
    # Reads a table of 12 MB, for the first name that is written.
    "pyuca",
    # What Connexion would bring along.
    "a2wsgi",
    "connexion.apps",
    "requests",
    "starlette.testclient",
    # Only a server that calls another system needs it.
    "httpx",
    _DEMO,
    "tests",
    "pytest",
)


@pytest.fixture(autouse=True)
def _noting_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-W", "ignore", "-c", _PROGRAM))


def _modules(folder: Path, *arguments: str, **settings: str) -> list[str]:
    """What `serve ARGUMENTS` has imported once it has answered, refused and failed to find something."""
    token = token_of(SERVICE)
    with serving(folder, *arguments, **settings) as server:
        assert server.get("/v1/clinics", token).status == 200
        assert server.request("POST", "/v1/clinics", token, json={}).status == 403
        assert server.get("/v1/clinics?limit=none", token).status == 400
        assert server.get("/v1/nothing", token).status == 404
        assert server.stop() == 0
    modules = (folder / "modules.txt").read_text().splitlines()
    assert {"clinic_service.app", "clinic_service.server.process", "sqlalchemy"} <= set(modules)
    return modules


def _among(modules: list[str], unwanted: Collection[str]) -> list[str]:
    return [name for name in modules if any(name == each or name.startswith(f"{each}.") for each in unwanted)]


def test_a_server_has_no_tools_in_memory(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    settings = {"CLINIC_DATABASE_URL": database_url, "CLINIC_SESSION_SECRET": SECRET}
    driver = () if database_url.startswith("postgresql") else ("psycopg",)
    assert _among(_modules(tmp_path, **settings), (*_UNWANTED, *driver)) == []


def test_the_modules_that_only_the_first_start_needs_do_not_stay_in_memory(tmp_path: Path) -> None:
    assert _among(_modules(tmp_path, CLINIC_SESSION_SECRET=SECRET), _UNWANTED) == []
    assert (tmp_path / "clinic-service.db").exists()


def test_the_modules_that_make_the_demo_clinic_do_not_stay_in_memory(tmp_path: Path) -> None:
    modules = _modules(tmp_path, "--demo", CLINIC_SESSION_SECRET=SECRET)
    assert _among(modules, set(_UNWANTED) - {_DEMO}) == []
    assert (tmp_path / "clinic-service-demo.db").exists()


def test_the_client_of_other_systems_is_imported_at_the_start_where_one_is_configured(tmp_path: Path) -> None:
    """Otherwise the first request that needs it would wait for the import."""
    settings = {"CLINIC_ACCOUNTS_URL": "http://127.0.0.1:1", "CLINIC_PROFILES_URL": "http://127.0.0.1:1"}
    names = {"CLINIC_ACCOUNTS_SERVER_NAME": "clinic", "CLINIC_ACCOUNTS_SERVER_SECRET": "a secret"}
    assert "httpx" in _modules(tmp_path, CLINIC_SESSION_SECRET=SECRET, **settings, **names)
