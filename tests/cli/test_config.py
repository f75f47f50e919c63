"""`clinic-service config`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from clinic_service.cli.config import config_command

SECRETS = {
    "CLINIC_SESSION_SECRET": "a secret of the tests, at least 32 bytes",
    "CLINIC_DATABASE_URL": "postgresql://clinic:hidden@db.example/clinics",
}


def test_table_shows_what_is_set_and_masks_secrets() -> None:
    result = CliRunner().invoke(config_command, env=SECRETS | {"CLINIC_PORT": "9000"})
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split() for line in result.output.splitlines()}
    assert lines["CLINIC_PORT"][1:4] == ["--port", "9000", "8080"]
    # It has no flag.
    assert lines["CLINIC_SESSION_SECRET"][1] == "********"
    assert lines["CLINIC_DATABASE_URL"][2] == "postgresql://clinic:********@db.example/clinics"
    assert "hidden" not in result.output


def test_json_has_the_same_rows() -> None:
    result = CliRunner().invoke(config_command, ["--json"], env=SECRETS)
    rows = {row["name"]: row for row in json.loads(result.output)}
    assert rows["CLINIC_SESSION_SECRET"]["value"] == "********"
    assert rows["CLINIC_PORT"]["value"] == rows["CLINIC_PORT"]["default"] == "8080"
    assert all(row["why"] for row in rows.values())
    assert rows["CLINIC_DATABASE_URL"]["default"] == "sqlite:///clinic-service.db"


@pytest.mark.parametrize(
    ("variable", "value", "shown"),
    [
        ("CLINIC_DATABASE_URL", "postgresql://db/name?user=me&password=hidden&x=1", "password=********&x=1"),
        ("CLINIC_DATABASE_URL", "postgresql://db/name?sslpassword=hidden", "?sslpassword=********"),
        ("CLINIC_ACCOUNTS_URL", "http://[hidden", "********"),
    ],
)
def test_passwords_are_masked_wherever_they_stand(variable: str, value: str, shown: str) -> None:
    others = dict.fromkeys(("CLINIC_ACCOUNTS_SERVER_NAME", "CLINIC_ACCOUNTS_SERVER_SECRET"), "x")
    environ = {"CLINIC_PROFILES_URL": "http://profiles", **others, variable: value}
    result = CliRunner().invoke(config_command, env=environ)
    assert result.exit_code == 0, result.output
    assert shown in result.output
    assert "hidden" not in result.output


def test_unknown_setting_is_wrong_use() -> None:
    result = CliRunner().invoke(config_command, env={"CLINIC_PROT": "9000"})
    assert result.exit_code == 2
    assert "CLINIC_PROT" in result.output
