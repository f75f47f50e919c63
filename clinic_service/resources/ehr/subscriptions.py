"""What a matched document does to a patient's subscription to reports.

A subscription does not exist until a document makes it; then it is active or inactive as the latest document says. A
change of the patient's medical record number makes all of them inactive, because the orders were for another number.
"""

from __future__ import annotations

from typing import NamedTuple

from clinic_service.models import Patient, SubscriptionKind
from clinic_service.unit_of_work import UnitOfWork


class MatchedDocument(NamedTuple):
    """What was matched: the id of a stored message or order, and of what kind it is.

    The data model and the event type are those of a Redox message (`Order`, `New`), or the event type and the event
    context of a Xealth event (`order`, `cancel`).
    """

    id: str
    data_model: str
    event_type: str


class Subscription(NamedTuple):
    """A subscription as it is: whether it is active, and the last document that changed it."""

    active: bool
    document: MatchedDocument | None


def find_subscription(uow: UnitOfWork, clinic_id: str, patient_id: str, kind: SubscriptionKind) -> Subscription | None:
    """The subscription of the patient's record with the id `patient_id`; None when there never was one.

    A subscription of another partner under the same name is none.
    """
    row = uow.ehr.find_subscription(clinic_id, patient_id, kind)
    if row is None:
        return None
    has_document = row.document_id is not None
    document = MatchedDocument(row.document_id, row.data_model, row.event_type) if has_document else None
    return Subscription(bool(row.active), document)


def update_subscription(
    uow: UnitOfWork, patient: Patient, kind: SubscriptionKind, document: MatchedDocument, *, active: bool
) -> bool:
    """Let `document` make the subscription of the patient, whose row is locked, active or inactive.

    False when the document has changed this subscription before; then nothing changes, whatever `active` says.
    """
    position = uow.ehr.next_position(patient, kind, document.id)
    if position is None:
        return False
    uow.ehr.store_match(patient, kind, position, document, active=active)
    uow.patients.touch(patient)
    uow.patients.flush()
    return True
