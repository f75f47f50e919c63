"""The requests that count towards the limits of mails."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ObjectId, UserId, string_enum


class MailPurpose(StrEnum):
    """The purpose of a mail. Each purpose has a limit of its own, so that no purpose uses up the limit of another."""

    # From a clinic to a future clinician.
    INVITATION = "invitation"
    # From a patient to the admins of a clinic.
    OFFER = "offer"
    # From a clinic to a patient: to upload data, or to connect a provider of data.
    REMINDER = "reminder"


class MailRequest(Base):
    """A request that sent mail, kept for an hour."""

    __tablename__ = "mail_requests"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    purpose: Mapped[MailPurpose] = mapped_column(string_enum(MailPurpose, "purpose"))
    # Null when a service asked for the mail.
    person_id: Mapped[str | None] = mapped_column(UserId)
    time: Mapped[datetime]

    __table_args__ = (Index(None, "clinic_id", "purpose", "time"), Index(None, "person_id", "purpose", "time"))
