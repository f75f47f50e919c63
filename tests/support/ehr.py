"""Clinics that are connected to a health record system, and orders for their patients."""

from __future__ import annotations

import copy
from typing import Any

from clinic_service.models import (
    REDOX_REPORTS,
    Clinic,
    EhrProvider,
    EhrSubscription,
    MatchedMessage,
    Patient,
    SubscriptionKind,
)
from clinic_service.unit_of_work import UnitOfWork
from tests.support.rows import LONG_AGO, make_clinic

SOURCE_ID = "7ce6f387-c33c-417d-8682-81e83628cbd9"
SETTINGS: dict[str, Any] = {
    "enabled": True,
    "provider": "redox",
    "sourceId": SOURCE_ID,
    "mrnIdType": "MRN",
    "procedureCodes": {"enableSummaryReports": "ENABLE", "createAccountAndEnableReports": "CREATE-ENABLE"},
    "scheduledReports": {"cadence": "14d", "onUploadEnabled": True, "onUploadNoteEventType": "New"},
    "tags": {},
    "flowsheets": {"icode": False},
    "notes": {"includeGMI": False},
}


def ehr_columns(**settings: Any) -> dict[str, Any]:
    """The columns of a clinic with these settings; what is not given is as in SETTINGS."""
    wanted = copy.deepcopy(SETTINGS) | settings
    return {
        "ehr_settings": wanted,
        "ehr_provider": EhrProvider(wanted["provider"]),
        "ehr_source_id": wanted["sourceId"],
        "ehr_enabled": wanted["enabled"],
        "ehr_on_upload": wanted["scheduledReports"]["onUploadEnabled"],
    }


def make_ehr_clinic(unit: UnitOfWork, **settings: Any) -> Clinic:
    """A clinic that is connected to a health record system, by default through Redox."""
    return make_clinic(unit, **ehr_columns(**settings))


def make_subscription(
    unit: UnitOfWork, patient: Patient, *document_ids: str, kind: SubscriptionKind = REDOX_REPORTS, active: bool = True
) -> EhrSubscription:
    """A subscription of the patient that rests on the last of these documents."""
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "name": kind.name}
    subscription = EhrSubscription(
        **key, provider=kind.provider, active=active, created_time=LONG_AGO, updated_time=LONG_AGO
    )
    unit.session.add(subscription)
    unit.flush()
    for position, document_id in enumerate(document_ids):
        match = {"document_id": document_id, "data_model": "Order", "event_type": "New"}
        unit.session.add(MatchedMessage(**key, position=position, **match))
    unit.flush()
    return subscription
