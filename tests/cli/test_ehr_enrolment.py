"""`clinic-service ehr patients enroll` and `backfill-emails`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic_service.cli.ehr import ehr
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.models import XEALTH_REPORTS, Clinic, Patient
from tests.cli.ehr_patients import Run, add_patient, receive_message, subscribe
from tests.ehr.exchange import SETTINGS
from tests.ehr.orders import order
from tests.support import xealth_site
from tests.support.cast import CAROL, DAVE, ERIN, PETE
from tests.support.ehr import make_ehr_clinic, make_subscription
from tests.support.http_server import Response
from tests.support.rows import stored, storing
from tests.support.xealth_server import XealthServer, xealth_server


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(ehr, arguments, env={"CLINIC_DATABASE_URL": config.database_url} | env)

    return call


@pytest.fixture
def clinic(database: Database) -> Clinic:
    with storing(database) as unit:
        return make_ehr_clinic(unit, **SETTINGS)


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
            add_patient(database, made, person, mrn=mrn)
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
        add_patient(database, made, CAROL, mrn="A-1")
        result = run("patients", "enroll", made.id, "--dry-run", **self._env(xealth))
        assert result.exit_code == 1
        assert "no program" in result.output


class TestBackfillEmails:
    def _custodial(self, database: Database, clinic: Clinic, mrn: str, email: str | None = None) -> Patient:
        accounts = EmbeddedAccounts(database)
        account = accounts.create_custodial(clinic.id, email, accounts.choose_user_id())
        person = CAROL._replace(id=account.user_id)
        return add_patient(database, clinic, person, "custodian", "view", mrn=mrn, email=email)

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
            subscribe(database, self._custodial(database, clinic, mrn), receive_message(database, made))
        subscribe(database, self._custodial(database, clinic, "no message"))
        subscribe(database, self._custodial(database, clinic, "gone"), "65f1c0de0a1b2c3d4e5f6a7b")
        message_id = receive_message(database, self._order("other@mail.example"))
        subscribe(database, self._custodial(database, clinic, "inactive"), message_id, active=False)
        subscribe(database, self._custodial(database, clinic, "has one", "mine@mail.example"), message_id)
        subscribe(database, add_patient(database, clinic, DAVE, mrn="claimed", email=None), message_id)
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
        message_id = receive_message(database, self._order("first@mail.example"))
        subscribe(database, self._custodial(database, clinic, "one"), message_id)
        assert run("patients", "backfill-emails", clinic.id).output.endswith("1 given\n")
        assert run("patients", "backfill-emails", clinic.id).output == "nobody\n"
