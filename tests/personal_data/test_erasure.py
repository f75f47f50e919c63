"""`clinic-service patients export` and `erase`: nothing of the person is left, and nothing of others changes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from clinic_service.cli.patients import patients
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import AccountDeletion, OutboxEntry, PatientDeletion, RedoxMessage
from clinic_service.outbox.events import AccessOffered, AccountUnconfirmed, ClinicianInvited, PatientRemoved
from clinic_service.unit_of_work import writing
from tests.support.cast import ALICE, BOB, CAROL, DAVE
from tests.support.ehr import make_ehr_clinic, redox_order, store_message
from tests.support.personal_rows import Place, Seed
from tests.support.platform import platform
from tests.support.rows import (
    make_account,
    make_clinician,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
)
from tests.support.units import everything

Run = Callable[..., Result]


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(patients, arguments, env={"CLINIC_DATABASE_URL": config.database_url})

    return call


class Known:
    """Carol and Dave, with rows in every table."""

    def __init__(self, database: Database) -> None:
        with writing(database) as unit:
            clinic = make_staffed_clinic(unit)
            place = Place(clinic, make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North"))
            self.carol = Seed(unit, place, CAROL, BOB)
            self.dave = Seed(unit, place, DAVE, BOB)


@pytest.fixture
def known(database: Database) -> Known:
    return Known(database)


def everything_as_text(database: Database) -> str:
    """All values of all tables. Bytes are shown as text where they are text."""
    return "\n".join(row for rows in everything(database).values() for row in rows)


def test_nothing_of_the_person_is_left_in_any_table(database: Database, run: Run, known: Known) -> None:
    before = everything_as_text(database)
    assert all(text in before for text in known.carol.texts | known.carol.hidden)
    result = run("erase", CAROL.id, "--yes")
    assert result.exit_code == 0, result.output
    after = everything_as_text(database)
    assert f"canary-{CAROL.id}" not in after
    assert CAROL.email not in after
    naming = {name for name, rows in everything(database).items() if any(CAROL.id in row for row in rows)}
    assert naming == {"account_deletions", "patient_deletions", "clinician_deletions", "outbox", "reservations"}


def test_rows_of_others_stay_as_they_are(database: Database, run: Run, known: Known) -> None:
    before = everything(database)
    run("erase", CAROL.id, "--yes")
    after = everything(database)
    # The number of patients, and what ties Carol's links to the tag and the site.
    changed = {name: set(before[name]) - set(after[name]) for name in before if name != "patient_counts"}
    carols = (CAROL.id, *known.carol._ids.values())
    assert [row for rows in changed.values() for row in rows if not any(one in row for one in carols)] == []
    assert all(text in everything_as_text(database) for text in known.dave.texts | known.dave.hidden)


@pytest.mark.usefixtures("known")
def test_what_stays_names_ids_alone(database: Database, run: Run) -> None:
    run("erase", CAROL.id, "--yes")
    assert [(row.user_id, row.record) for row in stored(database, PatientDeletion) if row.user_id == CAROL.id] == [
        (CAROL.id, {}),
        (CAROL.id, {}),
    ]
    assert [row.user_id for row in stored(database, AccountDeletion)] == [CAROL.id]
    told = [row for row in stored(database, OutboxEntry) if row.payload.get("userId") == CAROL.id]
    assert {row.kind for row in told} == {"patient_removed", "clinician_removed"}


@pytest.mark.usefixtures("known")
def test_a_repeat_finds_nothing(database: Database, run: Run) -> None:
    assert "summary_documents" in run("erase", CAROL.id, "--yes").output
    before = everything(database)
    result = run("erase", CAROL.id, "--yes")
    assert result.exit_code == 0
    assert "There is nothing to erase." in result.output
    after = everything(database)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}


def test_without_a_terminal_it_must_be_confirmed(database: Database, run: Run, known: Known) -> None:  # noqa: ARG001
    before = everything(database)
    result = run("erase", CAROL.id)
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert everything(database) == before


@pytest.mark.parametrize("command", ["export", "erase", "disclosures"])
@pytest.mark.parametrize("user", [CAROL.id.upper(), CAROL.email, ""])
def test_what_is_no_user_id_is_refused(run: Run, command: str, user: str) -> None:
    """Otherwise it would be said of an address that there is nothing about its owner to erase."""
    assert run(command, user).exit_code == 2


def test_export_has_every_text_of_the_person_and_none_of_others(run: Run, known: Known) -> None:
    result = run("export", CAROL.id)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    # A document that is text itself is quoted once more.
    missing = [text for text in known.carol.texts if text not in result.stdout]
    assert [text for text in missing if not text.endswith(("-birth_date", "-email"))] == []
    assert DAVE.id not in result.stdout
    assert document["tables"]["patient_tags"][0]["name"] == "Pump"
    assert document["clinics"][0]["name"] == "Harbour Diabetes Centre"
    assert document["emails"] == [CAROL.email]


def test_export_of_somebody_unknown_is_empty(run: Run) -> None:
    assert json.loads(run("export", CAROL.id).stdout)["tables"] == {}


def test_messages_that_were_never_matched_are_erased(database: Database, run: Run) -> None:
    with storing(database) as unit:
        make_patient(unit, make_ehr_clinic(unit), CAROL, mrn="MRN-20417")
        store_message(unit, redox_order(log_id="all three"))
        store_message(unit, redox_order(log_id="name and day", identifiers=[]))
        store_message(unit, redox_order(log_id="number and day", FirstName="Karoline", LastName=None))
        store_message(unit, redox_order(log_id="number alone", FirstName="Dave", DOB="1990-01-01"))
        store_message(unit, redox_order(log_id="day alone", identifiers=[], FirstName="Dave"))
    run("erase", CAROL.id, "--yes")
    assert sorted(str(row.log_id) for row in stored(database, RedoxMessage)) == ["day alone", "number alone"]


def test_mail_that_names_the_person_is_erased_and_a_repair_of_an_account_waits(database: Database, run: Run) -> None:
    clinic = "65f1c0de0a1b2c3d4e5f6a7b"
    with storing(database) as unit:
        make_account(unit, CAROL)
        unit.outbox.add(
            AccessOffered(clinic, ALICE.id, CAROL.id, "Harbour", "Carol Cooper", "login"),
            AccessOffered(clinic, ALICE.id, DAVE.id, "Harbour", "Dave Draper", "login"),
            ClinicianInvited(clinic, "Harbour", "Alice", CAROL.email, "signup"),
            AccountUnconfirmed(clinic, CAROL.email, "2026-03-02T09:30:00.000Z"),
        )
    result = run("erase", CAROL.id, "--yes")
    assert [row.kind for row in stored(database, OutboxEntry)] == ["patient_clinic_invitation", "account_unconfirmed"]
    assert "Waiting for delivery: 1 event." in result.stderr


def test_notices_are_exported_and_stay(database: Database, run: Run) -> None:
    with storing(database) as unit:
        make_account(unit, CAROL)
        unit.outbox.add(PatientRemoved("65f1c0de0a1b2c3d4e5f6a7b", CAROL.id))
    assert [row["kind"] for row in json.loads(run("export", CAROL.id).stdout)["tables"]["outbox"]] == [
        "patient_removed"
    ]
    result = run("erase", CAROL.id, "--yes")
    assert [row.kind for row in stored(database, OutboxEntry)] == ["patient_removed"]
    assert "Waiting for delivery" not in result.stderr


def test_an_account_at_an_accounts_service_stays(config: Config, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL)
    with platform() as accounts:
        accounts.users[CAROL.id] = CAROL.email
        url = accounts.server.url
        environ = {
            "CLINIC_DATABASE_URL": config.database_url,
            "CLINIC_ACCOUNTS_URL": url,
            "CLINIC_PROFILES_URL": f"{url}/metadata",
            "CLINIC_ACCOUNTS_SERVER_NAME": "clinic",
            "CLINIC_ACCOUNTS_SERVER_SECRET": "server secret",
        }
        result = CliRunner().invoke(patients, ("erase", CAROL.id, "--yes"), env=environ)
        assert result.exit_code == 0, result.output
        assert {call.split()[0] for call in accounts.calls} == {"GET"}
        assert list(accounts.users) == [CAROL.id]
    assert "Delete it there." in result.stderr
    assert CAROL.name not in everything_as_text(database)


def test_the_only_admin_of_a_clinic_is_not_erased(database: Database, run: Run) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, ALICE)
    before = everything(database)
    result = run("erase", ALICE.id, "--yes")
    assert result.exit_code == 1
    assert "the only admin of a clinic" in result.output
    assert everything(database) == before


def test_an_admin_among_others_is_erased(database: Database, run: Run) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_clinician(unit, clinic, CAROL, "CLINIC_ADMIN")
    assert run("erase", CAROL.id, "--yes").exit_code == 0
    assert CAROL.name not in everything_as_text(database)
