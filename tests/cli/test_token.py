"""`clinic-service token`."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clinic_service import clock
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.cli.common import DEMO_DATABASE_URL
from clinic_service.cli.opening import opened_directory
from clinic_service.cli.token import token
from clinic_service.config import Config, mask_password
from clinic_service.db.engine import Database
from clinic_service.errors import Unauthenticated
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.gateways.tokens import TokenVerifier, session_secret
from tests.support.cast import ALICE, BOB

Run = Callable[..., Result]
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    settings = {"CLINIC_DATABASE_URL": config.database_url, "CLINIC_SESSION_SECRET": config.session_secret}

    def call(*arguments: str, **env: str) -> Result:
        with clock.frozen(NOW):
            return CliRunner().invoke(token, arguments, env=settings | env)

    return call


def _caller(config: Config, text: str, hours: float = 0.0) -> Caller:
    with clock.frozen(NOW + timedelta(hours=hours)):
        return TokenVerifier.from_config(config).caller(text.strip())


def test_token_of_a_person_is_printed_alone(run: Run, config: Config, database: Database) -> None:
    EmbeddedAccounts(database).add(NewAccount(ALICE.id))
    result = run("user", ALICE.id)
    assert (result.exit_code, result.stderr) == (0, "")
    assert _caller(config, result.stdout) == Caller(ALICE.id, CallerKind.PERSON)


def test_unknown_person_gets_a_token_and_a_warning(run: Run, config: Config) -> None:
    result = run("user", ALICE.id)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"Warning: there is no account {ALICE.id} in {mask_password(config.database_url)}.")
    assert "`clinic-service users add`" in result.stderr
    assert _caller(config, result.stdout).id == ALICE.id


def test_token_of_a_service(run: Run, config: Config) -> None:
    result = run("service", "task-runner")
    assert (result.exit_code, result.stderr) == (0, "")
    assert _caller(config, result.stdout) == Caller("task-runner", CallerKind.SERVICE)


@pytest.mark.parametrize(("arguments", "hours"), [((), 24.0), (("--hours", "0.5"), 0.5)])
def test_token_is_good_for_its_hours(run: Run, config: Config, arguments: tuple[str, ...], hours: float) -> None:
    text = run("service", "task-runner", *arguments).stdout
    assert _caller(config, text, hours - 0.01).id == "task-runner"
    with pytest.raises(Unauthenticated):
        _caller(config, text, hours + 0.01)


def test_token_fits_the_servers_issuer_and_audience(run: Run, config: Config) -> None:
    text = run("service", "task-runner", CLINIC_SESSION_ISSUER="me", CLINIC_SESSION_AUDIENCE="clinics").stdout
    strict = Config(session_secret=config.session_secret, session_issuer="me", session_audience="clinics")
    assert _caller(strict, text).id == "task-runner"


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "alice"),
        ("user", ""),
        ("service", ""),
        ("service", "a", "--hours", "0"),
        ("service", "a", "--hours", "0.0002"),
        ("service", "a", "--hours", "nan"),
        ("service", "a", "--hours", "9000"),
    ],
)
def test_wrong_use(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")


def test_first_use_makes_a_key_and_no_database(tmp_path: Path) -> None:
    env = {"CLINIC_DATABASE_URL": f"sqlite:///{tmp_path / 'clinic-service.db'}"}
    result = CliRunner().invoke(token, ["user", ALICE.id], env=env)
    assert result.exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["clinic-service.key"]
    assert "no account" in result.stderr
    verifier = TokenVerifier.from_config(Config(database_url=env["CLINIC_DATABASE_URL"]))
    assert verifier.caller(result.stdout.strip()).id == ALICE.id


class TestAfterTheDemo:
    """`serve --demo` has a database and a key of its own, which `token` does not use unless it is told to."""

    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("CLINIC_DATABASE_URL", raising=False)
        demo = Config(database_url=DEMO_DATABASE_URL)
        with opened_directory(demo, make=True) as directory:
            directory.add(NewAccount(ALICE.id))
        session_secret(demo)
        return tmp_path

    @pytest.mark.parametrize("arguments", [("user", ALICE.id), ("service", "task runner")])
    def test_the_command_that_makes_its_tokens_is_told(self, folder: Path, arguments: tuple[str, str]) -> None:
        told = CliRunner().invoke(token, arguments).stderr
        command = told[told.index("CLINIC_DATABASE_URL") :].strip()
        name, _, rest = command.partition(" ")
        assert rest == shlex.join(["clinic-service", "token", *arguments])
        result = CliRunner().invoke(token, arguments, env=dict([name.split("=", 1)]))
        assert (result.exit_code, result.stderr) == (0, "")
        verifier = TokenVerifier.from_config(Config(database_url=DEMO_DATABASE_URL))
        assert verifier.caller(result.stdout.strip()).id == arguments[1]
        assert not (folder / "clinic-service.db").exists()

    def test_an_account_that_the_demo_does_not_have_either(self, folder: Path) -> None:
        told = CliRunner().invoke(token, ["user", BOB.id]).stderr
        assert "no account" in told
        assert "demo" not in told
        assert folder.exists()


@pytest.mark.parametrize(
    "env",
    [
        {"CLINIC_SESSION_SECRET": "too short"},
        {"CLINIC_SESSION_SECRET": "", "CLINIC_SESSION_JWKS": "https://id.example/keys"},
        {"CLINIC_SESSION_SECRET": "", "CLINIC_DATABASE_URL": "postgresql://db.example/clinics"},
    ],
)
def test_without_a_usable_secret_nothing_is_printed(run: Run, env: dict[str, str]) -> None:
    result = run("service", "task-runner", **env)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "CLINIC_SESSION_SECRET" in result.stderr
