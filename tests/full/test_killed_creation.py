"""A server that is killed while another system makes an account for it."""

from __future__ import annotations

import http.client
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from clinic_service.gateways.accounts.http import HttpAccounts
from clinic_service.models import Patient
from tests.conftest import SECRET
from tests.support.cast import BOB, CAROL, ERIN
from tests.support.http_server import Received, Response
from tests.support.platform import Platform, platform
from tests.support.processes import ServerProcess, serving
from tests.support.relays import make_relay
from tests.support.rows import make_staffed_clinic, stored, storing
from tests.support.tokens import token_of


@pytest.mark.parametrize("made", [True, False], ids=["made", "not made"])
def test_the_address_can_be_used_again(database_url: str, tmp_path: Path, made: bool) -> None:
    upgrade(database_url)
    database = Database(database_url)
    with storing(database) as unit:
        clinic_id = make_staffed_clinic(unit).id
    with platform() as there:
        config = there.config()
        settings = {f"CLINIC_{name.upper()}": getattr(config, name) for name in _ACCOUNTS_SETTINGS}
        settings |= {"CLINIC_DATABASE_URL": database_url, "CLINIC_SESSION_SECRET": SECRET}
        with serving(tmp_path, **settings) as server:
            kill_while_asked(there, server, made=made)
            with pytest.raises((OSError, http.client.HTTPException)):
                create(server, clinic_id)
        assert len(there.users) == made
        there.users[ERIN.id] = ERIN.email
        there.on_bad_days = lambda _: None
        with clock.frozen(datetime.now(UTC) + timedelta(minutes=10)):
            relay = make_relay(database, config, None, HttpAccounts(config))
            while relay.deliver_due():
                pass
        assert there.users == {ERIN.id: ERIN.email}
        assert stored(database, Patient) == []
    database.dispose()


_ACCOUNTS_SETTINGS = ("accounts_url", "profiles_url", "accounts_server_name", "accounts_server_secret")


def kill_while_asked(there: Platform, server: ServerProcess, *, made: bool) -> None:
    """Kill the server when it asks for an account, which is `made` or is not."""

    def answer(received: Received) -> Response | None:
        if received.method != "POST":
            return None
        if made:
            there.carry_out(received)
        server.kill_workers()
        return Response(raw=b"")

    there.on_bad_days = answer


def create(server: ServerProcess, clinic_id: str) -> None:
    token = token_of(BOB)
    body = {"fullName": CAROL.name, "birthDate": "1987-04-12", "email": CAROL.email}
    server.request("POST", f"/v1/clinics/{clinic_id}/patients", token, body)
