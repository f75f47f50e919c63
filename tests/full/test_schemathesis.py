"""Schemathesis, the real tool, against a running server and against the mock.

It sends requests that fit the spec, and others, to every operation. No answer may have a status of 500 or above, a status
or media type that the spec does not declare, or a body that does not fit its schema. Valid requests must be accepted, and
invalid ones refused.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from clinic_service.config import Config, variable
from clinic_service.db.schema import upgrade
from clinic_service.demo.cast import ADMIN, MEMBER, OUTSIDER, PARENT, PATIENT, SERVICE
from clinic_service.gateways.tokens import mint
from tests.full.contract.seed import Seed
from tests.gateways.identity_provider import identity_provider
from tests.support.databases import create_database
from tests.support.processes import ROOT, ServerProcess, serving
from tests.support.xealth_server import BEARER, xealth_server

pytest.importorskip("schemathesis", reason="the extra `contract` is not installed")

_SECRET, _REDOX_SECRET = "a secret of the tests, at least 32 bytes long", "the secret of redox"
_CONFIG = Path(__file__).parent / "contract" / "schemathesis.toml"
_DAY = timedelta(days=1)
_TOKENS = {
    **{
        who.id: mint(_SECRET, who.id, service=False, lifetime=_DAY)
        for who in (ADMIN, MEMBER, PATIENT, PARENT, OUTSIDER)
    },
    "service": mint(_SECRET, SERVICE, service=True, lifetime=_DAY),
}
_CALLERS = {"service": "service", "admin": ADMIN.id, "patient": PATIENT.id}
_APIS = ("clinic.v1", "access.v1")
# Requests to each operation in the phase that draws them at random. The engines differ below the API only, so on the second
# one fewer are enough.
_EXAMPLES = int(os.environ.get("CLINIC_TEST_EXAMPLES", "500"))
_FEWER_EXAMPLES = min(_EXAMPLES, 100)
_SECONDS = 3 * 3600


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'tested.db'}"


@contextmanager
def _server(folder: Path, url: str) -> Iterator[ServerProcess]:
    """A server with the demo clinic, for which both integrations and the identity provider of partners are there."""
    upgrade(url)
    with identity_provider() as provider, xealth_server() as xealth:
        settings = {**_given(provider.config()), **_given(xealth.config())}
        with serving(
            folder,
            "--demo",
            CLINIC_DATABASE_URL=url,
            CLINIC_SESSION_SECRET=_SECRET,
            CLINIC_REDOX_VERIFICATION_TOKEN=_REDOX_SECRET,
            **settings,
        ) as server:
            yield server


def _given(config: Config) -> dict[str, str]:
    """The variables of the settings in `config` that are not the defaults."""
    default = Config()
    return {
        variable(field.name): str(value)
        for field in fields(Config)
        if (value := getattr(config, field.name)) != getattr(default, field.name)
    }


def _assert_clean(
    folder: Path, server: ServerProcess, api: str, caller: str, examples: int, added: str = "", **variables: str
) -> None:
    """Run Schemathesis. `added` follows the configuration, and `variables` are in its environment."""
    config = folder / "schemathesis.toml"
    config.write_text(f"{_CONFIG.read_text()}\n{added}")
    tokens = {"SESSION_TOKEN": _TOKENS[_CALLERS[caller]], "REDOX_TOKEN": _REDOX_SECRET, "XEALTH_TOKEN": BEARER}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", "--no-color"),
            *(f"http://127.0.0.1:{server.port}/openapi/{api}.json", "--max-examples", str(examples)),
        ],
        cwd=folder,
        env={
            **os.environ,
            **tokens,
            **variables,
            "SCHEMATHESIS_HOOKS": "tests.full.contract.hooks",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr


def _dictionaries(found: dict[str, list[str]]) -> str:
    """The configuration that makes Schemathesis use ids that exist in most requests."""
    bound = "\n".join(f'"{name}" = {{ dictionary = "{name}", probability = 0.8 }}' for name in found)
    values = "\n".join(f'"{name}".values = {json.dumps(ids)}' for name, ids in found.items())
    return f"[parameters]\n{bound}\n[dictionaries]\n{values}\n"


def _test_server(folder: Path, url: str, api: str, caller: str, examples: int) -> None:
    with _server(folder, url) as server:
        added = _dictionaries(Seed(server, _TOKENS, _REDOX_SECRET).dictionaries())
        _assert_clean(folder, server, api, caller, examples, added, CLINIC_TESTED_DATABASE=url)


@pytest.mark.parametrize("caller", _CALLERS)
@pytest.mark.parametrize("api", _APIS)
def test_the_server(tmp_path: Path, sqlite_url: str, api: str, caller: str) -> None:
    _test_server(tmp_path, sqlite_url, api, caller, _EXAMPLES)


@pytest.mark.parametrize("api", _APIS)
def test_the_server_on_postgresql(tmp_path: Path, postgresql_url: str, api: str) -> None:
    with create_database(postgresql_url) as url:
        _test_server(tmp_path, url, api, "service", _FEWER_EXAMPLES)


@pytest.mark.parametrize("api", _APIS)
def test_the_mock(tmp_path: Path, api: str) -> None:
    server = ServerProcess(tmp_path, command="mock")
    try:
        server.wait_until_live()
        # The mock does not look into the token, and stores nothing.
        off = "".join(f"[checks.{check}]\nenabled = false\n" for check in _NOT_OF_A_MOCK)
        _assert_clean(tmp_path, server, api, "service", _FEWER_EXAMPLES, off)
    finally:
        server.stop()


_NOT_OF_A_MOCK = ("ignored_auth", "use_after_free", "ensure_resource_availability", "object_level_authorization")
