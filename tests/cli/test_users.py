"""`clinic-service users`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic_service.cli.users import users
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.user_ids import is_user_id
from clinic_service.models import AccountEmail, Clinician, EmbeddedAccount, Grant, Invite, Patient
from tests.support.cast import CAROL as CAROL_COOPER
from tests.support.cast import DAVE, SERVICE
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import make_clinic, make_clinician, make_grant, make_invite, make_patient, stored, storing

Run = Callable[..., Result]


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(users, arguments, env={"CLINIC_DATABASE_URL": config.database_url} | env)

    return call


def _document(run: Run, id_or_email: str) -> dict[str, Any]:
    result = run("show", id_or_email)
    assert result.exit_code == 0
    document: dict[str, Any] = json.loads(result.output)
    return document


CAROL = (
    *("--name", "Carol Cooper", "--email", "Carol@Mail.example", "--email", "carol@work.example"),
    *("--role", "patient", "--id", "ca401c0003", "--patient-name", "Cody Cooper"),
    *("--birthday", "1987-04-12", "--mrn", "MRN-20417", "--device", "dexcom", "--device", "omnipod"),
)


def test_account_is_added_and_shown(run: Run) -> None:
    assert run("add", *CAROL).output == "ca401c0003\n"
    shown = _document(run, "ca401c0003")
    assert shown == _document(run, "CAROL@work.example")
    assert shown == {
        "id": "ca401c0003",
        "name": "Carol Cooper",
        "emails": ["carol@mail.example", "carol@work.example"],
        "roles": ["patient"],
        "patient": {
            "name": "Cody Cooper",
            "birthday": "1987-04-12",
            "mrn": "MRN-20417",
            "devices": ["dexcom", "omnipod"],
        },
    }


def test_id_is_made_up_and_printed_alone(run: Run) -> None:
    first, second = run("add", "--name", "A"), run("add", "--name", "B")
    assert is_user_id(first.stdout.strip())
    assert first.stdout != second.stdout
    assert _document(run, first.stdout.strip())["name"] == "A"


def test_list_shows_all(run: Run) -> None:
    run("add", *CAROL)
    run("add", "--id", "ffffffffff")
    heading, carol, nobody = run("list").output.splitlines()
    assert heading.split() == ["ID", "NAME", "E-MAIL", "ROLES"]
    assert carol.split() == ["ca401c0003", "Carol", "Cooper", "carol@mail.example,", "carol@work.example", "patient"]
    assert nobody == "ffffffffff"
    assert [account["id"] for account in json.loads(run("list", "--json").output)] == ["ca401c0003", "ffffffffff"]


def test_account_is_removed(run: Run) -> None:
    run("add", *CAROL)
    removed, again = run("remove", "ca401c0003"), run("remove", "ca401c0003")
    assert (removed.exit_code, removed.output) == (0, "")
    assert (again.exit_code, again.stderr) == (1, "Error: The user was not found.\n")
    assert run("show", "carol@mail.example").exit_code == 1


def test_who_is_removed_leaves_all_clinics(run: Run, api: Client, database: Database) -> None:
    run("add", *CAROL)
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, CAROL_COOPER, "CLINIC_ADMIN")
        make_patient(unit, clinic, DAVE)
        make_patient(unit, make_clinic(unit), CAROL_COOPER)
        make_grant(unit, CAROL_COOPER, DAVE)
        make_invite(unit, clinic, key="by address", email="carol@work.example")
        make_invite(unit, clinic, key="of another", email="dave@mail.example")
    members = f"/v1/clinics/{clinic.id}/clinicians"
    assert api.get(members, as_=CAROL_COOPER).status == 200
    assert run("remove", "ca401c0003").exit_code == 0
    for model in (Clinician, Patient, Grant, EmbeddedAccount, AccountEmail):
        assert stored(database, model) == [], model
    assert [invite.key for invite in stored(database, Invite)] == ["of another"]
    assert_error(api.get(members, as_=CAROL_COOPER), 401)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/clinicians/ca401c0003/clinics"),
        ("GET", "/v1/patients"),
        ("GET", "/v1/clinics/0123456789abcdef01234567"),
        ("GET", "/v1/clinics/0123456789abcdef01234567/patients"),
        ("GET", "/access/groups/ca401c0003"),
        ("POST", "/v1/clinics"),
        ("PUT", "/v1/clinicians/ca401c0003/invites/bm9ib2R5IGhhcyB0aGlzIGludml0YXRp"),
    ],
)
def test_token_of_who_is_removed_is_refused_until_the_account_is_there_again(
    run: Run, api: Client, method: str, path: str
) -> None:
    run("add", *CAROL)
    assert api.request(method, path, as_=CAROL_COOPER).status != 401
    run("remove", "ca401c0003")
    assert_error(api.request(method, path, as_=CAROL_COOPER), 401)
    assert api.request(method, path, as_=DAVE).status != 401
    assert api.request(method, path, as_=SERVICE).status != 401
    assert run("add", *CAROL).output == "ca401c0003\n"
    assert api.request(method, path, as_=CAROL_COOPER).status != 401


def test_removed_person_who_is_made_a_member_again_has_no_access(run: Run, api: Client, database: Database) -> None:
    run("add", *CAROL)
    run("remove", "ca401c0003")
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, CAROL_COOPER, "CLINIC_ADMIN")
    assert_error(api.get(f"/v1/clinics/{clinic.id}/clinicians", as_=CAROL_COOPER), 401)


def test_removal_that_fails_removes_nothing(run: Run, api: Client, database: Database) -> None:
    run("add", *CAROL)
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), CAROL_COOPER)
        unit.connection.exec_driver_sql("ALTER TABLE account_deletions RENAME TO gone")
    try:
        assert run("remove", "ca401c0003").exit_code == 1
    finally:
        with storing(database) as unit:
            unit.connection.exec_driver_sql("ALTER TABLE gone RENAME TO account_deletions")
    assert len(stored(database, Clinician)) == len(stored(database, EmbeddedAccount)) == 1
    assert api.get("/v1/clinicians/ca401c0003/clinics", as_=CAROL_COOPER).status == 200


def test_taken_address_is_an_error(run: Run) -> None:
    run("add", *CAROL)
    result = run("add", "--email", "carol@mail.example")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: The e-mail address is already taken.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--id", "Carol"),
        ("--id", ""),
        ("--email", "carol"),
        ("--email", "a@b, c@d"),
        ("--birthday", "1987-02-30"),
        ("--birthday", "12.04.1987"),
        ("--birthday", "0000-01-01"),
        # What the API would refuse, and what no answer could show.
        ("--email", "a" * 242 + "@too.example.org"),
        ("--email", "a@b@c"),
        ("--name", "N" * 256),
        ("--name", " "),
        ("--name", "Carol \udc80"),
        ("--patient-name", "N" * 256),
        ("--mrn", "1" * 256),
        ("--mrn", ""),
        ("--role", "clinic\udc80"),
        ("--device", "x" * 256),
        ("--device", "dexcom") * 101,
    ],
)
def test_wrong_use(run: Run, arguments: tuple[str, ...]) -> None:
    result = run("add", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert json.loads(run("list", "--json").output) == []


def test_accounts_of_another_system_are_not_managed_here(run: Run) -> None:
    settings = {
        "CLINIC_ACCOUNTS_URL": "http://accounts.example",
        "CLINIC_PROFILES_URL": "http://profiles.example",
        "CLINIC_ACCOUNTS_SERVER_NAME": "clinic",
        "CLINIC_ACCOUNTS_SERVER_SECRET": "secret",
    }
    result = run("list", **settings)
    assert result.exit_code == 1
    assert "CLINIC_ACCOUNTS_URL" in result.stderr


def test_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    env = {"CLINIC_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    result = CliRunner().invoke(users, ["list"], env=env)
    assert result.exit_code == 1
    assert "clinic-service db upgrade" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_database_without_schema_is_brought_up_or_named(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "test.db").touch()
    result = CliRunner().invoke(users, ["list"], env={"CLINIC_DATABASE_URL": database_url})
    assert ("clinic-service db upgrade" in result.stderr) == database_url.startswith("postgresql")
    assert result.exit_code == (1 if database_url.startswith("postgresql") else 0)


def test_server_that_does_not_answer() -> None:
    env = {"CLINIC_DATABASE_URL": "postgresql://clinic:hidden@127.0.0.1:1/clinics"}
    result = CliRunner().invoke(users, ["list"], env=env)
    assert result.exit_code == 1
    assert "nothing listens at its address" in result.stderr
    assert "hidden" not in result.stderr


def test_database_of_another_make_is_wrong_use() -> None:
    result = CliRunner().invoke(users, ["list"], env={"CLINIC_DATABASE_URL": "mysql://db.example/clinics"})
    assert result.exit_code == 2
