"""`clinic-service ehr`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic_service import clock
from clinic_service.cli.ehr import ehr
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import (
    Clinic,
    EhrProvider,
    Patient,
    RedoxMessage,
    ReportSchedule,
    ScheduledReportOrder,
    SentMessage,
)
from tests.cli.ehr_patients import Run, add_patient, receive_message, subscribe
from tests.ehr.exchange import NOW, SETTINGS
from tests.support.cast import CAROL, DAVE, ERIN
from tests.support.ehr import make_ehr_clinic
from tests.support.rows import make_clinic, stored, storing


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(ehr, arguments, env={"CLINIC_DATABASE_URL": config.database_url} | env)

    return call


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_ehr_clinic(unit, **SETTINGS)


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
            "carol": add_patient(database, clinic, CAROL, mrn="b-2"),
            "dave": add_patient(database, clinic, DAVE, mrn="A-1"),
            "erin": add_patient(database, clinic, ERIN, mrn=None),
        }
        subscribe(database, made["carol"])
        subscribe(database, made["erin"], active=False)
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
        assert result.output.splitlines()[-1] == ("1 patient" if len(expected) == 1 else f"{len(expected)} patients")

    def test_limits_beyond_any_table_are_refused(self, run: Run, clinic: Clinic) -> None:
        for option in ("--limit", "--offset"):
            assert run("patients", "list", clinic.id, option, "9" * 23).exit_code == 2
            assert run("messages", "list", option, "9" * 23).exit_code == 2

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


class TestMessages:
    def test_latest_come_first_without_what_they_say(self, run: Run, database: Database) -> None:
        with clock.frozen(NOW):
            first = receive_message(database)
        with clock.frozen(NOW + timedelta(seconds=1)):
            second = receive_message(database)
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
        ids = [receive_message(database) for _ in range(3)]
        assert _lines(run("messages", "list", "-l", "1", "-o", "1"))[1][0] == ids[1]


class TestPurge:
    def test_old_rows_are_removed(self, run: Run, database: Database) -> None:
        now = clock.now()
        for days in (91, 89):
            with clock.frozen(now - timedelta(days=days)):
                receive_message(database)
                with storing(database) as unit:
                    sent = {"document_id": f"{days:024x}", "data_model": "Notes", "sent_time": unit.now}
                    unit.session.add(SentMessage(**sent))
        result = run("purge")
        assert (result.exit_code, result.output) == (
            0,
            "Removed: 1 message of Redox, 0 scheduled reports, 0 orders of Xealth, 0 forms of Xealth.\n",
        )
        assert len(stored(database, RedoxMessage)) == 1
        assert [row.document_id for row in stored(database, SentMessage)] == [f"{89:024x}"]


class TestSchedule:
    def test_round_is_scheduled_and_told(self, run: Run, database: Database, clinic: Clinic) -> None:
        subscribe(database, add_patient(database, clinic, CAROL), receive_message(database))
        result = run("schedule", "run", "--once")
        assert (result.exit_code, result.output) == (0, "1 clinic scheduled, 0 failed\n")
        assert len(stored(database, ScheduledReportOrder)) == 1
        assert run("schedule", "run", "--once").output == "0 clinics scheduled, 0 failed\n"

    def test_failure_is_an_error(self, run: Run, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        with storing(database) as unit:
            made = make_ehr_clinic(unit)

        def fail(*_: Any) -> None:
            raise KeyError

        monkeypatch.setattr("clinic_service.resources.ehr.redox.cadence.sync_clinic", fail)
        result = run("schedule", "run", "--once")
        assert result.exit_code == 1
        line, message = result.stderr.splitlines()
        logged = json.loads(line)
        assert (logged["message"], logged["clinic"], logged["failure"]) == (
            "reports_not_scheduled",
            made.id,
            "KeyError",
        )
        assert made.id in message

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
