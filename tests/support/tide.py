"""A clinic whose TIDE report is read: patients by short names, who carry a tag and have readings of yesterday."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Patient
from tests.support.cast import BOB, Somebody
from tests.support.client import Client, Reply
from tests.support.patient_lists import Ward, stats
from tests.support.rows import make_data_source, storing

# When all reports are made, and what they ask for unless a test says otherwise.
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CUTOFF = datetime(2026, 2, 16, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
DEFAULTS = [
    "timeInVeryLowPercent",
    "timeInAnyLowPercent",
    "timeInVeryHighPercent",
    "timeInAnyHighPercent",
    "dropInTimeInTargetPercent",
    "timeCGMUsePercent",
    "meetingTargets",
]
OTHERS = ["timeInTargetPercent", "timeInExtremeHighPercent"]
HOUR, MILLISECOND = timedelta(hours=1), timedelta(milliseconds=1)


def cgm(
    figures: Mapping[str, Any], last_data: datetime | str | None = YESTERDAY, period: str = "14d"
) -> dict[str, Any]:
    """A summary with these figures of one period, flagged as senders do."""
    return stats(figures, period, dates=dates(last_data))


def dates(last_data: datetime | str | None) -> dict[str, Any]:
    """The dates of a summary, as far as reports know them; text stands as it is."""
    time = clock.to_wire(last_data) if isinstance(last_data, datetime) else last_data
    return {"hasLastData": time is not None, **({} if time is None else {"lastData": time})}


class Tide(Ward):
    """A clinic of Alice's and Bob's with a tag that reports are asked for."""

    def __init__(self, api: Client, database: Database) -> None:
        super().__init__(api, database)
        self.path = f"/v1/clinics/{self.clinic.id}/tide_report"
        self.pump = self.tag("Pump")

    def have(self, **figures: Mapping[str, Any]) -> None:
        """The next patients by name, each with these figures of 14 days."""
        self.add_all({name: {"cgm": cgm(of_one), "tags": [self.pump]} for name, of_one in figures.items()})

    def read(self, **last_data: datetime | str | None) -> None:
        """The next patients by name, each with a newest reading of that time and nothing else."""
        self.add_all({name: {"cgm": cgm({}, time), "tags": [self.pump]} for name, time in last_data.items()})

    def connect(self, name: str, **states: str) -> None:
        """Give the patient of that name sources of data, by provider."""
        user_id = next(user_id for user_id, known in self.names.items() if known == name)
        with storing(self.database) as unit:
            patient: Patient = unit.patients.get(self.clinic.id, user_id)
            for provider, state in states.items():
                make_data_source(unit, patient, provider, state=state)

    def ask(self, query: Any = "", as_: Somebody | None = BOB, /, **more: Any) -> Reply:
        """The answer to a query as it stands in a URL, or else to the usual one with some parameters changed.

        None leaves one out; lists are joined by commas.
        """
        text = query or urlencode({name: _spelled(value) for name, value in self.asked(more) if value is not None})
        with clock.frozen(NOW):
            return self.api.get(f"{self.path}?{text}", as_=as_)

    def asked(self, changed: Mapping[str, Any]) -> list[tuple[str, Any]]:
        usual = {"period": "14d", "tags": self.pump.id, "lastDataCutoff": clock.to_wire(CUTOFF)}
        return list({**usual, **changed}.items())

    def results(self, **query: Any) -> dict[str, list[str]]:
        """The names in each category of the report."""
        reply = self.ask("", BOB, **query)
        assert reply.status == 200, reply.json
        found = reply.json["results"]
        return {category: [self.names[one["patient"]["id"]] for one in entries] for category, entries in found.items()}

    def members(self, category: str, **query: Any) -> list[str]:
        """The names in a category that is the only one asked for."""
        return self.results(categories=category, **query)[category]

    def without_data(self, **query: Any) -> list[str]:
        return self.results(**query)["noData"]


def _spelled(value: Any) -> str:
    if isinstance(value, datetime):
        return clock.to_wire(value)
    return ",".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)
