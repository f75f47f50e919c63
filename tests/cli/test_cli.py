"""The subcommands, called the way a shell calls them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from clinic_service.cli import main
from tests.support.errors import spec_apis


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
    assert {"api": "access.v1", "operationId": "GetGroupsForUser", "implemented": True} in rows
    assert all(row["implemented"] for row in rows)


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


def test_spec_bundle_is_one_document(run: CliRunner) -> None:
    document = orjson.loads(_ok(run.invoke(main, ["spec", "bundle", "clinic.v1"])))
    assert "clinic.v1" in document["components"]["schemas"]
    assert len(document["paths"]) > 50


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
