"""Nothing grows for ever: under traffic, with the shortest retention, neither the tables grow nor the server's process.

GROWTH_SECONDS in the environment tells how long the traffic lasts on each engine: 20 minutes unless it is set.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from sqlalchemy import func, select

from clinic_service.db import schema
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry
from clinic_service.unit_of_work import reading
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, CAROL, SERVICE, Somebody
from tests.support.ehr import redox_order
from tests.support.processes import ServerProcess, serving
from tests.support.rows import make_account, make_clinic, make_staffed_clinic, share_code, storing
from tests.support.smtp_server import smtp_server
from tests.support.tokens import token_of

SECONDS = int(os.environ.get("GROWTH_SECONDS", "1200"))
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
# The traffic waits while more events than this wait for the relay.
MOST_UNDELIVERED = 200
# What counts towards the limits of mails is kept for an hour.
KEPT_LONGER = ("mail_requests",)


class Traffic:
    """What leaves something behind each time.

    A patient comes and goes; an offer, a grant, a message, and a change of roles. Two clinics are merged, and the one
    that is left is deleted.
    """

    def __init__(self, server: ServerProcess, database: Database, clinic_id: str) -> None:
        self.rounds = 0
        self.may_go_on = threading.Event()
        self._server, self._database, self._clinic_id = server, database, clinic_id
        self._clinic = f"/v1/clinics/{clinic_id}"

    def run(self, stop: threading.Event) -> None:
        for self.rounds in itertools.count(1):
            while not self.may_go_on.wait(0.1) and not stop.is_set():
                pass
            if stop.is_set():
                return
            self._come_and_go()
            self._change_roles("PRESCRIBER" if self.rounds % 2 else "CLINIC_MEMBER")
            self._merge_and_delete()

    def read(self) -> None:
        """One request that changes nothing, whose time is taken."""
        self._send("GET", f"{self._clinic}/clinicians", ALICE)

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

    def _change_roles(self, role: str) -> None:
        body = {"email": BOB.email, "name": BOB.name, "roles": [role]}
        self._send("PUT", f"{self._clinic}/clinicians/{BOB.id}", ALICE, body)

    def _merge_and_delete(self) -> None:
        # Without members, who would get mail.
        with storing(self._database) as unit:
            source, target = (make_clinic(unit).id for _ in range(2))
        self._send("POST", f"/v1/clinics/{target}/merge", SERVICE, {"sourceId": source})
        self._send("DELETE", f"/v1/clinics/{target}", SERVICE)

    def _send(self, method: str, path: str, who: Somebody, body: object = ...) -> dict[str, str]:
        token = token_of(who)
        answer = self._server.request(method, path, token, body)
        assert answer.status in (200, 201, 204), (method, path, answer)
        found: dict[str, str] = answer.json
        return found


def settings_of(database_url: str, mail_port: int) -> dict[str, str]:
    return {**SETTINGS, "CLINIC_DATABASE_URL": database_url, "CLINIC_SMTP_URL": f"smtp://127.0.0.1:{mail_port}"}


def sizes(database: Database) -> dict[str, int]:
    """The number of rows of each table."""
    with reading(database) as unit:
        return {
            table.name: unit.execute(select(func.count()).select_from(table)).scalar_one()
            for table in Base.metadata.sorted_tables
        }


def undelivered(database: Database) -> int:
    """The number of events that wait for the relay."""
    with reading(database) as unit:
        waiting = select(func.count()).select_from(OutboxEntry).where(OutboxEntry.delivered_time.is_(None))
        return int(unit.execute(waiting).scalar_one())


@dataclass
class Sample:
    """The state at one moment: rows by table, rounds so far, and what the server's process uses."""

    rows: dict[str, int]
    rounds: int
    memory: int
    threads: int
    open_files: int
    milliseconds: float

    @classmethod
    def take(cls, database: Database, traffic: Traffic, server: ServerProcess) -> Sample:
        began = time.perf_counter()
        traffic.read()
        milliseconds = (time.perf_counter() - began) * 1000
        return cls(
            sizes(database), traffic.rounds, server.memory(), server.threads(), server.open_files(), milliseconds
        )


def peak(samples: list[Sample], table: str) -> int:
    return max(one.rows[table] for one in samples)


def assert_process_does_not_grow(first: list[Sample], last: list[Sample]) -> None:
    """Compares the middle third of the time, when everything is warm, with the last one."""

    def middle(samples: list[Sample], name: str) -> float:
        return float(median(getattr(one, name) for one in samples))

    names = ("memory", "threads", "open_files", "milliseconds")
    print({name: (middle(first, name), middle(last, name)) for name in names})  # noqa: T201 - the figures count
    assert middle(last, "memory") < 1.05 * middle(first, "memory")
    assert max(one.threads for one in last) <= max(one.threads for one in first)
    assert middle(last, "open_files") <= middle(first, "open_files") + 2


def test_nothing_grows_for_ever(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    database = Database(database_url, pool_size=2)
    with storing(database) as unit:
        for person in (ALICE, BOB, CAROL):
            make_account(unit, person)
        # Without mail to admins, so that there is more traffic of other kinds.
        clinic_id = make_staffed_clinic(unit, suppressed_notifications={"patientClinicInvitation": True}).id
    samples: list[Sample] = []
    with smtp_server() as mail, serving(tmp_path, **settings_of(database_url, mail.port)) as server:
        traffic, stop = Traffic(server, database, clinic_id), threading.Event()
        thread = threading.Thread(target=traffic.run, args=(stop,))
        thread.start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and thread.is_alive():
            samples.append(Sample.take(database, traffic, server))
            # A relay that is behind is another matter than rows that are kept.
            (traffic.may_go_on.set if undelivered(database) < MOST_UNDELIVERED else traffic.may_go_on.clear)()
            stop.wait(0.5)
        stop.set()
        thread.join()
        ended_by_itself = time.monotonic() < end
    database.dispose()
    assert not ended_by_itself
    third = len(samples) // 3
    first, second, last = samples[:third], samples[third:-third], samples[-third:]
    peaks = {name: (peak(first, name), peak(last, name)) for name in samples[0].rows}
    shown = {name: both for name, both in peaks.items() if any(both)}
    print(f"\n{traffic.rounds} rounds, most rows in the first and the last third: {shown}")  # noqa: T201 - the figures count
    # A round leaves a row or several. So a table that kept them would have grown by at least a third of the rounds.
    assert last[0].rounds - first[0].rounds > 15
    assert last[-1].rounds - last[0].rounds > 15
    assert {n: p for n, p in peaks.items() if p[1] > 2 * p[0] + 50 and n not in KEPT_LONGER} == {}
    assert peaks["outbox"][1] < 2 * traffic.rounds
    assert_process_does_not_grow(second, last)
