"""Nothing grows for ever: under traffic, with the shortest retention, the tables stop growing.

GROWTH_SECONDS in the environment tells how long the traffic lasts on each engine.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from clinic_service.db import schema
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.gateways.tokens import mint
from clinic_service.unit_of_work import reading
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.ehr import redox_order
from tests.support.processes import ServerProcess, serving
from tests.support.rows import make_account, make_staffed_clinic, share_code, storing

SECONDS = int(os.environ.get("GROWTH_SECONDS", "60"))
REDOX_SECRET = "a secret shared with Redox"
KEPT = ("DELIVERED_EVENTS", "CLOSED_INVITES", "PARTNER_MESSAGES", "DELETION_RECORDS")
SETTINGS = {
    "CLINIC_SESSION_SECRET": SECRET,
    "CLINIC_REDOX_VERIFICATION_TOKEN": REDOX_SECRET,
    "CLINIC_RETENTION_PAUSE_SECONDS": "1",
    # Otherwise the limits end the traffic of mails after its first minute.
    "CLINIC_MAX_MAILS_PER_HOUR_PER_CLINIC": "1000000",
    "CLINIC_MAX_MAILS_PER_HOUR_PER_PERSON": "1000000",
    # Its shortest retention is a day.
    "CLINIC_AUDIT": "off",
    **{f"CLINIC_KEEP_{kind}_DAYS": "0" for kind in KEPT},
}
# Mail waits for a mail server for at least a day, and what counts towards its limits is kept for an hour.
KEPT_LONGER = ("mail_requests",)


class Traffic:
    """What leaves something behind each time: a patient who comes and goes, an offer, a grant, and a message."""

    def __init__(self, server: ServerProcess, clinic_id: str) -> None:
        self.rounds = 0
        self._server, self._clinic_id = server, clinic_id
        self._clinic = f"/v1/clinics/{clinic_id}"

    def run(self, stop: threading.Event) -> None:
        for self.rounds in itertools.count(1):
            if stop.is_set():
                return
            self._come_and_go()

    def _come_and_go(self) -> None:
        carol = f"{self._clinic}/patients/{CAROL.id}"
        self._send("POST", carol, SERVICE, {"permissions": {"view": {}}})
        self._send("DELETE", carol, ALICE)
        offered = {"shareCode": share_code(self._clinic_id), "permissions": {"view": {}}}
        key = self._send("POST", f"/confirm/send/invite/{CAROL.id}/clinic", CAROL, offered)["key"]
        self._send("DELETE", f"{self._clinic}/invites/patients/{key}", ALICE)
        grant = f"/access/{CAROL.id}/{BOB.id}"
        self._send("POST", grant, CAROL, {"view": {}})
        self._send("POST", grant, CAROL, {})
        order = redox_order(log_id=f"log-{self.rounds}")
        answer = self._server.request("POST", "/v1/redox", None, order, {"verification-token": REDOX_SECRET})
        assert answer.status in (200, 204), answer

    def _send(self, method: str, path: str, who: Somebody, body: object = ...) -> dict[str, str]:
        token = mint(SECRET, who.id, service=who.is_service, lifetime=timedelta(hours=1))
        answer = self._server.request(method, path, token, body)
        assert answer.status in (200, 201, 204), (method, path, answer)
        found: dict[str, str] = answer.json
        return found


def sizes(database: Database) -> dict[str, int]:
    """The number of rows of each table."""
    with reading(database) as unit:
        return {
            table.name: unit.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
        }


def test_tables_stop_growing(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    database = Database(database_url, pool_size=1)
    with storing(database) as unit:
        for person in (ALICE, BOB, CAROL):
            make_account(unit, person)
        # Without mail to admins, since nothing would send it.
        clinic_id = make_staffed_clinic(unit, suppressed_notifications={"patientClinicInvitation": True}).id
    samples: list[dict[str, int]] = []
    with serving(tmp_path, **SETTINGS, CLINIC_DATABASE_URL=database_url) as server:
        traffic, stop = Traffic(server, clinic_id), threading.Event()
        thread = threading.Thread(target=traffic.run, args=(stop,))
        thread.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and thread.is_alive():
            samples.append(sizes(database))
            stop.wait(0.5)
        stop.set()
        thread.join()
        ended_by_itself = time.monotonic() < end
    database.dispose()
    assert not ended_by_itself
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    peaks = {name: (max(one[name] for one in first), max(one[name] for one in last)) for name in samples[0]}
    shown = {name: peak for name, peak in peaks.items() if any(peak)}
    print(f"\n{traffic.rounds} rounds, most rows in the first and the last third: {shown}")  # noqa: T201 - the figures count
    # A round leaves two to six rows in a table. So a table that kept them would have grown by at least a third of them.
    assert traffic.rounds > 30
    assert {n: p for n, p in peaks.items() if p[1] > 2 * p[0] + 50 and n not in KEPT_LONGER} == {}
    assert peaks["outbox"][1] < 2 * traffic.rounds
