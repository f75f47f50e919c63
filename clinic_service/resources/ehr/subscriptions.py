"""Applies a matched document to a patient's subscription to reports.

The first document creates the subscription; the latest document decides whether it is active. A change of the patient's
medical record number makes all the patient's subscriptions inactive, because the orders were for the old number.
"""

from __future__ import annotations

from typing import NamedTuple

from clinic_service.models import Patient, SubscriptionKind
from clinic_service.unit_of_work import UnitOfWork


class MatchedDocument(NamedTuple):
    """A matched document: the id of a stored message or order, and its kind.

    The data model and the event type are those of a Redox message (`Order`, `New`), or the event type and the event
    context of a Xealth event (`order`, `cancel`).
    """

    id: str
    data_model: str
    event_type: str


class Subscription(NamedTuple):
    """The state of a subscription: whether it is active, and the last document that changed it."""

    active: bool
    document: MatchedDocument | None


def find_subscription(uow: UnitOfWork, clinic_id: str, patient_id: str, kind: SubscriptionKind) -> Subscription | None:
    """The subscription of the patient's record `patient_id`; None when there never was one.

    A subscription of another partner with the same name does not count.
    """
    row = uow.ehr.find_subscription(clinic_id, patient_id, kind)
    if row is None:
        return None
    if row.document_id is None or row.data_model is None or row.event_type is None:
        return Subscription(row.active, None)
    return Subscription(row.active, MatchedDocument(row.document_id, row.data_model, row.event_type))


def update_subscription(
    uow: UnitOfWork, patient: Patient, kind: SubscriptionKind, document: MatchedDocument, *, active: bool
) -> bool:
    """Make the subscription of the patient active or inactive because of `document`. The patient's row must be locked.

    Returns False and changes nothing when the document has already changed this subscription.
    """
    position = uow.ehr.next_position(patient, kind, document.id)
    if position is None:
        return False
    uow.ehr.store_match(patient, kind, position, document, active=active)
    uow.patients.touch(patient)
    uow.patients.flush()
    return True
