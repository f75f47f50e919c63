"""What the tests of UpdatePatientSummary share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Patient
from clinic_service.models.statistics import BGM, CGM
from tests.support.cast import CAROL, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.rows import stored
from tests.support.summaries import NEWEST, bgm_stats, cgm_stats, dates

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ID, OTHER_ID = "5f0c7d1e9a3b4c6d8e2f1a0e", "5f0c7d1e9a3b4c6d8e2f1a0f"
STATS = {CGM: cgm_stats, BGM: bgm_stats}
TIMES = ("lastUpdatedDate", "firstData", "lastData", "lastUploadDate", "outdatedSince", "outdatedSinceLimit")


class Clinics(NamedTuple):
    first: str
    second: str


def update(api: Client, body: Any = ..., person: Somebody = CAROL, as_: Somebody | None = SERVICE) -> Reply:
    return api.post(f"/v1/patients/{person.id}/summary", as_=as_, json=body)


def shown(api: Client, clinic_id: str, person: Somebody = CAROL) -> Any:
    """What GetPatient shows; None when it shows no summary."""
    return api.get(f"/v1/clinics/{clinic_id}/patients/{person.id}", as_=SERVICE).json.get("summary")


def times(database: Database, person: Somebody = CAROL) -> dict[str, datetime]:
    """When somebody's records changed, by clinic."""
    return {row.clinic_id: row.updated_time for row in stored(database, Patient) if row.user_id == person.id}


def full(random: Random, **members: Any) -> dict[str, Any]:
    return {"cgmStats": cgm_stats(random, **members), "bgmStats": bgm_stats(random, **members)}


def summary_at(random: Random, hours: float | None, summary_id: str | None = ID, kind: str = CGM) -> dict[str, Any]:
    """A summary of that many hours before the newest; None for one that does not say."""
    time = None if hours is None else clock.to_wire(NEWEST - timedelta(hours=hours))
    return STATS[kind](random, id=summary_id, dates=dates(random, lastUpdatedDate=time))
