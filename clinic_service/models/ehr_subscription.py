"""Subscriptions of electronic health records to the data of a patient."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, partial_index
from clinic_service.db.types import ExactText, ObjectId
from clinic_service.models.patient import Patient


class EhrSubscription(Base):
    """A subscription, by its name. It is inactive after an order that ends it, or after a change of the patient's MRN."""

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
