"""Electronic health record systems: their messages, and the subscriptions and reports of patients."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, and_
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, partial_index
from clinic_service.db.placement import BY_CLINIC, REFERENCE
from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UserId, string_enum
from clinic_service.models.clinic import Clinic, EhrProvider
from clinic_service.models.patient import Patient


class SubscriptionKind(NamedTuple):
    """A kind of subscription: its name, and the partner through which the health record system gets the reports."""

    name: str
    provider: EhrProvider


REDOX_REPORTS = SubscriptionKind("summaryAndReports", EhrProvider.REDOX)
XEALTH_REPORTS = SubscriptionKind("xealthReports", EhrProvider.XEALTH)


class EhrSubscription(Base):
    """A subscription to a patient's reports. An order, or a change of the patient's MRN, makes it inactive."""

    __tablename__ = "ehr_subscriptions"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    name: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    provider: Mapped[str] = mapped_column(ExactText())
    active: Mapped[bool]
    created_time: Mapped[datetime]
    updated_time: Mapped[datetime]

    patient: Mapped[Patient] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        partial_index("ix_ehr_subscriptions_active", "clinic_id", "name", where="active"),
    )


class MatchedMessage(Base):
    """A document that changed a subscription. The document with the greatest position decides the present state.

    The document is a row of `redox_messages` or an order of Xealth, so the column has no foreign key.
    """

    __tablename__ = "matched_messages"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    name: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[str] = mapped_column(ObjectId)
    data_model: Mapped[str] = mapped_column(ExactText())
    event_type: Mapped[str] = mapped_column(ExactText())

    subscription: Mapped[EhrSubscription] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "patient_id", "name"],
            ["ehr_subscriptions.clinic_id", "ehr_subscriptions.patient_id", "ehr_subscriptions.name"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("clinic_id", "patient_id", "name", "document_id"),
        Index(None, "document_id"),
    )


# The condition that joins the matched documents to the subscription that they changed.
MATCHES_OF_SUBSCRIPTION = and_(
    MatchedMessage.clinic_id == EhrSubscription.clinic_id,
    MatchedMessage.patient_id == EhrSubscription.patient_id,
    MatchedMessage.name == EhrSubscription.name,
)
# The condition that joins subscriptions to the record of their patient.
SUBSCRIPTIONS_OF_PATIENT = and_(
    EhrSubscription.clinic_id == Patient.clinic_id, EhrSubscription.patient_id == Patient.id
)
# The condition for a subscription to reports that are sent through Redox.
IS_REDOX_SUBSCRIPTION = and_(
    EhrSubscription.name == REDOX_REPORTS.name, EhrSubscription.provider == REDOX_REPORTS.provider
)


class RedoxMessage(Base):
    """A message as Redox sent it. It has no clinic, because messages of unknown sources are stored as well."""

    __tablename__ = "redox_messages"
    placement = REFERENCE

    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    data_model: Mapped[str] = mapped_column(ExactText())
    event_type: Mapped[str] = mapped_column(ExactText())
    # The columns down to `destination_ids` are copied from the message; null when the message does not have them.
    source_id: Mapped[str | None] = mapped_column(ExactText())
    source_name: Mapped[str | None]
    facility_code: Mapped[str | None] = mapped_column(ExactText())
    event_time: Mapped[datetime | None]
    is_test: Mapped[bool | None]
    log_id: Mapped[str | None] = mapped_column(ExactText())
    log_attempt_id: Mapped[str | None]
    destination_ids: Mapped[list[Any] | None] = mapped_column(Json)
    # The received text, unchanged.
    payload: Mapped[str]
    # Equal for all deliveries of one message.
    payload_hash: Mapped[bytes]
    # The id of the first delivery; null for the first delivery itself.
    duplicate_of: Mapped[str | None] = mapped_column(ObjectId)
    received_time: Mapped[datetime] = mapped_column(CreationTime)

    __table_args__ = (
        Index(None, "log_id"),
        Index(None, "received_time", "id"),
        # A message without a source or a log id is never a duplicate.
        partial_index(
            "ix_redox_messages_first_delivery",
            "source_id",
            "log_id",
            "payload_hash",
            unique=True,
            where="duplicate_of IS NULL",
        ),
    )


class ReportOrderState(StrEnum):
    """The state of a scheduled report. All states except PENDING are final."""

    PENDING = "pending"
    DELIVERED = "delivered"
    SKIPPED = "skipped"
    FAILED = "failed"


class ScheduledReportOrder(Base):
    """A scheduled report of a patient, which answers a stored Redox message.

    The preceding row is the latest earlier row of the same patient and message.
    """

    __tablename__ = "scheduled_report_orders"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    # No foreign key: the patient may be deleted before the report is made.
    user_id: Mapped[str] = mapped_column(UserId)
    message_id: Mapped[str] = mapped_column(ObjectId)
    created_time: Mapped[datetime] = mapped_column(CreationTime)
    preceding_id: Mapped[str | None] = mapped_column(ObjectId)
    preceding_created_time: Mapped[datetime | None] = mapped_column(CreationTime)
    delivered_time: Mapped[datetime | None]
    state: Mapped[ReportOrderState] = mapped_column(string_enum(ReportOrderState, "state"))
    # The reason why it was skipped or failed: a fixed sentence, or the name of an error.
    reason: Mapped[str | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (
        # This index alone answers the query for the preceding row.
        Index("ix_scheduled_report_orders_preceding", "clinic_id", "user_id", "message_id", "id"),
        Index(None, "created_time"),
        partial_index("ix_scheduled_report_orders_pending", "message_id", where="state = 'pending'"),
    )
