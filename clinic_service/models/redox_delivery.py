"""The processing of Redox messages: outcomes of orders, sent messages, and the schedules of reports."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC, LOCAL, REFERENCE
from clinic_service.db.types import ExactText, ObjectId, UserId, string_enum
from clinic_service.models.clinic import Clinic
from clinic_service.models.ehr import RedoxMessage


class OrderState(StrEnum):
    """The state of an order that was received."""

    # It has no clinic, or the clinic's settings have no action for it.
    IGNORED = "ignored"
    # It has an outcome and is not answered yet.
    PENDING = "pending"
    ANSWERED = "answered"
    # It could not be carried out or answered.
    FAILED = "failed"


class OrderOutcome(Base):
    """The outcome of an order, stored in the transaction that carries it out. Without a row it is not processed yet."""

    __tablename__ = "order_outcomes"
    placement = REFERENCE

    message_id: Mapped[str] = mapped_column(ForeignKey("redox_messages.id", ondelete="CASCADE"), primary_key=True)
    state: Mapped[OrderState] = mapped_column(string_enum(OrderState, "state"))
    clinic_id: Mapped[str | None] = mapped_column(ObjectId)
    # The user id of the patient whose report is part of the answer.
    user_id: Mapped[str | None] = mapped_column(UserId)
    # The code of the result; null when the order was not carried out or refused.
    result: Mapped[str | None] = mapped_column(ExactText())
    succeeded: Mapped[bool | None]
    # The explanation for the clinic; a fixed sentence.
    explanation: Mapped[str | None]
    # The reason of a failure; a fixed sentence or the name of an error.
    failure: Mapped[str | None]
    decided_time: Mapped[datetime]

    message: Mapped[RedoxMessage] = relationship(lazy="raise")


class SentMessage(Base):
    """A message that Redox has accepted: its data model, and its order or scheduled report."""

    __tablename__ = "sent_redox_messages"
    placement = LOCAL

    document_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    data_model: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    sent_time: Mapped[datetime]

    __table_args__ = (Index(None, "sent_time"),)


class ReportSchedule(Base):
    """The time at which the reports of a clinic are scheduled next, and the cadence from which it was computed."""

    __tablename__ = "report_schedules"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    cadence: Mapped[str] = mapped_column(ExactText())
    # Null until the first round.
    last_time: Mapped[datetime | None]
    next_time: Mapped[datetime]

    clinic: Mapped[Clinic] = relationship(lazy="raise")
