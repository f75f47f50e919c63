"""Facts: the data from which the report of a patient is made, read when the report is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, select

from clinic_service.db.repository import Unit
from clinic_service.models import (
    IS_REDOX_SUBSCRIPTION,
    SUBSCRIPTIONS_OF_PATIENT,
    BgUnits,
    Clinic,
    EhrProvider,
    EhrSubscription,
    Patient,
    Summary,
    SummaryDocument,
)
from clinic_service.resources.settings.schemas import ehr_settings_schema

_FACTS = (
    select(
        Clinic.timezone,
        Clinic.preferred_bg_units,
        Clinic.ehr_settings,
        Patient.id,
        Patient.full_name,
        Patient.birth_date,
        Patient.mrn,
        EhrSubscription.active,
    )
    .join(Patient, Patient.clinic_id == Clinic.id)
    .outerjoin(
        EhrSubscription,
        and_(SUBSCRIPTIONS_OF_PATIENT, IS_REDOX_SUBSCRIPTION),
    )
    .where(
        Clinic.id == bindparam("clinic_id"),
        Patient.user_id == bindparam("user_id"),
        Clinic.ehr_provider == EhrProvider.REDOX,
        Clinic.ehr_enabled,
    )
)
_SUMMARIES = (
    select(Summary.type, Summary.last_data, Summary.last_upload_date, SummaryDocument.document)
    .join(
        SummaryDocument,
        and_(
            SummaryDocument.clinic_id == Summary.clinic_id,
            SummaryDocument.patient_id == Summary.patient_id,
            SummaryDocument.type == Summary.type,
        ),
    )
    .where(Summary.clinic_id == bindparam("clinic_id"), Summary.patient_id == bindparam("patient_id"))
)


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """A patient of a clinic that is connected through Redox.

    `settings` are the EHR settings as `ehr_settings_schema` reads them, and `summaries` is a `patientSummary.v1`.
    `last_data` and `last_upload` are the latest times of both summaries. `is_subscribed`: whether reports are switched on.
    """

    user_id: str
    settings: SimpleNamespace
    timezone: str | None
    bg_units: BgUnits
    full_name: str | None
    birth_date: str | None
    mrn: str | None
    is_subscribed: bool
    summaries: Mapping[str, Any]
    last_data: datetime | None
    last_upload: datetime | None


def find_facts(uow: Unit, clinic_id: str, user_id: str) -> ReportFacts | None:
    """The facts, read in two statements; None when the clinic or the patient is gone, or the clinic is not connected."""
    row = uow.first(_FACTS, {"clinic_id": clinic_id, "user_id": user_id})
    if row is None:
        return None
    found = uow.rows(_SUMMARIES, {"clinic_id": clinic_id, "patient_id": row.id})
    return ReportFacts(
        user_id=user_id,
        settings=ehr_settings_schema.load(row.ehr_settings),
        timezone=row.timezone,
        bg_units=row.preferred_bg_units or BgUnits.MG_DL,
        full_name=row.full_name,
        birth_date=row.birth_date,
        mrn=row.mrn,
        is_subscribed=bool(row.active),
        summaries={f"{summary.type}Stats": orjson.loads(summary.document) for summary in found},
        last_data=max((summary.last_data for summary in found if summary.last_data), default=None),
        last_upload=max((summary.last_upload_date for summary in found if summary.last_upload_date), default=None),
    )
