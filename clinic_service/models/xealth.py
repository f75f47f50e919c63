"""What Xealth tells of orders, what was entered into the forms for them, and who has looked at the reports."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps
from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId
from clinic_service.models.clinic import Clinic
from clinic_service.models.patient import Patient


class XealthPreorder(Timestamps, Base):
    """The input of the form that was shown before an order; the order names it by `data_tracking_id`.

    An order may use it only for the deployment and the medical record number that the form was shown for.
    """

    __tablename__ = "xealth_preorders"

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    data_tracking_id: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    deployment: Mapped[str] = mapped_column(ExactText())
    mrn: Mapped[str]
    # Of the patient, or of the guardian where there is one.
    email: Mapped[str | None]
    connect_abbott: Mapped[bool]
    connect_dexcom: Mapped[bool]
    # Both are null in the input of the patient form.
    guardian_first_name: Mapped[str | None]
    guardian_last_name: Mapped[str | None]
    # As they were sent; some may be no tags of the clinic.
    tag_ids: Mapped[list[str]] = mapped_column(Json)
    # When an order made a patient of it; from then on it stays as it is.
    used_time: Mapped[datetime | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (Index(None, "updated_time"),)


class XealthOrder(Base):
    """An event of an order, with the order as Xealth told it then. The texts are kept as they came."""

    __tablename__ = "xealth_orders"

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    deployment: Mapped[str] = mapped_column(ExactText())
    order_id: Mapped[str] = mapped_column(ExactText())
    program_id: Mapped[str]
    partner_id: Mapped[str | None]
    event_id: Mapped[str | None]
    event_type: Mapped[str]
    event_context: Mapped[str]
    # When it happened, as Xealth says; what comes later may have happened before.
    event_time: Mapped[datetime]
    event_text: Mapped[str] = mapped_column(Text)
    order_text: Mapped[str] = mapped_column(Text)
    created_time: Mapped[datetime] = mapped_column(CreationTime)
    # Null: the event was too old, or the order not in force, so that it had no effect.
    applied_time: Mapped[datetime | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (
        Index(None, "clinic_id", "deployment", "order_id", "created_time"),
        Index(None, "created_time"),
    )


class XealthReportView(Base):
    """A user of a health record system got a link to the report of a patient."""

    __tablename__ = "xealth_report_views"

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId)
    ehr_user_id: Mapped[str] = mapped_column(ExactText())
    system_login: Mapped[str | None]
    deployment: Mapped[str] = mapped_column(ExactText())
    program_id: Mapped[str] = mapped_column(ExactText())
    created_time: Mapped[datetime] = mapped_column(CreationTime)

    patient: Mapped[Patient] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        # Deployment and program, which hardly differ for one user, would make it wider than an engine takes.
        Index("ix_xealth_report_views_latest", "clinic_id", "patient_id", "ehr_user_id", "created_time"),
    )
