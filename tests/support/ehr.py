"""Clinics that are connected to a health record system, and orders for their patients."""

from __future__ import annotations

import copy
import json
from typing import Any

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import (
    REDOX_REPORTS,
    Clinic,
    EhrProvider,
    EhrSubscription,
    MatchedMessage,
    Patient,
    SubscriptionKind,
)
from clinic_service.resources.ehr.redox.messages import receive
from clinic_service.unit_of_work import UnitOfWork
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic

REDOX_SECRET = "a sécret shared with Redox"
# As a header holds it, which is read as Latin-1.
REDOX = {"Verification-Token": REDOX_SECRET.encode().decode("latin-1")}
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


def redox_client(database: Database) -> Client:
    """A client of a server that shares a secret with Redox."""
    url = database.url.render_as_string(hide_password=False)
    config = Config(database_url=url, session_secret=SECRET, redox_verification_token=REDOX_SECRET)
    return Client(application(config, database), SECRET)


def redox_order(
    *,
    source_id: str | None = SOURCE_ID,
    log_id: str = "d9f5d293-7110-461e-a875-3beb089e79f3",
    attempt: str = "925d1617-2fe0-468c-a14c-f8c04b572c54",
    identifiers: list[dict[str, Any]] | None = None,
    **demographics: Any,
) -> dict[str, Any]:
    """A new order of Redox for Carol; `demographics` are members of that name, absent when they are None."""
    given = {"FirstName": "Carol", "LastName": "Cooper", "DOB": "1987-04-12", **demographics}
    return {
        "Meta": {
            "DataModel": "Order",
            "EventType": "New",
            "EventDateTime": "2026-03-02T09:29:41.000Z",
            "Test": False,
            "Source": {"ID": source_id, "Name": "Harbour EHR"} if source_id is not None else None,
            "Destinations": [{"ID": "0f4bd1d1-451d-4351-8cfd-b767d1b488d6", "Name": "Harbour"}],
            "Logs": [{"ID": log_id, "AttemptID": attempt}],
            "FacilityCode": "HRBR",
        },
        "Patient": {
            "Identifiers": [{"ID": "MRN-20417", "IDType": "MRN"}] if identifiers is None else identifiers,
            "Demographics": {name: value for name, value in given.items() if value is not None},
        },
        "Order": {"ID": "157968300", "Procedure": {"Code": "ENABLE"}},
    }


def store_message(unit: UnitOfWork, message: dict[str, Any] | None = None) -> str:
    """The id of a stored message, by default an order for Carol."""
    message = redox_order() if message is None else message
    return receive(unit, message, json.dumps(message))
