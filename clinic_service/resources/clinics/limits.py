"""Which patient limits apply to a clinic, and when."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from clinic_service.models import Clinic, Tier

# Compared exactly: a clinic whose country is spelled `USA` is unlimited.
_LIMITED_COUNTRY = "US"


class PatientLimits(NamedTuple):
    """The stored limits of a clinic, and the columns that decide whether they apply."""

    country: str | None
    tier: str | None
    patient_count_settings: dict[str, Any] | None


def applying_settings(clinic: Clinic | PatientLimits) -> dict[str, Any]:
    """The limits that apply to the clinic, as `patientCountSettings.v1`; empty when it is unlimited.

    Limits apply to clinics of the free tier whose country is the United States or is not known. The limits of other
    clinics stay stored, so that they apply again when the tier or the country changes back.
    """
    limited = clinic.country in (None, "", _LIMITED_COUNTRY) and clinic.tier in (None, Tier.FREE)
    return (clinic.patient_count_settings or {}) if limited else {}


def hard_limit(clinic: Clinic, now: datetime) -> int | None:
    """The number of patients that the clinic's plan allows at `now`; None when it is unlimited."""
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
