"""`clinic-service ehr`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic_service import clock
from clinic_service.cli.ehr import ehr
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.models import (
    XEALTH_REPORTS,
    Clinic,
    EhrProvider,
    Patient,
    RedoxMessage,
    ReportSchedule,
    ScheduledReportOrder,
    SentMessage,
)
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.ehr.redox.messages import receive
from tests.ehr.exchange import NOW, SETTINGS
from tests.ehr.orders import order
from tests.support import xealth_site
from tests.support.cast import CAROL, DAVE, ERIN, PETE, Somebody
from tests.support.ehr import make_ehr_clinic, make_subscription
from tests.support.http_server import Response
from tests.support.rows import make_clinic, make_patient, stored, storing
from tests.support.xealth_server import XealthServer, xealth_server

Run = Callable[..., Result]


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(ehr, arguments, env={"CLINIC_DATABASE_URL": config.database_url} | env)

    return call


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_ehr_clinic(unit, **SETTINGS)


def _patient(database: Database, clinic: Clinic, person: Somebody, *permissions: str, **values: Any) -> Patient:
    """A patient whose number, if any, is compared as that of one who was enrolled."""
    with storing(database) as unit:
        return make_patient(unit, clinic, person, *permissions, mrn_key=mrn_key(values.get("mrn")), **values)


def _subscribe(database: Database, patient: Patient, *document_ids: str, **values: Any) -> None:
    with storing(database) as unit:
        make_subscription(unit, unit.patients.get(patient.clinic_id, patient.user_id), *document_ids, **values)


def _receive(database: Database, message: dict[str, Any] | None = None) -> str:
    message = order() if message is None else message
    with storing(database) as unit:
        return receive(unit, message, json.dumps(message))


def _lines(result: Result) -> list[list[str]]:
    return [line.split() for line in result.output.splitlines()]


class TestClinics:
    def test_connected_ones_are_listed_and_counted(self, run: Run, database: Database, clinic: Clinic) -> None:
        with storing(database) as unit:
            make_clinic(unit, name="Elsewhere")
            make_ehr_clinic(unit, enabled=False)
            other = make_ehr_clinic(unit, provider="xealth")
        result = run("clinics", "list")
        assert result.exit_code == 0
        heading, *rows, number = _lines(result)
        assert heading == ["ID", "NAME"]
        assert {row[0] for row in rows} == {clinic.id, other.id}
        assert number == ["2", "clinics"]

    def test_the_list_has_no_end(self, run: Run, database: Database) -> None:
        with storing(database) as unit:
            for number in range(1001):
                unit.session.add(
                    Clinic(
                        id=f"{number:024x}",
                        ehr_enabled=True,
                        created_time=unit.creation_time,
                        updated_time=unit.now,
                    )
                )
        assert run("clinics", "list").output.endswith("1001 clinics\n")


class TestPatients:
    @pytest.fixture
    def patients(self, database: Database, clinic: Clinic) -> dict[str, Patient]:
        made = {
            "carol": _patient(database, clinic, CAROL, mrn="b-2"),
            "dave": _patient(database, clinic, DAVE, mrn="A-1"),
            "erin": _patient(database, clinic, ERIN, mrn=None),
        }
        _subscribe(database, made["carol"])
        _subscribe(database, made["erin"], active=False)
        return made

    def _listed(self, result: Result) -> list[str]:
        names = {CAROL.id: "carol", DAVE.id: "dave", ERIN.id: "erin"}
        return [next(name for user_id, name in names.items() if user_id in line) for line in self._rows(result)]

    @staticmethod
    def _rows(result: Result) -> list[str]:
        return result.output.splitlines()[1:-1]

    @pytest.mark.usefixtures("patients")
    def test_are_listed_by_number_with_their_subscriptions(self, run: Run, clinic: Clinic) -> None:
        result = run("patients", "list", clinic.id)
        assert result.exit_code == 0
        assert [" ".join(line.split()) for line in result.output.splitlines()] == [
            "MRN NAME USER ID SUBSCRIPTIONS",
            f"A-1 Dave Draper {DAVE.id}",
            f"b-2 Carol Cooper {CAROL.id} redox (active)",
            f"Erin Ellis {ERIN.id} redox (inactive)",
            "3 patients",
        ]

    @pytest.mark.usefixtures("patients")
    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (["--with-subscription"], ["carol", "erin"]),
            (["--without-subscription"], ["dave"]),
            (["--with-mrn"], ["dave", "carol"]),
            (["--without-mrn"], ["erin"]),
            (["--with-mrn", "--with-subscription"], ["carol"]),
            (["--user-id", DAVE.id], ["dave"]),
            (["--user-id", "0000000000"], []),
        ],
    )
    def test_flags_choose(self, run: Run, clinic: Clinic, flags: list[str], expected: list[str]) -> None:
        result = run("patients", "list", clinic.id, *flags)
        assert self._listed(result) == expected
        assert result.output.endswith(f"{len(expected)} patients\n")

    @pytest.mark.usefixtures("patients")
    def test_pages(self, run: Run, clinic: Clinic) -> None:
        result = run("patients", "list", clinic.id, "-l", "1", "-o", "1")
        assert self._listed(result) == ["carol"]
        assert result.output.endswith("3 patients\n")

    @pytest.mark.parametrize("state", ["unknown", "disabled", "never connected"])
    def test_clinic_without_an_integration_is_an_error(self, run: Run, database: Database, state: str) -> None:
        with storing(database) as unit:
            made = make_ehr_clinic(unit, enabled=False) if state == "disabled" else make_clinic(unit)
        clinic_id = "65f1c0de0a1b2c3d4e5f6a7b" if state == "unknown" else made.id
        for command in ("list", "enroll", "backfill-emails"):
            result = run("patients", command, clinic_id)
            assert result.exit_code == 1
            assert "not connected" in result.output

    @pytest.mark.parametrize(("command", "provider"), [("enroll", "redox"), ("backfill-emails", "xealth")])
    def test_wrong_partner_is_an_error(self, run: Run, database: Database, command: str, provider: str) -> None:
        with storing(database) as unit:
            made = make_ehr_clinic(unit, provider=provider)
        result = run("patients", command, made.id)
        assert result.exit_code == 1
        assert "another partner" in result.output


class TestEnroll:
    @pytest.fixture
    def xealth(self) -> Iterator[XealthServer]:
        with xealth_server() as running:
            yield running

    @pytest.fixture
    def xealth_clinic(self, database: Database) -> Clinic:
        with storing(database) as unit:
            made = xealth_site.make_xealth_clinic(unit)
        for person, mrn in ((CAROL, "A-1"), (DAVE, "B-2"), (ERIN, None), (PETE, "C-3")):
            _patient(database, made, person, mrn=mrn)
        with storing(database) as unit:
            make_subscription(unit, unit.patients.get(made.id, PETE.id), kind=XEALTH_REPORTS, active=False)
        return made

    def _env(self, xealth: XealthServer) -> dict[str, str]:
        config = xealth.config(session_secret="x" * 32)
        names = (
            "bearer_token",
            "client_id",
            "client_secret",
            "token_url",
            "server_base_url",
        )
        found = {f"CLINIC_XEALTH_{name.upper()}": str(getattr(config, f"xealth_{name}")) for name in names}
        return found | {"CLINIC_XEALTH_ENABLED": "true", "CLINIC_APPLICATION_URL": str(config.application_url)}

    def _placed(self, xealth: XealthServer) -> list[Any]:
        return [one.json for one in xealth.server.received if "/partner/write/order/" in one.path]

    def test_orders_are_placed(self, run: Run, xealth: XealthServer, xealth_clinic: Clinic) -> None:
        result = run("patients", "enroll", xealth_clinic.id, **self._env(xealth))
        assert result.exit_code == 0, result.output
        assert self._placed(xealth) == [
            {
                "orderType": "enrollment",
                "partnerId": "tidepool",
                "programId": xealth_site.PROGRAM,
                "programTitle": "Tidepool",
                "patientId": {"id": mrn, "type": "MRN", "origin": "cerner"},
            }
            for mrn in ("A-1", "B-2")
        ]
        assert result.output.splitlines() == [f"{who.id}: an order was placed" for who in (CAROL, DAVE)]

    def test_dry_run_places_none(self, run: Run, xealth: XealthServer, xealth_clinic: Clinic) -> None:
        result = run("patients", "enroll", xealth_clinic.id, "--dry-run", **self._env(xealth))
        assert result.exit_code == 0
        assert xealth.server.received == []
        assert result.output.splitlines() == [f"{who.id}: an order would be placed" for who in (CAROL, DAVE)]

    def test_flags_choose(self, run: Run, xealth: XealthServer, xealth_clinic: Clinic) -> None:
        run("patients", "enroll", xealth_clinic.id, "-l", "1", "--mrn-origin", "epic", **self._env(xealth))
        run("patients", "enroll", xealth_clinic.id, "--user-id", DAVE.id, **self._env(xealth))
        assert [one["patientId"] for one in self._placed(xealth)] == [
            {"id": "A-1", "type": "MRN", "origin": "epic"},
            {"id": "B-2", "type": "MRN", "origin": "cerner"},
        ]

    @pytest.mark.parametrize("response", [Response(500), Response(raw=b"")])
    def test_one_that_fails_does_not_end_the_others(
        self, run: Run, xealth: XealthServer, xealth_clinic: Clinic, response: Response
    ) -> None:
        usual = xealth.server.answer
        answers = [response]

        def answer(received: Any) -> Response:
            if "/partner/write/order/" in received.path and answers:
                return answers.pop()
            return usual(received)

        xealth.server.answer = answer
        result = run("patients", "enroll", xealth_clinic.id, **self._env(xealth))
        assert result.exit_code == 1
        first, second, last = result.output.splitlines()
        assert first.startswith(f"{CAROL.id}: ")
        assert second == f"{DAVE.id}: an order was placed"
        assert "1 of 2 orders" in last

    def test_clinic_without_a_program_is_an_error(self, run: Run, database: Database, xealth: XealthServer) -> None:
        with storing(database) as unit:
            made = xealth_site.make_xealth_clinic(unit, ehr={"procedureCodes": {"createAccountAndEnableReports": ""}})
        _patient(database, made, CAROL, mrn="A-1")
        result = run("patients", "enroll", made.id, "--dry-run", **self._env(xealth))
        assert result.exit_code == 1
        assert "no program" in result.output


class TestBackfillEmails:
    def _custodial(self, database: Database, clinic: Clinic, mrn: str, email: str | None = None) -> Patient:
        accounts = EmbeddedAccounts(database)
        account = accounts.create_custodial(clinic.id, email, accounts.choose_user_id())
        person = CAROL._replace(id=account.user_id)
        return _patient(database, clinic, person, "custodian", "view", mrn=mrn, email=email)

    def _order(self, email: Any, **parts: Any) -> dict[str, Any]:
        made = order(**parts)
        made["Meta"]["Logs"] = []
        made["Patient"]["Demographics"]["EmailAddresses"] = [email]
        return made

    def _emails(self, database: Database) -> dict[str, str | None]:
        return {patient.mrn or "": patient.email for patient in stored(database, Patient)}

    @pytest.fixture
    def patients(self, database: Database, clinic: Clinic) -> None:
        orders = {
            "no address": self._order(""),
            "nonsense": self._order("nonsense"),
            "child": self._order("carol@mail.example"),
            "taken": self._order("taken@mail.example"),
            "first": self._order("first@mail.example"),
            "second": self._order("second@mail.example"),
        }
        orders["child"]["Patient"]["Demographics"]["DOB"] = "2020-01-01"
        EmbeddedAccounts(database).create_custodial(clinic.id, "taken@mail.example", "0000000001")
        for mrn, made in orders.items():
            _subscribe(database, self._custodial(database, clinic, mrn), _receive(database, made))
        _subscribe(database, self._custodial(database, clinic, "no message"))
        _subscribe(database, self._custodial(database, clinic, "gone"), "65f1c0de0a1b2c3d4e5f6a7b")
        message_id = _receive(database, self._order("other@mail.example"))
        _subscribe(database, self._custodial(database, clinic, "inactive"), message_id, active=False)
        _subscribe(database, self._custodial(database, clinic, "has one", "mine@mail.example"), message_id)
        _subscribe(database, _patient(database, clinic, DAVE, mrn="claimed", email=None), message_id)
        self._custodial(database, clinic, "not subscribed")

    @pytest.mark.usefixtures("patients")
    @pytest.mark.parametrize("size", ["1", "2", "100"])
    def test_addresses_of_the_last_orders_are_given(
        self, run: Run, database: Database, clinic: Clinic, size: str
    ) -> None:
        before = self._emails(database)
        result = run("patients", "backfill-emails", clinic.id, "--batch-size", size)
        assert result.exit_code == 0, result.output
        given = {
            "child": "gail@mail.example",
            "first": "first@mail.example",
            "second": "second@mail.example",
        }
        assert self._emails(database) == before | given
        accounts = EmbeddedAccounts(database)
        assert all(accounts.find_by_email(email) for email in given.values())
        assert result.output.splitlines()[-1] == (
            "3 given, 1 the address is somebody else's, 2 the order has no address, 2 the order is not stored"
        )

    @pytest.mark.usefixtures("patients")
    def test_dry_run_changes_nothing(self, run: Run, database: Database, clinic: Clinic) -> None:
        before = self._emails(database)
        result = run("patients", "backfill-emails", clinic.id, "--dry-run")
        assert result.exit_code == 0
        assert self._emails(database) == before
        assert result.output.splitlines()[-1].endswith("4 would be given")

    @pytest.mark.usefixtures("patients")
    def test_addresses_are_not_shown(self, run: Run, clinic: Clinic) -> None:
        assert "@" not in run("patients", "backfill-emails", clinic.id).output

    def test_repeat_finds_nobody(self, run: Run, database: Database, clinic: Clinic) -> None:
        message_id = _receive(database, self._order("first@mail.example"))
        _subscribe(database, self._custodial(database, clinic, "one"), message_id)
        assert run("patients", "backfill-emails", clinic.id).output.endswith("1 given\n")
        assert run("patients", "backfill-emails", clinic.id).output == "nobody\n"


class TestMessages:
    def test_latest_come_first_without_what_they_say(self, run: Run, database: Database) -> None:
        with clock.frozen(NOW):
            first = _receive(database)
        with clock.frozen(NOW + timedelta(seconds=1)):
            second = _receive(database)
        result = run("messages", "list")
        assert result.exit_code == 0
        heading, *rows = _lines(result)
        assert heading == ["ID", "RECEIVED", "KIND", "SOURCE", "LOG", "REPEATS", "STATE", "REASON"]
        assert [row[:3] for row in rows] == [
            [second, "2026-03-02T09:30:01.000Z", "Order/New"],
            [first, "2026-03-02T09:30:00.000Z", "Order/New"],
        ]
        assert rows[0][-1] == first
        assert "Cooper" not in result.output

    def test_pages(self, run: Run, database: Database) -> None:
        ids = [_receive(database) for _ in range(3)]
        assert _lines(run("messages", "list", "-l", "1", "-o", "1"))[1][0] == ids[1]


class TestPurge:
    def test_old_rows_are_removed(self, run: Run, database: Database) -> None:
        now = clock.now()
        for days in (91, 89):
            with clock.frozen(now - timedelta(days=days)):
                _receive(database)
                with storing(database) as unit:
                    sent = {"document_id": f"{days:024x}", "data_model": "Notes", "sent_time": unit.now}
                    unit.session.add(SentMessage(**sent))
        result = run("purge")
        assert (result.exit_code, result.output) == (
            0,
            "Removed: 1 messages of Redox, 0 scheduled reports, 0 orders of Xealth, 0 forms of Xealth.\n",
        )
        assert len(stored(database, RedoxMessage)) == 1
        assert [row.document_id for row in stored(database, SentMessage)] == [f"{89:024x}"]


class TestSchedule:
    def test_round_is_scheduled_and_told(self, run: Run, database: Database, clinic: Clinic) -> None:
        _subscribe(database, _patient(database, clinic, CAROL), _receive(database))
        result = run("schedule", "run", "--once")
        assert (result.exit_code, result.output) == (0, "1 clinics scheduled, 0 failed\n")
        assert len(stored(database, ScheduledReportOrder)) == 1
        assert run("schedule", "run", "--once").output == "0 clinics scheduled, 0 failed\n"

    def test_failure_is_an_error(self, run: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        with storing(database) as unit:
            made = make_ehr_clinic(unit)

        def fail(*_: Any) -> None:
            raise KeyError

        monkeypatch.setattr("clinic_service.resources.ehr.redox.report_schedule.sync_clinic", fail)
        result = run("schedule", "run", "--once")
        assert result.exit_code == 1
        assert made.id in result.output

    def test_runs_until_it_is_told_to_stop(self, database: Database, config: Config, clinic: Clinic) -> None:
        command = [sys.executable, "-m", "clinic_service", "ehr", "schedule", "run"]
        with subprocess.Popen(command, env={"CLINIC_DATABASE_URL": config.database_url}) as process:
            while not stored(database, ReportSchedule):
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        assert [row.clinic_id for row in stored(database, ReportSchedule)] == [clinic.id]


def test_help_names_every_command(run: Run) -> None:
    output = run("--help").output
    assert all(name in output for name in ("clinics", "patients", "messages", "schedule", "purge"))


def test_provider_is_known() -> None:
    assert {provider.value for provider in EhrProvider} == {"redox", "xealth"}
