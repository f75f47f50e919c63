"""A clinic that is connected through Redox, whose orders are carried out against real servers on this machine."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.gateways.redox import HttpRedox, RedoxApi
from clinic_service.gateways.reports import chosen_reports
from clinic_service.models import (
    Clinic,
    OrderOutcome,
    OutboxEntry,
    Patient,
    ReportOrderState,
    ScheduledReportOrder,
)
from clinic_service.resources.ehr.redox.messages import receive
from clinic_service.resources.ehr.redox.relay import KINDS, PAUSE, RedoxRelay
from clinic_service.resources.ehr.redox.scheduling import sync_clinic
from tests.ehr.orders import order
from tests.support.cast import CAROL, Somebody
from tests.support.ehr import make_ehr_clinic, make_subscription
from tests.support.redox import Redox
from tests.support.relays import make_relay
from tests.support.rows import make_patient, stored, storing
from tests.support.summaries import put_summaries

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CODES = {
    "enableSummaryReports": "ENABLE",
    "disableSummaryReports": "DISABLE",
    "createAccount": "CREATE",
    "createAccountAndEnableReports": "BOTH",
}
DESTINATIONS = {"flowsheet": "to-flowsheets", "notes": "to-notes", "results": "to-results"}
SETTINGS: dict[str, Any] = {"procedureCodes": CODES, "destinationIds": DESTINATIONS}
MRN = "MRN-20417"


class Exchange:
    """A clinic, its database, and the relays that work for it. The time stands still unless `later` moves it."""

    def __init__(self, database: Database, redox: Redox) -> None:
        self.database, self.redox = database, redox
        self.accounts: Accounts = EmbeddedAccounts(database)
        self.configure()
        with storing(database) as unit:
            self.clinic_id = make_ehr_clinic(unit, **SETTINGS).id

    def configure(self, **settings: Any) -> None:
        """Start again with other settings of the server."""
        self.config = self.redox.config(**settings)
        self.relay = self.new_relay()

    def new_relay(self, redox: RedoxApi | None = None) -> RedoxRelay:
        """Another relay, as of another process."""
        gateway = redox or HttpRedox(self.config, seconds=20)
        return RedoxRelay(self.database, self.config, self.accounts, gateway, chosen_reports(self.config))

    def settings(self, **changed: Any) -> None:
        """Change EHR settings of the clinic; None leaves one out."""
        with storing(self.database) as unit:
            clinic = unit.clinics.get(self.clinic_id)
            given = copy.deepcopy(clinic.ehr_settings or {}) | changed
            clinic.ehr_settings = {name: value for name, value in given.items() if value is not None}

    def patient(self, person: Somebody = CAROL, *permissions: str, has_data: bool = True, **values: Any) -> Patient:
        """A patient of the clinic whom the order is about, by default one with data up to an hour ago."""
        with storing(self.database) as unit:
            clinic = unit.clinics.get(self.clinic_id)
            made = make_patient(unit, clinic, person, *permissions, **{"mrn": MRN, **values})
            if has_data:
                put_summaries(unit, person, cgmStats=cgm(uploaded=NOW - timedelta(hours=1)))
        self._forget_events()
        return made

    def receive(self, message: Mapping[str, Any] | None = None) -> str:
        """Store a message as Redox sends it, by default an order that switches reports on; its id."""
        message = order() if message is None else message
        with storing(self.database) as unit:
            return receive(unit, message, json.dumps(message))

    def subscribe(self, patient: Patient, message: Mapping[str, Any] | None = None) -> str:
        """Switch the patient's reports on by an order that was carried out a day ago; its id."""
        if message is None:
            message = order()
            message["Meta"] |= {"EventDateTime": clock.to_wire(NOW - timedelta(days=1)), "Logs": []}
        with clock.frozen(NOW - timedelta(days=1)):
            message_id = self.receive(message)
        with storing(self.database) as unit:
            make_subscription(unit, unit.patients.get(self.clinic_id, patient.user_id), message_id)
        self._forget_events()
        return message_id

    def _forget_events(self) -> None:
        with storing(self.database) as unit:
            unit.execute(delete(OutboxEntry))

    def sync(self) -> None:
        """Schedule reports of all subscribed patients."""
        with storing(self.database) as unit:
            sync_clinic(unit, self.clinic_id)

    def deliver(self) -> int:
        """Let the relay work once; how many events are done."""
        return self.relay.deliver_due()

    def deliver_three_times(self) -> None:
        """Let the relay try all that it ever tries."""
        for number in range(3):
            with self.later(number * PAUSE):
                self.relay.deliver_due()

    def compensate(self) -> None:
        """Let the relay of everything else work, when compensations are due."""
        with self.later(timedelta(minutes=2)):
            make_relay(self.database, self.config, None, self.accounts, left_out=KINDS).deliver_due()

    @staticmethod
    @contextmanager
    def later(time: timedelta) -> Iterator[None]:
        with clock.frozen(clock.now() + time):
            yield

    @property
    def patients(self) -> list[Patient]:
        return stored(self.database, Patient)

    @property
    def outcomes(self) -> list[OrderOutcome]:
        return stored(self.database, OrderOutcome)

    @property
    def events(self) -> list[OutboxEntry]:
        """The events of Redox."""
        return [entry for entry in stored(self.database, OutboxEntry) if entry.kind in KINDS]

    @property
    def scheduled(self) -> list[tuple[ReportOrderState, str | None]]:
        """State and reason of each scheduled report, in order."""
        found = stored(self.database, ScheduledReportOrder)
        return [(row.state, row.reason) for row in sorted(found, key=lambda row: (row.created_time, row.id))]

    @property
    def results(self) -> list[tuple[str, str, str]]:
        """Code, value and explanation of the result of each order, in order."""
        answered = [one["Orders"][0]["Results"] for one in self.redox.messages if "Orders" in one]
        return [(first["Code"], first["Value"], second["Value"]) for first, second in answered]

    @property
    def clinic(self) -> Clinic:
        return stored(self.database, Clinic)[0]


def cgm(uploaded: datetime, average: float = 8.5) -> dict[str, Any]:
    """A summary of a continuous monitor's data that was uploaded then."""
    time = clock.to_wire(uploaded)
    dates = {"lastUpdatedDate": time, "hasFirstData": False, "hasLastData": True, "lastData": time}
    dates |= {"hasLastUploadDate": True, "lastUploadDate": time, "hasOutdatedSince": False}
    figures = {"averageGlucoseMmol": average, "glucoseManagementIndicator": 6.97, "totalRecords": 3765}
    return {"id": "65f1c0de0a1b2c3d4e5f6d01", "dates": dates, "periods": {"14d": figures}}
