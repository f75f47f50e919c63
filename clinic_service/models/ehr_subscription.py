"""What keeps an electronic health record informed about a patient."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, partial_index
from clinic_service.db.types import ExactText, ObjectId
from clinic_service.models.patient import Patient


class EhrSubscription(Base):
    """A subscription by its name; it is inactive when an order ended it, or the patient's number in the record changed."""

    __tablename__ = "ehr_subscriptions"

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
