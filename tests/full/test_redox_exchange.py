"""A server that is started with the settings of Redox carries orders out by itself."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from clinic_service.models import EhrSubscription, OrderOutcome
from tests.ehr.exchange import MRN, SETTINGS
from tests.ehr.orders import order
from tests.support.cast import CAROL
from tests.support.ehr import make_ehr_clinic
from tests.support.processes import ServerProcess, serving
from tests.support.redox import redox_server
from tests.support.rows import make_patient, stored, storing

TOKEN = "shared with Redox"


def _send(server: ServerProcess, message: dict[str, Any]) -> int:
    """Send a message as Redox does; the status of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"verification-token": TOKEN, "content-type": "application/json"}
    try:
        connection.request("POST", "/v1/redox", json.dumps(message), headers)
        return connection.getresponse().status
    finally:
        connection.close()


def _wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.1)


def test_orders_are_carried_out_and_answered(database_url: str, tmp_path: Path) -> None:
    upgrade(database_url)
    database = Database(database_url, sqlite_synchronous="NORMAL", pool_size=1)
    with storing(database) as unit:
        make_patient(unit, make_ehr_clinic(unit, **SETTINGS), CAROL, mrn=MRN)
    settings = {"CLINIC_DATABASE_URL": database_url, "CLINIC_REDOX_VERIFICATION_TOKEN": TOKEN}
    later = order("DISABLE")
    later["Meta"] |= {"EventDateTime": "2026-03-02T10:00:00Z", "Logs": [{"ID": "another"}]}

    def states() -> list[str]:
        return sorted(outcome.state for outcome in stored(database, OrderOutcome))

    with redox_server() as redox, serving(tmp_path, **redox.environ | settings) as server:
        assert _send(server, order()) == 200
        _wait_until(lambda: states() == ["answered"])
        # The same once more, and then the opposite.
        assert _send(server, order()) == 200
        assert _send(server, later) == 200
        _wait_until(lambda: states() == ["answered", "answered", "ignored"])
        assert redox.kinds == ["Results/New", "Notes/New", "Results/New"]
    assert [subscription.active for subscription in stored(database, EhrSubscription)] == [False]
    database.dispose()
