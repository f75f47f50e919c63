"""Which of a clinic's patient limits apply, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from clinic_service.models import Clinic, Tier

# Exactly this: a clinic in the `USA` is unlimited.
_LIMITED_COUNTRY = "US"


class PatientLimits(NamedTuple):
    """What decides whether the stored limits of a clinic apply, and these limits."""

    country: str | None
    tier: str | None
    patient_count_settings: dict[str, Any] | None


def applying_settings(clinic: Clinic | PatientLimits) -> dict[str, Any]:
    """The limits that apply to the clinic, as `patientCountSettings.v1`; empty when it is unlimited.

    Limits are for clinics of the free tier in the United States, or not known to be elsewhere. The stored ones stay
    for the day when a clinic becomes one of these again.
    """
    limited = clinic.country in (None, "", _LIMITED_COUNTRY) and clinic.tier in (None, Tier.FREE)
    return (clinic.patient_count_settings or {}) if limited else {}


def hard_limit(clinic: Clinic, now: datetime) -> int | None:
    """How many patients that count the clinic may have at `now`; None for any number."""
    limit = applying_settings(clinic).get("hardLimit")
    if limit is None or not _is_in_force(limit, now):
        return None
    plan: int = limit["plan"]
    return plan


def _is_in_force(limit: dict[str, Any], now: datetime) -> bool:
    start, end = _time(limit.get("startDate")), _time(limit.get("endDate"))
    return (start is None or start <= now) and (end is None or now <= end)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
