"""Makes summaries of glucose data up, in the form in which the data service sends them."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from clinic_service import clock
from clinic_service.db.ids import new_id
from clinic_service.demo.figures import figures, habits
from clinic_service.models.statistics import BGM, CGM, PERIODS

_SHARES = {CGM: 0.7, BGM: 0.5}
_DAYS = {period: int(period[:-1]) for period in PERIODS}
CONFIG = {
    "schemaVersion": 5,
    "highGlucoseThreshold": 10.0,
    "veryHighGlucoseThreshold": 13.9,
    "lowGlucoseThreshold": 3.9,
    "veryLowGlucoseThreshold": 3.0,
}
_MINUTES_OF_A_DAY = 1440


def summaries(random: Random, now: datetime) -> dict[str, dict[str, Any]]:
    """The summaries of a new person, by type. Of 100 people, 70 have one of a monitor (CGM) and 50 one of a meter (BGM)."""
    usual = habits(random)
    return {
        kind: {
            "id": new_id(),
            "config": CONFIG,
            "dates": _dates(random, now),
            "periods": {period: figures(kind, random, usual, days) for period, days in _DAYS.items()},
        }
        for kind, share in _SHARES.items()
        if random.random() < share
    }


def _dates(random: Random, now: datetime) -> dict[str, Any]:
    """The dates of a summary. Most people uploaded within the last days; one in ten did not for a month or more."""
    days_ago = random.uniform(30, 400) if random.random() < 0.1 else random.expovariate(1 / 3)
    last = now - timedelta(days=days_ago)
    uploaded = last + timedelta(minutes=random.uniform(1, 10))
    times = {
        "lastUpdatedDate": uploaded + timedelta(seconds=random.uniform(1, 60)),
        "firstData": last - timedelta(minutes=random.randrange(_MINUTES_OF_A_DAY, 900 * _MINUTES_OF_A_DAY)),
        "lastData": last,
        "lastUploadDate": uploaded,
    }
    if random.random() < 0.05:
        times["outdatedSince"] = uploaded + timedelta(minutes=2)
    flags = {
        "hasFirstData": True,
        "hasLastData": True,
        "hasLastUploadDate": True,
        "hasOutdatedSince": "outdatedSince" in times,
    }
    spelled = {name: clock.to_wire(time) for name, time in times.items()}
    return {**flags, **spelled, "lastUpdatedReason": ["UPLOAD_COMPLETED"]}
