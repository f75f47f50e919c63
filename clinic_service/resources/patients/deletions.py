"""Records of patients who left a clinic: all the clinic's data about them, as JSON documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from clinic_service.db.dialects import among
from clinic_service.db.prepared import insert_into
from clinic_service.db.records import whole_row
from clinic_service.db.repository import Unit
from clinic_service.models import MATCHES_OF_SUBSCRIPTION, EhrSubscription, MatchedMessage, Patient, PatientDeletion
from clinic_service.resources.patients.descriptions import PatientRow, describe

_ADD = insert_into(PatientDeletion, "clinic_id", "id", "user_id", "deleted_time", "deleted_by_user_id", "record")
# One row for each matched message, and one for a subscription without a message.
_SUBSCRIPTIONS = (
    select(
        EhrSubscription.patient_id,
        EhrSubscription.name,
        EhrSubscription.provider,
        EhrSubscription.active,
        EhrSubscription.created_time,
        EhrSubscription.updated_time,
        MatchedMessage.document_id,
        MatchedMessage.data_model,
        MatchedMessage.event_type,
    )
    .outerjoin(
        MatchedMessage,
        MATCHES_OF_SUBSCRIPTION,
    )
    .where(among(EhrSubscription.clinic_id, "clinic_ids"), among(EhrSubscription.patient_id, "patient_ids"))
    .order_by(EhrSubscription.patient_id, EhrSubscription.name, MatchedMessage.position)
)
_OF_SUBSCRIPTION = ("name", "provider", "active", "created_time", "updated_time")
_OF_MESSAGE = ("document_id", "data_model", "event_type")


def record_deletions(unit: Unit, patients: Sequence[Patient], deleted_by: str | None) -> None:
    """Keep a record of each of the patients before they are removed, in at most four statements.

    `deleted_by` is None unless a person acts.
    """
    subscriptions = _subscriptions(unit, patients)
    described = describe(unit, [PatientRow.of(patient) for patient in patients])
    records = [
        {
            "clinic_id": patient.clinic_id,
            "id": patient.id,
            "user_id": patient.user_id,
            "deleted_time": unit.now,
            "deleted_by_user_id": deleted_by,
            "record": {
                **whole_row(patient),
                **description.children(),
                "ehr_subscriptions": list(subscriptions[patient.id].values()),
            },
        }
        for patient, description in zip(patients, described, strict=True)
    ]
    unit.insert(_ADD, *records)


def _subscriptions(unit: Unit, patients: Sequence[Patient]) -> dict[str, dict[str, dict[str, Any]]]:
    """The subscriptions by patient and name, each with its matched messages, the first one first."""
    ids = {"clinic_ids": list({p.clinic_id for p in patients}), "patient_ids": [p.id for p in patients]}
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in unit.rows(_SUBSCRIPTIONS, ids):
        columns = row._asdict()
        document = {name: columns[name] for name in _OF_SUBSCRIPTION} | {"matched_messages": []}
        subscription = found[row.patient_id].setdefault(row.name, document)
        if row.document_id is not None:
            subscription["matched_messages"].append({name: columns[name] for name in _OF_MESSAGE})
    return found
