"""The records that are kept of patients who are removed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import insert, select

from clinic_service.db.dialects import among
from clinic_service.db.records import whole_row
from clinic_service.db.repository import Unit
from clinic_service.models import EhrSubscription, Patient, PatientDeletion
from clinic_service.resources.patients.descriptions import describe

_ADD = insert(PatientDeletion)
_SUBSCRIPTIONS = (
    select(
        EhrSubscription.patient_id,
        EhrSubscription.name,
        EhrSubscription.provider,
        EhrSubscription.active,
        EhrSubscription.created_time,
        EhrSubscription.updated_time,
    )
    .where(among(EhrSubscription.clinic_id, "clinic_ids"), among(EhrSubscription.patient_id, "patient_ids"))
    .order_by(EhrSubscription.patient_id, EhrSubscription.name)
)


def record_deletions(unit: Unit, patients: Sequence[Patient], deleted_by: str | None) -> None:
    """Keep a record of each of the patients, who are about to be removed, with all that belongs to them.

    `deleted_by` is None unless a person acts.
    """
    subscriptions = _subscriptions(unit, patients)
    records = [
        {
            "clinic_id": one.clinic_id,
            "id": one.id,
            "user_id": one.user_id,
            "deleted_time": unit.now,
            "deleted_by_user_id": deleted_by,
            "record": whole_row(one.row) | one.children() | {"ehr_subscriptions": subscriptions[one.id]},
        }
        for one in describe(unit, patients)
    ]
    unit.execute(_ADD, records)


def _subscriptions(unit: Unit, patients: Sequence[Patient]) -> Mapping[str, list[dict[str, Any]]]:
    """What keeps health records informed about the patients, by their ids."""
    ids = {"clinic_ids": list({p.clinic_id for p in patients}), "patient_ids": [p.id for p in patients]}
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in unit.rows(_SUBSCRIPTIONS, ids):
        subscription = row._asdict()
        found[subscription.pop("patient_id")].append(subscription)
    return found
