"""No secret can be given on the command line, where every user of the machine sees it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clinic_service.cli import main
from clinic_service.config import Config, flag, is_secret, variable

_SECRET = "kept-from-the-other-users"
_URL = f"postgresql://clinic:{_SECRET}@127.0.0.1:1/clinics"
_SECRETS = [f.name for f in fields(Config) if is_secret(f)]
_URLS = [f.name for f in fields(Config) if "url" in f.name and not is_secret(f)]

_WITH_DATABASE_URL = [
    ("db", "upgrade"),
    ("db", "check"),
    ("db", "current"),
    ("db", "verify"),
    ("db", "rebuild"),
    ("db", "backup", "a.backup"),
    ("db", "restore", "/dev/null"),
    ("db", "copy", "sqlite:///a.db"),
    ("db", "distribute"),
    ("demo", "load", "--patients", "1"),
]


@pytest.fixture(autouse=True)
def _new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _refused(*arguments: str) -> str:
    """The sentence with which the command refuses its arguments; `serve` puts it into a line of JSON."""
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    [line] = result.stderr.splitlines()
    assert _SECRET not in line
    return str(json.loads(line)["message"]) if arguments[0] == "serve" else line


def test_settings_that_sound_secret_are_secrets() -> None:
    words = ("secret", "token", "password", "private_key")
    sounding = {f.name for f in fields(Config) if any(word in f.name.removesuffix("_url") for word in words)}
    # An address, and prefixes of paths.
    sounding -= {"auth_service_token_endpoint", "xealth_report_token_paths", "redox_token_url", "xealth_token_url"}
    assert sounding <= set(_SECRETS)


@pytest.mark.parametrize("name", _SECRETS)
def test_serve_refuses_the_flag_of_a_secret_and_names_its_variable_and_file(name: str) -> None:
    line = _refused("serve", flag(name), _SECRET)
    assert line.startswith(f"{flag(name)} cannot be given, because every user of the machine can see")
    assert f"Set {variable(name)}, or " in line
    assert f" {variable(name)}_FILE to its path." in line


@pytest.mark.parametrize("name", _URLS)
def test_serve_refuses_a_url_with_a_password(name: str) -> None:
    line = _refused("serve", flag(name), _URL)
    assert line.startswith(f"{flag(name)} has a URL with a password, but ")
    assert f" {variable(name)}_FILE to its path." in line


@pytest.mark.parametrize("command", _WITH_DATABASE_URL, ids=" ".join)
def test_every_command_with_the_url_of_a_database_refuses_a_password(command: tuple[str, ...]) -> None:
    assert "CLINIC_DATABASE_URL_FILE" in _refused(*command, "--database-url", _URL)


def test_the_list_of_commands_above_is_complete() -> None:
    named = {path for path, command in _commands(main) if "database_url" in {each.name for each in command.params}}
    assert {command[:2] for command in _WITH_DATABASE_URL} | {("serve",)} == named


def test_no_other_command_has_a_flag_for_a_secret() -> None:
    found = {path for path, command in _commands(main) if {each.name for each in command.params} & set(_SECRETS)}
    assert found == {("serve",)}


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands below `group`, each with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command
        if isinstance(command, click.Group):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize("url", [_URL, f"postgresql:///clinics?password={_SECRET}"])
def test_db_copy_refuses_a_target_with_a_password(url: str) -> None:
    assert "PGPASSFILE" in _refused("db", "copy", url)


def test_help_shows_no_flag_of_a_secret_and_says_where_the_variables_are() -> None:
    text = " ".join(CliRunner().invoke(main, ["serve", "--help"]).stdout.split())
    assert "--port" in text
    assert not [name for name in _SECRETS if flag(name) in text]
    assert "The command `config` lists their variables." in text
