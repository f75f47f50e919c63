"""What the tests of AddServiceAccount share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.gateways.identity_provider import CLIENT_ID, CLIENT_SECRET, SUBJECT
from tests.support.cast import SERVICE, Somebody
from tests.support.client import Client, Reply

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


ACCOUNT = Somebody(SUBJECT, "Night Report Export", "")


# Long enough for an answer on a busy machine, short enough to wait for one that does not come.
SECONDS = 2.0


def add(api: Client, clinic_id: str, *, as_: Somebody | None = SERVICE, **body: Any) -> Reply:
    given = {"name": ACCOUNT.name, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET} | body
    return api.post(f"/v1/clinics/{clinic_id}/service_accounts", json=given, as_=as_)
