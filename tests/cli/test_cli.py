"""The subcommands, called the way a shell calls them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result

from clinic_service.cli import main
from clinic_service.specification.apis import load_file
from clinic_service.specification.formats import as_json, as_yaml
from clinic_service.specification.source import Source
from tests.support.errors import spec_apis
from tests.support.mocks import mock_client


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


def _ok(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout


def test_help_lists_every_subcommand(run: CliRunner) -> None:
    text = _ok(run.invoke(main, ["--help"]))
    for name in ("serve", "mock", "db", "users", "token", "demo", "outbox", "spec", "config"):
        assert f"\n  {name} " in text
        _ok(run.invoke(main, [name, "--help"]))


def test_spec_coverage_as_json(run: CliRunner) -> None:
    rows = orjson.loads(_ok(run.invoke(main, ["spec", "coverage", "--json"])))
    assert [row["operationId"] for row in rows] == [o.operation_id for api in spec_apis() for o in api.operations]
    assert {
        "api": "access.v1",
        "operationId": "GetGroupsForUser",
        "method": "GET",
        "path": "/access/groups/{userId}",
        "implemented": True,
        "handler": "clinic_service.resources.access.handlers.get_groups_for_user",
        "access": ["service", "self:userId", "custodian:userId"],
        "refusals": ["400", "401", "403", "404", "429", "500", "503"],
        "test": {"file": "tests/api/access/test_get_groups_for_user.py", "exists": True},
    } in rows
    assert all(row["implemented"] and row["test"]["exists"] for row in rows)


def test_spec_coverage_as_a_table(run: CliRunner) -> None:
    text = _ok(run.invoke(main, ["spec", "coverage"]))
    assert "XealthPreorder" in text
    assert "92 of 92 operations are implemented." in text


def test_spec_access_tells_who_may_call_what(run: CliRunner) -> None:
    lines = _ok(run.invoke(main, ["spec", "access"])).splitlines()
    line = next(line for line in lines if line.startswith("DeletePatient "))
    assert line.split()[1:] == [
        "DELETE",
        "/v1/clinics/{clinicId}/patients/{patientId}",
        "admin",
        "or",
        "self:patientId",
    ]


@pytest.mark.parametrize("api", ["clinic", "access"])
@pytest.mark.parametrize("format_name", ["json", "yaml"])
def test_spec_bundle_is_the_document_that_is_served(run: CliRunner, tmp_path: Path, api: str, format_name: str) -> None:
    served = mock_client().get(f"/openapi/{api}.v1.json").json
    file = tmp_path / f"{api}.{format_name}"
    assert _ok(run.invoke(main, ["spec", "bundle", "--api", api, "-o", str(file)])) == ""
    text = file.read_text(encoding="utf-8")
    assert _ok(run.invoke(main, ["spec", "bundle", "--api", api, "--format", format_name])) == text
    assert text.startswith("{" if format_name == "json" else "openapi: 3.0.3\n")
    bundled = load_file(Source(tmp_path), file.name).document
    # Where the operations are is the only thing that the server adds.
    assert {**bundled, "servers": served["servers"]} == served
    assert list(bundled["components"]) == sorted(bundled["components"])
    assert list(bundled["components"]["schemas"]) == sorted(bundled["components"]["schemas"])


def test_spec_bundle_keeps_what_yaml_would_read_otherwise() -> None:
    texts = [
        "2026-03-02",
        "yes",
        "null",
        "1e3",
        "0x1F",
        "~",
        "'",
        "a: b",
        " x ",
        "two\nlines\n",
        "trailing \nspace",
        "\u2028",
        "=",
        "<<",
    ]
    document = {"no": texts, "200": {text: [1, 1.5, True, None, {}, []] for text in texts}}
    assert yaml.safe_load(as_yaml(document)) == document
    assert orjson.loads(as_json(document)) == document


def test_spec_stub_refuses_what_is_built_or_unknown(run: CliRunner) -> None:
    assert run.invoke(main, ["spec", "stub", "GetClinic"]).exit_code == 1
    assert run.invoke(main, ["spec", "stub", "GetNothing"]).exit_code == 1


def test_spec_check_tells_faults_and_ends_with_status_1(run: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "spec").mkdir()
    result = run.invoke(main, ["spec", "check", "--folder", str(tmp_path / "spec")])
    assert result.exit_code == 1
    assert "clinic.v1.yaml:1: the file does not exist" in result.stdout


def test_db_upgrade_check_and_current(run: CliRunner) -> None:
    assert run.invoke(main, ["db", "check"]).exit_code == 1
    assert _ok(run.invoke(main, ["db", "current"])) == "\n"
    head = _ok(run.invoke(main, ["db", "upgrade"]))
    assert _ok(run.invoke(main, ["db", "current"])) == head
    assert head.strip() in _ok(run.invoke(main, ["db", "check"]))
