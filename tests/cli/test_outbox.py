"""`clinic-service outbox`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic_service.cli.outbox import outbox
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.models import OrderOutcome
from clinic_service.outbox.events import ClinicCreated, ClinicianAdded
from clinic_service.unit_of_work import writing
from tests.support.cast import ALICE, BOB
from tests.support.ehr import make_ehr_clinic, store_message
from tests.support.gates import wait_until
from tests.support.metrics import get, parsed
from tests.support.processes import free_port, spawn
from tests.support.redox import redox_server
from tests.support.rows import stored, storing
from tests.support.smtp_server import smtp_server

Run = Callable[..., Result]
CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str, **env: str) -> Result:
        return CliRunner().invoke(outbox, arguments, env={"CLINIC_DATABASE_URL": config.database_url} | env)

    return call


@pytest.fixture
def _events(database: Database) -> None:
    EmbeddedAccounts(database).add(NewAccount(ALICE.id, (ALICE.email,)))
    with writing(database) as unit:
        unit.outbox.add(ClinicCreated(CLINIC_ID, ALICE.id, "Harbour"), ClinicianAdded(CLINIC_ID, BOB.id))


def _listed(run: Run, *arguments: str, **env: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(run("list", "--json", *arguments, **env).output)
    return rows


@pytest.mark.usefixtures("_events")
def test_list_shows_what_waits(run: Run) -> None:
    result = run("list")
    heading, mail = result.output.splitlines()
    assert heading.split()[:5] == ["ID", "CREATED", "KIND", "CLINIC", "STATE"]
    assert "clinic_created" in mail
    assert "no mail server" in mail
    assert "Harbour" not in result.output


@pytest.mark.usefixtures("_events")
def test_list_of_all_shows_notices_as_delivered(run: Run) -> None:
    assert [(row["kind"], row["state"]) for row in _listed(run, "--all")] == [
        ("clinic_created", "no mail server"),
        ("clinician_added", "delivered"),
    ]


@pytest.mark.usefixtures("_events")
def test_json_shows_payloads(run: Run) -> None:
    mail, notice = _listed(run, "--all", CLINIC_SMTP_URL="smtp://mail.example")
    assert mail["payload"] == {"clinicId": CLINIC_ID, "userId": ALICE.id, "ClinicName": "Harbour"}
    assert (mail["state"], mail["attempts"], mail["deliveredTime"]) == ("waiting", 0, None)
    assert (notice["kind"], notice["clinicId"]) == ("clinician_added", CLINIC_ID)


@pytest.mark.usefixtures("_events")
def test_relay_once_without_a_mail_server(run: Run) -> None:
    assert run("relay", "--once").output == "0 delivered\n"
    assert [(row["kind"], row["state"]) for row in _listed(run)] == [("clinic_created", "no mail server")]


@pytest.mark.usefixtures("_events")
def test_purge_removes_what_is_delivered(run: Run) -> None:
    assert run("purge").output == "Removed: 0 delivered events, 0 unsent mail.\n"
    assert run("purge", "--older-than", "0").output == "Removed: 1 delivered events, 0 unsent mail.\n"
    assert [row["state"] for row in _listed(run, "--all")] == ["no mail server"]


@pytest.mark.usefixtures("_events")
def test_relay_once_sends_mail(run: Run) -> None:
    with smtp_server() as server:
        assert run("relay", "--once", CLINIC_SMTP_URL=f"smtp://127.0.0.1:{server.port}").stdout == "1 delivered\n"
        assert [envelope.recipients for envelope in server.received] == [[ALICE.email]]
    assert _listed(run) == []


@pytest.mark.usefixtures("_events")
def test_failure_is_listed(run: Run) -> None:
    with smtp_server() as server:
        server.refusal = f"550 no {ALICE.email} here"
        env = {"CLINIC_SMTP_URL": f"smtp://127.0.0.1:{server.port}"}
        relayed = run("relay", "--once", **env)
    assert relayed.stdout == "0 delivered\n"
    # The server of the test logs too, in this process.
    lines = [json.loads(line) for line in relayed.stderr.splitlines()]
    [line] = [line for line in lines if line["logger"].startswith("clinic_service.")]
    assert line["message"] == "delivery_failed"
    assert (line["kind"], line["failure"]) == ("clinic_created", "MailNotSent: SMTPRecipientsRefused 550")
    result = run("list", **env)
    assert "MailNotSent: SMTPRecipientsRefused 550" in result.output
    assert "failed, to be tried again" in result.output
    assert ALICE.email not in result.output


@pytest.mark.parametrize(
    "env", [{"CLINIC_SMTP_URL": "mail.example"}, {"CLINIC_SMTP_URL": "smtp://a", "CLINIC_MAIL_FROM": "b"}]
)
def test_settings_that_cannot_be_used(run: Run, env: dict[str, str]) -> None:
    assert run("relay", "--once", **env).exit_code == 2


@pytest.mark.usefixtures("_events")
def test_relay_carries_orders_out_where_redox_is_switched_on(run: Run, database: Database) -> None:
    with storing(database) as unit:
        make_ehr_clinic(unit)
        store_message(unit)
    with redox_server() as redox:
        # The clinic has no destinations, so the order is given up.
        assert run("relay", "--once", **redox.environ).stdout == "0 delivered\n"
    assert [outcome.state for outcome in stored(database, OrderOutcome)] == ["failed"]


@pytest.mark.usefixtures("_events")
def test_relay_leaves_orders_to_others_where_redox_is_switched_off(run: Run, database: Database) -> None:
    with storing(database) as unit:
        store_message(unit)
    assert run("relay", "--once").output == "1 delivered\n"
    assert stored(database, OrderOutcome) == []


@pytest.mark.usefixtures("_events")
def test_redox_settings_that_cannot_be_used(run: Run) -> None:
    assert run("relay", "--once", CLINIC_REDOX_ENABLED="true").exit_code == 2
    with redox_server() as redox:
        assert run("relay", "--once", **redox.environ | {"CLINIC_REDOX_PRIVATE_KEY": "none"}).exit_code == 2


@pytest.mark.usefixtures("_events")
def test_relay_stops_when_told_to(config: Config, run: Run) -> None:
    with smtp_server() as server:
        env = {"CLINIC_DATABASE_URL": config.database_url, "CLINIC_SMTP_URL": f"smtp://127.0.0.1:{server.port}"}
        process = subprocess.Popen([sys.executable, "-m", "clinic_service", "outbox", "relay"], env=env)
        try:
            assert server.arrived.wait(60)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            process.wait()
    # The round that was under way has been finished.
    assert [row["state"] for row in _listed(run, "--all")] == ["delivered", "delivered"]


@pytest.mark.usefixtures("_events")
def test_relay_shows_its_metrics(config: Config, tmp_path: Path) -> None:
    """Its deliveries, its own process, and what waits in the outbox."""
    port = free_port()
    with smtp_server() as server:
        settings = {"CLINIC_DATABASE_URL": config.database_url, "CLINIC_SMTP_URL": f"smtp://127.0.0.1:{server.port}"}
        process = spawn(tmp_path, "outbox", "relay", "--metrics-port", str(port), **settings)
        try:
            assert server.arrived.wait(60)
            wait_until(
                lambda: _value(port, "clinic_outbox_deliveries_total", kind="clinic_created", outcome="delivered") == 1
            )
            wait_until(lambda: _value(port, "clinic_outbox_due_events", kind="clinic_created") == 0)
            assert _value(port, "process_resident_memory_bytes", pid=str(process.pid)) > 2**20
        finally:
            process.terminate()
            process.communicate(timeout=60)


def _value(port: int, name: str, **labels: str) -> float:
    status, text = get(port, "/metrics")
    assert status == 200
    return parsed(text).get((name, frozenset(labels.items())), -1.0)
